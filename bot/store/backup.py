"""Copies of the store: made while it works, verified, kept for a while; and putting one of SQLite back.

PostgreSQL's are made by its own pg_dump and put back by pg_restore; the worker then sees that the store is older than
its witness. Whatever is put back is stopped and marked as restored before it takes the store's place.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import URL

from bot.clock import Clock
from bot.errors import StoreError
from bot.store import accounts, deliveries
from bot.store.engine import Store
from bot.store.hold import Hold
from bot.store.migrate import HEAD, migrate
from bot.store.stops import Scope, Stop
from bot.store.witness import COPIED_AT, MarkRestored

# Daily copies are kept for two weeks (pain P103).
KEEP = timedelta(days=14)
EVERY = timedelta(days=1)
_STAMP = "%Y%m%dT%H%M%SZ"
_ENDINGS = (".db", ".dump")
# How long a restore waits for those who still read the old store, in seconds.
READERS_WAIT = 1.0
# A copy holds headlines, texts and (encrypted) logins: it is for its owner alone.
_OWNER_ONLY = 0o600


def back_up(store: Store, folder: Path, now: datetime, *, pg_dump: str | None = None) -> Path:
    """Copy the store into a folder while others write; the copy's path. Raises StoreError.

    The copy takes its name when it is whole and verified: a file with a copy's name is one.
    """
    ending = ".db" if store.path is not None else ".dump"
    target = folder / f"wirepost-{now.strftime(_STAMP)}{ending}"
    part = target.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.touch(_OWNER_ONLY)
        if store.path is not None:
            _copy(store.path, part, now)
        else:
            _dump(store.url, part, pg_dump or shutil.which("pg_dump"))
        part.replace(target)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{target}: the backup failed: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _copy(path: Path, part: Path, now: datetime) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (COPIED_AT, now.isoformat()))
        copy.commit()
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    verify(part)


def _dump(url: URL, part: Path, tool: str | None) -> None:
    """The password goes by a file (libpq's `passfile`): a command line is open to every user of the machine."""
    if tool is None:
        raise StoreError("pg_dump is not on this machine: install PostgreSQL's client, or back up where the server is.")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        word = str(url.password or "").replace("\\", "\\\\").replace(":", "\\:")
        file.write(f"*:*:*:*:{word}\n")
        file.flush()
        plain = url.set(drivername="postgresql", password=None).update_query_dict({"passfile": file.name})
        call = [
            tool,
            "--format=custom",
            "--no-password",
            "--file",
            str(part),
            "--dbname",
            plain.render_as_string(hide_password=False),
        ]
        done = subprocess.run(call, capture_output=True, text=True, check=False)  # noqa: S603 -- our own arguments
    if done.returncode:
        raise StoreError(f"pg_dump failed: {done.stderr.strip() or done.returncode}")


def verify(path: Path) -> None:
    """Raise StoreError unless the file is a sound SQLite store of this program's schema, or an older one."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            sound = copy.execute("PRAGMA quick_check").fetchone()[0]
            schema = copy.execute("SELECT version_num FROM alembic_version").fetchone()[0]
            copy.execute("SELECT count(*) FROM deliveries").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise StoreError(f"{path}: is no Wirepost store: {error}") from error
    if sound != "ok":
        raise StoreError(f"{path}: is damaged: {sound}")
    if schema > HEAD:
        raise StoreError(f"{path}: has schema {schema}, newer than this program's {HEAD}: use the newer Wirepost.")


# -- keeping ------------------------------------------------------------------------------------------------------


def copies(folder: Path) -> list[tuple[datetime, Path]]:
    """The copies in a folder with the times in their names, oldest first."""
    found = []
    for path in folder.glob("wirepost-*"):
        try:
            made = datetime.strptime(f"{path.stem.removeprefix('wirepost-')}+0000", f"{_STAMP}%z")
        except ValueError:
            continue
        if path.suffix in _ENDINGS:
            found.append((made, path))
    return sorted(found)


def last_backup(folder: Path) -> datetime | None:
    """When the newest copy in a folder was made, by its name."""
    return max((made for made, _ in copies(folder)), default=None)


def prune(folder: Path, now: datetime) -> list[Path]:
    """Delete copies older than two weeks; the newest stays, however old. The deleted ones."""
    old = [path for made, path in copies(folder)[:-1] if made < now - KEEP]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def daily(store: Store, folder: Path, now: datetime) -> Path | None:
    """Once a day: a copy, and the old ones go (only then: who can't copy keeps what there is). Raises StoreError.

    A copy that a clock dated ahead counts for nothing, and must not hide those made since.
    """
    if any(timedelta(0) <= now - made < EVERY for made, _ in copies(folder)):
        return None
    made = back_up(store, folder, now)
    prune(folder, now)
    return made


# -- putting back -------------------------------------------------------------------------------------------------


def mark_restored(store: Store, stop: str, reason: str, who: str) -> None:
    """Stop everything and remember since when posts may be missing."""
    with store.read() as tx:
        # A copy without any delivery tells nothing by them: since its accounts joined, anything may have gone out.
        joined = [row.joined_at for row in accounts.all_accounts(tx).values()]
        newest = deliveries.newest_change(tx) or min(joined, default=tx.now)
    store.commit(Stop(id=stop, scope=Scope.ALL, value="", reason=reason, who=who))
    store.commit(MarkRestored(newest, stop))


def put_back(backup: Path, path: Path, clock: Clock, *, stop: str, who: str) -> Path | None:
    """Put a copy of the backup in the store's place, stopped and marked as restored; where the old store is kept now.

    The backup itself is left as it is. Killed at any moment, there is the old store, or the new one that is stopped.
    Raises StoreTaken while a worker holds the store, StoreError for a backup that is none.
    """
    verify(backup)
    hold = Hold(path)
    hold.take()
    fresh = path.with_name(f"{path.name}.restoring")
    try:
        _forget(fresh)
        fresh.touch(_OWNER_ONLY)
        with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(fresh)) as copy:
            source.backup(copy)
        _make_ready(fresh, clock, stop, f"restored from {backup.name}", who)
        return _swap(fresh, path, clock.now())
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: the backup could not be put back: {error}") from error
    finally:
        _forget(fresh)
        hold.release()


def _make_ready(fresh: Path, clock: Clock, stop: str, reason: str, who: str) -> None:
    store = Store(f"sqlite:///{fresh}", clock)
    try:
        migrate(store)
        mark_restored(store, stop, reason, who)
    finally:
        store.close()
    with closing(sqlite3.connect(fresh)) as copy:
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy.execute("PRAGMA journal_mode = DELETE")


def _swap(fresh: Path, path: Path, now: datetime) -> Path | None:
    """The old file keeps another name, then the new one takes its place in one step; where the old one is."""
    aside = None
    if path.exists():
        _fold_log_in(path)
        aside = path.with_name(f"{path.name}.before-restore-{now.strftime(_STAMP)}")
        os.link(path, aside)
    for ending in ("-wal", "-shm"):
        # Left there, the old log would be played into the new file (sqlite.org/howtocorrupt.html, 1.4).
        log = path.with_name(path.name + ending)
        if aside is not None and log.exists() and log.stat().st_size:
            log.replace(aside.with_name(aside.name + ending))
        log.unlink(missing_ok=True)
    fresh.replace(path)
    return aside


def _fold_log_in(path: Path) -> None:
    """Bring what is in the store's log only into its file: from then on the file alone is the whole store.

    A damaged store can't, and keeps its log. Raises StoreError where somebody reads: taking the log away from a sound
    store would leave, if we died then, one that has forgotten its last posts and sends them again.
    """
    try:
        with closing(sqlite3.connect(path, timeout=READERS_WAIT)) as old:
            busy = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        raise  # no room, no rights, a failing disk: what the log holds is still needed
    except sqlite3.DatabaseError:
        return
    if busy:
        raise StoreError(f"{path}: another process reads the store just now. End it (or wait for it), then try again.")


def _forget(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
