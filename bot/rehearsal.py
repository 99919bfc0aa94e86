"""The dry run: the real steps on a copy of the store, up to the last call, which is not made.

    settings ─► snapshot ─► begin, discover, plan, schedule ─► what deliver would do, in words or JSON

The copy is a temporary SQLite store: of SQLite by its backup API, of PostgreSQL by one REPEATABLE READ transaction that
reads open rows, keys, pace and settings. Cursors, deliveries and times move in the copy alone. Sources are read, as
reading changes nothing; a network is asked only on request, and only by GET.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore
from sqlalchemy import ColumnElement, Connection, Table, create_engine, make_url, or_, select

from bot import __version__
from bot.app import SITE, App, begin, build, prepare
from bot.clock import Clock, SeededRandom, SystemClock
from bot.errors import NotSent, SendError, StoreError
from bot.flow import deliver, discover, plan, schedule
from bot.flow.due import Case
from bot.flow.freezing import composed
from bot.http import Door, Http, Response, user_agent
from bot.model import OPEN_STATES, Delivery, Payload, State, Why
from bot.networks.base import only_send_errors
from bot.rules.compose import BadTemplate, CannotFit
from bot.settings import Settings
from bot.store import Store, Tx, accounts, articles, attempts, deliveries, migrate, sources, stops
from bot.store import schema as tables
from bot.store.databases import str_url
from bot.store.stops import Scope, scopes_of

#: How much of the past of a PostgreSQL store is copied beside its open rows: every cap counts at most a month, the rule
#: of the same link a week by default.
PAST = timedelta(days=32)
#: A folder asks for another look after 2 s where a file may still be written; no other source comes back so soon.
SOON = timedelta(seconds=3)
#: Rows read and written at a time.
ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Would:
    """What would become of one delivery. `why`: what keeps it from going; None: it would be sent at `due_at`.

    `payload` are the very bytes that the adapter would send (None: none could be made). `unsure`: what a dry run that
    asks no network can't know.
    """

    delivery: Delivery
    headline: str
    payload: Payload | None
    length: int
    due_at: datetime | None
    why: Why | None
    unsure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """All that a run would do now and plan for later. `login`: the networks' answers, where they were asked."""

    now: datetime
    started_as: str
    seen: Mapping[str, Mapping[str, int]]
    posts: tuple[Would, ...]
    refused: tuple[tuple[str, str, tuple[Why, ...]], ...]
    login: Mapping[str, SendError | None]


class NothingWritten(Door):
    """A door that only reads: whatever would change something on the other side is refused before it is begun."""

    def publishing(self, **_: Any) -> Http:
        return _Refusing()

    def reading(self, **rules: Any) -> Http:
        return _GetOnly(super().reading(**rules))


class _Refusing:
    def request(self, method: str, url: str, **_: Any) -> Response:
        raise NotSent("A dry run sends nothing.")


class _GetOnly:
    def __init__(self, inner: Http) -> None:
        self._inner = inner

    def request(self, method: str, url: str, **parts: Any) -> Response:
        if method.upper() not in ("GET", "HEAD"):
            raise NotSent("A dry run sends nothing.")
        return self._inner.request(method, url, **parts)


# -- the copy -----------------------------------------------------------------------------------------------------


@contextmanager
def rehearsal(
    settings: Settings,
    *,
    clock: Clock | None = None,
    network_backend: httpcore.NetworkBackend | None = None,
) -> Iterator[App]:
    """The newsroom on a copy of its store, which is gone afterwards. Raises StoreError."""
    clock = clock or SystemClock()
    with tempfile.TemporaryDirectory(prefix="wirepost-dry-run-") as folder:
        copy = _settled_in(settings, Path(folder))
        snapshot(settings.store_url, Path(folder) / "wirepost.db")
        prepare(copy, clock)
        app = build(copy, clock=clock, random=SeededRandom(0), worker="dry run")
        app.newsroom.door.close()
        agent = user_agent(__version__, SITE)
        app.newsroom.door = NothingWritten(clock, user_agent=agent, network_backend=network_backend)
        try:
            yield app
        finally:
            app.close()


def _settled_in(settings: Settings, folder: Path) -> Settings:
    """The settings with store and witness in a folder of their own; a key that isn't there yet is made there too."""
    witness = settings.var / "witness.json"
    if witness.exists():
        shutil.copyfile(witness, folder / "witness.json")
    key_file = settings.key_file if settings.key_file.exists() else folder / "key"
    return replace(settings, store_url=f"sqlite:///{folder / 'wirepost.db'}", var=folder, key_file=key_file)


def snapshot(url: str, path: Path) -> None:
    """Copy the store at the address into a new SQLite file; a store that isn't there yet leaves no file.

    Nothing is written at the address, not even what opening an SQLite file the usual way would leave beside it.
    """
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        source = Path(where.database or "")
        if source.exists():
            copy_file(source, path)
        return
    try:
        engine = create_engine(str_url(where), isolation_level="REPEATABLE READ")
        try:
            with engine.connect().execution_options(postgresql_readonly=True) as connection:
                if engine.dialect.has_table(connection, "alembic_version"):
                    _copy_rows(connection, path, where.render_as_string(hide_password=True))
        finally:
            engine.dispose()
    except OSError as error:
        raise StoreError(f"{where.render_as_string(hide_password=True)}: {error}") from error


def copy_file(source: Path, target: Path) -> None:
    """An SQLite store's consistent copy, while others write to it (sqlite.org/backup.html). Raises StoreError."""
    try:
        with closing(_read_only(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise StoreError(f"{source}: can't be copied: {error}") from error


def _read_only(path: Path) -> sqlite3.Connection:
    """Opened so that it can't be changed: closing must not even move the log's pages into the file."""
    log = path.with_name(path.name + "-wal")
    # Without a log nobody is writing, and `immutable` spares SQLite the two files that it would make beside it.
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


def _copy_rows(old: Connection, path: Path, where: str) -> None:
    """The open rows, keys, pace and settings of a PostgreSQL store, all as of one instant."""
    found = old.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found != migrate.HEAD:
        raise StoreError(f"{where}: the store has schema {found}, a dry run needs {migrate.HEAD}: wirepost db migrate")
    store = Store(f"sqlite:///{path}", SystemClock())
    try:
        migrate.migrate(store)
        now = tables.from_micros(old.exec_driver_sql(_NOW).scalar_one())
        with store.engine.connect().execution_options(writes=True) as new, new.begin():
            new.execute(tables.meta.delete())
            for table, condition in _wanted(now).items():
                query = select(table).order_by(*table.primary_key)
                rows = old.execute(query if condition is None else query.where(condition)).mappings()
                while part := rows.fetchmany(ROWS):
                    new.execute(table.insert(), [dict(row) for row in part])
    finally:
        store.close()


_NOW = "SELECT CAST(EXTRACT(EPOCH FROM transaction_timestamp()) * 1000000 AS BIGINT)"


def _wanted(now: datetime) -> Mapping[Table, ColumnElement[bool] | None]:
    """Which rows of which table: what is open or young; small tables whole."""
    since = now - PAST
    posts, tried, stories = tables.deliveries.c, tables.attempts.c, tables.articles.c
    is_open = posts.state.in_(sorted(OPEN_STATES))
    open_stories = select(posts.article).where(is_open)
    kept_posts = select(posts.id).where(or_(is_open, posts.updated_at >= since))
    return {
        tables.meta: None,
        tables.sources: None,
        tables.accounts: None,
        tables.rules: None,
        tables.spend: None,
        tables.stops: None,
        tables.article_keys: None,
        tables.articles: or_(
            stories.unplanned,
            stories.last_seen_at >= since,
            stories.first_seen_at >= since,
            stories.id.in_(open_stories),
            stories.id.in_(select(tables.article_keys.c.article).where(tables.article_keys.c.last_seen_at >= since)),
        ),
        tables.deliveries: or_(is_open, posts.updated_at >= since),
        tables.decisions: tables.decisions.c.at >= since,
        tables.attempts: or_(tried.started_at >= since, tried.delivery.in_(kept_posts)),
        tables.occupied: None,
    }


# -- the run ------------------------------------------------------------------------------------------------------


def run(app: App, *, online: bool = False) -> Rehearsed:
    """Everything that a real run would do at its start but send, on a copy (`rehearsal`). Raises StoreError."""
    room = app.newsroom
    room.unasked = set()  # no network tells the time here unless it is asked for the login
    finding = begin(app)
    asked = [name for name, account in sorted(room.accounts.items()) if online and not account.network.local]
    login = {name: _asked(app, name) for name in asked}
    started = app.store.now()
    discover.run(room, anyway=True)
    if _unfinished(app):
        room.clock.wait(threading.Event(), SOON.total_seconds())
        discover.run(room, anyway=True)
    plan.run(room)
    schedule.run(room)
    with app.store.read() as tx:
        waiting = deliveries.listing(tx, states=[State.WAITING], limit=100_000)
        posts = tuple(_would(app, tx, one, login) for one in waiting if one.account in room.accounts)
        held = deliveries.listing(tx, states=[State.HELD], limit=100_000)
        posts += tuple(_kept(app, tx, one) for one in held if one.account in room.accounts)
        return Rehearsed(
            now=tx.now,
            started_as=str(finding),
            seen={row.name: dict(row.last_counts or {}) for row in sources.all_sources(tx) if row.name in room.sources},
            posts=posts,
            refused=tuple(_refused(tx, started)),
            login=login,
        )


def _unfinished(app: App) -> bool:
    """Does a source ask for another look at once, because a file may still be written?"""
    with app.store.read() as tx:
        rows = [row for row in sources.all_sources(tx) if row.name in app.newsroom.sources and not row.errors]
        return any(row.next_look_at is not None and row.next_look_at - tx.now < SOON for row in rows)


def _asked(app: App, name: str) -> SendError | None:
    """Who are we there? Asked without ever renewing a token: a renewed one would be lost with the copy."""
    with app.store.read() as tx:
        row = accounts.by_name(tx, name)
    assert row is not None
    try:
        identity = app.newsroom.reader(row).check()
    except Exception as error:  # noqa: BLE001 -- the seam's rule: anything unexpected is Unknown
        return only_send_errors(error)
    app.store.commit(accounts.Checked(name, row.network, identity))
    return None


def _would(app: App, tx: Tx, one: Delivery, login: Mapping[str, SendError | None]) -> Would:
    """The same decision as deliver's, at the time when it is due, and the payload that it would freeze."""
    stored, row = articles.by_id(tx, one.article), accounts.by_name(tx, one.account)
    assert stored is not None and row is not None
    network = app.newsroom.accounts[one.account].network
    scopes = set(scopes_of(stored.article, stored.id, one.account, network.name))
    stop = next((s for s in stops.switches(tx) if s.scope is Scope.ALL or (s.scope, s.value) in scopes), None)
    checked = row.identity is not None and row.checked_at is not None
    unsure = "" if network.local or checked else "the login isn't checked yet"
    at = max(one.due_at, tx.now) if one.due_at is not None else tx.now
    known = replace(row, identity=row.identity or "", checked_at=row.checked_at or at)
    case = Case(delivery=one, stored=stored, row=known, stop=stop, last=None, absence_age=None, now=at)
    ruled = deliver.decide(case, network.resend_window, may_look=True)
    refused = login.get(one.account)
    if refused is not None:
        unsure = f"the network said: {refused.words or type(refused).__name__}"
    payload, length, unfit = _rendered(app, case) if one.doubted_at is None else _frozen(tx, one)
    why = ruled.why if ruled is not None else unfit
    return Would(
        delivery=one,
        headline=stored.article.headline,
        payload=payload,
        length=length,
        due_at=one.due_at,
        why=why,
        unsure=unsure,
    )


def _kept(app: App, tx: Tx, one: Delivery) -> Would:
    """One that waits for a person."""
    stored, row = articles.by_id(tx, one.article), accounts.by_name(tx, one.account)
    assert stored is not None and row is not None
    case = Case(delivery=one, stored=stored, row=row, stop=None, last=None, absence_age=None, now=tx.now)
    payload, length, _ = _rendered(app, case)
    return Would(
        delivery=one, headline=stored.article.headline, payload=payload, length=length, due_at=None, why=one.reason
    )


def _rendered(app: App, case: Case) -> tuple[Payload | None, int, Why | None]:
    adapter = app.newsroom.reader(case.row)
    try:
        post = composed(app.newsroom.editorial, adapter, case.stored, case.delivery)
        return adapter.render(post), post.length, None
    except (CannotFit, BadTemplate) as error:
        return None, 0, error.why


def _frozen(tx: Tx, one: Delivery) -> tuple[Payload | None, int, None]:
    """After a doubt, the bytes are those of the attempt."""
    tried = attempts.of_delivery(tx, one.id)
    return (tried[-1].payload if tried else None), one.length, None


def _refused(tx: Tx, started: datetime) -> Iterator[tuple[str, str, tuple[Why, ...]]]:
    """Headline, account and reasons of what this run decided against ("" for every account)."""
    decided = tables.decisions.c
    query = (
        select(decided.account, decided.reasons, tables.articles.c.headline)
        .join(tables.articles, tables.articles.c.id == decided.article)
        .where(decided.at >= started, ~decided.yes)
        .order_by(decided.article, decided.account)
    )
    for row in tx.rows(query):
        yield row.headline, row.account, deliveries.whys_from_json(row.reasons)
