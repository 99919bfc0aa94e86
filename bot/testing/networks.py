"""The contract that every network adapter must pass, and the fixture format of its documented exchanges.

    class TestMastodon(NetworkContract):
        network = Mastodon
        fixture = Path(__file__).parent / "mastodon.json"

That is all a test file needs (pytest and hypothesis must be installed). An outside package does the same.

**A fixture** is one JSON file, `tests/networks/<name>.json`:

    {
      "network": "mastodon",
      "source": "where the answers come from: URLs, or 'recorded from <server version> on <date>'",
      "find_by": "link",                 // how `find` knows our post: "link" (default) or "key"
      "lacks": {"duplicate": "Mastodon never says so: <URL>"},    // a sentence instead of a case, see below
      "options": {"token": "secret-…"},  // Options for all cases; the suite adds base and allow_private
      "credentials": {"access_jwt": "secret-…"},       // optional
      "facts": {"max_characters": 500},                // optional: what `check` would have stored
      "cases": {
        "publish_rate_limited": {
          "about": "https://…",           // the page that documents this very answer (or a sentence)
          "options": {}, "credentials": {}, "facts": {}, "post": {},   // optional: laid over the above
          "call": "send",                 // optional: the method, if not the case's usual one
          "container": "…",               // two-phase cases only
          "exchanges": [
            {"request": {"method": "POST", "path": "/api/v1/statuses",
                         "query": {}, "headers": {"Authorization": "Bearer secret-token"},
                         "json": {"visibility": "public"}, "form": {}, "body": "…"},
             "answer":  {"status": 429, "headers": {"X-RateLimit-Reset": "…"}, "json": {"error": "…"}}}
          ],
          "expect": {"error": "Busy", "status": 429, "until": "2026-03-02T09:45:00+00:00"}
        }
      }
    }

*Requests*: `method` and `path` must be equal, `query`, `headers`, `json`, `form` be subsets of what comes (objects may
have more keys, lists match one for one); a text that starts with `~` is a regular expression for the whole value.
*Answers*: one of `json`, `text` (an unparseable body, say), `base64`, with `status` (200) and `headers`; or
`{"drop": true}` (the request is read, then the connection closed without a byte); or `{"garbage": "…"}` (bytes that
are no HTTP). `"post"` changes fields of the sample post (`"card_image": "{base}/p.jpg"` its card's picture).
*Placeholders* in any text of an exchange or of `options`: `{base}` the stand-in's address, `{link}`, `{text}`, `{key}`
of the sample, `{body.NAME}` a top-level text of the rendered payload's JSON, `{folder}` an empty folder.
Every exchange must be asked for, in this order, and nothing else: that is how "exactly one publish request, no retry,
no redirect" is proved.
*Time*: the door's clock stands at 2026-03-02T09:31:00Z; the sample post was created at 09:30:00.123456Z, and look-ups
ask back to 09:30:30Z. The sample's key is "5a" × 32, its link `SAMPLE_LINK`.

*Expect* is one of
    {"identity": {"remote_id": "…", "name": "…", "facts": {…subset}, "expires_at": "ISO"}}
    {"receipt": {"remote_id": "…", "url": "…"}}         {"pending": {"container": "…"}}
    {"none": true}                                       // find: not there; poll: the container is gone
    {"seen": [{"remote_id": "…", "links": ["…"]}]}
    {"credentials": {"access_jwt": "…"}}                 // the values that `refresh` gives
    {"payload": {…subset}}                               // what `prepare` made of the body (JSON)
    {"error": "Rejected", "status": 422, "words": "a part of its words", "until": "ISO"}   // the last three optional

**Mandatory cases** (the build fails without them; `ANY_OF` says what each must end in):
    check_ok check_dead_token publish_ok publish_rejected publish_rate_limited publish_server_error publish_lost_reply
    publish_unparseable publish_redirect publish_dead_token misconfigured duplicate
    find_present find_absent recent       where `can.find`
    expired_token refresh_ok refresh_refused    where the adapter overrides `refresh`
    poll_ready poll_gone finish_ok finish_lost_reply    where `can.two_phase` (give "options" if a choice turns it on)
Further cases may have any name that starts with check_, publish_, find_, recent_, refresh_, poll_, finish_, prepare_.
`misconfigured`, `duplicate`, `publish_unparseable`, `publish_rejected`, `check_dead_token`, `publish_rate_limited` and
`publish_dead_token` may be replaced by a sentence in "lacks" that says why this network can't answer so.
A *local* network (no HTTP at all) needs check_ok, publish_ok, find_present, find_absent and recent, each with
`"exchanges": []`, and `"first": ["send"]` where a post must be there before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from pydantic import SecretStr

from bot.errors import NotSent, SendError, Unknown
from bot.http import Door, Http, Response
from bot.model import Card, Image, Payload, Receipt
from bot.networks.base import Network, NetworkOptions
from bot.rules.text import fits
from bot.secrets import keep_out
from bot.testing.clock import ManualClock
from bot.testing.outcomes import EXPECT, ends_in, leaks, no_leak, numbers, secrets_of
from bot.testing.replay import ReplayServer, filled
from bot.testing.samples import (
    NOW,
    SAMPLE_HEADLINE,
    SAMPLE_KEY,
    SAMPLE_LINK,
    SINCE,
    STRANGE,
    UNEXPECTED,
    fitted,
    sample_post,
)

_TAGS = ["Storm", "Río", "北京", "A1"]

#: What each mandatory case must end in. Error classes by name; "receipt" and the rest as in the fixture.
ANY_OF: Mapping[str, tuple[str, ...]] = {
    "check_ok": ("identity",),
    "check_dead_token": ("AuthFailed", "Expired"),
    "publish_ok": ("receipt", "pending"),
    "publish_rejected": ("Rejected",),
    "publish_rate_limited": ("Busy",),
    "publish_dead_token": ("AuthFailed", "Expired"),
    **dict.fromkeys(("publish_server_error", "publish_lost_reply"), ("Unknown",)),
    **dict.fromkeys(("publish_unparseable", "publish_redirect"), ("Unknown",)),
    "misconfigured": ("Misconfigured",),
    "duplicate": ("Duplicate",),
    "find_present": ("receipt",),
    "find_absent": ("none",),
    "recent": ("seen",),
    "expired_token": ("Expired",),
    "refresh_ok": ("credentials",),
    "refresh_refused": ("AuthFailed",),
    "poll_ready": ("pending", "receipt"),
    "poll_gone": ("none",),
    "finish_ok": ("receipt",),
    "finish_lost_reply": ("Unknown",),
}
_ALWAYS = tuple(ANY_OF)[:12]
_LOOKS = ("find_present", "find_absent", "recent")
_LACKABLE = frozenset(
    {
        "check_dead_token",
        "publish_rejected",
        "publish_rate_limited",
        "publish_unparseable",
        "publish_dead_token",
        "misconfigured",
        "duplicate",
    }
)
_CALLS = {"publish": "send", "misconfigured": "send", "duplicate": "send", "expired": "send"}


class Nowhere:
    """An Http for calls that must not use any."""

    def request(self, method: str, url: str, **parts: Any) -> Response:
        """Raises AssertionError: what is pure makes no request."""
        raise AssertionError(f"{method} was asked for where no request may be made")


class NetworkContract:
    """What every network must do. Subclass it in a test file; see the module's text."""

    network: ClassVar[type[Network]]
    fixture: ClassVar[Path]

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each case of the fixture and each unexpected answer."""
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", sorted(self._told()["cases"]))
        if "unexpected" in metafunc.fixturenames:
            metafunc.parametrize("unexpected", ["no HTTP"] if self.network.local else list(UNEXPECTED))

    # -- what it declares -----------------------------------------------------------------------------------------

    def test_declares_everything(self) -> None:
        """Name, title, docs, date, options, limits and abilities are all there and of their kind."""
        kind = self.network
        assert re.fullmatch(r"[a-z][a-z0-9_]*", kind.name), "name: lower case letters, digits and _"
        assert kind.title.strip(), "title: what people call the network"
        assert kind.docs.startswith("https://"), "docs: the address of the API's documentation"
        assert isinstance(kind.checked, date), "checked: the date on which the documentation was read"
        assert issubclass(kind.Options, NetworkOptions), "Options: a subclass of NetworkOptions"
        assert kind.limits.size > 0
        assert kind.in_flight_max.lost > 0
        assert kind.in_flight_max.server_error > 0
        assert kind.can.find or not kind.absence_is_proof, "absence can't be proof without find"
        assert self._told()["network"] == kind.name
        assert self._told()["source"], "the fixture must say where its answers come from"

    def test_every_number_has_its_source(self) -> None:
        """Limits, pace and prices name the page that they come from."""
        missing = [
            f"{part}.{name}"
            for part, told in (
                ("limits", self.network.limits),
                ("pace", self.network.pace),
                ("cost", self.network.cost),
            )
            for name in numbers(told)
            if not re.match(r"https?://|docs/", told.sources.get(name, ""))
        ]
        assert missing == []

    def test_options_are_documented_and_secrets_are_secret(self) -> None:
        """Each key has a description; what looks like a credential is a SecretStr."""
        for name, field in self.network.Options.model_fields.items():
            assert field.description, f"options.{name} has no description"
            if re.search(r"token|secret|password|api_key", name):
                assert "SecretStr" in str(field.annotation), f"options.{name} must be a SecretStr"

    def test_every_mandatory_case_is_there(self) -> None:
        """A missing exchange fails the build; so does a case that ends in what it must not end in."""
        told = self._told()
        cases, lacks = told["cases"], told.get("lacks", {})
        assert set(lacks) <= _LACKABLE, "these can't be replaced by a sentence"
        assert all(len(reason) > 20 for reason in lacks.values())
        assert [name for name in self._mandatory() if name not in cases and name not in lacks] == []
        for name, case in cases.items():
            assert case.get("about") or told["source"]
            if name in ANY_OF:
                assert ends_in(case["expect"]) in ANY_OF[name], name

    def _mandatory(self) -> list[str]:
        kind = self.network
        if kind.local:
            return ["check_ok", "publish_ok", *_LOOKS]
        wanted = list(_ALWAYS)
        if kind.can.find:
            wanted += _LOOKS
        if kind.refresh is not Network.refresh:
            wanted += ["expired_token", "refresh_ok", "refresh_refused"]
        if kind.can.two_phase:
            wanted += ["poll_ready", "poll_gone", "finish_ok", "finish_lost_reply"]
        return wanted

    # -- what it makes --------------------------------------------------------------------------------------------

    def test_render_is_pure_deterministic_and_fits(self, tmp_path: Path) -> None:
        """For any post that compose fitted: the same bytes twice, the link whole, the text within bounds, no secret."""
        from hypothesis import given, settings
        from hypothesis import strategies as st

        adapter, again = (self._adapter({}, "http://127.0.0.1:9", tmp_path, Nowhere()) for _ in range(2))
        limits, secrets = adapter.bounds(), secrets_of(adapter)

        @settings(max_examples=60, deadline=None, database=None)
        @given(st.text(min_size=1, max_size=400), st.booleans(), st.lists(st.sampled_from(_TAGS)))
        def holds(headline: str, with_link: bool, tags: list[str]) -> None:
            post = fitted(limits, headline, SAMPLE_LINK if with_link else None, tuple(dict.fromkeys(tags)))
            payload = adapter.render(post)
            assert payload == again.render(post)
            assert payload.link == post.link
            assert fits(payload.text, limits)
            assert not leaks(secrets, payload.body.decode("utf-8", "replace"), payload.text, repr(payload))

        holds()
        assert repr(adapter.bounds()) == repr(limits)
        adapter.abilities()
        adapter.find_is_proof()
        assert adapter.id_at("https://elsewhere.example.com/") is None

    # -- what it does ---------------------------------------------------------------------------------------------

    def test_documented_exchange(self, case: str, tmp_path: Path) -> None:
        """The adapter asks what the fixture says, once and in order, and makes of the answers what it must."""
        told = self._told()["cases"][case]
        call = told.get("call") or _CALLS.get(case.partition("_")[0], case.partition("_")[0])
        with self._stand_in(told["exchanges"], tmp_path) as (server, door):
            adapter = self._adapter(told, server.base, tmp_path, _way(door))
            payload = self._payload(adapter, told, server)
            for first in told.get("first", ()):
                _call(adapter, first, payload, told)
            outcome = _call(adapter, call, payload, told)
            wanted = filled(told["expect"], server.names)
        assert server.surprises == []
        assert server.left == 0, f"{server.left} exchanges were not asked for; the outcome was {outcome!r}"
        EXPECT[ends_in(wanted) if "error" not in wanted else "error"](wanted, outcome)
        no_leak(adapter, outcome)

    def test_unexpected_answer_is_unknown(self, unexpected: str, tmp_path: Path) -> None:
        """Anything that no documentation shows: it may be out. One request, no retry, no redirect followed."""
        if self.network.local:
            return
        if unexpected.startswith("20") and "publish_unparseable" in self._told().get("lacks", {}):
            return  # any 2xx is this network's receipt, as the fixture says
        server, outcome, adapter = self._answered(UNEXPECTED[unexpected], tmp_path)
        assert isinstance(outcome, Unknown), f"{outcome!r} instead of Unknown"
        assert len(server.requests) == 1, [request.line() for request in server.requests]
        no_leak(adapter, outcome)

    def test_strange_refusals_escape_as_send_errors_only(self, tmp_path: Path) -> None:
        """Bodies of another shape than documented never break the adapter (P87: an HTML page for a 403)."""
        for answer in [] if self.network.local else STRANGE:
            server, outcome, _ = self._answered(answer, tmp_path)
            assert isinstance(outcome, SendError), f"{answer}: {outcome!r}"
            assert len(server.requests) == 1

    def test_secrets_echoed_by_the_server_stay_out_of_errors(self, tmp_path: Path) -> None:
        """P118: a server that quotes our token in its error must not bring it into our logs."""
        if self.network.local:
            return
        secrets = secrets_of(self._adapter({}, "http://127.0.0.1:9", tmp_path, Nowhere()))
        echo = {"status": 422, "json": {"error": "bad request: " + " ".join(secrets), "message": " ".join(secrets)}}
        _, outcome, adapter = self._answered(echo, tmp_path)
        assert isinstance(outcome, SendError)
        no_leak(adapter, outcome)

    def test_private_addresses_are_refused_unless_allowed(self, tmp_path: Path) -> None:
        """`base` may name this machine only where the account says `allow_private = true`."""
        if self.network.local:
            return
        told = self._told()["cases"]["publish_ok"]
        with self._stand_in(told["exchanges"], tmp_path) as (server, door):
            adapter = self._adapter(told, server.base, tmp_path, _way(door, allow_private=False))
            outcome = _call(adapter, "send", self._payload(adapter, told, server), told)
        assert isinstance(outcome, NotSent), f"{outcome!r} instead of NotSent"
        assert server.requests == []

    def test_find_takes_no_other_post_for_ours(self, tmp_path: Path) -> None:
        """A link that is only longer or shorter than ours is another article's."""
        told = self._told()
        case = told["cases"].get("find_present")
        if case is None or told.get("find_by", "link") != "link":
            return
        for link in (SAMPLE_LINK + "2", SAMPLE_LINK[:-1], "https://www.example.com/"):
            with self._stand_in(case["exchanges"], tmp_path) as (server, door):
                adapter = self._adapter(case, server.base, tmp_path, _way(door))
                payload = self._payload(adapter, case, server)
                outcome = _call(adapter, "find", replace(payload, link=link, text="Another story"), case)
            assert not isinstance(outcome, Receipt), link

    # -- how ------------------------------------------------------------------------------------------------------

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.fixture.read_text("utf-8"))
        return told

    @contextmanager
    def _stand_in(self, exchanges: list[Any], folder: Path) -> Iterator[tuple[ReplayServer, Door]]:
        """A server that replays, and the real door to it, on a clock that stands at NOW."""
        names = {"link": SAMPLE_LINK, "key": SAMPLE_KEY, "folder": str(folder)}
        with (
            ReplayServer(exchanges, names) as server,
            closing(Door(ManualClock(NOW), user_agent="Wirepost-contract")) as door,
        ):
            yield server, door

    def _adapter(self, case: Mapping[str, Any], base: str, folder: Path, http: Http) -> Network:
        told = self._told()
        options = filled({**told.get("options", {}), **case.get("options", {})}, {"base": base, "folder": str(folder)})
        credentials = filled({**told.get("credentials", {}), **case.get("credentials", {})}, {"base": base})
        chosen = self.network.Options(**{"base": base, "allow_private": True, **options})
        held = {name: SecretStr(value) for name, value in credentials.items() if value is not None}
        adapter = self.network(chosen, held, {**told.get("facts", {}), **case.get("facts", {})}, http)
        for secret in secrets_of(adapter):
            keep_out(secret)
        return adapter

    def _payload(self, adapter: Network, case: Mapping[str, Any], server: ReplayServer) -> Payload:
        """The sample post rendered; the server learns its texts."""
        changes = filled(case.get("post", {}), server.names)
        if "card_image" in changes:
            image = Image(changes.pop("card_image"), "The bridge at dawn")
            changes["card"] = Card(SAMPLE_LINK, SAMPLE_HEADLINE, "Engineers found no damage to the piers.", image)
        payload = adapter.render(sample_post(adapter.bounds(), **changes))
        server.names["text"] = payload.text
        try:
            body = json.loads(payload.body)
        except ValueError:
            body = None
        if isinstance(body, dict):
            server.names.update({f"body.{name}": text for name, text in body.items() if isinstance(text, str)})
        return payload

    def _answered(self, answer: Mapping[str, Any], folder: Path) -> tuple[ReplayServer, Any, Network]:
        """What comes of a publish when its request gets this answer."""
        case = self._told()["cases"]["publish_ok"]
        exchanges = [{**case["exchanges"][-1], "answer": answer}]
        with self._stand_in(exchanges, folder) as (server, door):
            adapter = self._adapter(case, server.base, folder, _way(door))
            outcome = _call(adapter, "send", self._payload(adapter, case, server), case)
        return server, outcome, adapter


def _way(door: Door, *, allow_private: bool = True) -> Http:
    """The door's way for an attempt that began just now."""
    return door.publishing(
        started_wall=NOW, started_monotonic=ManualClock().monotonic(), deadline=10.0, allow_private=allow_private
    )


def _call(adapter: Network, call: str, payload: Payload, case: Mapping[str, Any]) -> Any:
    """What a method gives, or the SendError that it raises. Anything else is not caught: it must not escape."""
    container = case.get("container", "")
    calls: dict[str, Callable[[], Any]] = {
        "check": adapter.check,
        "send": lambda: adapter.send(payload, SAMPLE_KEY),
        "find": lambda: adapter.find(payload, SAMPLE_KEY, SINCE),
        "recent": lambda: adapter.recent(SINCE),
        "refresh": adapter.refresh,
        "prepare": lambda: adapter.prepare(payload),
        "poll": lambda: adapter.poll(payload, SAMPLE_KEY, container),
        "finish": lambda: adapter.finish(payload, SAMPLE_KEY, container),
    }
    try:
        return calls[call]()
    except SendError as error:
        return error
