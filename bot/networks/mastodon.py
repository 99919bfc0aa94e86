"""Mastodon, and servers that speak its API (GoToSocial, Akkoma, Pleroma, Pixelfed, Takahe).

What such a server is, and what it promises, is read from the server itself in `check` and kept as the account's facts:
the same API hides an idempotency key that holds for an hour, for six, or that nobody reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bot.errors import AuthFailed, Busy, Misconfigured, Rejected, SendError, Unknown
from bot.http import Response, reset_time
from bot.model import Identity, Limits, Pace, Payload, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Network, NetworkOptions, object_in, objects_in
from bot.rules.fediverse import read_content, words_of
from bot.rules.text import measure

_DOCS = "https://docs.joinmastodon.org"
_NUMBERS = dict.fromkeys(("size", "link_cost"), f"{_DOCS}/user/posting/#text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What one kind of server does. `idempotent`: seconds that a key is remembered, 0 = ignored. `counts_links`: a link
    counts a fixed number, else its own length. `proof`: lists come from the database that posts are written to."""

    idempotent: int = 0
    unit: Unit = Unit.CHARACTERS
    counts_links: bool = False
    proof: bool = False
    needs_image: bool = False


_RAILS = Software(idempotent=3600, unit=Unit.GRAPHEMES, counts_links=True, proof=True)
_ELIXIR = Software(idempotent=6 * 3600)
_ELSE = Software()
#: By the name in nodeinfo or in "(compatible; NAME …)"; all others (GoToSocial, Takahe: no key, code points, links in
#: full) are `_ELSE`. Keys: https://docs.joinmastodon.org/methods/statuses/#headers (3,600 s); 6 h, errors replayed too:
#: https://git.pleroma.social/pleroma/pleroma/-/blob/develop/lib/pleroma/web/plugs/idempotency_plug.ex; none:
#: https://github.com/superseriousbusiness/gotosocial/issues/2723, https://github.com/pixelfed/pixelfed/issues/3581.
SOFTWARE: Mapping[str, Software] = {
    **dict.fromkeys(("mastodon", "hometown"), _RAILS),
    **dict.fromkeys(("pleroma", "akkoma", "rebased"), _ELIXIR),
    "pixelfed": Software(needs_image=True),
}

#: What the server's own words mean, by status; the first line that fits. 404: this server lacks the API. 403:
#: https://github.com/mastodon/mastodon/blob/main/app/controllers/api/base_controller.rb.
#: Not here, so Unknown: 500 on a repeat (https://github.com/mastodon/mastodon/issues/40399: the post is there), and 503
#: "temporary problem" (…/pull/37879: another request holds the key's lock and may still publish).
_WORDS: tuple[tuple[int, str, type[SendError]], ...] = (
    (403, r"outside the authorized scopes", Misconfigured),
    (403, r"login is currently disabled|missing a confirmed|pending approval|suspended|moved|disabled", AuthFailed),
    (403, r"empty statuses", Rejected),
    (404, r"", Misconfigured),
)

_LINK_COST = 23  # {_DOCS}/user/posting/#links
_PAGE = 40  # the most that one answer lists: https://docs.joinmastodon.org/methods/accounts/#statuses
# All that a server lets an account post in three hours (300, rate_limiter.rb) and a page behind: further back than any
# resend window, also where an account sends as fast as its server takes it (pace = "server").
_PAGES = 9


class MastodonOptions(NetworkOptions):
    """One account on one server."""

    server: str = Field(pattern=r"^https?://", description="The server's address, such as https://social.example.org.")
    token: SecretStr = Field(description="Access token; scopes read:accounts read:statuses write:statuses.")
    visibility: Literal["public", "unlisted", "private", "direct"] = Field("public", description="Who sees the posts.")
    language: str | None = Field(None, description="Language (ISO 639-1) of posts whose article names none.")
    warning: str | None = Field(None, description="Content warning for every post that brings none of its own.")


class Mastodon(Network):
    """See the module's text."""

    name = "mastodon"
    title = "Mastodon"
    docs = f"{_DOCS}/methods/statuses/"
    checked = date(2026, 11, 24)
    Options = MastodonOptions
    limits = Limits(size=500, unit=Unit.GRAPHEMES, link_cost=_LINK_COST, sources=_NUMBERS)
    # 300 statuses in 3 hours for each account, written as an hour's share.
    pace = Pace(hour=100, sources={"hour": "https://github.com/mastodon/mastodon/blob/main/app/lib/rate_limiter.rb"})
    can = Can(idempotent=3600, find=True)
    absence_is_proof = True

    @property
    def _base(self) -> str:
        return str(self.options.base or self.options.server).rstrip("/")

    def _software(self) -> Software:
        return SOFTWARE.get(str(self.facts.get("software", "mastodon")), _ELSE)

    def bounds(self) -> Limits:
        """The server's own size and unit; the account's standing content warning is counted off (both count)."""
        kind = self._software()
        cost = self.facts.get("characters_reserved_per_url", _LINK_COST) if kind.counts_links else None
        size = self.facts.get("max_characters", self.limits.size)
        whole = replace(self.limits, size=size, unit=kind.unit, link_cost=cost)
        warning = self.options.warning
        return replace(whole, size=max(0, whole.size - measure(warning, whole))) if warning else whole

    def abilities(self) -> Can:
        return replace(self.can, idempotent=self._software().idempotent or "none")

    def find_is_proof(self) -> bool:
        return self._software().proof

    def check(self) -> Identity:
        me = object_in(self._get("/api/v1/accounts/verify_credentials"))
        try:
            about = object_in(self._get("/api/v2/instance"))
        except Misconfigured:  # 404: before Mastodon 4.0, and some compatible servers
            about = object_in(self._get("/api/v1/instance"))
        account = str(me.get("id") or "")
        if not account:
            raise Unknown("The server's answer names no account.")
        software, version = self._kind(str(about.get("version", "")))
        named = about.get("domain") or about.get("uri") or urlsplit(self._base).hostname
        host = re.sub(r"^https?://|/$", "", str(named))
        facts = {
            "account": account,
            "software": software,
            "version": version,
            "max_characters": _number(about, "max_characters") or _number(about, "max_toot_chars") or self.limits.size,
            "characters_reserved_per_url": _number(about, "characters_reserved_per_url") or _LINK_COST,
        }
        return Identity(remote_id=f"{account}@{host}", name=f"@{me.get('username', '')}@{host}", facts=facts)

    def _kind(self, version: str) -> tuple[str, str]:
        """The software's name (lower case) and version: as the version text says, else by nodeinfo."""
        compatible = re.search(r"compatible; (\w+) ([^\s)]+)", version)
        if compatible:
            return compatible[1].lower(), compatible[2]
        try:
            links = object_in(self._get("/.well-known/nodeinfo"))["links"]
            about = object_in(self._get(urlsplit(str(links[-1]["href"])).path))["software"]
            return str(about["name"]).lower(), str(about.get("version", version))
        except (Misconfigured, Rejected, Unknown, LookupError, TypeError, AttributeError):
            # Switched off on some servers. Unknown software gets no promise: no key, and absence proves nothing.
            return "unknown", version

    def render(self, post: Post) -> Payload:
        language, warning = post.language or self.options.language, post.warning or self.options.warning
        body = {
            "status": post.text,
            "visibility": self.options.visibility,
            "language": language,
            "spoiler_text": warning,
        }
        sent = {name: value for name, value in body.items() if value}
        return Payload(json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode(), post.text, post.link)

    def send(self, payload: Payload, key: str) -> Receipt:
        if self._software().needs_image:
            raise Rejected(f"{self.facts['software']} takes no post without a picture.")
        headers = {**self._bearer, "Idempotency-Key": key, "Content-Type": "application/json"}
        answer = self.http.request("POST", f"{self._base}/api/v1/statuses", headers=headers, content=payload.body)
        return _receipt(object_in(self.judged(answer)))

    def find(self, payload: Payload, key: str, since: datetime) -> Receipt | None:
        """By link. Our words under another link may be our post, its link rewritten by the server: Unknown."""
        words, alike = words_of(payload.text), False
        for post in self._back_to(since):
            if payload.link in post.links if payload.link else payload.text == post.text:
                return post.receipt  # presence needs no complete list, absence does
            alike = alike or words_of(post.text) == words
        if alike:
            raise Unknown("A post with the same words and another link is there: a person must look.")
        return None

    def recent(self, since: datetime) -> Sequence[Seen]:
        return list(self._back_to(since))

    def _back_to(self, since: datetime) -> Iterator[Seen]:
        """The newest posts, page by page. Raises Unknown at the end of a list that doesn't reach back to `since`."""
        account = self.facts.get("account")
        if not account:
            raise Unknown("The account's id is not known yet: check the account first.")
        query = {"limit": str(_PAGE), "exclude_reblogs": "true"}
        for _ in range(_PAGES):
            page = [_seen(one) for one in objects_in(self._get(f"/api/v1/accounts/{account}/statuses", query))]
            yield from (seen for seen in page if seen.at >= since)
            if not page or page[-1].at < since:
                return
            query["max_id"] = page[-1].receipt.remote_id
        raise Unknown(f"The newest {_PAGE * _PAGES} posts don't reach back to {since:%Y-%m-%d %H:%M:%S} UTC.")

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.options.token.get_secret_value()}"}

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        return self.read("GET", f"{self._base}{path}", params=query, headers=self._bearer)

    def meaning(self, response: Response) -> SendError | None:
        if response.status < 300:
            return None
        words, status = response.words(), response.status
        for listed, pattern, error in _WORDS:
            if status == listed and re.search(pattern, words, re.IGNORECASE):
                return error(words, status=status, request_id=response.request_id)
        # It turns requests away before it reads them: https://docs.gotosocial.org/en/latest/api/throttling/
        if status == 503 and self.facts.get("software") == "gotosocial" and "retry-after" in response.headers:
            return Busy(words, until=reset_time(response), status=status)
        return None


# -- answers ------------------------------------------------------------------------------------------------------


def _number(about: Mapping[str, Any], name: str) -> int | None:
    """A count that the server gives for its statuses, in the new place or the old one."""
    try:
        value = about["configuration"]["statuses"][name]
    except (LookupError, TypeError):
        value = about.get(name)
    return value if isinstance(value, int) and value > 0 else None


def _receipt(status: Mapping[str, Any]) -> Receipt:
    """The proof in a status object. Raises Unknown without an id and a time: then it is no status."""
    number, url = status.get("id"), status.get("url") or status.get("uri")
    with suppress(ValueError):
        if isinstance(number, str) and number:
            return Receipt(number, str(url) if url else None, datetime.fromisoformat(str(status.get("created_at"))))
    raise Unknown("The answer holds no status.")


def _seen(status: Mapping[str, Any]) -> Seen:
    receipt = _receipt(status)
    text, links = read_content(str(status.get("content") or ""))
    assert receipt.at is not None
    return Seen(receipt, links, text, receipt.at)
