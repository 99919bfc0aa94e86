"""The fork server's other end, and servers on loopback that outlive its children."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import httpcore

ROOT = Path(__file__).parents[2]
DIED = 9


class Child:
    """The fork server."""

    def __init__(self) -> None:
        path = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 -- a child process gets the environment of its parent
        command = [sys.executable, str(Path(__file__).with_name("child.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=path, text=True, cwd=ROOT
        )

    def run(self, scenario: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """One life: its exit code, and its last words: the points it passed, where it died, or what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(scenario) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["code"], answer["said"]

    def through(self, scenario: dict[str, Any]) -> list[str]:
        """A life that ends well; its points."""
        code, said = self.run(scenario)
        assert code == 0, said
        return list(said["points"])

    def killed(self, scenario: dict[str, Any]) -> tuple[str, datetime]:
        """A life that ends at its `die_at`: the point's name, and when it was."""
        code, said = self.run(scenario)
        assert code == DIED, said
        return said["died"], datetime.fromisoformat(said["at"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


class Loopback:
    """Puts a server that lives behind httpcore's interface on a real port; a context manager. `base` is its address."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.backend = backend
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    backend: httpcore.NetworkBackend


class _Connection(socketserver.BaseRequestHandler):
    """Carries bytes between a socket and a stream, until either is over."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        stream = self.server.backend.connect_tcp("127.0.0.1", 0)
        try:
            while asked := self.request.recv(65_536):
                stream.write(asked)
                try:
                    answer = stream.read(1 << 20)
                except httpcore.ReadTimeout:
                    continue  # not the whole request yet
                if not answer:
                    return  # lost
                self.request.sendall(answer)
        except ConnectionError:
            return  # the client died
