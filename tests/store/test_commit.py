"""One write transaction for all who wait: what they share, and what they don't."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from bot.clock import SystemClock
from bot.errors import StoreError
from bot.store import Store, Tx
from bot.store.audit import Note, events_named
from bot.store.schema import meta, spend
from bot.testing.clock import START, ManualClock
from tests.store.line import Do, Line, in_line


def subjects(store: Store) -> list[str]:
    with store.read() as tx:
        return [one.subject for one in events_named(tx, "probe", since=START)]


def test_who_waits_shares_one_transaction_in_the_order_of_their_locks(store: Store) -> None:
    line = Line(store)
    order: list[str] = []
    names = ("c", "a", "b")
    line.together(**{name: Do(lambda tx, name=name: order.append(name), name) for name in names})
    assert order == ["a", "b", "c"]
    assert line.commits == ["after commit Do", "after commit Do+Do+Do"]


def test_each_gets_its_own_result_and_sees_what_came_before_in_the_same_transaction(store: Store) -> None:
    def write(name: str) -> Do:
        def apply(tx: Tx) -> tuple[str, int]:
            Note("probe", name).apply(tx)
            return name, len(events_named(tx, "probe", since=START))

        return Do(apply, name)

    answers = Line(store).together(a=write("a"), b=write("b"), c=write("c"))
    assert answers == {"a": ("a", 1), "b": ("b", 2), "c": ("c", 3)}


@pytest.mark.parametrize(
    "defect",
    [lambda tx: tx.execute(text("SELECT no_such_column FROM meta")), lambda tx: {}["a move that MOVES forbids"]],
    ids=["a statement", "a rule"],
)
def test_who_raises_spoils_no_other_and_leaves_nothing_behind(store: Store, defect: Any) -> None:
    def bad(tx: Tx) -> None:
        Note("probe", "half").apply(tx)
        defect(tx)

    line = Line(store)
    answers = line.together(a=Note("probe", "a", lock="a"), b=Do(bad, "b"), c=Note("probe", "c", lock="c"))
    assert (answers["a"], answers["c"]) == (None, None)
    assert isinstance(answers["b"], StoreError | KeyError)
    assert sorted(subjects(store)) == ["a", "c"]
    assert store.commit(Note("probe", "d")) is None


@pytest.fixture
def families(store: Store) -> Store:
    """A store with a constraint that only a commit checks: the one way to make a commit fail by itself."""

    @event.listens_for(store.engine, "connect")
    def keep_families(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA foreign_keys = ON")

    store.engine.dispose()
    with store.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        reference = "REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED"
        connection.execute(text(f"CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER {reference})"))
    return store


def test_a_commit_that_fails_is_told_to_everybody_and_nothing_of_it_stands(families: Store) -> None:
    orphan = Do(lambda tx: tx.execute(text("INSERT INTO children VALUES (1, 7)")), "b")
    line = Line(families)
    answers = line.together(a=Note("probe", "a", lock="a"), b=orphan, c=Note("probe", "c", lock="c"))
    assert [type(answers[name]) for name in "abc"] == [StoreError] * 3
    assert subjects(families) == []
    assert line.commits == ["after commit Do"]
    families.commit(Note("probe", "a"))
    assert subjects(families) == ["a"]


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_whatever_else_ends_a_shared_commit_nobody_takes_it_for_done(store: Store, point: str) -> None:
    line = Line(store)

    def interrupted(name: str) -> None:
        if name.startswith(point) and "+" in name:
            raise KeyboardInterrupt

    store.crash = interrupted
    answers = line.together(a=Note("probe", "a", lock="a"), b=Note("probe", "b", lock="b"))
    assert {type(answers[name]) for name in "ab"} == {KeyboardInterrupt, StoreError}
    assert len(subjects(store)) == (0 if point == "before commit" else 2)
    store.commit(Note("probe", "c"))


class Twice(type):
    """Whoever asks for the name of an error of this kind is broken off once more."""

    @property
    def __name__(cls) -> str:
        raise KeyboardInterrupt


class BrokenOffTwice(BaseException, metaclass=Twice):
    pass


def test_who_leads_may_be_broken_off_again_while_telling_the_others(store: Store) -> None:
    line = Line(store)

    def interrupted(name: str) -> None:
        if name == "before commit Note+Note+Note":
            raise BrokenOffTwice

    store.crash = interrupted
    answers = line.together(**{name: Note("probe", name, lock=name) for name in "abc"})
    assert [type(answers[name]) for name in "abc"].count(StoreError) == 2  # and one of them led
    assert subjects(store) == []
    store.commit(Note("probe", "d"))
    assert subjects(store) == ["d"]


def test_who_is_broken_off_while_waiting_leaves_the_line_to_the_others(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Tx) -> None:
        begun.set()
        assert go_on.wait(30)

    def interrupt() -> None:
        in_line(store, 1)
        os.kill(os.getpid(), signal.SIGINT)

    first = threading.Thread(target=store.commit, args=(Do(hold),))
    first.start()
    assert begun.wait(30)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        store.commit(Note("probe", "broken off"))
    signal.signal(signal.SIGINT, before)
    behind = threading.Thread(target=store.commit, args=(Note("probe", "behind"),))
    behind.start()
    in_line(store, 1)
    go_on.set()
    for thread in (first, other, behind):
        thread.join(30)
    store.commit(Note("probe", "later"))
    assert subjects(store) == ["behind", "later"]


def test_a_broken_connection_is_told_to_everybody_and_the_next_write_gets_a_new_one(postgres_url: str) -> None:
    store = Store(postgres_url, ManualClock(), own_time=False)
    cut = Do(lambda tx: tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())")), "b")
    answers = Line(store).together(a=Note("probe", "a", lock="a"), b=cut, c=Note("probe", "c", lock="c"))
    assert [type(answers[name]) for name in "abc"] == [StoreError] * 3
    assert subjects(store) == []
    store.commit(Note("probe", "d"))
    assert subjects(store) == ["d"]
    store.close()


def test_a_deadlocks_victim_is_tried_again(postgres_url: str) -> None:
    """Two processes that take two rows in opposite order: both get through, and both wrote once."""
    stores = [Store(postgres_url, ManualClock(), own_time=False) for _ in range(2)]
    stores[0].commit(Do(lambda tx: tx.insert(meta, [{"key": key, "value": "0"} for key in "ab"])))
    both = threading.Barrier(2)
    tries: list[str] = []

    def crossing(first: str, second: str) -> Do:
        def apply(tx: Tx) -> None:
            tries.append(first)
            tx.execute(meta.update().where(meta.c.key == first).values(value=first))
            if len(tries) <= 2:
                both.wait(30)
            tx.execute(meta.update().where(meta.c.key == second).values(value=first))
            Note("probe", first).apply(tx)

        return Do(apply)

    pairs = (("a", "b"), ("b", "a"))
    threads = [
        threading.Thread(target=store.commit, args=(crossing(*pair),))
        for store, pair in zip(stores, pairs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(subjects(stores[0])) == ["a", "b"]
    assert len(tries) >= 3  # the victim may be faster at its next try than who waits for its row, and be it again
    for store in stores:
        store.close()


def test_one_transaction_has_one_time(store: Store, clock: ManualClock) -> None:
    def apply(tx: Tx) -> bool:
        before = tx.now
        clock.advance(5)
        return tx.now == before

    assert store.commit(Do(apply))
    assert store.now() == START + timedelta(seconds=5)


def test_the_databases_clock_dates_rows_where_it_has_one(postgres_url: str, sqlite_url: str) -> None:
    long_ago = ManualClock(START - timedelta(days=20_000))
    postgres = Store(postgres_url, long_ago)
    with postgres.engine.connect() as connection:
        theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    assert abs(postgres.now() - theirs) < timedelta(hours=1)
    postgres.close()
    sqlite = Store(sqlite_url, long_ago)
    assert sqlite.now() == long_ago.now()
    sqlite.close()


def test_p101_a_reader_sees_one_state_and_stands_in_no_writers_way(sqlite_store: Store) -> None:
    sqlite_store.commit(Note("probe", "before"))
    with sqlite_store.read() as tx:
        assert len(events_named(tx, "probe", since=START)) == 1
        for number in range(20):
            sqlite_store.commit(Note("probe", str(number)))
        assert len(events_named(tx, "probe", since=START)) == 1
    assert len(subjects(sqlite_store)) == 21


def test_what_is_asked_for_in_the_dialects_own_words(store: Store) -> None:
    def apply(tx: Tx) -> list[Any]:
        row = {"identity": "i", "month": "2026-11", "micros": 1}
        found: list[Any] = [tx.insert_unless_there(spend, row), tx.insert_unless_there(spend, row)]
        tx.insert_or_update(spend, {**row, "micros": 5})
        tx.insert_each_unless_there(spend, [{**row, "micros": 9}, {**row, "month": "2026-12"}])
        tx.insert_each_unless_there(spend, [])
        tx.insert(spend, [])
        tx.insert_or_update(meta, {"key": "k", "value": "1"}, keep=["value"])
        tx.insert_or_update(meta, {"key": "k", "value": "2"}, keep=["value"])
        found.append([tuple(each) for each in tx.rows(select(spend.c.month, spend.c.micros).order_by(spend.c.month))])
        found.append(tx.execute(select(meta.c.value).where(meta.c.key == "k")).scalar())
        return found

    assert store.commit(Do(apply)) == [True, False, [("2026-11", 5), ("2026-12", 1)], "1"]


def test_an_instant_without_a_zone_is_refused(store: Store) -> None:
    from bot.store.schema import workers

    naive = START.replace(tzinfo=None)
    row = {"id": "w", "started_at": naive, "beat_at": naive, "doing": ""}
    with pytest.raises(StoreError, match="without a zone"):
        store.commit(Do(lambda tx: tx.insert(workers, row)))
    assert store.commit(Note("probe", "x")) is None


def test_a_store_says_where_it_is_and_hides_its_password(sqlite_url: str) -> None:
    store = Store("postgresql://desk:hunter2@127.0.0.1:9/none", SystemClock())
    with pytest.raises(StoreError) as told, store.read():
        raise AssertionError("it can't be reached")
    assert "hunter2" not in str(told.value)
    assert "127.0.0.1:9" in str(told.value)
    assert store.path is None
    store.close()
    sqlite = Store(sqlite_url, SystemClock())
    assert str(sqlite.path) == sqlite_url.removeprefix("sqlite:///")
    sqlite.close()
