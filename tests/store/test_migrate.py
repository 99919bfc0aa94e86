"""The schema's revision: made once, never lowered, refused with what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, text

from bot.errors import StoreError
from bot.model import Priority
from bot.rules.timing import turn_of
from bot.store import Store
from bot.store.migrate import HEAD, _config, differences, migrate, require, require_older, revision
from bot.store.schema import articles, deliveries, from_micros
from bot.testing.clock import ManualClock
from tests.conftest import BACKENDS, empty_database


@pytest.fixture(params=BACKENDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database without any table."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'new.db'}" if sqlite else empty_database(request.getfixturevalue("postgres_server"))
    opened = Store(url, ManualClock(), own_time=False)
    yield opened
    opened.close()


def content(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    with store.engine.connect() as connection:
        names = sorted(inspect(connection).get_table_names())
        return {
            name: sorted((tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))), key=repr)
            for name in names
        }


def test_an_empty_database_is_no_store_and_becomes_one(empty: Store) -> None:
    assert revision(empty) is None
    require_older(empty)  # nothing is not newer
    with pytest.raises(StoreError, match=r"there is no store yet\. Make one: wirepost db migrate"):
        require(empty)
    assert content(empty) == {}  # to look at it makes nothing
    assert migrate(empty) is True
    assert revision(empty) == HEAD
    require(empty)
    with empty.engine.connect() as connection:
        assert differences(connection) == []


def schema(store: Store) -> dict[str, object]:
    """Everything that the database itself says about each table and index, whatever the order of columns."""
    if store.is_sqlite:
        made = text("SELECT type, name, sql FROM sqlite_master")
        with store.engine.connect() as connection:
            return {f"{one.type} {one.name}": _parts(one.sql or "") for one in connection.execute(made)}
    columns = text(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    )
    indexes = text("SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    constraints = text(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    )
    with store.engine.connect() as connection:
        return {str(rows): sorted(map(repr, connection.execute(rows))) for rows in (columns, indexes, constraints)}


def _parts(sql: str) -> list[str]:
    """A CREATE TABLE's columns and constraints, sorted; an index is one part."""
    flat = " ".join(sql.split())
    return sorted(flat.removesuffix(" )").split(", ")) if flat.startswith("CREATE TABLE") else [flat]


def test_a_new_store_and_one_that_went_up_step_by_step_are_the_same(empty: Store) -> None:
    with empty.engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.upgrade(_config(connection), "0001")
    assert migrate(empty) is True
    stepped, rows = schema(empty), content(empty)
    with empty.engine.connect().execution_options(writes=True) as connection, connection.begin():
        for name in rows:
            connection.execute(text(f"DROP TABLE {name}"))
    assert migrate(empty) is True
    assert schema(empty) == stepped
    assert content(empty) == rows


def test_a_new_store_needs_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom bot.clock import SystemClock\nfrom bot.store import Store, migrate\n"
        f"print(migrate.migrate(Store('sqlite:///{tmp_path / 'new.db'}', SystemClock())), 'alembic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["True", "False"]


def test_a_second_migration_changes_nothing(store: Store) -> None:
    before = content(store)
    assert migrate(store) is False
    require(store)
    assert content(store) == before
    assert before["alembic_version"] == [(HEAD,)]
    assert before["meta"] == [("stop", "0")]  # the row that every start shares


def test_a_store_of_the_first_schema_keeps_its_rows_and_gets_their_place_in_the_line(empty: Store) -> None:
    seen, out = 1_764_000_000_000_001, 1_763_990_000_000_000
    with empty.engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.upgrade(_config(connection), "0001")
        for table, row in (
            (articles, {"id": "a1", "first_seen_at": seen}),
            (articles, {"id": "a2", "first_seen_at": seen, "published_at": out}),
            (deliveries, {"id": "d1", "article": "a1", "priority": "normal"}),
            (deliveries, {"id": "d2", "article": "a2", "priority": "breaking"}),
        ):
            blank = {"TEXT": "", "BOOLEAN": False}
            needed = [column for column in table.c if not column.nullable and column.name != "turn"]
            values = {column.name: blank.get(str(column.type), 0) for column in needed} | row
            names, places = ", ".join(f'"{name}"' for name in values), ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO {table.name} ({names}) VALUES ({places})"), values)
    assert migrate(empty) is True
    with empty.engine.connect() as connection:
        turns = {row.id: row.turn for row in connection.execute(text("SELECT id, turn FROM deliveries"))}
        assert differences(connection) == []
    assert turns == {
        "d1": turn_of(Priority.NORMAL, from_micros(seen)),
        "d2": turn_of(Priority.BREAKING, from_micros(out)),
    }


def test_differences_names_what_is_missing_and_what_is_too_much(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE workers"))
        connection.execute(text("CREATE TABLE strange (id INTEGER)"))
    with store.engine.connect() as connection:
        told = {(change[0], change[1].name) for change in differences(connection)}
    assert told == {("add_table", "workers"), ("remove_table", "strange")}


def test_p102_a_newer_schema_is_refused_and_nothing_in_it_changes(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = content(store)
    for refusing in (require, require_older, migrate):
        with pytest.raises(StoreError, match=f"schema 9999, which is newer than this program's {HEAD}") as told:
            refusing(store)
        assert "Nothing was changed. Use the newer version of Wirepost." in str(told.value)
    assert content(store) == before


def test_a_migration_that_fails_leaves_nothing_behind(empty: Store) -> None:
    """A table of that name stands in its way: the whole migration is taken back, and may be tried again."""
    with empty.engine.begin() as connection:
        connection.execute(text("CREATE TABLE workers (id INTEGER)"))
    with pytest.raises(StoreError, match="workers"):
        migrate(empty)
    assert set(content(empty)) == {"workers"}
    with empty.engine.begin() as connection:
        connection.execute(text("DROP TABLE workers"))
    assert migrate(empty) is True
    require(empty)
