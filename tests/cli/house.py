"""A newsroom in a folder: settings, stories, secrets, and a receiver that counts what reaches it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bot.app import build, prepare
from bot.cli import main
from bot.pass_once import run_once
from bot.settings import load

SETTINGS = """\
house    = "The Test Gazette"
timezone = "Europe/London"

[sources.desk]
kind       = "folder"
path       = "in"
first_look = "all"
settle     = "0s"

[defaults]
caps = {{ hour = 100, day = 100, gap = "0s" }}

[accounts.paper]
network = "outbox"
{more}
[[routes]]
name = "shut"
when = {{ sections = ["internal"] }}
to   = []
reason = "Internal notes stay inside."

[[routes]]
name = "sport"
when = {{ sections = ["sport"] }}
to   = ["paper"]
hold = true

[[routes]]
name = "all"
when = {{ not_sections = ["weather"] }}
"""

HOOK = """
[accounts.hook]
network = "webhook"
live = {live}
allow_private = true
"""

STORY = """\
---
title: {title}
link: https://www.example.com/{slug}
section: {section}
tags: [{tags}]
---
{title}, said the mayor on Tuesday. The vote was close, and nobody had expected it.
"""


#: A command: House and words to stdout and stderr; `code`: the exit code that it must end with.
Run = Callable[..., tuple[str, str]]


@dataclass
class House:
    """One folder with everything in it."""

    folder: Path
    stories: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "config" / "wirepost.toml"

    @property
    def database(self) -> Path:
        return self.folder / "var" / "wirepost.db"

    def story(self, title: str, section: str = "city", *, tags: str = "Harbour", name: str | None = None) -> Path:
        """A whole story, written long enough ago to be no half-written one."""
        slug = title.lower().replace(" ", "-")
        path = self.folder / "in" / (name or f"{slug}.md")
        path.write_text(STORY.format(title=title, slug=slug, section=section, tags=tags), encoding="utf-8")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        return path

    def call(self, *words: str) -> int:
        """A command in this process; its exit code."""
        return main(["-c", str(self.config), *words])

    def one_pass(self, only: str | None = None) -> int:
        """`wirepost run --once` on the real store, without the signals of a process of its own."""
        settings = load(self.config, environ={})
        prepare(settings)
        app = build(settings)
        try:
            return run_once(app, only)
        finally:
            app.close()

    def posts(self) -> list[dict[str, Any]]:
        """What stands in the outbox."""
        path = self.folder / "var" / "outbox" / "posts.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def everything(self) -> Mapping[str, bytes]:
        """Each file of the folder with its bytes."""
        return {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


def house(folder: Path, *, more: str = "") -> House:
    """Settings with one outbox account (and `more`), and an empty folder for stories."""
    for name in ("config", "in"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    made = House(folder)
    made.config.write_text(SETTINGS.format(more=more), encoding="utf-8")
    return made


class Receiver(ThreadingHTTPServer):
    """Takes posts; `heard` is each request's method and body. `hangs_up`: it takes a post and says nothing."""

    def __init__(self) -> None:
        self.hangs_up = False
        self.heard: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/in"

    @property
    def bodies(self) -> list[bytes]:
        return [body for method, body in self.heard if method == "POST"]


class _Handler(BaseHTTPRequestHandler):
    def _take(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        server.heard.append((self.command, self.rfile.read(int(self.headers.get("Content-Length") or 0))))
        if server.hangs_up and self.command == "POST":
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_GET = _take

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback for the time of a test."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def house_with_hook(folder: Path, address: str, *, live: bool = True) -> House:
    """The same with an account that posts to an address; its secrets lie in files."""
    made = house(folder, more=HOOK.format(live=str(live).lower()))
    secrets = folder / "secrets" / "accounts" / "hook"
    secrets.mkdir(parents=True)
    (secrets / "url").write_text(address, encoding="ascii")
    (secrets / "secret").write_text("0123456789abcdef0123", encoding="ascii")
    return made
