"""What `wirepost check` looks at, one finding a line: is it well, what is wrong, what to do. Sends nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli import reading
from bot.cli.phrasing import plural
from bot.cli.standing import login_words
from bot.errors import SendError, WirepostError
from bot.health import data_is_mount
from bot.model import Identity, Reason, State
from bot.store.hold import owner_hint

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.settings import Settings
    from bot.store import Store, Tx

OK, WARN, FAIL = "ok", "warn", "FAIL"
# Below so much room on the disk a warning, below a twentieth of it trouble (pain P101: a full disk stops posting).
ROOM = 1024**3
# A backup is due daily; two hours of grace.
BACKUP_EVERY = timedelta(hours=26)
# A token that ends within this is named.
EXPIRES_SOON = timedelta(days=14)
# X refuses signatures beyond five minutes; a minute is worth a word (pain P40).
SKEW_WARNS, SKEW_FAILS = timedelta(seconds=60), timedelta(minutes=5)
#: File systems on which SQLite's locks can't be trusted (sqlite.org/faq.html#q5, sqlite.org/wal.html).
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "glusterfs", "fuse.glusterfs")
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` says what to do, "" where nothing is."""

    level: str
    subject: str
    words: str
    fix: str = ""


def findings(call: Invocation, *, online: bool) -> list[Finding]:
    """Everything, in the order in which it is read."""
    settings = call.settings()
    found = [_settings(settings), *_data(settings), *_zones(settings)]
    if not reading.there_is_a_store(settings):
        found.append(Finding(WARN, "store", "there is none yet", "wirepost run makes it"))
        return found + (_online(call, with_store=False) if online else [])
    try:
        with reading.opened(call) as store:
            found += _store(settings, store)
            with store.read() as tx:
                found += [*_workers(tx), *_accounts(settings, tx), *_sources(settings, tx)]
            reading.warn(call, store)
    except WirepostError as error:
        return [*found, Finding(FAIL, "store", str(error))]
    found.append(_backup(settings, call.clock.now()))
    return found + (_online(call, with_store=True) if online else [])


# -- this machine -------------------------------------------------------------------------------------------------


def _settings(settings: Settings) -> Finding:
    sizes = {"source": settings.sources, "account": settings.accounts, "route": settings.editorial.routes}
    counted = ", ".join(plural(len(found), noun) for noun, found in sizes.items())
    return Finding(OK, "settings", f"{settings.ledger.file}: {counted}")


def _data(settings: Settings) -> Iterator[Finding]:
    path = reading.sqlite_path(settings)
    folder = path.parent if path is not None else settings.var
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not writable(there):
        hint = owner_hint(there).partition("To mend it: ")
        yield Finding(FAIL, "data", f"{there} can't be written. {hint[0].strip()}", hint[2])
    elif data_is_mount(folder / "store") is False:
        yield Finding(WARN, "data", f"{folder} is lost with this container", "mount a volume there")
    else:
        yield Finding(OK, "data", f"{folder} can be written")
    kind = file_system(there)
    if path is not None and kind in REMOTE:
        yield Finding(FAIL, "disk", f"{there} is on {kind}: SQLite can't lock there", "use a local disk, or PostgreSQL")
    free = shutil.disk_usage(there).free
    level = OK if free >= ROOM else WARN if free >= ROOM // 20 else FAIL
    yield Finding(level, "disk", f"{free // MIB:,} MiB free", "" if level == OK else f"make room on {there}")
    yield from _key(settings)


def writable(folder: Path) -> bool:
    """Tried, since rights alone don't tell (a read-only mount, the superuser); nothing of it stays."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system that a path lies on, "" where that can't be told (no Linux)."""
    try:
        lines = [line.split() for line in mounts.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    real = path.resolve()
    points = [(Path(parts[1].replace("\\040", " ")), parts[2]) for parts in lines if len(parts) > 2]
    inside = [(len(point.parts), kind) for point, kind in points if real.is_relative_to(point)]
    return max(inside, default=(0, ""), key=lambda pair: pair[0])[1]


def _key(settings: Settings) -> Iterator[Finding]:
    if settings.key is not None:
        yield Finding(OK, "key", "given by a secret")
    elif not settings.key_file.exists():
        yield Finding(OK, "key", f"none yet; {settings.key_file} is made at the first start")
    elif settings.key_file.stat().st_mode & 0o077:
        yield Finding(FAIL, "key", f"{settings.key_file} can be read by others", f"chmod 600 {settings.key_file}")
    else:
        yield Finding(OK, "key", f"{settings.key_file}, for its owner only")


def _zones(settings: Settings) -> Iterator[Finding]:
    """The zone data are there: a zone of the settings would not have been accepted without, so one that moves."""
    from zoneinfo import TZPATH

    where = TZPATH[0] if any(Path(one).exists() for one in TZPATH) else "the tzdata package"
    yield Finding(OK, "clock", f"zone {settings.editorial.timezone}, zone data from {where}")


# -- the store ----------------------------------------------------------------------------------------------------


def _store(settings: Settings, store: Store) -> Iterator[Finding]:
    from bot.store.migrate import HEAD

    path = reading.sqlite_path(settings)
    if path is None:
        yield Finding(OK, "store", f"{store.url.render_as_string(hide_password=True)}, schema {HEAD}")
        return
    with store.engine.connect() as connection:
        sound = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if sound != "ok":
        yield Finding(FAIL, "store", f"{path} is damaged: {sound}", "stop, then wirepost db restore")
        return
    words = f"sqlite {max(1, path.stat().st_size // MIB)} MiB, schema {HEAD}, quick_check ok, {str(mode).upper()}"
    yield Finding(OK if mode == "wal" else WARN, "store", words)


def _workers(tx: Tx) -> Iterator[Finding]:
    from bot.health import BEAT
    from bot.store.workers import all_workers

    fresh = [row for row in all_workers(tx) if tx.now - row.beat_at <= timedelta(seconds=BEAT)]
    if not fresh:
        seen = all_workers(tx)
        words = f"none since {seen[0].beat_at:%d %b %H:%M UTC}" if seen else "none runs"
        yield Finding(WARN, "worker", f"{words}: nothing is sent", "wirepost run")
    elif len(fresh) > 1 and tx.connection.dialect.name == "sqlite":
        yield Finding(
            FAIL, "worker", f"{len(fresh)} at once on SQLite: {', '.join(row.id for row in fresh)}", "stop one"
        )
    else:
        yield Finding(OK, "worker", ", ".join(f"{row.id}, at {row.doing}" for row in fresh))


def _backup(settings: Settings, now: datetime) -> Finding:
    folder = settings.var / "backups"
    fix = f"wirepost db backup --to {folder}"
    if reading.sqlite_path(settings) is None:
        return Finding(OK, "backup", "PostgreSQL: see to pg_dump yourself")
    times = [one.stat().st_mtime for one in folder.glob("*") if one.is_file()] if folder.is_dir() else []
    if not times:
        return Finding(WARN, "backup", f"none in {folder}", fix)
    age = timedelta(seconds=max(0.0, now.timestamp() - max(times)))
    words = f"last {age.days} days ago" if age.days > 1 else f"last {round(age.total_seconds() / 3600)} h ago"
    return Finding(OK, "backup", words) if age <= BACKUP_EVERY else Finding(WARN, "backup", words, fix)


def _accounts(settings: Settings, tx: Tx) -> Iterator[Finding]:
    from bot.store import accounts, deliveries

    rows, zone = accounts.all_accounts(tx), settings.editorial.timezone
    for (name, state), number in deliveries.counts(tx).items():
        if state is State.WAITING and name not in settings.accounts:
            words = f"has left the settings, and {plural(number, 'planned post')} on it won't go"
            yield Finding(WARN, name, words, "put it back, or skip them (wirepost queue)")
    for name, said in sorted(settings.accounts.items()):
        row = rows.get(name)
        words = login_words(row, said.live, zone, tx.now)
        scopes = f"; may: {', '.join(row.scopes)}" if row is not None and row.scopes else ""
        if row is not None and row.breaker is not None:
            fix = "log in again" if row.breaker is Reason.LOGIN else "settle it with the network"
            yield Finding(FAIL, name, f"{words}: {row.breaker_words or 'no words'}", fix)
        elif row is not None and row.expires_at is not None and row.expires_at - tx.now < EXPIRES_SOON:
            yield Finding(WARN, name, f"{words}{scopes}", "renew the login in time")
        else:
            yield Finding(OK, name, f"{words}{scopes}")


def _sources(settings: Settings, tx: Tx) -> Iterator[Finding]:
    from bot.store import sources

    rows = {row.name: row for row in sources.all_sources(tx)}
    for name in sorted(settings.sources):
        row = rows.get(name)
        if row is None:
            yield Finding(OK, name, "not looked at yet")
        elif row.ended:
            yield Finding(
                FAIL, name, "its publisher ended it (410)", "take it out of the settings, or mend its address"
            )
        elif row.errors:
            yield Finding(WARN, name, f"{row.errors} errors in a row: {row.last_error}")
        else:
            yield Finding(OK, name, f"last good look {row.last_good_at:%d %b %H:%M UTC}" if row.last_good_at else "new")


# -- the world ----------------------------------------------------------------------------------------------------


def _online(call: Invocation, *, with_store: bool) -> list[Finding]:
    from bot.cli.trying import taken

    found = [Finding(FAIL if one.error else OK, name, one.words) for name, one in taken(call).items()]
    answers, skew = _asked(call) if with_store else _asked_without_store(call)
    for name, answer in answers.items():
        if isinstance(answer, Identity):
            scopes = f"; may: {', '.join(answer.scopes)}" if answer.scopes else ""
            found.append(Finding(OK, name, f"logged in as {answer.name}{scopes}"))
        else:
            words = answer.words or type(answer).__name__
            found.append(Finding(FAIL, name, words, "log in again, or look at its options in the settings"))
    if skew is None:
        return [*found, Finding(OK, "clock", "no network told the time")]
    level = OK if abs(skew) <= SKEW_WARNS else WARN if abs(skew) <= SKEW_FAILS else FAIL
    side = "ahead of" if skew > timedelta(0) else "behind"
    words = f"{abs(skew).total_seconds():.0f} s {side} the networks'" if level != OK else "agrees with the networks'"
    return [*found, Finding(level, "clock", words, "" if level == OK else "set this machine's clock (NTP)")]


#: What each network said, and how far our clock is ahead of theirs (None: none told the time).
Answers = tuple[dict[str, "Identity | SendError"], "timedelta | None"]


def _asked(call: Invocation) -> Answers:
    """Each network's answer; a token that is over is renewed as the worker would, and stored."""
    from bot.flow import check
    from bot.store import accounts

    app = call.app()
    try:
        with app.store.read() as tx:
            known = set(accounts.all_accounts(tx))
        answers: dict[str, Identity | SendError] = {
            name: check.ask(app.newsroom, name) for name in sorted(known & set(app.newsroom.accounts))
        }
        new, theirs = _asked_without_store(call, leave_out=known)  # the worker has not taken them in yet
        return answers | new, app.newsroom.skew if app.newsroom.time_heard else theirs
    finally:
        app.close()


def _asked_without_store(call: Invocation, leave_out: Collection[str] = ()) -> Answers:
    """Only asked: without a store, or a place in it, there is nowhere to keep a renewed token."""
    from bot.cli.drafting import bench
    from bot.networks.base import only_send_errors

    on = bench(call.settings(), call.clock, None, None)
    answers: dict[str, Identity | SendError] = {}
    for name in sorted(on.rows):
        if name in leave_out or on.room.accounts[name].network.local:
            continue
        try:
            answers[name] = on.room.reader(on.rows[name]).check()
        except Exception as error:  # noqa: BLE001 -- the seam's rule: anything unexpected is Unknown
            answers[name] = only_send_errors(error)
    return answers, on.room.skew if on.room.time_heard else None
