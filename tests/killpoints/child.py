"""A process that can die at any point of the flow. It serves forks of itself, so that imports are paid for once.

Reads one JSON scenario a line, forks, lives it in the fork, and answers with the fork's exit code and last words. A
point is a statement that writes, a commit, a byte on the wire, or a named place in a step, while a backup is put back
also each line of the code that does it; `die_at` is its number. A
scenario with `here` is lived in the serving process itself: it warms what its forks inherit (no connection stays open).
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import Engine, event

from bot import networks
from bot.clock import SeededRandom
from bot.flow import check, deliver, discover, plan, reconcile, schedule
from bot.flow.newsroom import Newsroom
from bot.http import Door
from bot.model import Article
from bot.networks.base import Network
from bot.store import Store, backup, hold
from bot.store import deliveries as stored_deliveries
from bot.store.migrate import migrate
from bot.testing.clock import ManualClock
from bot.testing.network import Fake
from bot.testing.newsroom import AT_ONCE, editorial, newsroom

DIED = 9
WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP")
#: Time goes by in steps of so many seconds.
STEP = 60.0


class Points:
    """Counts the places where this process could die, and dies at one of them, after its last words."""

    def __init__(self, clock: ManualClock, die_at: int | None, last_words: int) -> None:
        self.names: list[str] = []
        self._clock = clock
        self._die_at = die_at
        self._last_words = last_words
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._lock:
            self.names.append(name)
            if len(self.names) == self._die_at:
                told = json.dumps({"died": name, "at": self._clock.now().isoformat()})
                os.write(self._last_words, told.encode())
                os._exit(DIED)

    def statement(self, sql: str) -> None:
        """A statement is about to run; one that only reads changes nothing by dying before it."""
        words = sql.split(None, 3)
        if words and words[0] in WRITES:
            self(f"write {' '.join(words[:3])}")


STORES: dict[str, Store] = {}
ALIVE: list[Points] = []


def opened(url: str, clock: ManualClock, points: Points) -> Store:
    """The store at an address; one that the serving process used comes with all its statements compiled."""
    store = STORES.get(url)
    if store is None:
        store = STORES[url] = Store(url, clock, own_time=False)
        event.listen(store.engine, "before_cursor_execute", lambda *parts: ALIVE[-1].statement(parts[2]))
    ALIVE.append(points)
    store.clock, store.crash = clock, points
    return store


def live(scenario: dict[str, Any], last_words: int) -> list[str]:
    """One life of a worker, from its start to its end; the points that it passed."""
    clock = ManualClock(datetime.fromisoformat(scenario["start"]))
    points = Points(clock, scenario.get("die_at"), last_words)
    if "backup" in scenario:
        put_back(Path(scenario["backup"]), Path(scenario["store"]), clock, points)
        return points.names
    store = opened(scenario["store"], clock, points)
    if scenario.get("migrate"):
        migrate(store)
    else:
        room = _newsroom(scenario, store, clock, points)
        _work(room, clock, [list(_articles(look)) for look in scenario["looks"]], scenario)
        room.door.close()
    store.close()
    return points.names


def put_back(copy: Path, path: Path, clock: ManualClock, points: Points) -> None:
    """What `wirepost db restore` does to the files."""
    ours = {backup.__file__, hold.__file__}

    def trace(frame: FrameType, kind: str, _: object) -> Any:
        if frame.f_code.co_filename not in ours:
            return None
        if kind == "line":
            points(f"{frame.f_code.co_name}, line {frame.f_lineno - frame.f_code.co_firstlineno}")
        return trace

    event.listen(Engine, "before_cursor_execute", lambda *parts: points.statement(parts[2]))
    sys.settrace(trace)
    backup.put_back(copy, path, clock, stop="halt", who="ana")
    sys.settrace(None)


def _newsroom(scenario: dict[str, Any], store: Store, clock: ManualClock, points: Points) -> Newsroom:
    network: type[Network] = Fake if scenario["network"] == "fake" else networks.network(scenario["network"])
    place = {"base" if network is Fake else "server": scenario["server"], "allow_private": True}
    names = [f"a{number}" for number in range(1, scenario["accounts"] + 1)]
    options = {
        name: network.Options.model_validate({**place, "token": f"token-{name[1:]}", **scenario["options"]})
        for name in names
    }
    rules = {**AT_ONCE, "first_look": "all", "near_duplicate": "warn"}
    room = newsroom(
        store,
        clock,
        editorial({name: {"network": network.name} for name in names}, defaults=rules),
        options=options,
        network=network,
        random=SeededRandom(scenario["seed"]),
        worker=f"worker-{scenario['seed']}",
        crash=points,
    )
    room.door = Door(clock, user_agent="Wirepost test", crash=points)
    return room


def _articles(look: Sequence[dict[str, Any]]) -> Iterator[Article]:
    return (Article(source="main", **fields) for fields in look)


def _work(room: Newsroom, clock: ManualClock, looks: Sequence[list[Article]], scenario: dict[str, Any]) -> None:
    """Each look shows what the source has then; between two of them, and after the last, time goes by."""
    for shown in looks:
        room.sources["main"].show(*shown)
        discover.run(room, anyway=True)
        _settle(room, scenario.get("threads", False))
        left = scenario["for"] / len(looks)
        while left > 0:
            clock.advance(min(STEP, left))
            left -= STEP
            discover.run(room)
            _settle(room, scenario.get("threads", False))


def _settle(room: Newsroom, threads: bool) -> None:
    """Every step in turn until none of them does anything."""
    sending = _deliver_at_once if threads else deliver.run
    for _ in range(20):
        moved = [step(room) for step in (check.run, plan.run, schedule.run, sending, reconcile.run)]
        if not any(moved):
            return


def _deliver_at_once(room: Newsroom) -> bool:
    """A thread for each account, as the worker has them: their writes share transactions."""
    with room.store.read() as tx:
        names = stored_deliveries.due_accounts(tx)
    sent: list[bool] = []
    threads = [
        threading.Thread(target=lambda name=name: sent.append(deliver.run_account(room, name))) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return any(sent)


def attempt(scenario: dict[str, Any], last_words: int) -> int:
    """A life and its last words; the exit code."""
    try:
        said: dict[str, Any] = {"points": live(scenario, last_words)}
    except BaseException as error:  # noqa: BLE001 -- told to the test, which fails on it
        said = {"error": repr(error)}
    os.write(last_words, json.dumps(said).encode())
    return 1 if "error" in said else 0


def forked(scenario: dict[str, Any], reading: int, writing: int) -> int:
    """The same in a fork of this process; its exit code, once it is dead."""
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(attempt(scenario, writing))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def serve() -> None:
    gc.disable()  # a life is too short for it, and a sweep in a fork copies every page
    for line in sys.stdin:
        scenario = json.loads(line)
        reading, writing = os.pipe()
        code = attempt(scenario, writing) if scenario.get("here") else forked(scenario, reading, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = json.loads(pipe.read() or b"{}")
        sys.stdout.write(json.dumps({"code": code, "said": said}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
