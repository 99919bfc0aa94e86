"""RSS, Atom and JSON Feed over HTTP: polite, conditional, and suspicious of what comes back.

The way of a fetch: `_asked` (one request with validators) → `_judged` (status to error) → `read_document` (pure) →
`_batch`. The cursor holds validators, the body's hash, the ids of the last window and a move that was seen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from bot.errors import Blocked, Ended, SourceError, Unreachable
from bot.http import Http, Response
from bot.model import Article
from bot.sources.base import Batch, Broken, Cursor, Gone, Source, SourceOptions
from bot.sources.reading.dates import read_date
from bot.sources.reading.encoding import decode
from bot.sources.reading.entry import Setting, article_of, check_template
from bot.sources.reading.feeds import MAX_BYTES, MAX_ITEMS, challenged, check_size, read_document
from bot.sources.reading.html import page_title
from bot.sources.reading.jsonfeed import Document

_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, */*;q=0.1"
)
#: Some servers answer 304 for ever after a bad cache (P71): once in so long the question is asked without validators.
_FULL_EVERY = timedelta(hours=24)
_LONGEST = 86_400.0  # no server may silence us for more than a day
_BLOCKED_FOR = 1_800.0  # P72: at most 2 requests an hour to who refuses us
_POLLS_TO_MOVE = 3  # P75
_SHORTEST = 60.0  # seconds: the floor of polite polling
#: Of a body, what may change though no story did.
_NOISE = re.compile(
    rb"<lastBuildDate>.{0,200}?</lastBuildDate>|<!--.*?(?:-->|\Z)|<generator\b.{0,500}?</generator>",
    re.DOTALL | re.IGNORECASE,
)


class FeedOptions(SourceOptions):
    """Where the feed is, and how much of it is read."""

    url: str = Field(description="Address of the feed (RSS, Atom or JSON Feed).")
    max_bytes: int = Field(MAX_BYTES, ge=1_024, le=32 * 1024 * 1024, description="Most bytes read, unpacked.")
    max_items: int = Field(MAX_ITEMS, ge=1, le=20_000, description="Most items read of one document.")
    user_agent: str | None = Field(None, description="How to present ourselves here, if the house's name is blocked.")

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError('an address such as "https://example.com/feed.xml" is expected')
        return value.strip()

    @field_validator("link")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        return check_template(value)


class Feed(Source):
    """One feed."""

    kind: ClassVar[str] = "feed"
    title: ClassVar[str] = "Feed (RSS, Atom, JSON Feed)"
    docs: ClassVar[str] = (
        "Reads RSS 0.9x to 2.0, Atom 0.3 and 1.0 and JSON Feed. A feed shows a window: what slides off it is kept. "
        "Addresses that moved for good are proposed, never followed to another site on their own."
    )
    Options: ClassVar[type[SourceOptions]] = FeedOptions
    public_pages: ClassVar[bool] = True

    def door_limits(self) -> Mapping[str, Any]:
        return {"max_bytes": self.options.max_bytes}

    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        """What the feed lists now, or `unchanged`. Raises SourceError; then nothing was lost."""
        options: FeedOptions = self.options
        known: dict[str, Any] = dict(cursor) if cursor.get("url") == options.url else {"url": options.url}
        conditions = _conditions(known, now)
        answer = self._asked(http, conditions)
        if answer.status == 304 and answer.url != known.get("validators", {}).get("url"):
            conditions, answer = {}, self._asked(http, {})  # it moved: the validators were another document's
        _judge(answer, options)
        known["full_at"] = known.get("full_at") if conditions else now.isoformat()
        move = _move(answer, options.url, known)
        hints = _hints(answer, now)
        if move.elsewhere:
            return Batch(cursor=known, unchanged=True, moved_to=move.to, notes=(move.note,), **hints)
        if answer.status == 304:
            known["validators"] = _validators(answer, now, known["validators"])
            return Batch(cursor=known, unchanged=True, moved_to=move.to, **hints)
        check_size(answer.body, options.max_bytes)
        return self._batch(answer, known, move, hints, now)

    def read(
        self, article: Article, http: Http, now: datetime, *, fetched: Batch | None = None
    ) -> Article | Gone | None:
        """The article as the feed lists it now. Gone only by a tombstone, or while older entries are still listed."""
        batch = fetched
        if batch is None or batch.unchanged:
            try:
                batch = self.fetch({}, http, now)
            except SourceError:
                return None
        for found in batch.articles:
            if found.guid == article.guid or (article.link and found.link == article.link):
                return found
        for gone in batch.gone:
            if gone.guid == article.guid:
                return gone
        return _missing(article, batch)

    def _asked(self, http: Http, conditions: dict[str, str]) -> Response:
        headers = {"Accept": _ACCEPT, **conditions}
        if self.options.user_agent:
            headers["User-Agent"] = self.options.user_agent
        return http.request("GET", self.options.url, headers=headers, safe=True, redirects=5)

    def _batch(
        self, answer: Response, known: dict[str, Any], move: _Move, hints: dict[str, Any], now: datetime
    ) -> Batch:
        print_of_body = hashlib.sha256(_NOISE.sub(b"", answer.body)).hexdigest()[:32]
        notes = [move.note] if move.note else []
        same = print_of_body == known.get("hash")
        if not same and _lied(answer, known):
            known["etag_off"] = True
            notes.append("the server changed the feed under the same ETag: it is asked without conditions from now on")
        known["validators"] = _validators(answer, now, {})
        if same:
            return Batch(cursor=known, unchanged=True, moved_to=move.to, notes=tuple(notes), **hints)
        document = self._document(answer)
        setting = Setting(self.name, self.zone, now, self.options.language, self.options.link)
        articles, broken = _articles(document, setting)
        notes += document.notes + _window(known, articles, now)
        hints["next_in"] = _next(hints["next_in"], document.ttl, known, articles, now, self.options.every)
        known |= {"hash": print_of_body, "at": now.isoformat()}
        if articles or not known.get("ids"):
            known["ids"] = [_short(one.guid) for one in articles]
        return Batch(
            articles=articles,
            cursor=known,
            gone=tuple(Gone(guid, why) for guid, why in document.gone),
            broken=broken,
            moved_to=move.to,
            notes=tuple(notes),
            **hints,
        )

    def _document(self, answer: Response) -> Document:
        kind = answer.headers.get("content-type", "")
        try:
            document = read_document(answer.body, base=answer.url, content_type=kind, max_items=self.options.max_items)
        except Blocked as error:
            raise _blocked(str(error), answer, self.options) from None
        except SourceError as error:
            raise type(error)(f"{self.options.url}: {error}", status=answer.status) from None
        if document.ended:
            raise Ended(f'{self.options.url}: the feed says that it has ended ("expired": true)', status=answer.status)
        return document


# -- what was asked and answered ----------------------------------------------------------------------------------


def _conditions(known: dict[str, Any], now: datetime) -> dict[str, str]:
    """Validators to send: none if they proved useless, and none once a day."""
    full_at = datetime.fromisoformat(known["full_at"]) if known.get("full_at") else None
    if known.get("etag_off") or full_at is None or not full_at <= now < full_at + _FULL_EVERY:
        return {}
    stored = known.get("validators", {})
    named = {"If-None-Match": stored.get("etag"), "If-Modified-Since": stored.get("modified")}
    return {name: value for name, value in named.items() if value}


def _validators(answer: Response, now: datetime, before: dict[str, Any]) -> dict[str, Any]:
    """ETag and Last-Modified verbatim, with the address they hold for. A date in the future is worth nothing (P71)."""
    modified = answer.headers.get("last-modified")
    moment = read_date(modified, _UTC) if modified else None
    fresh = modified if moment and moment <= now + timedelta(days=1) else None
    found = {"url": answer.url, "etag": answer.headers.get("etag") or before.get("etag"), "modified": fresh}
    return {name: value or before.get(name) for name, value in found.items()}


def _lied(answer: Response, known: dict[str, Any]) -> bool:
    tag = answer.headers.get("etag", "")
    stored = known.get("validators", {})
    return bool(tag) and not tag.startswith("W/") and tag == stored.get("etag") and answer.url == stored.get("url")


def _judge(answer: Response, options: FeedOptions) -> None:
    """Raises what a status means; 200, 226 and 304 pass."""
    status, wait = answer.status, _retry_after(answer)
    if status in (200, 226, 304):
        return
    html = decode(answer.body[:50_000]).text if answer.body else ""
    if status in (401, 403, 429) or (status == 503 and challenged(html)) or answer.headers.get("cf-mitigated"):
        title = page_title(html)
        raise _blocked(
            f"the server answers {status}" + (f" with a page titled “{title}”" if title else ""), answer, options
        )
    if status == 410:
        raise Ended(f"{options.url}: the server says 410 Gone: this feed has ended", status=status)
    if status == 404:
        raise Unreachable(f"{options.url}: no feed there (404); check its address", status=status, retry_after=wait)
    if 300 <= status < 400:
        raise Unreachable(f"{options.url}: a redirect ({status}) that leads nowhere", status=status)
    raise Unreachable(f"{options.url}: the server answers {status}", status=status, retry_after=wait)


def _blocked(what: str, answer: Response, options: FeedOptions) -> Blocked:
    agent = options.user_agent or "Wirepost"
    return Blocked(
        f'{options.url}: {what}; ask the site to let the user agent "{agent}" fetch {answer.url}, or set user_agent',
        status=answer.status,
        retry_after=_retry_after(answer) or _BLOCKED_FOR,
    )


def _retry_after(answer: Response) -> float | None:
    """Seconds of Retry-After (a number or an HTTP date), at most a day."""
    raw = answer.headers.get("retry-after", "").strip()
    if raw.isdecimal():
        return min(float(raw[:9]), _LONGEST)
    moment = read_date(raw, _UTC) if raw else None
    return min(max((moment - answer.received_at).total_seconds(), 0.0), _LONGEST) if moment else None


def _hints(answer: Response, now: datetime) -> dict[str, Any]:
    """`retry_after` and `next_in` from the headers: Cache-Control's max-age (less Age) before Expires."""
    match = re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", answer.headers.get("cache-control", ""))
    fresh: float | None = None
    if match:
        age = answer.headers.get("age", "0").strip()
        fresh = float(match[1]) - (int(age) if age.isdecimal() and len(age) < 9 else 0)
    elif (expires := read_date(answer.headers.get("expires", ""), _UTC)) is not None:
        fresh = (expires - now).total_seconds()
    return {"retry_after": _retry_after(answer), "next_in": min(fresh, _LONGEST) if fresh and fresh > 0 else None}


# -- moves --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Move:
    """What redirects said: `to` is proposed, `elsewhere` means that the answer is another site's and isn't read."""

    to: str | None = None
    elsewhere: bool = False
    note: str = ""


def _move(answer: Response, url: str, known: dict[str, Any]) -> _Move:
    """A permanent redirect to the same place on three polls is a move; another site's answer is never read on trust."""
    permanent = [hop for hop in answer.hops if hop[0] in (301, 308)]
    target = answer.hops[-1][1] if permanent and len(permanent) == len(answer.hops) else None
    if target is None:
        known.pop("moved", None)
        return _Move()
    seen = known.get("moved", {})
    polls = seen.get("polls", 0) + 1 if seen.get("to") == target else 1
    known["moved"] = {"to": target, "polls": polls}
    to = target if polls >= _POLLS_TO_MOVE else None
    if same_site(url, target):
        return _Move(to)
    return _Move(to, True, f"the feed moved to another site, {target}: it is not read until you set url to it")


def same_site(one: str, other: str) -> bool:
    """Do both addresses belong to the same registrable domain (public suffix list)?"""
    first, second = urlsplit(one).hostname or "", urlsplit(other).hostname or ""
    if first == second:
        return True
    from publicsuffixlist import PublicSuffixList

    names = PublicSuffixList()
    return names.privatesuffix(first) is not None and names.privatesuffix(first) == names.privatesuffix(second)


# -- what the document says ---------------------------------------------------------------------------------------


def _articles(document: Document, setting: Setting) -> tuple[tuple[Article, ...], tuple[Broken, ...]]:
    articles, broken = [], [Broken(where, why) for where, why in document.broken]
    for entry in document.entries:
        if entry.draft:
            continue
        try:
            articles.append(article_of(entry, setting))
        except ValueError as error:  # an odd entry is named and must not lose its neighbours
            broken.append(Broken(entry.where, str(error)))
    return tuple(articles), tuple(broken)


def _short(guid: str) -> str:
    return hashlib.sha256(guid.encode()).hexdigest()[:12]


def _window(known: dict[str, Any], articles: tuple[Article, ...], now: datetime) -> list[str]:
    """Notes on the window: no overlap with the poll before (P74), or suddenly hardly anything in it."""
    before = known.get("ids", [])
    if not before:
        return []
    if len(articles) < 0.3 * len(before):
        return [f"the feed lists {len(articles)} items where it listed {len(before)}: nothing is taken for withdrawn"]
    if not {_short(one.guid) for one in articles} & set(before):
        return [
            f"window_overrun: no item of the last look is listed any more ({known.get('at')}); stories may be missing"
        ]
    return []


def _next(
    cached: float | None,
    ttl: float | None,
    known: dict[str, Any],
    articles: tuple[Article, ...],
    now: datetime,
    every: timedelta,
) -> float | None:
    """When to look again: sooner than half a window takes to fill at the present rate, else as server and feed wish."""
    before = set(known.get("ids", []))
    fresh = sum(_short(one.guid) not in before for one in articles) if before else 0
    if fresh and known.get("at"):
        elapsed = (now - datetime.fromisoformat(known["at"])).total_seconds()
        fills_half = elapsed * (len(articles) / 2) / fresh
        if 0 < fills_half < every.total_seconds():
            return max(fills_half, _SHORTEST)
    wishes = [wish for wish in (cached, ttl) if wish]
    return min(max(wishes), _LONGEST) if wishes else None


def _missing(article: Article, batch: Batch) -> Gone | None:
    """Not listed: withdrawn only if an entry that is older is still there; one that slid off the end is unchanged."""
    when = article.published_at
    if when is None:
        return None
    older = [one for one in batch.articles if one.published_at is not None and one.published_at < when]
    if not older:
        return None
    return Gone(article.guid, f"no longer listed though {len(older)} older ones are")


_UTC: Any = UTC
