"""The process really dies (os._exit) between any two writes or bytes: after a restart no double, nothing lost.

P03: 60 real kills in the suite, spread evenly over all points of discover, plan, deliver and reconcile, on both
databases and against servers that honour keys and that ignore them; all points under the soak marker.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.model import State
from bot.store import Store, deliveries
from bot.testing.clock import START, ManualClock
from bot.testing.mastodon_server import Fault, MastodonServer, scripted

ROOT = Path(__file__).parents[2]
ARTICLES, ACCOUNTS = 1, 2
KILLS = 15  # on each of two databases, for keys honoured and ignored: 60
DIED = 9


class Child:
    """The fork server."""

    def __init__(self) -> None:
        path = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251
        command = [sys.executable, str(Path(__file__).with_name("child.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=path, text=True, cwd=ROOT
        )

    def run(self, **scenario: Any) -> tuple[int, Any]:
        """One life: its exit code, and the points it passed (or the error that ended it)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(scenario) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["code"], json.loads(answer["said"]) if answer["said"] else None

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    opened = Child()
    yield opened
    opened.close()


def life(child: Child, store: str, server: MastodonServer, **more: Any) -> tuple[int, Any]:
    plain = {"articles": ARTICLES, "accounts": ACCOUNTS, "for": 0, "seed": 1, "start": START.isoformat()}
    return child.run(store=store, server=server.base, **{**plain, **more})


def after_restart(child: Child, store: str, server: MastodonServer) -> None:
    """A second worker a minute later, with time enough for leases and look-ups; then what must hold, holds."""
    later = (START + timedelta(minutes=1)).isoformat()
    code, said = life(child, store, server, start=later, seed=2, **{"for": 240})
    assert code == 0, said
    texts = Counter((status.account, status.text) for status in server.statuses)
    assert set(texts.values()) <= {1}, f"doubled: {texts}"
    assert len(texts) == ARTICLES * ACCOUNTS, f"lost: {texts}"
    opened = Store(store, ManualClock(), own_time=False)
    with opened.read() as tx:
        states = Counter(row.state for row in deliveries.listing(tx, states=list(State)))
    opened.close()
    assert states == {State.SENT: ARTICLES * ACCOUNTS}


def copy_of(store: str, number: int) -> str:
    """SQLite: a fresh file for each kill. PostgreSQL is cleared instead, see `cleared`."""
    path = Path(store.removeprefix("sqlite:///"))
    fresh = path.with_name(f"kill-{number}.db")
    shutil.copyfile(path, fresh)
    return f"sqlite:///{fresh}"


def cleared(store: str) -> str:
    from bot.store.schema import meta, metadata

    opened = Store(store, ManualClock(), own_time=False)
    with opened.engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table is not meta:
                connection.execute(table.delete())
    opened.close()
    return store


def fresh(store: str, number: int) -> str:
    return copy_of(store, number) if store.startswith("sqlite") else cleared(store)


def _server(keys: bool) -> MastodonServer:
    """One lost answer, so that reconcile has something to do; its clock goes with the lives that it meets."""
    clock = ManualClock(START + timedelta(minutes=2))
    return MastodonServer(keys=keys, faults=scripted([Fault.DROP_AFTER]), clock=clock)


def points_of(child: Child, store: str, keys: bool) -> list[str]:
    """All points of one undisturbed life with a lost answer in it, so that reconcile has something to do."""
    with _server(keys) as server:
        code, points = life(child, store, server, **{"for": 200})
        assert code == 0, points
        return list(points)


def kill_at(child: Child, store: str, keys: bool, point: int) -> None:
    with _server(keys) as server:
        code, said = life(child, store, server, die_at=point, **{"for": 200})
        assert code == DIED, (point, said)
        after_restart(child, store, server)


@pytest.mark.parametrize("keys", [True, False], ids=["keys honoured", "keys ignored"])
def test_p03_a_death_at_any_point_doubles_nothing_and_loses_nothing(child: Child, store_url: str, keys: bool) -> None:
    points = points_of(child, fresh(store_url, 0), keys)
    assert {name.partition(" ")[0] for name in points} >= {"sql", "deliver", "plan", "discover", "before", "after"}
    step = len(points) / KILLS
    chosen = sorted({1 + int(step * number + (step / 2 if keys else 0)) for number in range(KILLS)})
    for point in chosen:
        kill_at(child, fresh(store_url, point), keys, point)


@pytest.mark.soak
@pytest.mark.parametrize("keys", [True, False], ids=["keys honoured", "keys ignored"])
def test_p03_a_death_at_every_point(child: Child, store_url: str, keys: bool) -> None:
    for point in range(1, len(points_of(child, fresh(store_url, 0), keys)) + 1):
        kill_at(child, fresh(store_url, point), keys, point)
