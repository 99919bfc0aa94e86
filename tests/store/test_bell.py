"""The bell between workers on one PostgreSQL: heard by the others, lost without harm, mended by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import text

from bot.clock import SystemClock
from bot.store import Store
from bot.store.bell import Bell

# A bell rings within a fraction of a second; nobody waits for so long unless it is broken.
PATIENCE = 60.0


class Listener:
    """A worker's bell in a thread of its own, and what it heard."""

    def __init__(self, url: str, worker: str) -> None:
        self.store = Store(url, SystemClock())
        self.stopping = threading.Event()
        self.heard: list[str] = []
        self.news = threading.Event()
        self.bell = Bell(self.store, worker, self.hear, self.stopping)
        self.thread = threading.Thread(target=self.bell.run)

    def hear(self, step: str) -> None:
        self.heard.append(step)
        self.news.set()

    def hears(self, other: Listener, *steps: str) -> bool:
        """Ring at the other end until it is heard here: who rings before anybody listens is not heard."""
        self.news.clear()
        for _ in range(int(PATIENCE)):
            for step in steps:
                other.bell.ring(step)
            if self.news.wait(1.0):
                return True
        return False


@contextmanager
def listening(url: str, worker: str) -> Iterator[Listener]:
    one = Listener(url, worker)
    one.thread.start()
    try:
        yield one
    finally:
        one.stopping.set()
        one.thread.join()
        one.store.close()


@pytest.fixture
def ends(postgres_url: str) -> Iterator[tuple[Listener, Listener]]:
    """The bells of two workers."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(listening(postgres_url, "host:1")),
            stack.enter_context(listening(postgres_url, "host:2")),
        )


def test_what_one_worker_wakes_the_others_hear_and_it_does_not_hear_itself(ends: tuple[Listener, Listener]) -> None:
    here, there = ends
    assert there.hears(here, "deliver", "plan", "plan")
    assert set(there.heard) <= {"deliver", "plan"}
    assert here.heard == []
    assert here.hears(there, "schedule")
    assert set(here.heard) == {"schedule"}


def test_a_bell_whose_connection_broke_rings_again_by_itself(ends: tuple[Listener, Listener]) -> None:
    here, there = ends
    assert there.hears(here, "deliver")
    with here.store.engine.connect() as connection:
        killed = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()
    assert len(killed) >= 2
    assert there.hears(here, "deliver")
    assert here.hears(there, "deliver")
