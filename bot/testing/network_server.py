"""The server behind the network for tests: it keeps what was published, and is as unreliable as it is told to be.

See `bot.testing.network`. With each publish it does what a `Fault` says; nothing in it is random, and its time is the
clock that it was given.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpcore

from bot.clock import Clock


class Fault(StrEnum):
    """What the server does with one publish instead of answering 200."""

    LOST_BEFORE = "lost_before"  # read, not taken, no answer
    LOST_AFTER = "lost_after"  # taken, no answer
    TAKEN_LATE = "taken_late"  # no answer; taken `late` after that
    ERROR_BEFORE = "error_before"  # 500, not taken
    ERROR_AFTER = "error_after"  # 500, taken
    GATEWAY_AFTER = "gateway_after"  # 504 from a proxy, taken
    GARBAGE_AFTER = "garbage_after"  # taken, and a 200 that says nothing
    LIMITED = "limited"  # 429 with a reset, in turn as seconds, HTTP date and ISO time
    EXPIRED = "expired"  # 401 until the token is refreshed
    DEAD = "dead"  # 401
    REFUSED = "refused"  # 422
    BILLING = "billing"  # 402
    DUPLICATE = "duplicate"  # 409, not taken


@dataclass(slots=True)
class Published:
    """A post as the server has it; `visible_at` is when it came to be."""

    id: str
    account: str
    text: str
    link: str | None
    delivery: str
    key: str
    visible_at: datetime
    deleted: bool = False

    def told(self) -> dict[str, Any]:
        """The post as an answer shows it."""
        at = self.visible_at.isoformat()
        return {
            "id": self.id,
            "url": f"https://fake.example.com/{self.id}",
            "at": at,
            "text": self.text,
            "link": self.link,
        }


@dataclass(slots=True)
class Answer:
    """Status, body and headers; `lost`: nothing comes back."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False


class FakeServer(httpcore.NetworkBackend):
    """The server: give it to the door as its network backend. Safe for threads.

    `keys`: how long an Idempotency-Key is honoured (None = ignored). `fault` is asked for each publish (account, body)
    and says what goes wrong; `faults`, if not empty, is used up first. `late`: how long TAKEN_LATE takes; `limit`: how
    long a 429 asks to wait; `stale`: accounts whose first token is over; `dead`: whose login was revoked; `down`:
    nobody can connect. All may be changed at any time.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        keys: timedelta | None = None,
        fault: Callable[[str, Mapping[str, Any]], Fault | None] = lambda account, body: None,
        late: timedelta = timedelta(seconds=30),
    ) -> None:
        self._clock = clock
        self.keys = keys
        self.fault = fault
        self.faults: deque[Fault | None] = deque()
        self.late = late
        self.limit = timedelta(seconds=38)
        self.posts: list[Published] = []
        self.drafts: dict[str, tuple[Published, bool]] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.stale: set[str] = set()
        self.dead: set[str] = set()
        self.down = False
        self._limited = 0
        self.lock = threading.RLock()

    @staticmethod
    def resolve(host: str, port: int) -> list[str]:
        """Any name leads here; the address is public, so that the door lets it through."""
        return ["93.184.215.14"]

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        if self.down:
            raise httpcore.ConnectError("connection refused")
        return _Stream(self)

    # -- what a test asks -----------------------------------------------------------------------------------------

    def visible(self, account: str | None = None) -> list[Published]:
        """The posts that the public can see now, in the order in which they came to be."""
        now = self._clock.now()
        with self.lock:
            posts = [post for post in self.posts if account in (None, post.account) and not post.deleted]
        return sorted((post for post in posts if post.visible_at <= now), key=lambda post: (post.visible_at, post.id))

    def doubled(self) -> list[tuple[str, str]]:
        """Every (account, delivery) that stands there more than once, now or in a while. Empty is what we promise."""
        with self.lock:
            pairs = [(post.account, post.delivery) for post in self.posts]
        return sorted(pair for pair, times in Counter(pairs).items() if times > 1)

    # -- what the adapter asks ------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request. Header names are lower case."""
        url = urlsplit(target)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        account = token.removeprefix("fresh-").removeprefix("token-")
        with self.lock:
            self.requests.append((method, url.path, account))
            if account in self.dead:
                return Answer(401, {"error": "token revoked"})
            if url.path == "/token":
                self.stale.discard(account)
                return Answer(body={"access": f"fresh-token-{account}"})
            if account in self.stale and not token.startswith("fresh-"):
                return Answer(401, {"error": "token expired"})
            if method == "GET":
                return self._read(url.path, dict(parse_qsl(url.query)), account)
            return self._write(url.path, account, headers.get("idempotency-key", ""), json.loads(body or b"{}"))

    def _read(self, path: str, query: Mapping[str, str], account: str) -> Answer:
        if path == "/me":
            return Answer(body={"id": account, "name": f"@account{account}"})
        if path == "/posts":
            since = datetime.fromisoformat(query["since"])
            posts = [post.told() for post in reversed(self.visible(account)) if post.visible_at >= since]
            return Answer(body={"posts": posts})
        draft, done = self.drafts.get(path.rpartition("/")[2], (None, False))
        if draft is None:
            return Answer(404, {"error": "no such draft"})
        return Answer(body={"post": draft.told() if done else None})

    def _write(self, path: str, account: str, key: str, body: Mapping[str, Any]) -> Answer:
        fault = self.faults.popleft() if self.faults else self.fault(account, body)
        refusal = self._refused(fault, account)
        if refusal is not None:
            return refusal
        if fault in (Fault.LOST_BEFORE, Fault.ERROR_BEFORE):
            return Answer(500, {"error": "internal"}, lost=fault is not Fault.ERROR_BEFORE)
        answer = self._taken(path, account, key, body, self.late if fault is Fault.TAKEN_LATE else timedelta(0))
        match fault:
            case Fault.LOST_AFTER | Fault.TAKEN_LATE:
                return Answer(lost=True)
            case Fault.ERROR_AFTER:
                return Answer(500, {"error": "internal"})
            case Fault.GATEWAY_AFTER:
                return Answer(504, "<h1>504 Gateway Time-out</h1>")
            case Fault.GARBAGE_AFTER:
                return Answer(200, "<h1>Welcome</h1>")
        return answer

    def _refused(self, fault: Fault | None, account: str) -> Answer | None:
        """The answer of a fault that takes nothing and says so."""
        match fault:
            case Fault.LIMITED:
                return Answer(429, {"error": "too many requests"}, self._reset())
            case Fault.EXPIRED:
                self.stale.add(account)
                return Answer(401, {"error": "token expired"})
            case Fault.DEAD:
                return Answer(401, {"error": "token revoked"})
            case Fault.REFUSED:
                return Answer(422, {"error": "not allowed here"})
            case Fault.BILLING:
                return Answer(402, {"error": "no credit"})
            case Fault.DUPLICATE:
                return Answer(409, {"error": "duplicate"})
        return None

    def _reset(self) -> dict[str, str]:
        until = self._clock.now() + self.limit
        styles = (
            ("Retry-After", str(int(self.limit.total_seconds()))),
            ("Retry-After", format_datetime((until + timedelta(seconds=1)).astimezone(UTC), usegmt=True)),
            ("X-RateLimit-Reset", until.isoformat()),
        )
        self._limited += 1
        name, value = styles[self._limited % len(styles)]
        return {name: value}

    def _taken(self, path: str, account: str, key: str, body: Mapping[str, Any], late: timedelta) -> Answer:
        now = self._clock.now()
        if path.endswith("/publish"):
            container = path.split("/")[2]
            if container not in self.drafts:
                return Answer(404, {"error": "no such draft"})
            draft, done = self.drafts[container]
            if not done:  # publishing a container twice publishes it once
                draft.visible_at = now + late
                self.posts.append(draft)
                self.drafts[container] = (draft, True)
            return Answer(body=draft.told())
        known = self._known(account, key, now)
        post = known or Published(
            f"p{len(self.posts) + len(self.drafts) + 1}",
            account,
            str(body["text"]),
            body.get("link"),
            str(body.get("delivery", "")),
            key,
            now + late,
        )
        if path == "/drafts":
            self.drafts[post.id] = (post, False)
            return Answer(202, {"container": post.id})
        if known is None:
            self.posts.append(post)
        return Answer(body=post.told())

    def _known(self, account: str, key: str, now: datetime) -> Published | None:
        if self.keys is None:
            return None
        found = (post for post in self.posts if (post.account, post.key) == (account, key))
        return next((post for post in found if now - post.visible_at <= self.keys), None)


class _Stream(httpcore.NetworkStream):
    """A connection to the server: takes a request's bytes, gives an answer's."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._got = b""
        self._given = b""
        self._over = False

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._got += buffer
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if len(body) < int(headers.get("content-length", "0")):
            return
        method, target, _ = first.split(" ")
        self._got = b""
        self._given += self._spelled(self._server.answer(method, target, headers, body))

    def _spelled(self, answer: Answer) -> bytes:
        if answer.lost:
            self._over = True
            return b""
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        kind = "text/html" if isinstance(answer.body, str) else "application/json"
        body = text.encode()
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {answer.status} Said\r\n{lines}\r\n".encode() + body

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._given and not self._over:
            raise httpcore.ReadTimeout("nothing was asked")
        chunk, self._given = self._given[:max_bytes], self._given[max_bytes:]
        return chunk

    def close(self) -> None:
        self._over = True

    def get_extra_info(self, info: str) -> Any:
        return (self._over or self._server.down) if info == "is_readable" else None
