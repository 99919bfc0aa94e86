"""The worker goes on when its timers don't: they reckon by the wall clock, and that can be set."""

from __future__ import annotations

import threading
from pathlib import Path

from bot.app import build, prepare
from bot.clock import SystemClock
from bot.settings import load
from bot.worker import Worker
from tests.e2e.process import eventually, posts

SETTINGS = """\
[sources.main]
kind = "folder"
path = "in"
first_look = "all"
settle = "{settle}"

[accounts.desk]
network = "outbox"
live = true

[[routes]]
name = "all"
"""


class Hurried(SystemClock):
    """True time, of which nobody waits for more than a hundredth."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return super().wait(event, seconds / 100)


def test_p41_a_wall_clock_that_is_set_back_stops_nobody(tmp_path: Path) -> None:
    """With its wall clock an hour back, APScheduler runs no job for an hour; here it rests for good."""
    (tmp_path / "in").mkdir()
    (tmp_path / "wirepost.toml").write_text(SETTINGS.format(settle="1s"), "utf-8")
    settings = load(tmp_path / "wirepost.toml", environ={})
    prepare(settings)
    app = build(settings, clock=Hurried())
    worker = Worker(app)
    worker.start()
    try:
        worker._scheduler.pause()
        (tmp_path / "in" / "a.json").write_text('{"title": "Rail strike is off", "link": "https://www.example.com/1"}')
        eventually(lambda: len(posts(tmp_path)) == 1, "the post")
    finally:
        assert worker.stop()
        app.close()
