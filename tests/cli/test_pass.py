"""A pass that a network slows down: it waits for short rests, and leaves long ones to the next pass."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from bot.app import build, prepare
from bot.clock import SystemClock
from bot.pass_once import PATIENCE, run_once
from bot.settings import load
from bot.testing.clock import ManualClock
from bot.testing.mastodon_server import Fault, MastodonServer, Plan

STORIES = 6


def newsroom(folder: Path, server: str) -> dict[str, str]:
    """A folder of stories and two accounts, said by the environment alone."""
    (folder / "in").mkdir()
    for number in range(STORIES):
        page = f"---\ntitle: Story number {number} of the day\nlink: https://www.example.com/{number}\n---\nText.\n"
        (folder / "in" / f"{number}.md").write_text(page)
    said = {
        "WIREPOST_VAR": str(folder / "var"),
        "WIREPOST_SOURCES__MAIN__KIND": "folder",
        "WIREPOST_SOURCES__MAIN__PATH": str(folder / "in"),
        "WIREPOST_ROUTES": '[{"name": "all"}]',
        "WIREPOST_DEFAULTS__FIRST_LOOK": "all",
        "WIREPOST_DEFAULTS__SETTLE": "0s",
        "WIREPOST_DEFAULTS__CAPS": "{}",
        "WIREPOST_DEFAULTS__NEAR_DUPLICATE": "warn",
    }
    for number in (1, 2):
        mine = {"NETWORK": "mastodon", "SERVER": server, "TOKEN": f"token-{number}", "LIVE": "true"}
        mine |= {"ALLOW_PRIVATE": "true", "PACE": "server"}
        said |= {f"WIREPOST_ACCOUNTS__A{number}__{key}": value for key, value in mine.items()}
    return said


def one_pass(folder: Path, said: dict[str, str], clock: ManualClock) -> int:
    settings = load(Path("/dev/null"), environ=said)
    prepare(settings, clock)
    app = build(settings, clock=clock)
    try:
        return run_once(app)
    finally:
        app.close()


def every_other_post_of(limited: str, rests: int) -> Plan:
    """The account posts, is told to rest, posts, is told to rest … so many times."""
    asked = count()

    def plan(number: int, account: str) -> Fault | None:
        turn = next(asked) if account == limited else 0
        return Fault.LIMITED if turn % 2 and turn < 2 * rests else None

    return plan


@pytest.fixture
def present() -> ManualClock:
    return ManualClock(SystemClock().now())


def test_a_pass_goes_on_after_rests_that_the_network_asks_for(tmp_path: Path, present: ManualClock) -> None:
    """Together they are longer than the patience, but posts leave between them."""
    began = present.monotonic()
    with MastodonServer(clock=present, limit=timedelta(seconds=50)) as server:
        server.faults = every_other_post_of("1", rests=3)
        assert one_pass(tmp_path, newsroom(tmp_path, server.base), present) == 0
        assert server.refused == 3
        assert len({(status.account, status.text) for status in server.statuses}) == len(server.statuses) == 2 * STORIES
    assert present.monotonic() - began > PATIENCE


def test_a_long_rest_is_left_to_the_next_pass(tmp_path: Path, present: ManualClock) -> None:
    """One account may not post for an hour: the other's posts go, the pass ends at once and says that some wait."""
    with MastodonServer(clock=present, limit=timedelta(hours=1)) as server:
        server.faults = lambda number, account: Fault.LIMITED if account == "1" else None
        said, began = newsroom(tmp_path, server.base), present.monotonic()
        assert one_pass(tmp_path, said, present) == 3
        assert {status.account for status in server.statuses} == {"2"}
        assert len(server.statuses) == STORIES
        assert present.monotonic() - began < PATIENCE


def test_a_network_that_never_stops_asking_for_rest_ends_the_pass(tmp_path: Path, present: ManualClock) -> None:
    """Nothing leaves, so nothing renews the patience."""
    with MastodonServer(clock=present, limit=timedelta(seconds=5)) as server:
        server.faults = lambda number, account: Fault.LIMITED
        assert one_pass(tmp_path, newsroom(tmp_path, server.base), present) == 3
        assert server.statuses == []
        assert server.refused > 4
