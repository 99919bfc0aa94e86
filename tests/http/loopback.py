"""Real servers on loopback that behave as badly as told, and a street map that leads public addresses to them."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpcore

from bot.clock import Clock
from bot.http import Door, Http

PUBLIC = "93.184.215.14"
OTHER_PUBLIC = "151.101.1.69"

Handle = Callable[[socket.socket, bytes], bool]


class Served:
    """A running server: its port, and each request as it came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def whole_request(peer: socket.socket) -> bytes:
    """Head and body of one request; what came so far if the other side stops."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = peer.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


def reply(body: bytes = b"{}", *, status: str = "200 OK", headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(peer: socket.socket) -> None:
    """Close with a TCP reset instead of an orderly end."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@contextmanager
def serving(handle: Handle, *, on_connect: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[Served]:
    """A server that calls `handle(peer, request)` for each request until it says False."""
    listener = socket.create_server(("127.0.0.1", 0))
    served = Served(listener.getsockname()[1])
    peers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def talk(peer: socket.socket) -> None:
        try:
            if on_connect is not None:
                peer = on_connect(peer)
                peers.append(peer)
            while request := whole_request(peer):
                served.requests.append(request)
                if not handle(peer, request):
                    break
        except OSError:
            pass
        finally:
            peer.close()

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            served.connections += 1
            peers.append(peer)
            thread = threading.Thread(target=talk, args=(peer,), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield served
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for peer in peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()
        for thread in threads:
            thread.join()


def answering(data: bytes) -> Handle:
    """The same answer to every request, connection kept."""

    def handle(peer: socket.socket, request: bytes) -> bool:
        peer.sendall(data)
        return True

    return handle


class Street(httpcore.NetworkBackend):
    """Leads given addresses to loopback ports, refuses all others, and notes each connection that was wanted."""

    def __init__(self, houses: dict[tuple[str, int], int] | None = None) -> None:
        self.houses = houses or {}
        self.wanted: list[tuple[str, int]] = []
        self._real = httpcore.SyncBackend()

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.wanted.append((host, port))
        if (host, port) not in self.houses:
            raise httpcore.ConnectError("no such house")
        return self._real.connect_tcp("127.0.0.1", self.houses[(host, port)], timeout=timeout)


def drop(peer: socket.socket, request: bytes) -> bool:
    """Take the request and close without an answer."""
    return False


def attempt(door: Door, clock: Clock, **more: object) -> Http:
    """The door for an attempt that began just now, private addresses allowed."""
    wanted = {"started_wall": clock.now(), "started_monotonic": clock.monotonic(), "allow_private": True, **more}
    return door.publishing(**wanted)
