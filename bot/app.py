"""Wiring: the only code that builds objects. Here reality or a test enters; nowhere else."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpcore
from pydantic import SecretStr

from bot import __version__, networks, sources
from bot.clock import Clock, Random, SystemClock, SystemRandom
from bot.errors import StoreError
from bot.flow import restore
from bot.flow.newsroom import Account, Newsroom
from bot.http import Door, user_agent
from bot.rules.editorial import Editorial
from bot.secrets import Keyring, keep_out
from bot.settings import Settings
from bot.sources.base import Source
from bot.store import Store, attempts, migrate, revisions, witness
from bot.store.accounts import Join
from bot.store.hold import Hold, owner_hint
from bot.store.revisions import ApplyRules
from bot.store.witness import Christen, Finding

SITE = "https://github.com/wirepost/wirepost"


def _asleep(_: str) -> None:
    return None


@dataclass(slots=True)
class App:
    """What the faces work with. `newsroom` has everything that a step needs."""

    settings: Settings
    store: Store
    newsroom: Newsroom
    hold: Hold | None
    witness_path: Path
    _witnessed: witness.Witness | None = field(default=None, init=False)

    def close(self) -> None:
        """Let go of the store and the door."""
        self.newsroom.door.close()
        self.store.close()
        if self.hold is not None:
            self.hold.release()

    def apply(self, settings: Settings, author: str, note: str) -> None:
        """Make these settings hold: accounts, sources and rules, as one new revision if they differ.

        Raises StoreError; the old ones hold then. What waits is planned anew by the next run of plan.
        """
        hide_secrets(settings)
        accounts = build_accounts(settings, self.newsroom.keyring)
        join(self.store, settings, accounts)
        room, rules = self.newsroom, ApplyRules(settings.editorial, author, note, longest_age(settings.editorial))
        before = room.sources, room.accounts, room.editorial
        # First here: who plans between the two writes plans by the new ones, and never by the old ones afterwards.
        room.sources, room.accounts = build_sources(settings), accounts
        room.editorial = settings.editorial
        try:
            room.rules = self.store.commit(rules)
        except StoreError:
            room.sources, room.accounts, room.editorial = before
            raise
        self.settings = settings

    def write_witness(self) -> None:
        """Write down how far the store is, in a file beside it, unless it says so already. Raises StoreError."""
        with self.store.read() as tx:
            now = witness.taken(tx)
        same = self._witnessed is not None and replace(self._witnessed, at=now.at) == now
        if not same or not self.witness_path.exists():
            witness.write(self.witness_path, now)
            self._witnessed = now


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: Random | None = None,
    network_backend: httpcore.NetworkBackend | None = None,
    crash: Callable[[str], None] = _asleep,
    wake: Callable[[str], None] = _asleep,
    own_time: bool = True,
    worker: str | None = None,
) -> App:
    """Everything, on a store whose schema is ours already (see `prepare`). Raises StoreError, SettingsError."""
    clock, random = clock or SystemClock(), random or SystemRandom()
    hide_secrets(settings)
    store = Store(settings.store_url, clock, own_time=own_time, crash=crash)
    migrate.require(store)
    with store.read() as tx:
        current = revisions.current(tx)
    keys = keyring(settings)
    newsroom = Newsroom(
        store=store,
        door=Door(clock, user_agent=user_agent(__version__, SITE), network_backend=network_backend, crash=crash),
        clock=clock,
        random=random,
        keyring=keys,
        worker=worker or f"{socket.gethostname()}:{os.getpid()}",
        sources=build_sources(settings),
        accounts=build_accounts(settings, keys),
        editorial=settings.editorial,
        rules=current.number if current else 0,
        wake=wake,
        crash=crash,
    )
    hold = Hold(store.path) if store.path is not None else None
    return App(settings, store, newsroom, hold, settings.var / "witness.json")


def keyring(settings: Settings) -> Keyring:
    """The key that opens stored tokens: given, or made at the first start in the data folder."""
    text = settings.key.get_secret_value() if settings.key is not None else None
    return Keyring.load(text, settings.key_file)


def prepare(settings: Settings, clock: Clock | None = None, *, migrate_shared: bool = False) -> bool:
    """Make the data folder and bring the schema to ours. True if anything was done. Raises StoreError.

    A PostgreSQL store that others may be using is only brought to a newer schema if `migrate_shared` says so; an empty
    one is made at once.
    """
    store = Store(settings.store_url, clock or SystemClock())
    try:
        _make_folder(settings.var)
        if store.path is not None:
            _make_folder(store.path.parent)
        elif migrate.revision(store) is not None and not migrate_shared:
            migrate.require(store)
        return migrate.migrate(store)
    finally:
        store.close()


@contextmanager
def alone(settings: Settings, clock: Clock) -> Iterator[None]:
    """Hold an SQLite store of an older schema while it is brought to ours: under a worker of that version its tables
    must not change. Raises StoreTaken, StoreError. PostgreSQL's workers are told by the bell."""
    store = Store(settings.store_url, clock)
    try:
        found = migrate.revision(store) if store.path is not None and store.path.exists() else None
    finally:
        store.close()
    if store.path is None or found is None or found >= migrate.HEAD:
        yield
        return
    hold = Hold(store.path)
    hold.take()
    try:
        yield
    finally:
        hold.release()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(f"{folder}: can't be written: {error.strerror}. {owner_hint(folder)}") from error


def begin(app: App, author: str = "settings file") -> Finding:
    """The start of a worker: compare store and witness, apply the settings, remember orphans. Raises StoreError."""
    if app.hold is not None:
        app.hold.take()
    seen = witness.read(app.witness_path)  # before the store: another worker goes on meanwhile, and writes it anew
    with app.store.read() as tx:
        now = witness.taken(tx)
        left = [attempt.id for attempt, _ in attempts.undecided(tx)]
    finding = witness.judge(seen, now)
    if not now.store_id:
        identities = seen.identities if seen is not None else ()
        app.store.commit(Christen(app.newsroom.random.new_id(), finding is Finding.RESET, identities))
    if finding is Finding.RESTORED:
        restore.begin(app.newsroom, "an older store was put back: posts since then may be missing in it", "wirepost")
    app.apply(app.settings, author, "start")
    if app.hold is not None:
        app.newsroom.orphans = frozenset(left)
    app.write_witness()
    return finding


def join(store: Store, settings: Settings, accounts: Mapping[str, Account]) -> None:
    """Tell the store which accounts there are now, and by which connections."""
    wanted = tuple((name, account.network, account.live) for name, account in sorted(settings.accounts.items()))
    store.commit(Join(wanted, {name: account.mark for name, account in accounts.items()}))


def build_sources(settings: Settings) -> dict[str, Source]:
    """One object per source of the settings."""
    return {
        name: sources.kind(source.kind)(name, source.options, source.zone) for name, source in settings.sources.items()
    }


def hide_secrets(settings: Settings) -> None:
    """From now on no secret of the settings shows in a log line or an error, whoever repeats it."""
    holders = [account.options for account in settings.accounts.values()]
    holders += [source.options for source in settings.sources.values()]
    hide_secrets_of([*holders, settings.alerts])


def hide_secrets_of(holders: Iterable[Any]) -> None:
    """The secrets of these options, whatever their kind."""
    for holder in holders:
        for value in dict(holder).values():
            if isinstance(value, SecretStr) and value.get_secret_value():
                keep_out(value.get_secret_value())


def build_accounts(settings: Settings, keys: Keyring) -> dict[str, Account]:
    """Each account of the settings with its network's class, imported only if it is used."""
    return {
        name: Account.marked(keys, name, networks.network(account.network), account.options)
        for name, account in settings.accounts.items()
    }


def longest_age(editorial: Editorial) -> timedelta:
    """The longest time for which any article may still be fresh: what a change of rules has to look at again."""
    ages = [editorial.defaults.max_age, editorial.defaults.max_age_breaking]
    ages += [route.max_age for route in editorial.routes if route.max_age is not None]
    ages += [source.max_age for source in editorial.sources.values() if source.max_age is not None]
    return max(ages)
