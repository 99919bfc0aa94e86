"""The store's schema: which revision it has, and bringing it to ours.

An empty database gets the tables of `schema.py` at once; Alembic, which costs a quarter of a second and 10 MB, is
imported only where an older store goes up step by step. A test holds that both ways lead to the same schema.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.errors import WrongSchema
from bot.store.bell import ring_once
from bot.store.databases import store_error
from bot.store.engine import Store
from bot.store.schema import meta, metadata, tell_conditions
from bot.store.stops import guard_row

#: The newest revision in `migrations/versions`; a test holds the two together.
HEAD = "0003"

_HERE = Path(__file__).parent / "migrations"
#: As Alembic makes it.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_VERSION = text("SELECT version_num FROM alembic_version")


def revision(store: Store) -> str | None:
    """The schema revision of the store, None for an empty database. Raises StoreError."""
    try:
        with suppress(DBAPIError), store.engine.connect() as connection:  # a worker asks four times a minute
            found: str | None = connection.execute(_VERSION).scalar()
            return found
        with store.engine.connect() as connection:  # refused: is there no such table, or what is the matter?
            return _revision(connection)
    except SQLAlchemyError as error:
        raise store_error(error, str(store.url)) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(_VERSION).scalar()
    return found


def require(store: Store) -> None:
    """Raise WrongSchema unless the schema is exactly ours: who has an older or newer one is told what to do."""
    found = revision(store)
    if found == HEAD:
        return
    where = store.url.render_as_string(hide_password=True)
    if found is None:
        raise WrongSchema(f"{where}: there is no store yet. Make one: wirepost db migrate")
    if found in _known():
        raise WrongSchema(f"{where}: the store has schema {found}, this program {HEAD}. Run: wirepost db migrate")
    raise WrongSchema(
        f"{where}: the store has schema {found}, which is newer than this program's {HEAD}. "
        "Nothing was changed. Use the newer version of Wirepost."
    )


def require_older(store: Store) -> None:
    """Raise StoreError if the store is newer than this program: it is left alone."""
    found = revision(store)
    if found is not None and found not in _known():
        require(store)


def migrate(store: Store) -> bool:
    """Bring the schema to HEAD. True if anything was done. Raises StoreError for a newer store: it is left alone."""
    if revision(store) == HEAD:
        return False
    require_older(store)
    try:
        with store.engine.connect().execution_options(writes=True) as connection, connection.begin():
            _lock(connection)
            if _revision(connection) is None:  # asked again: another may have made it while we waited for the lock
                _make(connection)
            else:
                _upgrade(connection)
            if connection.execute(select(meta.c.key).where(meta.c.key == "stop")).first() is None:
                connection.execute(meta.insert(), guard_row())
    except SQLAlchemyError as error:
        raise store_error(error, store.url.render_as_string(hide_password=True)) from error
    ring_once(store, "migration", ("watch",))  # a worker of the older version sees it, and stops
    return True


def _make(connection: Connection) -> None:
    """All tables as they are now, in a database without any."""
    tell_conditions(connection.dialect.name)
    metadata.create_all(connection, checkfirst=False)
    _version.create(connection, checkfirst=False)
    connection.execute(_version.insert(), {"version_num": HEAD})


def _upgrade(connection: Connection) -> None:
    """The steps from an older schema to ours, none if another was faster."""
    from alembic import command

    command.upgrade(_config(connection), HEAD)


def _lock(connection: Connection) -> None:
    """One migration at a time on PostgreSQL (SQLite's transaction is exclusive already). The number is ours alone."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(7493001)"))


def _config(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = connection
    return config


def _known() -> set[str]:
    return {path.name.split("_")[0] for path in (_HERE / "versions").glob("[0-9]*.py")}


def differences(connection: Connection) -> list[Any]:
    """What the migrated schema lacks or has beyond the tables of `schema.py` (nothing, a test holds)."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    tell_conditions(connection.dialect.name)
    return list(compare_metadata(MigrationContext.configure(connection), metadata))
