"""Documented exchanges, replayed: a loopback server that answers what a network's documentation says it answers.

The format of a fixture file (`tests/networks/<name>.json`) is described in `bot.testing.networks`; this module reads
one exchange of it, compares a request with it, and writes its answer. Nothing here knows any network.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What came over the wire. Header names are lower case; `query` and `form` keep the last value of a name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> Mapping[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def line(self) -> str:
        """Method and path, for messages."""
        return f"{self.method} {self.path}"


class ReplayServer:
    """Answers a list of exchanges in their order, on 127.0.0.1, and keeps what it was asked.

    A request that comes when no exchange is left, or that differs from its exchange, is answered with 599 and listed in
    `surprises`. Use it as a context manager; `base` is its address.
    """

    def __init__(self, exchanges: Sequence[Mapping[str, Any]] = (), names: Mapping[str, str] | None = None) -> None:
        self.names = {"text": "", **(names or {})}
        self._exchanges = list(exchanges)
        self.requests: list[Request] = []
        self.surprises: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.replay = self
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.names["base"] = self.base
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> ReplayServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def left(self) -> int:
        """How many exchanges were not asked for."""
        return len(self._exchanges) - len(self.requests)

    def answer(self, request: Request) -> Mapping[str, Any]:
        """The next exchange's answer, or 599 with the difference as its text."""
        place = len(self.requests)
        self.requests.append(request)
        if place >= len(self._exchanges):
            return self._surprise(f"{request.line()}: no further request was expected")
        exchange = filled(self._exchanges[place], self.names)
        wrong = differences(exchange["request"], request)
        if wrong:
            return self._surprise(f"{request.line()} (exchange {place + 1}): " + "; ".join(wrong))
        answer: Mapping[str, Any] = exchange["answer"]
        return answer

    def _surprise(self, words: str) -> Mapping[str, Any]:
        self.surprises.append(words)
        return {"status": 599, "text": words}


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """A copy of a JSON value in which `{name}` stands replaced in every text, for the given names only."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, Mapping):
        return {filled(key, names): filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return value


def differences(wanted: Mapping[str, Any], request: Request) -> list[str]:
    """In what a request differs from what a fixture wants of it; `[]` = it fits. `~…` is a regular expression."""
    wrong = []
    if request.method != wanted["method"]:
        wrong.append(f"method {wanted['method']} expected")
    if not _fits(wanted["path"], request.path):
        wrong.append(f"path {wanted['path']} expected")
    headers = {name.lower(): value for name, value in wanted.get("headers", {}).items()}
    for part, expected, got in (
        ("query", wanted.get("query"), request.query),
        ("headers", headers, request.headers),
        ("form", wanted.get("form"), request.form),
        ("json", wanted.get("json"), request.json),
    ):
        if expected:
            wrong += [f"{part}{where}" for where in unfit(expected, got)]
    if "body" in wanted and not _fits(wanted["body"], request.body.decode("utf-8", "replace")):
        wrong.append("body")
    return wrong


def unfit(expected: Any, got: Any, where: str = "") -> list[str]:
    """Places where `got` lacks something of `expected`. Objects may have more keys; lists must match one for one."""
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping):
            return [f"{where}: an object was expected"]
        return [
            words
            for key, item in expected.items()
            for words in (unfit(item, got[key], f"{where}.{key}") if key in got else [f"{where}.{key} is missing"])
        ]
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return [f"{where}: {len(expected)} entries were expected"]
        return [w for place, item in enumerate(expected) for w in unfit(item, got[place], f"{where}[{place}]")]
    if isinstance(expected, str):
        return [] if isinstance(got, str) and _fits(expected, got) else [f"{where}: {expected!r} expected, got {got!r}"]
    return [] if expected == got else [f"{where}: {expected!r} expected, got {got!r}"]


def _fits(expected: str, got: str) -> bool:
    if expected.startswith("~"):
        return re.fullmatch(expected[1:], got, re.DOTALL) is not None
    return expected == got


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    replay: ReplayServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _one(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            self.command,
            url.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        self._write(self.server.replay.answer(request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _one

    def _write(self, answer: Mapping[str, Any]) -> None:
        if answer.get("drop"):
            self._hang_up()
            return
        if "garbage" in answer:
            self.wfile.write(answer["garbage"].encode())
            self._hang_up()
            return
        content, kind = _content(answer)
        self.send_response_only(answer.get("status", 200))
        headers = {"Content-Type": kind, **answer.get("headers", {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *parts: object) -> None:
        """Says nothing: a test's output is its own."""


def _content(answer: Mapping[str, Any]) -> tuple[bytes, str]:
    """An answer's body and its type."""
    if "json" in answer:
        return json.dumps(answer["json"]).encode(), "application/json"
    if "base64" in answer:
        import base64

        return base64.b64decode(answer["base64"]), "application/octet-stream"
    return str(answer.get("text", "")).encode(), "text/html; charset=utf-8"
