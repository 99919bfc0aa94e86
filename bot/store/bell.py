"""The bell between workers on one PostgreSQL: what a commit of one lets run soon, it lets run soon in all of them; and
what a command beside them lets run soon, which rings once, at its end.

It only saves waiting. What is due stands in rows, and each worker's ticks find it anyway: a bell that is broken, or a
ring that got lost, costs seconds and nothing else. So rings are gathered for a moment and sent apart from the commits
they tell of, which then pay nothing for it (a NOTIFY within them would make PostgreSQL commit them one by one).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot.log import events
from bot.store.engine import Store

log = events("bell")

CHANNEL = "wirepost"
_NOTIFY = "SELECT pg_notify(%s, %s)"
# What a person's act may let run: each step wakes the ones behind it when it has done something.
AFTER_AN_ACT = ("plan", "schedule", "deliver")
# So long rings are gathered, in seconds, and so soon they are heard.
GATHER = 0.2
# After the connection broke: the next tries, in seconds; then always the last.
AGAIN = (1.0, 2.0, 5.0, 15.0)


class Bell:
    """One worker's end of it. `hear` is called with each step that another worker's commit lets run."""

    def __init__(self, store: Store, worker: str, hear: Callable[[str], None], stopping: threading.Event) -> None:
        self._store = store
        self._worker = worker
        self._hear = hear
        self._stopping = stopping
        self._lock = threading.Lock()
        self._rung: set[str] = set()

    def ring(self, step: str) -> None:
        """Let this step run soon in the other workers. Costs nothing here."""
        with self._lock:
            self._rung.add(step)

    def run(self) -> None:
        """Send and hear until the worker stops; whatever breaks is tried again."""
        failures = 0
        while not self._stopping.is_set():
            try:
                for _ in self._rounds():
                    failures = 0
            except Exception as error:  # noqa: BLE001 -- the driver's, the pool's: the ticks go on without us
                log.warning("bell_broken", error=type(error).__name__)
                self._store.clock.wait(self._stopping, AGAIN[min(failures, len(AGAIN) - 1)])
                failures += 1

    def _rounds(self) -> Iterator[None]:
        """One connection's life, a round at a time."""
        connection = self._store.engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            while not self._stopping.is_set():
                self._send(driver)
                for told in driver.notifies(timeout=GATHER):
                    self._heard(told.payload)
                yield
        finally:
            connection.invalidate()  # it listens: nobody else should get it from the pool

    def _send(self, driver: Any) -> None:
        with self._lock:
            steps, self._rung = sorted(self._rung), set()
        if steps:
            driver.execute(_NOTIFY, _told(self._worker, steps))

    def _heard(self, payload: str) -> None:
        who, *steps = payload.split("\n")
        if who != self._worker:
            for step in steps:
                self._hear(step)


def ring_once(store: Store, who: str, steps: Sequence[str] = AFTER_AN_ACT) -> None:
    """A command has acted: the workers look at once. Never raises; on SQLite there is no bell, and nothing happens."""
    if store.is_sqlite:
        return
    with suppress(SQLAlchemyError), store.engine.begin() as connection:  # what it did stands: the ticks find it
        connection.exec_driver_sql(_NOTIFY, _told(who, steps))


def _told(who: str, steps: Iterable[str]) -> tuple[str, str]:
    return CHANNEL, "\n".join([who, *steps])
