"""Answers: a whole response, its words for people, and what its headers say about limits and time. Pure."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from html import unescape
from typing import Any

from bot.lean import without_looks
from bot.secrets import redact

with without_looks():
    import httpx

#: No server's wish parks us for longer: a day's window and two hours for clocks and time zones (the longest that a
#: network documents is X's 24 h). After it one more try is made, and its answer says the rest.
LONGEST_WAIT = timedelta(hours=26)
#: From this on a number is an instant, not a length: 10^9 s after 1970 is September 2001, and as a length 31 years.
_EPOCH_FROM = 1e9
#: From this on an instant is in milliseconds: as seconds it would lie after the year 5000.
_MILLISECONDS_FROM = 1e11
#: What is looked through for words; no message for people is longer.
_WORDS_FROM = 64 * 1024
_WORDS_MOST = 2000
_REQUEST_IDS = ("x-request-id", "x-transaction-id", "x-fb-trace-id", "cf-ray")
_RESETS = ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after")
_REMAINING = ("ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining")
_LIMITS = ("ratelimit-limit", "x-ratelimit-limit", "x-rate-limit-limit")
_WORD_FIELDS = ("error", "title", "error_description", "message", "detail", "reason", "description", "errors")
#: "limit=100, remaining=0, reset=50" and "default;r=0;t=50" (draft-ietf-httpapi-ratelimit-headers, 03 and 10).
_PACKED = re.compile(r"(?:^|[;,\s])(limit|remaining|reset|r|t)\s*=\s*(\d+)")
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
#: Of a page: its title and first line stand there, and a hostile one can't keep the expression above busy.
_PAGE_FROM = 8 * 1024


class Oversize(Exception):
    """The answer, or what it expands to, is over its cap in bytes."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        super().__init__(f"The answer is larger than {cap:,} bytes.")


class Garbled(Exception):
    """The answer's body can't be decoded."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer: status, headers, the body as bytes (decoded from gzip, under the cap), and when it came.

    `url` is the address that answered; `hops` are the redirects on the way there, as (status, address they named).
    """

    status: int
    headers: httpx.Headers
    body: bytes
    url: str
    received_at: datetime
    hops: tuple[tuple[int, str], ...] = ()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none, or nested beyond reason."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None

    @property
    def text(self) -> str:
        """The body as text, by its declared charset or as UTF-8; what can't be read becomes U+FFFD."""
        return _decoded(self.body, self.headers.get("content-type", ""))

    @property
    def request_id(self) -> str | None:
        """What the service's support will ask for."""
        return next((self.headers[name] for name in _REQUEST_IDS if name in self.headers), None)

    def words(self) -> str:
        """What the server says, for people: without mark-up and secrets, at most 2,000 characters, never empty."""
        text = _words(self.body[:_WORDS_FROM], self.headers.get("content-type", ""), len(self.body) <= _WORDS_FROM)
        # Cut twice: a secret that the first cut splits lies far behind what is shown.
        return redact(" ".join(text.split())[: 4 * _WORDS_MOST])[:_WORDS_MOST] or f"HTTP {self.status} without a word."

    def __repr__(self) -> str:
        """Without address, headers and body: each may hold a secret."""
        return f"<Response {self.status}, {len(self.body)} bytes>"


def reset_time(response: Response) -> datetime | None:
    """When the server will take requests again, by its own word, or None.

    Retry-After (RFC 9110, 10.2.3) goes before the many RateLimit-Reset headers, whose value may be a length in seconds,
    an instant (seconds or milliseconds since 1970, HTTP-date, ISO 8601) or packed. An instant that has passed is now;
    none lies more than 26 h ahead.
    """
    headers = response.headers
    for name in ("retry-after", *_RESETS):
        value = headers.get(name)
        found = None if value is None else _instant(value, response.received_at)
        if found is not None:
            return found
    seconds = _packed(headers).get("reset")
    return None if seconds is None else _instant(str(seconds), response.received_at)


def remaining(response: Response) -> tuple[int | None, int | None]:
    """How many requests are left in this window, and how many it has; None where the server doesn't say."""
    packed = _packed(response.headers)
    return (
        _whole(response.headers, _REMAINING, packed.get("remaining")),
        _whole(response.headers, _LIMITS, packed.get("limit")),
    )


def server_date(response: Response) -> datetime | None:
    """The server's clock as its Date header gives it (UTC, whole seconds), or None."""
    return _http_date(response.headers.get("date", ""))


def _instant(value: str, now: datetime) -> datetime | None:
    text = value.strip()
    try:
        number = float(text)
    except ValueError:
        at = _http_date(text) or _iso_date(text)
        return None if at is None else min(max(at, now), now + LONGEST_WAIT)
    if not math.isfinite(number):
        return None
    if number >= _MILLISECONDS_FROM:
        number /= 1000
    wait = number - now.timestamp() if number >= _EPOCH_FROM else number
    return now + timedelta(seconds=min(max(wait, 0.0), LONGEST_WAIT.total_seconds()))


@lru_cache(maxsize=256)  # a busy server says the same second many times
def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _iso_date(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _packed(headers: Mapping[str, str]) -> dict[str, int]:
    value = headers.get("ratelimit")
    if value is None:
        return {}
    names = {"r": "remaining", "t": "reset"}
    return {names.get(name, name): int(number) for name, number in _PACKED.findall(value[:1000])}


def _whole(headers: Mapping[str, str], names: Iterable[str], otherwise: int | None) -> int | None:
    for name in names:
        # Some servers add the window: "100, 100;w=60".
        found = re.match(r"\s*(\d{1,15})", headers.get(name, ""))
        if found:
            return int(found[1])
    return otherwise


def _words(body: bytes, content_type: str, whole: bool) -> str:
    text = _decoded(body, content_type)
    if whole and text.lstrip()[:1] in ("{", "["):
        try:
            found = list(dict.fromkeys(_said(json.loads(text), 0)))
        except (ValueError, RecursionError):
            found = []
        if found:
            return ": ".join(found)
    return " ".join(unescape(_MARKUP.sub(" ", text[:_PAGE_FROM])).split())[:200]


def _said(value: Any, depth: int) -> Iterator[str]:
    """The human words in an error document: OAuth, RFC 9457, Meta, X, Mastodon and their like nest them differently."""
    if depth > 3:
        return
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif isinstance(value, list):
        for entry in value[:5]:
            yield from _said(entry, depth + 1)
    elif isinstance(value, dict):
        for name in _WORD_FIELDS:
            yield from _said(value.get(name), depth + 1)


def _decoded(body: bytes, content_type: str) -> str:
    declared = re.search(r"charset=[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    try:
        return body.decode(declared[1] if declared else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def expand(chunks: Iterable[bytes], encodings: str, cap: int) -> bytes:
    """The body in plain form, decoded as it comes and never kept beyond `cap` bytes, packed or not.

    Raises Oversize at the cap, Garbled for a damaged or cut body or a coding that was not asked for.
    """
    names = [name for name in (part.strip().lower() for part in encodings.split(",")) if name not in ("", "identity")]
    if not names:
        return _collected(chunks, cap)
    if len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate"):
        raise Garbled(f"The answer is packed as “{encodings[:40]}”, which was not asked for.")
    try:
        return _collected(_unpacked(_counted(chunks, cap), names[0] == "deflate"), cap)
    except zlib.error as error:
        raise Garbled(f"The packed answer is damaged ({error}).") from None


def _collected(chunks: Iterable[bytes], cap: int) -> bytes:
    found = list(_counted(chunks, cap))
    return b"".join(found) if len(found) != 1 else found[0]


def _counted(chunks: Iterable[bytes], cap: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > cap:
            raise Oversize(cap)
        yield chunk


#: Expanded in pieces of this size, so that a bomb is noticed long before it fills the memory.
_PIECE = 256 * 1024


def _unpacked(chunks: Iterable[bytes], deflate: bool) -> Iterator[bytes]:
    """gzip (any number of members) or deflate (zlib's frame, or raw as some servers send it), piece by piece."""
    engine: Any = None
    ended = False  # at least one member is whole
    for chunk in chunks:
        data = chunk
        while data:
            if engine is None and ended:
                data = data.lstrip(b"\0")  # gzip allows padding after a member
                if not data:
                    break
                if deflate or data[0] != 0x1F:
                    return  # anything else after the end is ignored, as browsers and curl do
            if engine is None:
                raw = deflate and (data[0] & 0x0F) != 8  # RFC 1950: the low bits of a zlib frame's first byte are 8
                engine = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
            piece = engine.decompress(data, _PIECE)
            if piece:
                yield piece
            if engine.eof:
                data, engine, ended = engine.unused_data, None, True
            else:
                data = engine.unconsumed_tail
    yield from _rest(engine)


def _rest(engine: Any) -> Iterator[bytes]:
    """What the engine still holds when nothing more comes; a member without an end is cut."""
    if engine is None:
        return
    while piece := engine.decompress(engine.unconsumed_tail, _PIECE):
        yield piece
    if not engine.eof:
        raise Garbled("The packed answer is cut short.")
