"""Copies of an SQLite store: made online, verified, kept for a while; and putting one back.

PostgreSQL has its own tools (pg_dump, pg_restore); after them the same rule holds: `mark_restored`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from bot.errors import StoreError
from bot.store.engine import Store
from bot.store.hold import Hold
from bot.store.migrate import HEAD

# Daily copies are kept for two weeks (pain P103).
KEEP = timedelta(days=14)
_STAMP = "%Y%m%dT%H%M%SZ"


def back_up(store: Store, folder: Path, now: datetime) -> Path:
    """Copy the store into a folder while others write; the copy's path. Raises StoreError."""
    if store.path is None:
        raise StoreError("This store is PostgreSQL: back it up with pg_dump, and see docs/operations.md for restoring.")
    target = folder / f"wirepost-{now.strftime(_STAMP)}.db"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(store.path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{target}: the backup failed: {error}") from error
    verify(target)
    return target


def verify(path: Path) -> None:
    """Raise StoreError unless the file is a sound store of this program's schema."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            sound = copy.execute("PRAGMA quick_check").fetchone()[0]
            schema = copy.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except (sqlite3.Error, TypeError) as error:
        raise StoreError(f"{path}: is no Wirepost store: {error}") from error
    if sound != "ok":
        raise StoreError(f"{path}: is damaged: {sound}")
    if schema > HEAD:
        raise StoreError(f"{path}: has schema {schema}, newer than this program's {HEAD}: use the newer Wirepost.")


def last_backup(folder: Path) -> datetime | None:
    """When the newest copy in a folder was made, by its name."""
    stamps = [path.stem.removeprefix("wirepost-") for path in folder.glob("wirepost-*.db")]
    known = [datetime.strptime(f"{stamp}+0000", f"{_STAMP}%z") for stamp in stamps if _is_stamp(stamp)]
    return max(known, default=None)


def _is_stamp(text: str) -> bool:
    try:
        datetime.strptime(text, _STAMP)  # noqa: DTZ007 -- only its form is asked for
    except ValueError:
        return False
    return True


def prune(folder: Path, now: datetime) -> list[Path]:
    """Delete copies older than two weeks; the newest stays, however old. The deleted ones."""
    copies = sorted(path for path in folder.glob("wirepost-*.db") if _is_stamp(path.stem.removeprefix("wirepost-")))
    edge = (now - KEEP).strftime(_STAMP)
    old = [path for path in copies[:-1] if path.stem.removeprefix("wirepost-") < edge]
    for path in old:
        path.unlink()
    return old


def put_back(backup: Path, path: Path, now: datetime) -> Path | None:
    """Replace the store's file by a backup; the old one is kept beside it, and its new name returned.

    Raises StoreTaken while a worker holds the store, StoreError for a backup that is none.
    """
    verify(backup)
    hold = Hold(path)
    hold.take()
    try:
        aside = None
        if path.exists():
            aside = path.with_name(f"{path.name}.before-restore-{now.strftime(_STAMP)}")
            path.rename(aside)
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
        with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(path)) as fresh:
            source.backup(fresh)
        return aside
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: the backup could not be put back: {error}") from error
    finally:
        hold.release()
