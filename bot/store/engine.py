"""The store's face: `commit(intent)` for every write, `read()` for everything else.

Threads that write at the same time share one transaction: one of them leads and commits for all who wait by then (group
commit), since a durable commit costs far more than a row. An intent therefore must not let a statement raise in normal
life: it uses conditional updates and `INSERT … ON CONFLICT DO NOTHING`, and who gets no row has lost. If a statement
raises all the same, the transaction is rolled back and each intent is tried alone, so that one can't spoil the others.
If the commit itself fails, every waiter gets the error: none may take it for done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Executable,
    Integer,
    Row,
    literal_column,
    make_url,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.schema import Table

from bot.clock import Clock
from bot.errors import StoreError
from bot.store.databases import (
    driven,
    lost_connection,
    lost_race,
    open_postgresql,
    open_sqlite,
    store_error,
    str_url,
)
from bot.store.schema import from_micros

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

# For so long after a write its connection to PostgreSQL is taken to stand, in seconds.
KEPT = 1.0
# How often a transaction that PostgreSQL chose as a deadlock's victim is tried again.
DEADLOCKS = 5


class Tx:
    """One transaction: the connection, and the store's own `now` (the same for all of it)."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._cursor: Any = None
        #: What several intents of the transaction read and none of them changes.
        self.shared: dict[str, Any] = {}

    @property
    def is_postgresql(self) -> bool:
        """Are rows locked one by one here? (On SQLite a transaction that writes has the whole file.)"""
        return self.connection.dialect.name == "postgresql"

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a statement. Those that run once per post are made once, as constants with bound parameters: to build one
        costs five times what it costs to run it."""
        return self.connection.execute(statement, parameters)

    def driver(self, sql: str, parameters: Any) -> Any:
        """Run SQL as the driver spells it (see `bot.store.prepared`): the driver's cursor."""
        if self._cursor is None:
            self._cursor = self.connection.connection.cursor()
        driven(self.connection, self._cursor, sql, parameters)
        return self._cursor

    def changed(self, statement: Executable, parameters: Any = None) -> int:
        """Run a conditional update or delete: how many rows it changed."""
        return self.connection.execute(statement, parameters).rowcount

    def row(self, statement: Executable, parameters: Any = None) -> Row[Any] | None:
        """The first row, or None."""
        return self.connection.execute(statement, parameters).first()

    def rows(self, statement: Executable, parameters: Any = None) -> Sequence[Row[Any]]:
        """All rows."""
        return self.connection.execute(statement, parameters).all()

    def insert(self, table: Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert a row or several that can't be in anybody's way."""
        if values:
            self.connection.execute(table.insert(), values)

    def insert_unless_there(self, table: Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless one with its key is there: true if this call made it."""
        # RETURNING says it on both databases; a driver's rowcount of an insert does not (psycopg: -1 in some forms).
        return self.connection.execute(_returning_one(table, self.is_postgresql), values).first() is not None

    def insert_each_unless_there(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows whose keys are free; the others are left as they are."""
        if rows:
            self.connection.execute(unless_there(table, self.is_postgresql), list(rows))

    def insert_or_update(self, table: Table, values: Mapping[str, Any], *, keep: Sequence[str] = ()) -> None:
        """Insert a row, or overwrite the one with its primary key (all columns given but `keep`)."""
        self.insert_or_update_each(table, [values], keep=keep)

    def insert_or_update_each(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: Sequence[str] = ()
    ) -> None:
        """The same for many rows of the same columns."""
        if rows:
            statement = _or_update(table, self.is_postgresql, tuple(rows[0]), tuple(keep))
            self.connection.execute(statement, list(rows))


_ONE: ColumnElement[int] = literal_column("1", Integer)


def insert_for(table: Table, is_postgresql: bool) -> Any:
    """An insert that may say what to do on a conflict: each database spells that in a dialect of its own. (The other
    one's stays unloaded: PostgreSQL's is 2 MB and 25 ms.)"""
    if is_postgresql:
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


@cache
def unless_there(table: Table, is_postgresql: bool) -> Any:
    """An insert that leaves alone what is there already."""
    return insert_for(table, is_postgresql).on_conflict_do_nothing()


@cache
def _or_update(table: Table, is_postgresql: bool, columns: tuple[str, ...], keep: tuple[str, ...]) -> Any:
    keys = [column.name for column in table.primary_key]
    insert = insert_for(table, is_postgresql)
    fresh = {name: insert.excluded[name] for name in columns if name not in keys and name not in keep}
    if fresh:
        return insert.on_conflict_do_update(index_elements=keys, set_=fresh)
    return insert.on_conflict_do_nothing(index_elements=keys)


@cache
def _returning_one(table: Table, is_postgresql: bool) -> Any:
    return unless_there(table, is_postgresql).returning(_ONE)


class Intent(Protocol[R_co]):
    """What a step wants written: data with one method. `lock` orders intents of one transaction (no deadlocks)."""

    @property
    def lock(self) -> str: ...

    def apply(self, tx: Tx) -> R_co:
        """Write it, conditionally, and say what came of it."""
        ...


class Together(Protocol):
    """What an intent may bring beside `apply`: `together(tx, intents)`, the same for many of its kind at once.

    It says what came of each, or None: one of them can't be done so. Then the transaction is undone, and each of them
    is applied alone.
    """

    @staticmethod
    def together(tx: Tx, many: Sequence[Any]) -> Sequence[Any] | None: ...


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True)
class _Ticket(Generic[R]):
    """An intent that waits to be written. `turn` is released when it is, or when its thread `leads`: writes for all."""

    intent: Intent[R]
    leads: bool = False
    turn: threading.Lock = field(default_factory=_taken)
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class _Undone(Exception):
    """Not all intents of a transaction could be applied together."""


def _apply(tx: Tx, batch: Sequence[_Ticket[Any]], *, one_by_one: bool) -> None:
    """Apply all intents. Raises _Undone if they can't be applied together."""
    ways = {getattr(ticket.intent, "together", None) for ticket in batch}
    together = ways.pop() if len(ways) == 1 and not one_by_one else None
    if together is None:
        for ticket in batch:
            ticket.result = ticket.intent.apply(tx)
        return
    found = together(tx, [ticket.intent for ticket in batch])
    if found is None:
        raise _Undone
    for ticket, result in zip(batch, found, strict=True):
        ticket.result = result


def _nothing(_: str) -> None:
    return None


class Store:
    """One database. Safe for many threads; on PostgreSQL also for many processes and machines."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        own_time: bool = True,
        crash: Callable[[str], None] = _nothing,
    ) -> None:
        """`own_time`: rows are dated by the database's clock where it has one of its own (PostgreSQL); tests that move
        the clock switch it off. `crash` is called at the named points where a process could die."""
        self.url = make_url(url)
        self.clock = clock
        self.crash = crash
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._own_time = own_time and not self.is_sqlite
        self._engine = open_sqlite(self.url.database or "") if self.is_sqlite else open_postgresql(str_url(self.url))
        self._queue: list[_Ticket[Any]] = []
        self._queue_lock = threading.Lock()
        self._led = False
        self._writer: Connection | None = None
        self._written_at = 0.0

    @property
    def engine(self) -> Engine:
        """For migrations, backup and checks; steps never touch it."""
        return self._engine

    @property
    def path(self) -> Path | None:
        """The database file of SQLite, None elsewhere."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def close(self) -> None:
        """Close all connections."""
        self._let_go()
        self._engine.dispose()

    def now(self) -> datetime:
        """The store's time: the database's own on PostgreSQL, else the clock's. Raises StoreError."""
        if not self._own_time:
            return self.clock.now()
        with self.read() as tx:
            return tx.now

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that only reads: one consistent view. Raises StoreError."""
        try:
            with self._engine.connect() as connection:
                yield Tx(connection, self._time_of(connection))
        except SQLAlchemyError as error:
            raise store_error(error, self.url.render_as_string(hide_password=True)) from error

    def commit(self, intent: Intent[R]) -> R:
        """Write the intent durably, sharing the transaction with whoever waits too. Raises StoreError: not written
        (or, if the connection broke during the commit, possibly written: every caller must look before it repeats)."""
        ticket: _Ticket[R] = _Ticket(intent)
        with self._queue_lock:
            self._queue.append(ticket)
            ticket.leads, self._led = not self._led, True
        try:
            if not ticket.leads:
                ticket.turn.acquire()  # until it is written, or it is this thread's turn to write for all
        except BaseException:
            self._leave(ticket)
            raise
        if ticket.leads:
            self._lead()
        if not ticket.done:  # who led was broken off once more while telling the others
            raise StoreError("The write was broken off; it may or may not stand.")
        if ticket.error is not None:
            raise ticket.error
        result: R = ticket.result
        return result

    def _lead(self) -> None:
        """Write for all who wait by now, wake them, and hand the lead to one who came meanwhile."""
        with self._queue_lock:
            batch, self._queue = self._queue, []
        try:
            self._write(sorted(batch, key=lambda waiting: waiting.intent.lock))
        except BaseException as error:  # this thread was broken off: who waits must not take it for done
            for left in [waiting for waiting in batch if not waiting.done]:
                left.error = StoreError(f"The write was broken off ({type(error).__name__}); it may or may not stand.")
                left.done = True
            raise
        finally:
            for waiting in batch:
                waiting.turn.release()
            with self._queue_lock:
                self._hand_on()

    def _hand_on(self) -> None:
        """Under the lock of the queue: who came first leads from now on."""
        self._led = bool(self._queue)
        if self._led:
            self._queue[0].leads = True
            self._queue[0].turn.release()

    def _leave(self, ticket: _Ticket[Any]) -> None:
        """This thread was broken off while it waited (Ctrl-C): nobody writes its intent, unless that is under way."""
        with self._queue_lock:
            if ticket in self._queue:
                self._queue.remove(ticket)
            if ticket.leads and not ticket.done:
                self._hand_on()

    def _write(self, batch: list[_Ticket[Any]], tries: int = DEADLOCKS) -> None:
        try:
            spoiled = self._try_together(batch)
        except SQLAlchemyError as error:
            if tries and lost_race(error):
                self._write(batch, tries - 1)  # PostgreSQL undid it whole: nothing of it was written
                return
            failure = store_error(error, self.url.render_as_string(hide_password=True))
            for ticket in batch:
                ticket.error = failure
            spoiled = False
        if spoiled:
            for ticket in batch:
                self._write([ticket])
        for ticket in batch:
            ticket.done = True

    def _try_together(self, batch: list[_Ticket[Any]], *, one_by_one: bool = False) -> bool:
        """One transaction for all. True: a statement raised among several, nothing is written, try each alone."""
        names = "+".join(type(ticket.intent).__name__ for ticket in batch)
        undone = False
        try:
            connection = self._connection()
            with connection.begin() as transaction:
                try:
                    _apply(Tx(connection, self._time_of(connection)), batch, one_by_one=one_by_one)
                except _Undone:
                    transaction.rollback()
                    undone = True
                except Exception as error:
                    transaction.rollback()
                    if len(batch) > 1 and not lost_connection(error):
                        return True
                    if isinstance(error, SQLAlchemyError):
                        raise
                    batch[0].error = error
                    return False
                else:
                    self.crash(f"before commit {names}")
        except BaseException:
            self._let_go()
            raise
        if undone:
            return self._try_together(batch, one_by_one=True)
        self.crash(f"after commit {names}")
        return False

    def _connection(self) -> Connection:
        """The one that writes. It is kept: what SQLite has read of the file stays good while nobody else writes, and
        PostgreSQL needn't be asked whether it is there if it was a moment ago."""
        now = self.clock.monotonic()
        if self._writer is not None and not self.is_sqlite and not 0 <= now - self._written_at < KEPT:
            self._let_go()
        if self._writer is None:
            self._writer = self._engine.connect().execution_options(writes=True)
        self._written_at = now
        return self._writer

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _time_of(self, connection: Connection) -> datetime:
        if not self._own_time:
            return self.clock.now()
        cursor = connection.connection.cursor()
        driven(connection, cursor, _DATABASE_TIME, None)
        (micros,) = cursor.fetchall()[0]
        return from_micros(micros)


_DATABASE_TIME = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
