"""Real adapters in the flow, against servers on loopback: what each network's own promise makes of a lost answer."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import SecretStr

from bot.clock import SeededRandom
from bot.flow.newsroom import Newsroom
from bot.http import Door
from bot.model import Outcome, Reason, State
from bot.networks.base import Network
from bot.networks.bluesky import Bluesky
from bot.networks.facebook import Facebook
from bot.networks.mastodon import Mastodon, MastodonOptions
from bot.networks.webhook import Webhook
from bot.networks.x import X
from bot.rules.text import links_in
from bot.store import Store, attempts, deliveries
from bot.testing.clock import ManualClock
from bot.testing.mastodon_server import Fault, MastodonServer, scripted
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom, pass_time
from bot.testing.source import Scripted
from tests.flow.ledger_check import faults
from tests.flow.stories import article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

Answer = tuple[int, Any]
Route = Callable[[str, str, bytes], Answer | None]


class Service:
    """A server on 127.0.0.1 that answers as `route` says (None: hang up), and keeps what it was asked."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.asked: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.asked.append((self.command, self.path, body, headers))
                answer = service.route(self.command, self.path, body)
                if answer is None:
                    self.close_connection = True
                    return
                content = json.dumps(answer[1]).encode()
                self.send_response_only(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_HEAD = do_OPTIONS = one

            def log_message(self, *parts: object) -> None:
                """A test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"

    def paths(self, method: str) -> list[str]:
        return [path.partition("?")[0] for asked, path, *_ in self.asked if asked == method]


@contextmanager
def serving(route: Route) -> Iterator[Service]:
    service = Service(route)
    thread = threading.Thread(target=service._server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service._server.shutdown()
        service._server.server_close()
        thread.join()


Rooms = Callable[..., Newsroom]


@pytest.fixture
def room_of(sqlite_store: Store, clock: ManualClock) -> Iterator[Rooms]:
    """Makes a newsroom with one account, "one", on a network of loopback; its baseline is behind it."""
    door = Door(clock, user_agent="Wirepost test")

    def made(kind: type[Network], options: Any, *, account: Mapping[str, Any] | None = None, seed: int = 1) -> Newsroom:
        accounts = {"one": {"network": kind.name, "pace": "server", **(account or {})}}
        room = newsroom(
            sqlite_store,
            clock,
            editorial(accounts, defaults={**AT_ONCE, "near_duplicate": "warn"}),
            options={"one": options},
            network=kind,
            sources={"main": Scripted("main")},
            random=SeededRandom(seed),
            worker=f"worker-{seed}",
        )
        room.door = door
        look(room)
        clock.advance(60)
        return room

    yield made
    door.close()


def show(room: Newsroom, *articles: Any) -> None:
    room.sources["main"].show(*articles)
    look(room)


def only(store: Store) -> tuple[State, Reason, list[Outcome]]:
    with store.read() as tx:
        (one,) = deliveries.listing(tx, states=list(State))
        return one.state, one.reason.reason, [attempt.outcome for attempt in attempts.of_delivery(tx, one.id)]


# -- Mastodon -----------------------------------------------------------------------------------------------------


def mastodon(server: MastodonServer) -> MastodonOptions:
    return MastodonOptions(server=server.base, token=SecretStr("token-1"), allow_private=True)


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DROP_BEFORE, Fault.ERROR_BEFORE])
@pytest.mark.parametrize("software", ["mastodon", "gotosocial"])
def test_p01_mastodon_takes_and_answers_badly_three_times_and_has_one_status(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock, fault: Fault, software: str
) -> None:
    """GoToSocial ignores the key, and its lists prove nothing: what is not found there waits for a person."""
    taken = fault in (Fault.DROP_AFTER, Fault.ERROR_AFTER)
    with MastodonServer(faults=scripted([fault] * 3), keys=software == "mastodon", software=software, clock=clock) as s:
        room = room_of(Mastodon, mastodon(s))
        show(room, article(1))
        pass_time(room, 22 * MINUTE, step=10 * SECOND)
        found = only(sqlite_store)
        if taken:
            assert found == (State.SENT, Reason.SENT, [Outcome.FOUND])
        elif software == "mastodon":
            assert found == (State.SENT, Reason.SENT, [Outcome.ABSENT] * 3 + [Outcome.RECEIPT])
        else:
            assert found == (State.HELD, Reason.CANNOT_TELL, [Outcome.UNKNOWN])
        assert len(s.statuses) == (1 if taken or software == "mastodon" else 0)
        assert faults(sqlite_store) == []


def test_p46_p52_mastodon_gets_text_link_and_tags_and_they_are_read_back(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock
) -> None:
    with MastodonServer(clock=clock) as server:
        room = room_of(Mastodon, mastodon(server))
        show(room, article(1, headline="Côte d&#8217;Azur: Q&amp;A", tags=("Public Transport",)))
        assert [status.text for status in server.statuses] == [
            "Côte d’Azur: Q&A\n\nhttps://www.example.com/news/1\n\n#PublicTransport"
        ]
        pass_time(room, MINUTE)
        with sqlite_store.read() as tx:
            (one,) = deliveries.listing(tx, states=[State.SENT])
        assert one.confirmed_at is not None


# -- Bluesky ------------------------------------------------------------------------------------------------------


class Pds:
    """As much of a PDS as a post needs: sessions, records by key, and their list."""

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}
        self.logins = self.refreshes = 0
        self.valid = {"access-1"}
        self.lose: list[str] = []  # "before" or "after", used up by each write

    def __call__(self, method: str, path: str, body: bytes) -> Answer | None:
        call = path.partition("?")[0].rpartition("/")[2].removeprefix("com.atproto.")
        data = json.loads(body) if body else {}
        did = "did:plc:abcdefghijklmnopqrstuvwx"
        if call in ("server.createSession", "server.refreshSession"):
            self.logins += call == "server.createSession"
            self.refreshes += call == "server.refreshSession"
            tokens = {"accessJwt": jwt(self.logins + self.refreshes), "refreshJwt": jwt(0)}
            return 200, {**tokens, "did": did, "handle": "desk.example.com", "active": True}
        if call == "server.getSession":
            return 200, {"did": did, "handle": "desk.example.com", "active": True}
        if call in ("repo.putRecord", "repo.createRecord", "repo.applyWrites"):
            lost = self.lose.pop(0) if self.lose else ""
            key = data.get("rkey")
            if lost != "before":
                if key in self.records and data.get("swapRecord", "") is None:
                    return 400, {"error": "InvalidSwap", "message": "Record was at another"}
                self.records[key] = data["record"]
            uri = f"at://{did}/app.bsky.feed.post/{key}"
            return None if lost else (200, {"uri": uri, "cid": f"cid-{key}"})
        if call == "repo.getRecord":
            key = dict(part.split("=") for part in path.partition("?")[2].split("&"))["rkey"]
            if key not in self.records:
                return 400, {"error": "RecordNotFound", "message": "Could not locate record"}
            uri = f"at://{did}/app.bsky.feed.post/{key}"
            return 200, {"uri": uri, "cid": f"cid-{key}", "value": self.records[key]}
        if call == "repo.listRecords":
            found = [
                {"uri": f"at://{did}/app.bsky.feed.post/{key}", "cid": f"cid-{key}", "value": record}
                for key, record in sorted(self.records.items(), reverse=True)
            ]
            return 200, {"records": found}
        return 404, {"error": "NotFound", "message": path}


def jwt(number: int) -> str:
    """A token as atproto's look, without a signature that anybody checks; it ends in 2033."""
    from base64 import urlsafe_b64encode

    claims = json.dumps({"exp": 2_000_000_000, "sub": f"session-{number}", "scope": "com.atproto.appPass"}).encode()
    return f"e30.{urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


def bluesky(base: str) -> Any:
    return Bluesky.Options(
        handle="desk.example.com", password=SecretStr("abcd-efgh-ijkl-mnop"), base=base, allow_private=True
    )


@pytest.mark.parametrize("lost", ["before", "after"])
def test_p01_bluesky_puts_one_record_under_one_key(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock, lost: str
) -> None:
    pds = Pds()
    pds.lose = [lost] * 3
    with serving(pds) as service:
        room = room_of(Bluesky, bluesky(service.base))
        show(room, article(1))
        pass_time(room, 8 * MINUTE, step=10 * SECOND)
        assert only(sqlite_store)[:2] == (State.SENT, Reason.SENT)
        assert len(pds.records) == 1
        keys = {json.loads(body)["rkey"] for method, path, body, _ in service.asked if path.endswith("putRecord")}
        assert len(keys) == 1
        assert faults(sqlite_store) == []


def test_p80_bluesky_logs_in_once_for_many_posts_and_restarts(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock
) -> None:
    pds = Pds()
    with serving(pds) as service:
        room = room_of(Bluesky, bluesky(service.base))
        for number in range(30):
            show(room, *(article(n) for n in range(max(0, number - 2), number + 1)))
            clock.advance(600)
            if number in (8, 16, 24):
                source = room.sources
                room = room_of(Bluesky, bluesky(service.base), seed=number)
                room.sources = source
        assert len(pds.records) == 30
        assert pds.logins <= 5


# -- X ------------------------------------------------------------------------------------------------------------


class Timeline:
    """As much of X as a post needs: who we are, one post, and the account's newest posts."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.answers: list[Answer | None] = []

    def __call__(self, method: str, path: str, body: bytes) -> Answer | None:
        if path.startswith("/2/users/me"):
            return 200, {"data": {"id": "77", "username": "desk", "name": "Desk"}}
        if method == "POST" and path.startswith("/2/tweets"):
            planned = self.answers.pop(0) if self.answers else (201, "")
            if planned is None or planned[0] < 400:
                self.posts.append({"id": f"{1000 + len(self.posts)}", "text": json.loads(body)["text"]})
            if planned is None or planned[0] >= 400:
                return planned
            return 201, {"data": {"id": self.posts[-1]["id"], "text": self.posts[-1]["text"]}}
        if path.startswith("/2/users/77/tweets"):
            return 200, {"data": [], "meta": {"result_count": 0}}
        return 404, {"title": "Not Found"}


def x_account(base: str) -> Any:
    secrets = {name: SecretStr("s" * 20) for name in ("consumer_key", "consumer_secret", "access_token")}
    return X.Options(**secrets, access_token_secret=SecretStr("s" * 20), base=base, allow_private=True)


def test_p02a_on_x_a_lost_post_that_is_not_in_the_timeline_waits_for_a_person(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock
) -> None:
    timeline = Timeline()
    timeline.answers = [None]
    with serving(timeline) as service:
        room = room_of(X, x_account(service.base))
        show(room, article(1))
        pass_time(room, 22 * MINUTE, step=20 * SECOND)
        assert only(sqlite_store) == (State.HELD, Reason.CANNOT_TELL, [Outcome.UNKNOWN])
        assert len(timeline.posts) == 1


def test_p86_on_x_a_link_costs_twenty_cents_and_the_251st_post_is_held(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock
) -> None:
    """$50 at $0.20 are 250 posts; here $2 and 10."""
    timeline = Timeline()
    with serving(timeline) as service:
        room = room_of(X, x_account(service.base), account={"caps": {"cost_month": "2.00 USD"}})
        show(room, *(article(n, published_at=clock.now() + n * SECOND) for n in range(11)))
        assert len(timeline.posts) == 10
        with sqlite_store.read() as tx:
            rows = deliveries.listing(tx, states=list(State))
            assert attempts.spent_in(tx, "77", "2026-11") == Decimal("2.00")
        assert [row.reason.reason for row in rows if row.state is State.HELD] == [Reason.BUDGET]
        assert {row.cost for row in rows} == {"0.2"}
        assert faults(sqlite_store) == []


#: 30 headlines with brand names that are domains, or look like one.
BRANDS = tuple(
    text.format(name)
    for name in ("Booking.com", "Amazon.co.uk", "Node.js", "Last.fm", "Schema.org", "Bet365.com")
    for text in (
        "{} raises its fees",
        "Court fines {}",
        "Why {}, of all firms, grows",
        "“{}” goes dark",
        "{}: a history",
    )
)


@pytest.mark.parametrize("kind", ["x", "mastodon"])
def test_p122_brand_names_that_are_domains_stay_words_and_the_forecast_is_the_bill(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock, kind: str
) -> None:
    timeline = Timeline()
    items = [article(n, headline=text, published_at=clock.now()) for n, text in enumerate(BRANDS)]
    with serving(timeline) as service, MastodonServer(clock=clock) as server:
        network: type[Network] = X if kind == "x" else Mastodon
        options = x_account(service.base) if kind == "x" else mastodon(server)
        room = room_of(network, options)
        show(room, *items)
        texts = (
            [post["text"] for post in timeline.posts] if kind == "x" else [status.text for status in server.statuses]
        )
        assert len(texts) == 30
        for text in texts:
            (link,) = links_in(text, network.limits.auto_links)
            assert re.fullmatch(r"https://www\.example\.com/news/\d+", _spelled(link))
        with sqlite_store.read() as tx:
            rows = deliveries.listing(tx, states=[State.SENT])
            billed = sum(Decimal(attempts.of_delivery(tx, row.id)[-1].payload.cost) for row in rows)
        assert sum(Decimal(row.cost) for row in rows) == billed == (Decimal("6.0") if kind == "x" else 0)


def _spelled(link: Any) -> str:
    return str(getattr(link, "url", link))


# -- Facebook and a webhook ---------------------------------------------------------------------------------------


def test_a_webhook_whose_answer_is_lost_is_never_called_again(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock
) -> None:
    with serving(lambda method, path, body: None if method == "POST" else (200, {})) as service:
        options = Webhook.Options(url=SecretStr(f"{service.base}/hook"), secret=SecretStr("s" * 32), allow_private=True)
        room = room_of(Webhook, options)
        show(room, article(1))
        pass_time(room, 15 * MINUTE, step=20 * SECOND)
        assert only(sqlite_store) == (State.HELD, Reason.CANNOT_TELL, [Outcome.UNKNOWN])
        assert service.paths("POST") == ["/hook"]


class Page:
    """As much of the Graph API as a Page post needs: its feed, its published posts, and publishing by id."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.posts: dict[str, dict[str, Any]] = {}
        self.lose: list[str] = []

    def __call__(self, method: str, path: str, body: bytes) -> Answer | None:
        call = path.partition("?")[0].removeprefix("/v26.0/")
        form = dict(parse_qsl(body.decode()))
        if method == "POST":
            lost = self.lose.pop(0) if self.lose else ""
            if lost == "before":
                return None
            answer = self._fed(form) if call == "4711/feed" else self._published(call)
            return None if lost else (200, answer)
        if call == "me":
            return 200, {"id": "4711", "name": "The Test Gazette"}
        if call == "4711/published_posts":
            return 200, {"data": [post for post in self.posts.values() if post["is_published"]]}
        return 200, self.posts[call]

    def _fed(self, form: Mapping[str, str]) -> Any:
        name = f"4711_{len(self.posts) + 1}"
        self.posts[name] = {
            "id": name,
            "message": form["message"],
            "created_time": self.clock.now().strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "is_published": form.get("published") != "false",
            "attachments": {"data": [{"url": form["link"], "unshimmed_url": form["link"]}]},
        }
        return {"id": name}

    def _published(self, name: str) -> Any:
        self.posts[name]["is_published"] = True
        return {"success": True}


@pytest.mark.parametrize("two_phase", [False, True])
@pytest.mark.parametrize("lose", [["after"], ["before"], ["", "after"], ["", "before"]])
def test_p01_facebook_shows_one_post_however_its_answers_get_lost(
    room_of: Rooms, sqlite_store: Store, clock: ManualClock, two_phase: bool, lose: list[str]
) -> None:
    page = Page(clock)
    page.lose = list(lose)
    with serving(page) as service:
        token = SecretStr("t" * 20)
        options = Facebook.Options(page="4711", token=token, base=service.base, allow_private=True, two_phase=two_phase)
        room = room_of(Facebook, options)
        show(room, article(1))
        pass_time(room, 8 * MINUTE, step=10 * SECOND)
        shown = [post for post in page.posts.values() if post["is_published"]]
        state = only(sqlite_store)[0]
        assert len(shown) == (1 if state is State.SENT else 0)
        assert state is State.SENT or (lose == ["before"] and state in (State.UNKNOWN, State.HELD)) or two_phase
        assert faults(sqlite_store) == []
