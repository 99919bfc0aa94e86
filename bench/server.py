"""The Mastodon-like server in a process of its own, so that it takes no time from whoever is measured.

    python -m bench.server            serves until its standard input closes; prints its address
    python -m bench.server --check    how many POSTs a second it takes from a bare socket loop, and from twelve

It also serves a feed with an ETag, and tells what it got, under /bench/.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from bot.testing.mastodon_server import Fault, MastodonServer

#: How often a waiting question looks whether its number is reached, in seconds.
_LOOKS = 0.002


class MeasuredServer(MastodonServer):
    """What the child process runs."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port=port, faults=self._limited)
        self._limited_accounts: frozenset[str] = frozenset()
        self._feed = b""
        self._etag = ""
        self._looks: list[tuple[float, int]] = []
        self._pause = threading.Event()  # never set

    def _limited(self, number: int, account: str) -> Fault | None:
        return Fault.LIMITED if account in self._limited_accounts else None

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes | None:
        if target.partition("?")[0] == "/feed.xml":
            return self._feed_answer(headers.get("if-none-match", ""))
        if not target.startswith("/bench/"):
            return super().answer(method, target, headers, body)
        asked = json.loads(body) if body and target != "/bench/feed" else {}
        match target:
            case "/bench/feed":
                self._feed, self._etag = body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            case "/bench/set":
                self.latency = asked.get("latency", 0.0)
                self._limited_accounts = frozenset(asked.get("limited", ()))
            case "/bench/reset":
                with self._lock:
                    self.statuses.clear()
                    self._by_key.clear()
                self._looks.clear()
            case "/bench/wait":
                return _answer(self._waited(asked["number"], asked["seconds"]))
            case "/bench/statuses":
                return _answer([(one.account, one.text, one.created_at.timestamp()) for one in list(self.statuses)])
            case "/bench/looks":
                return _answer(self._looks)
        return _answer(len(self.statuses))

    def _waited(self, number: int, seconds: float) -> int:
        until = time.monotonic() + seconds
        while len(self.statuses) < number and time.monotonic() < until:
            self._pause.wait(_LOOKS)
        return len(self.statuses)

    def _feed_answer(self, known: str) -> bytes:
        same = bool(self._etag) and known == self._etag
        self._looks.append((time.time(), 0 if same else len(self._feed)))
        if same:
            return f"HTTP/1.1 304 Same\r\nETag: {self._etag}\r\n\r\n".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nETag: {self._etag}\r\n"
        return f"{head}Content-Length: {len(self._feed)}\r\n\r\n".encode() + self._feed


def _answer(body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


@dataclass(frozen=True, slots=True)
class Got:
    """One post as the server got it; `at` is a Unix time."""

    account: str
    text: str
    at: float


class Server:
    """The child process, from outside; a context manager."""

    def __enter__(self) -> Server:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "bench.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        self.base = self._child.stdout.readline().strip()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.communicate(timeout=10)

    def reset(self) -> None:
        """Forget all posts and keys; answer at once and limit nobody."""
        self._ask("set", {})
        self._ask("reset", {})

    def behave(self, *, latency: float = 0.0, limited: tuple[int, ...] = ()) -> None:
        """Take so many seconds for each POST; answer 429 to these accounts."""
        self._ask("set", {"latency": latency, "limited": [str(one) for one in limited]})

    def show(self, feed: bytes) -> None:
        """From now on /feed.xml is this."""
        self._ask("feed", feed)

    def wait_for(self, number: int, seconds: float = 600.0) -> int:
        """Wait until it has so many posts; how many it has then."""
        return int(self._ask("wait", {"number": number, "seconds": seconds}, seconds + 10))

    def count(self) -> int:
        """How many posts it has."""
        return int(self._ask("count", {}))

    def posts(self) -> list[Got]:
        """All of them, in the order in which they came."""
        return [Got(*one) for one in self._ask("statuses", {})]

    def looks(self) -> list[tuple[float, int]]:
        """Each look at the feed since the reset: when, and how many bytes of body it cost."""
        return [(at, size) for at, size in self._ask("looks", {})]

    def _ask(self, what: str, body: Any, seconds: float = 30.0) -> Any:
        return ask(self.base, what, body, seconds)


def ask(base: str, what: str, body: Any, seconds: float = 30.0) -> Any:
    """One question under /bench/, over a connection of its own."""
    connection = HTTPConnection(urlsplit(base).netloc, timeout=seconds)
    try:
        connection.request("POST", f"/bench/{what}", body if isinstance(body, bytes) else json.dumps(body).encode())
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


# -- is it no bottleneck? -----------------------------------------------------------------------------------------


def raw_rate(base: str, posts: int, threads: int = 1) -> float:
    """POSTs a second that bare sockets get through, written out once before."""
    parts = urlsplit(base)
    body = json.dumps({"status": "Rail strike is off\n\nhttps://www.example.com/news/1", "visibility": "public"})
    head = f"POST /api/v1/statuses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-1\r\nContent-Length: {len(body)}"
    whole = f"{head}\r\nContent-Type: application/json\r\n\r\n{body}".encode()

    def loop() -> None:
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(posts // threads):
                wire.sendall(whole)
                wire.recv(65536)

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return posts / (time.perf_counter() - began)


def main(arguments: list[str]) -> int:
    """Serve, or check."""
    if "--check" in arguments:
        with Server() as server:
            for threads in (1, 12):
                rates = sorted(raw_rate(server.base, 12_000, threads) for _ in range(3))
                print(f"{threads:2} connections: {rates[1]:,.0f} POST/s [{rates[0]:,.0f} to {rates[2]:,.0f}]")
        return 0
    with MeasuredServer() as server:
        print(server.base, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
