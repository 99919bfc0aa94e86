"""What holds between processes: real ones on one database, and transactions that are open at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from bot.model import Attempt, Move, Outcome
from bot.store import Store, Tx, attempts
from bot.store.accounts import by_name, lock_accounts
from bot.store.attempts import Refused
from bot.store.deliveries import MoveDelivery
from bot.store.engine import Intent
from bot.store.migrate import differences, require
from bot.store.outcomes import Expire, Settle
from bot.store.plans import SetTimes, Timed
from bot.store.schema import article_keys, articles, occupied
from bot.store.stops import Lift, Scope, Stop
from bot.testing.clock import START, ManualClock
from tests.conftest import empty_database
from tests.store.stock import RECEIPT, WHY, Stock, finishing, starting

ROOT = Path(__file__).parents[2]
RACERS = 4
STOP = Stop(id="s", scope=Scope.ALL, value="", reason="fire", who="ann")


class Racers:
    """Several processes that wait for orders."""

    def __init__(self) -> None:
        path = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 -- a child process gets the environment of its parent
        command = [sys.executable, "-m", "tests.store.racer"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._processes = [subprocess.Popen(command, env=path, cwd=ROOT, **pipes) for _ in range(RACERS)]

    def race(self, store: str, *orders: dict[str, Any]) -> list[Any]:
        """Give each racer its order, all at once; their answers."""
        running = self._processes[: len(orders)]
        for number, (process, order) in enumerate(zip(running, orders, strict=True)):
            process.stdin.write(json.dumps({"store": store, "me": f"p{number}", **order}) + "\n")
        for process in running:
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for process in running]
        assert [answer["error"] for answer in answers if "error" in answer] == []
        return [answer["answer"] for answer in answers]

    def all(self, store: str, **order: Any) -> list[Any]:
        return self.race(store, *[order] * RACERS)

    def close(self) -> None:
        for process in self._processes:
            process.stdin.close()
            process.wait(20)
            process.stdout.close()


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    opened = Racers()
    yield opened
    opened.close()


@pytest.mark.parametrize("how", ["look", "add"])
def test_a_link_has_one_owner_across_sources_and_processes(
    racers: Racers, store: Store, store_url: str, how: str
) -> None:
    """Four workers read four sources that carry the same stories: one article each stands, and all agree which."""
    numbers = list(range(30))
    orders = [{"do": how, "numbers": numbers if racer % 2 else numbers[::-1]} for racer in range(RACERS)]
    answers = racers.race(store_url, *orders)
    standing = [set(answer) for answer in answers]
    assert standing == [standing[0]] * RACERS
    assert len(standing[0]) == len(numbers)
    with store.read() as tx:
        assert {row.id for row in tx.rows(select(articles.c.id))} == standing[0]
        assert {row.article for row in tx.rows(select(article_keys.c.article))} == standing[0]
        guids = tx.rows(select(article_keys.c.value).where(article_keys.c.kind == "guid"))
        assert len(guids) == RACERS * len(numbers)


def test_p10_four_processes_that_want_the_same_posts_start_each_once(
    racers: Racers, store: Store, store_url: str
) -> None:
    stock = Stock(store)
    wanted = [stock.waiting(number).id for number in range(20)]
    answers = racers.race(
        store_url, *({"do": "send", "deliveries": wanted[racer:] + wanted[:racer]} for racer in range(RACERS))
    )
    mine = Counter(identity for answer in answers for identity in answer)
    assert set(mine.values()) == {1}
    racers.race(store_url, {"do": "send", "deliveries": wanted})  # what met another's flight gets its turn
    with store.read() as tx:
        assert [len(attempts.of_delivery(tx, identity)) for identity in wanted] == [1] * len(wanted)
        assert len(tx.rows(select(occupied))) == len(wanted)


def test_a_stop_of_one_process_holds_in_all_others_from_its_commit_on(
    racers: Racers, store: Store, store_url: str
) -> None:
    stock = Stock(store, "a", "b", "c")
    orders = [
        {"do": "send", "deliveries": [stock.waiting(number, name).id for number in range(25)]}
        for name in stock.accounts
    ]
    answers = racers.race(store_url, *orders, {"do": "stop", "after": 6})
    last = answers.pop()
    with store.read() as tx:
        assert attempts.last_number(tx) == last  # none began after the stop's commit
    sent = sum(len(answer) for answer in answers)
    assert 6 <= sent < 75
    assert [len(answer) for answer in racers.race(store_url, *orders)] == [0, 0, 0]
    store.commit(Lift("s", "ann"))
    assert sent + sum(len(answer) for answer in racers.race(store_url, *orders)) == 75


def test_p81_processes_that_want_a_refresh_make_one(racers: Racers, store: Store, store_url: str) -> None:
    Stock(store)
    answers = racers.all(store_url, do="refresh")
    with store.read() as tx:
        row = by_name(tx, "desk")
    assert row is not None
    assert answers.count(True) >= 1
    assert row.credentials in {f"sealed by p{number}" for number, won in enumerate(answers) if won}


def test_p101_processes_that_meet_a_fresh_store_all_migrate_it(
    racers: Racers, tmp_path: Path, postgres_server: str
) -> None:
    for url in (
        *(f"sqlite:///{tmp_path / f'new-{number}.db'}" for number in range(3)),
        empty_database(postgres_server),
    ):
        assert racers.all(url, do="migrate") == [True] * RACERS
        store = Store(url, ManualClock(), own_time=False)
        require(store)
        with store.engine.connect() as connection:
            assert differences(connection) == []
            assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
            assert connection.execute(text("SELECT count(*) FROM meta")).scalar() == 1
        store.close()


# -- transactions that are open at the same time ------------------------------------------------------------------


class Other:
    """Another process's commit, as a thread with a store of its own."""

    def __init__(self, url: str, intent: Intent[Any]) -> None:
        self.result: Any = None
        self._store = Store(url, ManualClock(), own_time=False)
        self._thread = threading.Thread(target=self._run, args=(intent,))
        self._thread.start()

    def _run(self, intent: Intent[Any]) -> None:
        self.result = self._store.commit(intent)

    def waits(self, store: Store) -> None:
        """Return once PostgreSQL itself says that it waits for another's lock."""
        tick = threading.Event()
        blocked = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
        )
        while True:
            with store.engine.connect() as connection:
                if connection.execute(blocked).scalar_one():
                    return
            assert self._thread.is_alive(), self.result
            tick.wait(0.01)

    def ended(self) -> Any:
        self._thread.join(30)
        self._store.close()
        return self.result


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Store]:
    opened = Store(postgres_url, ManualClock(), own_time=False)
    yield opened
    opened.close()


def test_a_start_waits_for_a_stop_that_is_being_written_and_then_does_not_begin(
    postgres: Store, postgres_url: str
) -> None:
    current = Stock(postgres).waiting()
    with postgres.engine.connect() as connection, connection.begin():
        STOP.apply(Tx(connection, START))
        other = Other(postgres_url, starting(current))
        other.waits(postgres)
    refused = other.ended()
    assert isinstance(refused, Refused)
    assert refused.stop is not None or refused.moved
    with postgres.read() as tx:
        assert attempts.last_number(tx) == 0


def test_a_stop_waits_for_a_start_that_is_being_written_and_then_names_it(postgres: Store, postgres_url: str) -> None:
    current = Stock(postgres).waiting()
    with postgres.engine.connect() as connection, connection.begin():
        attempt = starting(current).apply(Tx(connection, START))
        other = Other(postgres_url, STOP)
        other.waits(postgres)
    assert isinstance(attempt, Attempt)
    assert other.ended() == (attempt.id,)


def test_a_stop_that_is_taken_back_lets_the_waiting_start_begin(postgres: Store, postgres_url: str) -> None:
    current = Stock(postgres).waiting()
    with postgres.engine.connect() as connection:
        transaction = connection.begin()
        STOP.apply(Tx(connection, START))
        other = Other(postgres_url, starting(current))
        other.waits(postgres)
        transaction.rollback()
    assert isinstance(other.ended(), Attempt)


def test_two_starts_of_one_delivery_wait_for_each_other_and_one_begins(postgres: Store, postgres_url: str) -> None:
    current = Stock(postgres).waiting()
    with postgres.engine.connect() as connection, connection.begin():
        assert isinstance(starting(current).apply(Tx(connection, START)), Attempt)
        other = Other(postgres_url, starting(current))
        other.waits(postgres)
    assert other.ended() == Refused(moved=True)


def test_all_take_the_accounts_row_first_so_that_none_waits_in_a_circle(postgres: Store, postgres_url: str) -> None:
    """A start's insert waits for the outcome of the attempt in flight; that outcome must not wait for the start."""
    stock = Stock(postgres)
    current = stock.waiting()

    def first(intent: Intent[Any]) -> Any:
        """Who holds the account's row keeps the intent from everything else that it writes."""
        with postgres.engine.connect() as connection, connection.begin():
            lock_accounts(Tx(connection, START))
            other = Other(postgres_url, intent)
            other.waits(postgres)
            written = connection.execute(text(_WRITTEN_BY_WHO_WAITS)).scalars().all()
        assert set(written) <= {"accounts"}, type(intent).__name__
        return other.ended()

    first(SetTimes("desk", -1, (Timed(current, START, ()),)))
    attempt = first(starting(current))
    assert isinstance(attempt, Attempt)
    doubt = {"doubted_at": START}
    assert first(finishing(attempt, Outcome.UNKNOWN, Move.MAYBE_SENT, changes=doubt))
    assert first(Settle(attempt=stock.attempt(attempt), move=Move.ABSENT, why=WHY))
    assert first(MoveDelivery(current=stock.read(current.id), move=Move.HOLD, why=WHY, who="ann"))
    first(STOP)
    assert first(Lift("s", "ann"))
    sent = stock.started(stock.waiting(2))
    assert first(replace(finishing(sent, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT), shifts=False))
    assert first(Expire(stock.started(stock.waiting(3))))


#: An insert, update or delete takes this lock on its table before it waits for a row.
_WRITTEN_BY_WHO_WAITS = """
SELECT relation::regclass::text FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation::regclass::text !~ '_'
AND pid IN (
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
)
"""


def test_a_writer_on_sqlite_waits_for_another_process(sqlite_url: str) -> None:
    """BEGIN IMMEDIATE: who comes second waits for the lock, and then sees what the first wrote."""
    store = Store(sqlite_url, ManualClock(), own_time=False)
    current = Stock(store).waiting()
    with store.engine.connect().execution_options(writes=True) as connection, connection.begin():
        STOP.apply(Tx(connection, START))
        other = Other(sqlite_url, starting(current))
    refused = other.ended()
    assert isinstance(refused, Refused)
    assert refused.stop is not None
    store.close()
