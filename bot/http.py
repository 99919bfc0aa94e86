"""The one door for everything outbound.

    Door ── publishing(…) ──► Http    an attempt on a network: what is raised is proof (NotSent) or doubt (Unknown)
         └─ reading(…) ─────► Http    everything else: Unreachable, TooLarge; nothing was lost

Below it: `bot/addresses.py` (where a URL may lead), `bot/wire.py` (connections, deadlines, the first write),
`bot/answer.py` (sizes, words, limits) and `bot/proof.py` (what an exception means). Nothing else in Wirepost opens a
connection to the outside.

Whether a request may be out is decided by one fact, noted by the wire: was its first byte written (after TLS; a proxy's
CONNECT doesn't count)? The kind of an exception only gives the words.
"""

from __future__ import annotations

import json as _json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

import httpcore

from bot.addresses import Refused, Target, aim, is_literal, is_public, next_hop
from bot.answer import Oversize, Response, expand, remaining, reset_time, server_date
from bot.budget import HostBudgets
from bot.clock import Clock
from bot.errors import Busy, NotSent, Unreachable, WirepostError
from bot.lean import without_looks
from bot.proof import verdict
from bot.secrets import redact
from bot.wire import Lines, Place, Resolve, Trip

with without_looks():
    import httpx

__all__ = ["Door", "Http", "Response", "remaining", "reset_time", "server_date", "user_agent"]

#: Total seconds of one reading request, redirects included.
READING_SECONDS = 30.0
#: Bytes of one answer, unpacked: an honest feed can have 22 MB (pain P73) and then sets its own cap.
READING_BYTES = 10 * 1024 * 1024
#: Bytes of an answer to a publish or an API read; Bluesky's and Mastodon's lists of 40 posts stay below 1 MB.
PUBLISHING_BYTES = 10 * 1024 * 1024
#: What may be shown to another host after a redirect: nothing that could be a credential.
_HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "if-modified-since", "if-none-match", "user-agent"}
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Http(Protocol):
    """What sources and networks are given: requests, already bounded by a deadline, caps and address rules."""

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        safe: bool = False,
        redirects: int = 0,
    ) -> Response:
        """Send one request and give its whole answer, whatever its status.

        The URL goes out as it stands, `params` appended (nothing in it is encoded twice: OAuth 1.0a signs it). At most
        one of `json`, `form`, `content`. `safe`: repeating it changes nothing; then trouble is Unreachable or TooLarge.
        Otherwise NotSent if no byte left, and Unknown for everything after the first. `redirects`: how many to follow
        (GET and HEAD, reading only; else the 3xx is the answer).
        """
        ...


def user_agent(version: str, site: str, contact: str = "") -> str:
    """How Wirepost names itself: "Wirepost/1.0 (+https://site; contact)", so that an admin can reach a human."""
    inside = "; ".join(part for part in (f"+{site}" if site else "", contact) if part)
    return f"Wirepost/{version} ({inside})" if inside else f"Wirepost/{version}"


def _nothing(point: str) -> None:
    """The fault point of real life."""


class Door(httpx.BaseTransport):
    """Opens connections for everybody: one per process, safe for any number of threads.

    `network_backend` is what really connects (a test or the simulation brings its own), `resolve` gives a name's
    addresses. `crash` is called with "before_first_byte", "after_first_byte", "after_last_byte" and "after_answer"; it
    may end the process or raise a BaseException that is no Exception. The environment is never looked at for a proxy.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        user_agent: str,
        network_backend: httpcore.NetworkBackend | None = None,
        resolve: Resolve | None = None,
        crash: Callable[[str], None] = _nothing,
        proxy: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._clock = clock
        self._crash = crash
        self._user_agent = user_agent
        self._proxied = proxy is not None
        self._proxy_layers = int(proxy is not None and proxy.startswith("https:"))
        self._budgets = HostBudgets(clock)
        self._lines = Lines(clock, network_backend=network_backend, resolve=resolve, proxy=proxy, ca_file=ca_file)

    def publishing(
        self,
        *,
        started_wall: datetime | None = None,
        started_monotonic: float | None = None,
        send_within: float = 10.0,
        deadline: float = 30.0,
        allow_private: bool = False,
        max_bytes: int = PUBLISHING_BYTES,
        per_host: tuple[int, timedelta] | None = None,
        heard: Heard | None = None,
    ) -> Http:
        """Requests of one attempt. `deadline` (seconds) is the total of each single request.

        `started_*` are the two local clocks as read before the start transaction. A request that isn't `safe` writes
        its first byte only if both say that at most `send_within` seconds passed; else NotSent (an attempt that slept
        may have been taken for dead). Without them (a check, a refresh) there is no such bound. `per_host` is how many
        requests in what time this process may make to one host; `heard` is told of each answer.
        """
        guard = None
        if started_wall is not None and started_monotonic is not None:
            guard = _SendBy(self._clock, started_wall, started_monotonic, send_within)
        return _Publishing(self, deadline, allow_private, max_bytes, guard, per_host, heard)

    def reading(
        self,
        *,
        deadline: float = READING_SECONDS,
        allow_private: bool = False,
        max_bytes: int = READING_BYTES,
        max_redirects: int = 5,
        headers: Mapping[str, str] | None = None,
        per_host: tuple[int, timedelta] | None = None,
        heard: Heard | None = None,
    ) -> Http:
        """Requests that change nothing, whatever their `safe` says. `deadline` is the total, redirects included.

        `allow_private` opens private addresses to the host asked for, never to one that it redirects to.
        """
        rules = _Rules(deadline, allow_private, max_bytes, safe=True, per_host=per_host, heard=heard)
        return _Reading(self, self._clock, rules, max_redirects, dict(headers or {}))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's transport seam, for an outside package that brings an httpx client: public addresses only."""
        safe = request.method in ("GET", "HEAD", "OPTIONS")
        way = self.reading(max_redirects=0) if safe else self.publishing()
        content = request.read()
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        answer = way.request(request.method, str(request.url), headers=headers, content=content or None, safe=safe)
        gone = ("content-encoding", "content-length", "transfer-encoding")  # the body is whole and unpacked by now
        kept = [(name, value) for name, value in answer.headers.multi_items() if name not in gone]
        return httpx.Response(answer.status, headers=kept, content=answer.body, request=request)

    def close(self) -> None:
        """Close idle connections; the door can be used again."""
        self._lines.close()

    def passed(self, rules: _Rules, target: Target, method: str, headers: _Headers, content: bytes | None) -> Response:
        """One request and its answer, without redirects. Raises only the project's errors (see `bot/proof.py`)."""
        self._within_budget(rules, target.host)
        trip = Trip(
            self._clock,
            rules.deadline,
            allow_private=rules.allow_private,
            layers=(target.scheme == "https") + self._proxy_layers,
            crash=self._crash,
            guard=rules.guard,
            body=len(content or b""),
        )
        failed: WirepostError
        try:
            response = self._exchange(trip, target, method, headers, content, rules.max_bytes)
            if rules.heard is not None:
                rules.heard(response)
            return response
        except Exception as error:  # noqa: BLE001 -- whatever it was: if a byte left it is in doubt, else it is not
            failed = verdict(error, trip, target.host, safe=rules.safe, seconds=rules.deadline)
        # Raised out here, so that nothing hangs on it as context: httpcore's and h11's errors quote header values.
        raise failed

    def _within_budget(self, rules: _Rules, host: str) -> None:
        """Raises Busy (Unreachable for what changes nothing): nothing is sent that the host would count against us."""
        wait = self._budgets.take(host, *rules.per_host) if rules.per_host is not None else 0.0
        if wait > 0 and rules.safe:
            raise Unreachable(f"{host} allows this machine no more requests for {wait:.0f} s.", retry_after=wait)
        if wait > 0:
            until = self._clock.now() + timedelta(seconds=wait)
            raise Busy(f"{host} allows this machine no more requests for {wait:.0f} s.", until=until)

    def _exchange(
        self, trip: Trip, target: Target, method: str, headers: _Headers, content: bytes | None, cap: int
    ) -> Response:
        if self._proxied and not trip.allow_private and is_literal(target.host) and not is_public(target.host):
            raise Refused(f"{target.host} is a private address.")
        line = self._lines.take(Place(target.scheme, target.host, target.port, trip.allow_private))
        line.wire.trip = trip
        try:
            url = httpcore.URL(
                scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
            )
            raw = self._raw_headers(target, headers, method, content)
            answer = line.connection.handle_request(httpcore.Request(method, url, headers=raw, content=content))
            try:
                found = httpx.Headers(answer.headers)
                body = _body(answer, found, method, cap)
            finally:
                answer.close()
        finally:
            self._lines.give_back(line)
        trip.crash("after_answer")
        return Response(answer.status, found, body, target.url, self._clock.now())

    def _raw_headers(
        self, target: Target, headers: _Headers, method: str, content: bytes | None
    ) -> list[tuple[bytes, bytes]]:
        """The caller's headers over the door's own; host, length and codings are always the door's.

        (What mounts under another library is handed that library's codings, some of which are not unpacked here.)
        """
        sent = {"host": "", "user-agent": self._user_agent, "accept": "*/*", **headers}
        sent["host"] = target.authority
        sent["accept-encoding"] = "gzip, deflate"
        if content is not None or method in _WITH_BODY:
            sent["content-length"] = str(len(content or b""))
        return [(name.encode("ascii"), value.encode()) for name, value in sent.items()]


#: Is told of an answer: what its headers say of clocks and limits.
Heard = Callable[[Response], None]
#: Lower-case names to values.
_Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What bounds a request. `guard` is asked just before the first byte and may raise NotSent."""

    deadline: float
    allow_private: bool
    max_bytes: int
    safe: bool
    guard: Callable[[], None] | None = None
    per_host: tuple[int, timedelta] | None = None
    heard: Heard | None = None


@dataclass(frozen=True, slots=True)
class _SendBy:
    """The latest moment for an attempt's first byte, as two differences of local clocks (no zombies)."""

    clock: Clock
    wall: datetime
    monotonic: float
    seconds: float

    def __call__(self) -> None:
        """Raises NotSent when either clock says that it is too late."""
        by_wall = (self.clock.now() - self.wall).total_seconds()
        late = max(by_wall, self.clock.monotonic() - self.monotonic)
        if late > self.seconds:
            raise NotSent(
                f"The request was ready {late:.0f} s after its attempt began; after {self.seconds:g} s it is not sent."
            )


@dataclass(frozen=True, slots=True, repr=False)
class _Publishing:
    """The Http of one attempt."""

    door: Door
    deadline: float
    allow_private: bool
    max_bytes: int
    guard: _SendBy | None
    per_host: tuple[int, timedelta] | None
    heard: Heard | None

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        safe: bool = False,
        redirects: int = 0,
    ) -> Response:
        guard = None if safe else self.guard
        rules = _Rules(
            self.deadline, self.allow_private, self.max_bytes, safe, guard, per_host=self.per_host, heard=self.heard
        )
        target, sent, body = _prepared(rules, url, params, headers, json, form, content)
        return self.door.passed(rules, target, method, sent, body)


@dataclass(frozen=True, slots=True, repr=False)
class _Reading:
    """The Http of sources and all else that changes nothing: follows redirects, if asked to."""

    door: Door
    clock: Clock
    rules: _Rules
    max_redirects: int
    headers: _Headers

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        safe: bool = True,
        redirects: int = 0,
    ) -> Response:
        until = self.clock.monotonic() + self.rules.deadline
        merged = {**self.headers, **(headers or {})}
        target, sent, body = _prepared(self.rules, url, params, merged, json, form, content)
        first, rules = target, self.rules
        most = min(redirects, self.max_redirects) if method in ("GET", "HEAD") else 0
        hops: list[tuple[int, str]] = []
        while True:
            answer = self.door.passed(rules, target, method, sent, body)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None or most == 0:
                return replace(answer, hops=tuple(hops)) if hops else answer
            if len(hops) == most:
                raise Unreachable(f"{first.host}: more than {most} redirects.", status=answer.status)
            origin = target
            try:
                target = next_hop(origin, location)
            except Refused as error:
                raise Unreachable(redact(f"{first.host}: {error}"), status=answer.status) from None
            hops.append((answer.status, target.url))
            if (target.scheme, target.host, target.port) != (origin.scheme, origin.host, origin.port):
                sent = {name: value for name, value in sent.items() if name in _HARMLESS}
            # A permission for private addresses is for the host that the settings name, not for where it points.
            private = self.rules.allow_private and target.host == first.host
            rules = replace(rules, deadline=until - self.clock.monotonic(), allow_private=private)


def _prepared(
    rules: _Rules,
    url: str,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    json: Any,
    form: Mapping[str, str] | None,
    content: bytes | None,
) -> tuple[Target, dict[str, str], bytes | None]:
    """Address, headers (lower case) and body of a request."""
    if params:
        url = url.partition("#")[0]
        url += ("&" if "?" in url else "?") + urlencode(params, quote_via=quote)
    try:
        target = aim(url)
    except Refused as error:
        raise (Unreachable if rules.safe else NotSent)(redact(str(error))) from None
    sent = {name.lower(): value for name, value in headers.items()} if headers else {}
    if target.userinfo is not None:
        sent.setdefault("authorization", "Basic " + b64encode(unquote(target.userinfo).encode()).decode())
    if json is not None:
        content = _json.dumps(json, ensure_ascii=False, separators=(",", ":")).encode()
        sent.setdefault("content-type", "application/json")
    elif form is not None:
        content = urlencode(form).encode()
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    return target, sent, content


def _body(answer: httpcore.Response, headers: httpx.Headers, method: str, cap: int) -> bytes:
    if method == "HEAD" or answer.status in (204, 304):
        for _ in answer.iter_stream():
            pass
        return b""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > cap:
        raise Oversize(cap)
    return expand(answer.iter_stream(), headers.get("content-encoding", ""), cap)
