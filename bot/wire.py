"""The wire under the door: connections on which every read and write knows the request that it is for.

httpcore hands its extensions to the connection but not to the network backend, and pools connections between threads.
So that no state is guessed, each connection here has a backend of its own (`Wire`), owned by one request at a time, and
that request's `Trip` is laid on it before use. The backend resolves a name once, checks the addresses, and connects to
an address that it checked: no second look-up can lead elsewhere (DNS rebinding).
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

from bot.addresses import Refused, is_literal, is_public
from bot.clock import Clock

#: Seconds for the name look-up, the TCP connection and TLS together, before a server counts as unreachable.
CONNECT_SECONDS = 5.0
#: A connection idle for longer is not used again: Node's http server, a common peer, closes at 5 s (its documented
#: `server.keepAliveTimeout`), and a publish written into a closing connection would end in doubt.
IDLE_SECONDS = 4.0
#: Idle connections kept over all hosts; more than the threads of any one worker.
IDLE_MOST = 64
#: One write to the system: TLS's largest record (RFC 8446, 5.1). The deadline is looked at before each.
_SLICE = 16 * 1024

Resolve = Callable[[str, int], list[str]]


class Late(Exception):
    """The request's total deadline passed."""


class Trip:
    """One request on its way: until when, whether its first byte left, and what is checked just before that."""

    __slots__ = (
        "allow_private", "asked", "clock", "connect_until", "connected", "crash", "guard", "layers",
        "small_body", "until", "wrote",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        *,
        allow_private: bool,
        layers: int,
        crash: Callable[[str], None],
        guard: Callable[[], None] | None,
        body: int = 0,
    ) -> None:
        now = clock.monotonic()
        self.clock = clock
        self.until = now + seconds
        self.connect_until = now + min(seconds, CONNECT_SECONDS)
        self.allow_private = allow_private
        self.layers = layers  # of TLS that must be up before a write counts: a proxy's CONNECT is written below that
        self.crash = crash
        self.guard = guard
        self.small_body = 0 < body <= _SLICE
        self.connected = False
        self.wrote = False
        self.asked = False

    def left(self) -> float:
        """Seconds to the deadline. Raises Late when it passed."""
        left = self.until - self.clock.monotonic()
        if left <= 0:
            raise Late
        return left

    def left_to_connect(self) -> float:
        """Seconds in which the connection must stand. Raises Late when they passed."""
        left = self.connect_until - self.clock.monotonic()
        if left <= 0:
            raise Late
        return left

    def first_write(self) -> None:
        """Before the first byte: the guard may still refuse; after this, it may have left."""
        if self.guard is not None:
            self.guard()
        self.crash("before_first_byte")
        self.wrote = True


def system_resolve(host: str, port: int) -> list[str]:
    """The system's answer for a name: addresses in its order of preference. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def within(seconds: float, work: Callable[[], list[str]]) -> list[str]:
    """The result of a call that can't be interrupted, or Late: getaddrinfo may hang for half a minute."""
    result: list[list[str] | BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 -- carried over to the waiting thread
            result.append(error)

    thread = threading.Thread(target=run, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if not result:
        raise Late
    found = result[0]
    if isinstance(found, BaseException):
        raise found
    return found


class Wire(httpcore.NetworkBackend):
    """The network backend of one connection. `trip` is the request that owns it now."""

    def __init__(self, inner: httpcore.NetworkBackend, resolve: Resolve | None, *, proxied: bool) -> None:
        self._inner = inner
        self._resolve = resolve
        self._proxied = proxied
        self.trip: Trip | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve once, check, connect to a checked address: each in turn, sharing the time that is left."""
        trip = self.owner()
        addresses = self._addresses(host, port, trip)
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        for tried, address in enumerate(addresses):
            seconds = trip.left_to_connect() / (len(addresses) - tried)
            try:
                stream = self._inner.connect_tcp(
                    address, port, timeout=seconds, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
            else:
                return WireStream(stream, self, 0)
        raise error

    def owner(self) -> Trip:
        """The request that this connection is for; a byte that belongs to no request is a defect."""
        if self.trip is None:
            raise RuntimeError("a connection was used outside a request")
        return self.trip

    def _addresses(self, host: str, port: int, trip: Trip) -> list[str]:
        if is_literal(host):
            found = [host]
        elif self._resolve is not None:
            found = self._resolve(host, port)
        else:
            found = within(trip.left_to_connect(), lambda: system_resolve(host, port))
        if self._proxied or trip.allow_private:
            return found
        public = [address for address in found if is_public(address)]
        if found and not public:
            raise Refused(
                f"{host} is the private address {found[0]}; only an address that is set with "
                "“allow_private = true” may lead there."
            )
        return public


class WireStream(httpcore.NetworkStream):
    """A stream that is bounded by its request's deadline and notes the first write. `layers`: of TLS.

    h11 writes head and body apart; a head whose body is small waits for it, so that both leave in one packet (a tenth
    of a post's CPU, and no state between the two in which a small request could be half out).
    """

    __slots__ = ("_held", "_inner", "_layers", "_wire")

    def __init__(self, inner: httpcore.NetworkStream, wire: Wire, layers: int) -> None:
        self._inner = inner
        self._wire = wire
        self._layers = layers
        self._held = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        trip = self._wire.owner()
        trip.connected = True
        if trip.wrote and not trip.asked:
            trip.asked = True
            trip.crash("after_last_byte")
        return self._inner.read(max_bytes, timeout=trip.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        trip = self._wire.owner()
        trip.connected = True
        first = not trip.wrote and self._layers >= trip.layers
        if first:
            if trip.small_body and not self._held:
                self._held = buffer
                return
            buffer, self._held = self._held + buffer, b""
            trip.first_write()
        for start in range(0, len(buffer), _SLICE):
            self._inner.write(buffer[start : start + _SLICE], timeout=trip.left())
        if first:
            trip.crash("after_first_byte")

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            seconds = self._wire.owner().left_to_connect()
            secured = self._inner.start_tls(ssl_context, server_hostname=server_hostname, timeout=seconds)
        except BaseException:
            self._inner.close()
            raise
        return WireStream(secured, self._wire, self._layers + 1)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@dataclass(frozen=True, slots=True)
class Place:
    """What two requests must share to share a connection. `allow_private` is part of it: what was opened under a
    permission is never handed to a request without one."""

    scheme: str
    host: str
    port: int
    allow_private: bool


@dataclass(slots=True)
class Line:
    """One connection with its wire, and since when it is idle (monotonic seconds)."""

    place: Place
    wire: Wire
    connection: httpcore.ConnectionInterface
    idle_since: float = 0.0


class Lines:
    """All open connections. Whoever takes one owns it alone until it is given back; safe for any number of threads.

    httpcore's own pool asks the system about every idle connection twice per request, under one lock; this one asks
    about the one that it hands out.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        network_backend: httpcore.NetworkBackend | None,
        resolve: Resolve | None,
        proxy: str | None,
        ca_file: str | None,
    ) -> None:
        self._clock = clock
        self._inner = network_backend or httpcore.SyncBackend()
        self._resolve = resolve
        self._proxy = _proxy(proxy) if proxy is not None else None
        self._ca_file = ca_file
        self._idle: dict[Place, deque[Line]] = {}
        self._swept = clock.monotonic()
        self._lock = threading.Lock()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Certificates are always verified: by the file given, else by certifi's bundle (made at the first https)."""
        if self._ca_file is not None:
            return ssl.create_default_context(cafile=self._ca_file)
        import certifi

        return ssl.create_default_context(cafile=certifi.where())

    def take(self, place: Place) -> Line:
        """A connection for that place: the one used last if it is still good, else a new one (not yet connected)."""
        now = self._clock.monotonic()
        if now - self._swept > IDLE_SECONDS:
            self._sweep(now)
        while True:
            with self._lock:
                waiting = self._idle.get(place)
                line = waiting.pop() if waiting else None
            if line is None:
                return self._open(place)
            if now - line.idle_since <= IDLE_SECONDS and not line.connection.has_expired():
                return line
            line.connection.close()

    def give_back(self, line: Line) -> None:
        """Keep the connection if it can serve again, else close it."""
        line.wire.trip = None
        connection = line.connection
        if connection.is_closed() or not connection.is_idle() or _has_left_over(connection):
            line.connection.close()
            return
        line.idle_since = self._clock.monotonic()
        with self._lock:
            if sum(map(len, self._idle.values())) < IDLE_MOST:
                self._idle.setdefault(line.place, deque()).append(line)
                return
        line.connection.close()

    def close(self) -> None:
        """Close whatever is idle."""
        with self._lock:
            lines = [line for waiting in self._idle.values() for line in waiting]
            self._idle.clear()
        for line in lines:
            line.connection.close()

    def _sweep(self, now: float) -> None:
        with self._lock:
            self._swept = now
            old: list[Line] = []
            for place, waiting in list(self._idle.items()):
                while waiting and now - waiting[0].idle_since > IDLE_SECONDS:
                    old.append(waiting.popleft())
                if not waiting:
                    del self._idle[place]
        for line in old:
            line.connection.close()

    def _open(self, place: Place) -> Line:
        secure = place.scheme == "https"
        wire = Wire(self._inner, self._resolve, proxied=self._proxy is not None)
        pool = httpcore.ConnectionPool(
            ssl_context=self._tls if secure else None,
            proxy=self._proxy,
            keepalive_expiry=IDLE_SECONDS,
            retries=0,
            network_backend=wire,
        )
        origin = httpcore.Origin(place.scheme.encode(), place.host.encode(), place.port)
        # The pool itself is not used: it knows which kind of connection an origin and a proxy need.
        return Line(place, wire, pool.create_connection(origin))


def _has_left_over(connection: httpcore.ConnectionInterface) -> bool:
    """Did the server say more than one answer? The rest would be taken for the answer to the next request: a receipt
    for a post that was never made. httpcore has no public word for it; a test holds this to the pinned version."""
    inner: Any = connection
    while inner is not None and not hasattr(inner, "_h11_state"):
        inner = getattr(inner, "_connection", None)
    return inner is not None and bool(inner._h11_state.trailing_data[0])


def _proxy(address: str) -> httpcore.Proxy:
    """A proxy by its URL ("http://user:password@host:port"); httpcore wants the login apart."""
    parts = urlsplit(address)
    login = (unquote(parts.username).encode(), unquote(parts.password or "").encode()) if parts.username else None
    return httpcore.Proxy(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), auth=login)
