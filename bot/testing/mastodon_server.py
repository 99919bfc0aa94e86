"""A Mastodon-like server on 127.0.0.1 that can be as bad as a real one, and keeps every status for exact counting.

    with MastodonServer(keys=False) as server:      # server.base, server.token(1), server.statuses
        server.faults = scripted([Fault.DROP_AFTER, None, Fault.ERROR_BEFORE])

It answers what the adapter asks: verify_credentials, instance, nodeinfo, an account's statuses, and POST of a status;
token `token-N` is account N. Requests are read by hand, not by http.server's handler: that alone would cost more than
the rest of a post, and the speed runs need a server that is no bottleneck.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from html import escape
from http.server import ThreadingHTTPServer
from itertools import count
from random import Random  # noqa: TID251 -- a fault plan's seed, not Wirepost's randomness
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from bot.clock import Clock, SystemClock


class Fault(StrEnum):
    """What happens to one POST of a status."""

    DROP_BEFORE = "drop_before"  # the connection closes, nothing was taken
    DROP_AFTER = "drop_after"  # taken, and the connection closes without an answer
    ERROR_BEFORE = "error_before"  # 500, nothing was taken
    ERROR_AFTER = "error_after"  # taken, and 500
    LIMITED = "limited"  # 429 with Retry-After in seconds
    LIMITED_DATE = "limited_date"  # 429 with Retry-After as an HTTP date
    LIMITED_ISO = "limited_iso"  # 429 with X-RateLimit-Reset as Mastodon spells it


#: Given the number of the POST (from 1) and the account, says what goes wrong; None = nothing.
Plan = Callable[[int, str], Fault | None]


def no_faults(number: int, account: str) -> None:
    """A server that behaves."""


def scripted(faults: Iterable[Fault | None]) -> Plan:
    """The faults in this order, then none."""
    left = list(faults)
    return lambda number, account: left[number - 1] if number <= len(left) else None


def seeded(seed: int, shares: Mapping[Fault, float]) -> Plan:
    """Each fault with its share of all POSTs, the same for the same seed and number."""

    def plan(number: int, account: str) -> Fault | None:
        drawn = Random(f"{seed}:{number}").random()  # noqa: S311 -- a fault plan
        for fault, share in shares.items():
            if drawn < share:
                return fault
            drawn -= share
        return None

    return plan


@dataclass(frozen=True, slots=True)
class Status:
    """One published status."""

    id: str
    account: str
    text: str
    key: str
    created_at: datetime


class MastodonServer:
    """The server; a context manager. `keys`: is Idempotency-Key honoured? `latency`: seconds before each POST's answer.

    `limit` is how long a 429 asks to wait. All attributes may be changed while it runs.
    """

    def __init__(
        self,
        *,
        keys: bool = True,
        faults: Plan = no_faults,
        latency: float = 0.0,
        limit: timedelta = timedelta(seconds=2),
        software: str = "mastodon",
        version: str = "4.6.2",
        clock: Clock | None = None,
        port: int = 0,
    ) -> None:
        self.keys = keys
        self.faults = faults
        self.latency = latency
        self.limit = limit
        self.software = software
        self.version = version
        self.statuses: list[Status] = []
        self.refused = 0  # 429s given
        self._clock = clock or SystemClock()
        self._numbers = count(1)
        self._by_key: dict[tuple[str, str], Status] = {}
        self._lock = threading.Lock()
        self._quiet = threading.Event()  # never set: what latency waits on
        self._server = _Server(("127.0.0.1", port), _Connection)
        self._server.mastodon = self
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> MastodonServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    @staticmethod
    def token(account: int) -> str:
        """The access token of an account."""
        return f"token-{account}"

    # -- the API --------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes | None:
        """A whole answer in bytes, or None to close the connection. Header names are lower case."""
        path, _, query = target.partition("?")
        account = headers.get("authorization", "").removeprefix("Bearer token-")
        if method == "POST" and path == "/api/v1/statuses":
            return self._post(account, headers.get("idempotency-key", ""), headers, body)
        if path == "/api/v1/accounts/verify_credentials":
            return _spelled(200, {"id": account, "username": f"desk{account}", "acct": f"desk{account}"})
        if path == "/api/v2/instance":
            statuses = {"max_characters": 500, "characters_reserved_per_url": 23}
            about = {"domain": "social.example.com", "version": self.version, "configuration": {"statuses": statuses}}
            return _spelled(200, about)
        if path == "/.well-known/nodeinfo":
            return _spelled(200, {"links": [{"href": f"{self.base}/nodeinfo/2.0"}]})
        if path == "/nodeinfo/2.0":
            return _spelled(200, {"software": {"name": self.software, "version": self.version}})
        if path.startswith("/api/v1/accounts/") and path.endswith("/statuses"):
            return _spelled(200, self._listed(path.split("/")[4], dict(parse_qsl(query))))
        return _spelled(404, {"error": "Record not found"})

    def _post(self, account: str, key: str, headers: Mapping[str, str], body: bytes) -> bytes | None:
        fault = self.faults(next(self._numbers), account)
        if self.latency:
            self._clock.wait(self._quiet, self.latency)
        if fault in (Fault.LIMITED, Fault.LIMITED_DATE, Fault.LIMITED_ISO):
            self.refused += 1
            return _spelled(429, {"error": "Too many requests"}, self._reset(fault))
        if fault is Fault.DROP_BEFORE:
            return None
        if fault is Fault.ERROR_BEFORE:
            return _spelled(500, "<title>We're sorry, but something went wrong (500)</title>")
        status = self._take(account, key, _text(headers, body))
        if fault is Fault.DROP_AFTER:
            return None
        if fault is Fault.ERROR_AFTER:
            return _spelled(500, "<title>We're sorry, but something went wrong (500)</title>")
        return _spelled(200, self._told(status))

    def _take(self, account: str, key: str, text: str) -> Status:
        with self._lock:
            known = self._by_key.get((account, key)) if self.keys and key else None
            if known is not None:
                return known
            now = self._clock.now()
            status = Status(str(len(self.statuses) + 1), account, text, key, now)
            self.statuses.append(status)
            self._by_key[account, key] = status
            return status

    def _reset(self, fault: Fault) -> dict[str, str]:
        until = self._clock.now() + self.limit
        if fault is Fault.LIMITED:
            return {"Retry-After": str(max(1, round(self.limit.total_seconds())))}
        if fault is Fault.LIMITED_DATE:
            return {"Retry-After": format_datetime((until + timedelta(seconds=1)).astimezone(UTC), usegmt=True)}
        return {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": _iso(until)}

    def _listed(self, account: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        before = int(query.get("max_id") or len(self.statuses) + 1)
        found = []
        for status in reversed(self.statuses[: before - 1]):
            if status.account == account:
                found.append(self._told(status))
                if len(found) == int(query.get("limit", "20")):
                    break
        return found

    def _told(self, status: Status) -> dict[str, Any]:
        words = escape(status.text).split("\n")
        lines = [f'<a href="{word}">{word}</a>' if word.startswith(("https://", "http://")) else word for word in words]
        url = f"{self.base}/@desk{status.account}/{status.id}"
        content = f"<p>{'<br>'.join(lines)}</p>"
        return {"id": status.id, "created_at": _iso(status.created_at), "url": url, "uri": url, "content": content}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(headers: Mapping[str, str], body: bytes) -> str:
    if headers.get("content-type", "").startswith("application/json"):
        return str(json.loads(body)["status"])
    return dict(parse_qsl(body.decode()))["status"]


def _spelled(status: int, body: Any, headers: Mapping[str, str] | None = None) -> bytes:
    html = isinstance(body, str)
    content = body.encode() if html else json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    kind = "text/html" if html else "application/json"
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}\r\n"
    return head.encode() + content


# -- the wire -----------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    mastodon: MastodonServer

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.open: set[socket.socket] = set()

    def hang_up(self) -> None:
        """Close what clients keep open."""
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster


class _Connection(socketserver.BaseRequestHandler):
    """One kept-alive connection."""

    server: _Server

    def handle(self) -> None:
        wire: socket.socket = self.request
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.open.add(wire)
        try:
            self._serve(wire)
        except (ConnectionError, ValueError):
            return  # the client went away in the middle of something
        finally:
            self.server.open.discard(wire)

    def _serve(self, wire: socket.socket) -> None:
        waiting = b""
        while True:
            head, end, rest = waiting.partition(b"\r\n\r\n")
            while not end:
                more = wire.recv(65536)
                if not more:
                    return
                waiting += more
                head, end, rest = waiting.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            while len(rest) < length:
                more = wire.recv(65536)
                if not more:
                    return
                rest += more
            waiting = rest[length:]
            method, target, _ = first.split(" ", 2)
            answer = self.server.mastodon.answer(method, target, headers, rest[:length])
            if answer is None:
                return
            wire.sendall(answer)
