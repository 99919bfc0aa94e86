"""The two databases: how each is opened, and what its errors mean. All else in the store is written once for both."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.errors import StoreError

# How long a write waits for another process's write on SQLite (the CLI beside the worker), in seconds.
BUSY_TIMEOUT = 10.0
# How often a new file's switch to WAL is tried; each try waits for the one that was faster.
WAL_TRIES = 20
# Statements that a connection keeps compiled: those for one to twelve rows at once are a hundred by themselves.
CACHED = 256


def driven(connection: Connection, cursor: Any, sql: str, parameters: Any) -> None:
    """Run SQL past SQLAlchemy, but raise its errors."""
    dialect = connection.dialect
    errors: Any = dialect.loaded_dbapi.Error
    try:
        cursor.execute(sql, parameters)
    except errors as error:
        lost = dialect.is_disconnect(error, connection.connection, cursor)
        raise DBAPIError.instance(
            sql, None, error, errors, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        ) from error


def str_url(url: Any) -> str:
    """The address with its password, for the driver alone. A bare postgresql:// means psycopg 3."""
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return str(url.render_as_string(hide_password=False))


def open_sqlite(path: str) -> Engine:
    """An SQLite file, written ahead and durably. Threads may share it."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT, "cached_statements": CACHED},
        pool_size=8,
        max_overflow=56,
        pool_use_lifo=True,  # the one used last has its pages and statements at hand; the others, of a burst, have none
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
        # We begin our own transactions (below): the driver must not
        # (docs.python.org/3/library/sqlite3.html, "Transaction control").
        connection.isolation_level = None
        cursor = connection.cursor()
        _write_ahead(cursor)
        # FULL: a committed attempt survives loss of power (sqlite.org/pragma.html#pragma_synchronous); NORMAL may not.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once, so that a transaction never fails half-way for want of it.
        writes = connection.get_execution_options().get("writes")
        driven(connection, connection.connection.cursor(), "BEGIN IMMEDIATE" if writes else "BEGIN", ())

    return engine


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch to WAL. Of several that open a new file at once, SQLite refuses all but one here without waiting (P101);
    for a writer's lock it does wait, and after that the file is in WAL mode already."""
    for left in reversed(range(WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not left or "locked" not in str(error):
                raise
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")


def open_postgresql(url: str) -> Engine:
    """A PostgreSQL server; a connection that broke while it rested is replaced."""
    return create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True, hide_parameters=True)


def lost_race(error: BaseException) -> bool:
    """Did PostgreSQL undo the transaction for another's sake (its errors 40001, 40P01)? Then it may be repeated."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


def lost_connection(error: BaseException) -> bool:
    """Did the connection itself break, so that another try needs a new one?"""
    return isinstance(error, DBAPIError) and error.connection_invalidated


_SENTENCES = (
    ("disk is full", "the disk is full: nothing is sent until there is room again"),
    ("no space left", "the disk is full: nothing is sent until there is room again"),
    # SQLite's word for all other refusals of a write: a quota (EDQUOT), a limit on files (EFBIG), a bad disk (EIO).
    ("disk i/o error", "the disk takes no more: nothing is sent until its quota, limit or fault is seen to"),
    ("database is locked", "another process has kept the store locked: close what reads it for long, such as a backup"),
    ("readonly database", "the store can't be written: check the owner and rights of its folder"),
    ("unable to open database file", "the store's folder can't be opened: check that it exists and may be written"),
    ("malformed", "the store is damaged: stop, and restore a backup (wirepost db restore)"),
    ("not a database", "the file is no Wirepost store: check [store] url"),
    ("connection", "the database can't be reached: check that it runs and that [store] url is right"),
)


def store_error(error: SQLAlchemyError, where: str) -> StoreError:
    """The driver's error as a sentence that says what to do; its own words follow, without statement and values."""
    cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
    low = cause.lower()
    for mark, sentence in _SENTENCES:
        if mark in low:
            return StoreError(f"{where}: {sentence}. ({cause})")
    return StoreError(f"{where}: {cause}")
