"""Whole apps for tests: settings file, store, witness and key in a folder; a Mastodon server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.app import App, begin, build, prepare
from bot.settings import load
from bot.store.witness import Finding
from bot.testing.clock import ManualClock
from bot.testing.source import Scripted

SETTINGS = """\
[sources.main]
kind = "folder"
path = "in"
first_look = "{first_look}"
settle = "0s"

[defaults]
caps = {{ hour = 100, day = 1000, gap = "0s" }}
near_duplicate = "warn"

[accounts.desk]
network = "mastodon"
server = "{server}"
live = true
allow_private = true

[[routes]]
name = "all"
"""


@contextmanager
def running(
    folder: Path, clock: ManualClock, server: str, source: Scripted, *, first_look: str = "nothing"
) -> Iterator[tuple[App, Finding]]:
    """One life of a worker: what it found at its start, and the app; the scripted source stands for the folder."""
    (folder / "in").mkdir(exist_ok=True)
    path = folder / "wirepost.toml"
    path.write_text(SETTINGS.format(server=server, first_look=first_look), "utf-8")
    settings = load(path, environ={"WIREPOST_ACCOUNTS__DESK__TOKEN": "token-1"})
    prepare(settings, clock)
    app = build(settings, clock=clock, own_time=False, worker=f"worker-{clock.monotonic()}")
    try:
        finding = begin(app)
        app.newsroom.sources = {"main": source}
        yield app, finding
        app.write_witness()
    finally:
        app.close()
