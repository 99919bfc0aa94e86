"""The process dies (os._exit) at any line of putting a backup back: the old store is whole, or the new one, stopped.

The old store has posts that the backup doesn't know, and one that waits; its last rows are in its log only, as a dead
worker leaves it. Each line that a restore goes through, and each write of it, is a place to die: 96 deaths.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot.flow import restore
from bot.model import State
from bot.standstill import take_over
from bot.store import Store, deliveries
from bot.store.backup import back_up, put_back, verify
from bot.store.stops import Lift, Scope, switches
from bot.store.witness import ForgetRestored, restored_since
from bot.testing.clock import ManualClock
from bot.testing.network_server import Published
from bot.testing.newsroom import pass_time, settle_down
from tests.flow.ledger_check import faults
from tests.flow.stories import House, article
from tests.killpoints.lives import Child

MINUTE = timedelta(minutes=1)
#: What is read of a store to tell whether it is whole.
TABLES = ("articles", "article_keys", "deliveries", "attempts", "occupied", "decisions", "sources", "accounts")


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    opened = Child()
    yield opened
    opened.close()


@dataclass
class Scene:
    """A folder as a dead worker left it, a backup of ten minutes before, and what the public saw."""

    house: House
    folder: Path
    backup: Path
    posts: list[Published]
    old: dict[str, list[tuple[object, ...]]]
    new: dict[str, list[tuple[object, ...]]]

    def laid_out(self, to: Path) -> Path:
        """A copy of the folder to restore in; the store's path there."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        self.house.server.posts = list(self.posts)
        return to / "wirepost.db"


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a store but what a restore writes itself."""
    with closing(sqlite3.connect(path)) as store:
        return {
            table: [
                tuple(value for name, value in zip(row.keys(), row, strict=True) if name not in ("dirty", "version"))
                for row in _named(store, table)
            ]
            for table in TABLES
        }


def _named(store: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    store.row_factory = sqlite3.Row
    return store.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


@pytest.fixture
def scene(sqlite_store: Store, clock: ManualClock, tmp_path: Path) -> Scene:
    """Article 1 is out and in the backup, where 2 waits; 2 is out since, and 3 waits in the old store."""
    rules = {
        "schedules": {"day": {"daily": [f"{hour}:{minute}" for hour in range(14, 19) for minute in ("00", "30")]}},
        "routes": [{"name": "all", "schedule": "day"}],
    }
    house = House(sqlite_store, clock, rules=rules)
    house.show(article(1), article(2))
    pass_time(house.room, 25 * MINUTE, step=MINUTE)
    copy = back_up(sqlite_store, tmp_path / "backups", clock.now())
    house.show(article(1), article(2), article(3))
    pass_time(house.room, 35 * MINUTE, step=MINUTE)
    assert len(house.server.posts) == 2
    assert sqlite_store.path is not None
    shutil.copytree(sqlite_store.path.parent, tmp_path / "left")  # before a last connection folds the log in
    assert (tmp_path / "left" / "wirepost.db-wal").stat().st_size
    return Scene(house, tmp_path / "left", copy, list(house.server.posts), rows_of(sqlite_store.path), rows_of(copy))


def a_restore(scene: Scene, path: Path, **more: object) -> dict[str, object]:
    start = scene.house.clock.now().isoformat()
    return {"backup": str(scene.backup), "store": str(path), "start": start, **more}


def is_new(path: Path) -> bool:
    """Which of the two stands there? Neither half of one nor a mixture."""
    verify(path)
    store = Store(f"sqlite:///{path}", ManualClock(), own_time=False)
    with store.read() as tx:
        marked, stopped = restored_since(tx), [switch.scope for switch in switches(tx)]
    store.close()
    assert (marked is not None, stopped) in ((True, [Scope.ALL]), (False, []))
    return marked is not None


def worked_on(scene: Scene, path: Path, *, resumed: bool) -> Counter[str | None]:
    """A worker starts on what is there (a person resumes it first); what the public sees an hour later."""
    scene.house.store = Store(f"sqlite:///{path}", scene.house.clock, own_time=False)
    room = scene.house.newsroom("worker-2")
    if resumed:
        assert take_over(room) == []
        with room.store.read() as tx:
            on = switches(tx)
        for switch in on:
            room.store.commit(Lift(switch.id, "ana"))
        room.store.commit(ForgetRestored("ana"))
    restore.run(room, anyway=True)
    settle_down(room)
    pass_time(room, 60 * MINUTE, step=10 * MINUTE)
    assert faults(room.store) == []
    with room.store.read() as tx:
        waiting = [one for one in deliveries.listing(tx, states=list(State)) if one.state is State.WAITING]
    assert bool(waiting) == (not resumed and is_new(path))
    room.store.close()
    return Counter(post.link for post in scene.house.server.posts)


def test_p103_a_death_while_a_backup_is_put_back_leaves_the_old_store_or_the_new_one_stopped(
    child: Child, scene: Scene, tmp_path: Path
) -> None:
    path = scene.laid_out(tmp_path / "here")
    points = child.through(a_restore(scene, path))
    assert is_new(path)
    assert len(points) > 90
    found: list[bool] = []
    for point in range(1, len(points) + 1):
        path = scene.laid_out(tmp_path / "here")
        name, _ = child.killed(a_restore(scene, path, die_at=point))
        found.append(is_new(path))
        assert rows_of(path) == (scene.new if found[-1] else scene.old), (point, name)
    assert found == sorted(found)  # the old one until some line, the new one from there on
    assert set(found) == {False, True}


@pytest.mark.parametrize(
    ("step", "lines_left", "new"),
    [("_make_ready", 0, False), ("_swap", 1, False), ("_swap", 0, True)],
    ids=["before the swap", "just before the new one takes its place", "just after"],
)
def test_p103_nothing_is_doubled_or_lost_after_a_death_in_a_restore(
    child: Child, scene: Scene, tmp_path: Path, step: str, lines_left: int, new: bool
) -> None:
    links = [article(number).link for number in (1, 2, 3)]
    points = child.through(a_restore(scene, scene.laid_out(tmp_path / "here")))
    lines = [number for number, name in enumerate(points, 1) if name.startswith(step)]
    path = scene.laid_out(tmp_path / "here")
    child.killed(a_restore(scene, path, die_at=lines[-1 - lines_left]))
    assert is_new(path) == new
    # The old one goes on as if nothing had been; the new one sends nothing before a person resumes it.
    assert worked_on(scene, path, resumed=False) == Counter(links[:2] if new else links)
    put_back(scene.backup, path, scene.house.clock, stop="again", who="ana")
    assert worked_on(scene, path, resumed=True) == Counter(links)
