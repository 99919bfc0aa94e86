"""The bell between workers on one PostgreSQL: heard by the others, lost without harm, mended by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from bot.cli import main
from bot.clock import SystemClock
from bot.store import Store
from bot.store.bell import AFTER_AN_ACT, Bell, ring_once
from bot.store.migrate import _config, migrate

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

    def has_heard(self, steps: set[str]) -> bool:
        """Wait until all of these were heard."""
        for _ in range(int(PATIENCE)):
            self.news.clear()
            if steps <= set(self.heard):
                return True
            self.news.wait(1.0)
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


@pytest.mark.parametrize("words", [["stop", "--all"], ["resume", "--yes"], ["post", "none such", "--account", "paper"]])
def test_a_command_beside_the_workers_rings_once_when_it_ends(
    ends: tuple[Listener, Listener], tmp_path: Path, words: list[str]
) -> None:
    """A worker acts on what a person did at once, not at its tick; also where the command ends in an error."""
    here, there = ends
    assert there.hears(here, "check")  # from now on it listens
    settings = tmp_path / "wirepost.toml"
    url = here.store.url.render_as_string(hide_password=False)
    settings.write_text(f'[store]\nurl = "{url}"\n\n[accounts.paper]\nnetwork = "outbox"\n', "utf-8")
    main(["-c", str(settings), *words])
    assert there.has_heard(set(AFTER_AN_ACT))
    assert set(there.heard) == {"check", *AFTER_AN_ACT}
    assert there.heard.count("plan") == 1


def test_a_migration_rings_so_that_workers_of_the_older_version_stop_at_once(postgres_url: str) -> None:
    """They look at the schema at their watch, else each 15 s."""
    with listening(postgres_url, "host:1") as there, listening(postgres_url, "host:2") as here:
        assert there.hears(here, "check")
        with here.store.engine.connect().execution_options(writes=True) as connection, connection.begin():
            command.downgrade(_config(connection), "0001")
        assert migrate(here.store) is True
        assert there.has_heard({"watch"})
        assert migrate(here.store) is False


def test_a_command_on_sqlite_or_without_its_database_rings_no_bell_and_says_nothing(sqlite_url: str) -> None:
    for url in (sqlite_url, "postgresql://nobody@127.0.0.1:9/none"):
        store = Store(url, SystemClock())
        ring_once(store, "host:3")
        store.close()


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
