"""The worker goes on when its timers don't: they reckon by the wall clock, and that can be set."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path

from bot.app import App, build, prepare
from bot.clock import SystemClock
from bot.settings import load
from bot.store import articles
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


def test_a_file_that_comes_while_the_look_before_it_ends_is_looked_at(tmp_path: Path) -> None:
    """What a source tells just when a look is over was taken for seen by it, and waited for the next look's time."""
    (tmp_path / "in").mkdir()
    (tmp_path / "wirepost.toml").write_text(SETTINGS.format(settle="0s"), "utf-8")
    settings = load(tmp_path / "wirepost.toml", environ={})
    prepare(settings)
    app = build(settings)
    worker = Worker(app)
    worker.start()
    try:
        for number in range(60):
            title = f"Story {number} of the day {number * 7919 % 1000}"
            text = json.dumps({"title": title, "link": f"https://www.example.com/{number}"})
            (tmp_path / "in" / f"{number}.json").write_text(text, "utf-8")
            eventually(partial(knows, app, number + 1), f"article {number}")
    finally:
        assert worker.stop()
        app.close()


def knows(app: App, number: int) -> bool:
    with app.store.read() as tx:
        return len(articles.recent(tx, since=tx.now - timedelta(days=1))) == number
