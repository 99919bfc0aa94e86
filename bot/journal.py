"""A file of JSON lines that is appended to durably, by one process at a time, and found again by key.

    NAME.jsonl    the truth: one entry a line, synced to the disk before `append` returns
    NAME.index    key → place (SQLite): made anew from the truth whenever it is missing, behind or broken
    NAME.lock     locked (flock) while a Journal is open

A half line that a crash left behind is cut off at the next opening: its entry was never confirmed. Finding and
appending cost the same however long the file is.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_CHUNK = 64 * 1024  # bytes read at once from the end: some dozens of entries


class JournalError(Exception):
    """The file can't be used. `nothing_written`: the entry is surely not in it."""

    def __init__(self, message: str, *, nothing_written: bool = True) -> None:
        super().__init__(message)
        self.nothing_written = nothing_written


class Journal:
    """An open journal, for this process alone until `close`. Entries are JSON objects with a text `key`."""

    def __init__(self, path: Path) -> None:
        """Open, mend and index the file; its folder is made. Waits for the lock. Raises JournalError."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.with_suffix(".lock").open("a")
        except OSError as error:
            raise JournalError(f"{path} can't be written: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            _mend(path)
            self._index = _index(path.with_suffix(".index"), path)
        except (OSError, sqlite3.Error) as error:
            self._lock.close()
            raise JournalError(f"{path} can't be used: {error}.") from error

    def close(self) -> None:
        """Give the file back."""
        self._index.close()
        self._lock.close()

    def find(self, key: str) -> Mapping[str, Any] | None:
        """The entry with this key, or None."""
        row = self._index.execute("SELECT place FROM places WHERE key = ?", (key,)).fetchone()
        return _entry_at(self._path, row[0]) if row else None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write an entry and wait for the disk. Raises JournalError; see its `nothing_written`."""
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        before = None
        try:
            with self._path.open("ab", buffering=0) as file:
                before = file.seek(0, os.SEEK_END)
                try:
                    if file.write(line) != len(line):
                        raise OSError("the disk is full")
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
        except OSError as error:
            clean = before is None or self._path.stat().st_size == before
            raise JournalError(f"{self._path} can't be written: {error}.", nothing_written=clean) from error
        try:
            _catch_up(self._index, self._path)
        except (sqlite3.Error, LookupError, OSError):
            return  # the entry stands; the next opening catches up

    def newest(self, most: int | None = None) -> list[Mapping[str, Any]]:
        """The newest entries, newest first."""
        found: list[Mapping[str, Any]] = []
        for line in _lines_backwards(self._path):
            entry = _entry(line)
            if entry is not None:
                found.append(entry)
            if most is not None and len(found) >= most:
                break
        return found


def _entry(line: bytes) -> Mapping[str, Any] | None:
    """The entry of a line; None if it is none (a hand has been in the file)."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("key"), str) else None


def _entry_at(path: Path, place: int) -> Mapping[str, Any] | None:
    with path.open("rb") as file:
        file.seek(place)
        return _entry(file.readline())


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        end, rest = file.seek(0, os.SEEK_END), b""
        while end > 0:
            start = max(0, end - _CHUNK)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            rest, end = lines[0], start
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest


def _mend(path: Path) -> None:
    """Cut off what stands behind the last line end."""
    with path.open("a+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _CHUNK)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            end = start + last + 1
            if last >= 0:
                break
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())


# -- the index ----------------------------------------------------------------------------------------------------


def _index(path: Path, truth: Path) -> sqlite3.Connection:
    """The index, caught up; a broken one, or one of another file, is made anew."""
    try:
        return _connected(path, truth)
    except (sqlite3.DatabaseError, LookupError):
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connected(path, truth)


def _connected(path: Path, truth: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path, isolation_level=None)
    try:
        # WAL with NORMAL can lose the last entries when the power fails, never break the file; the gap is caught up.
        index.execute("PRAGMA journal_mode = WAL")
        index.execute("PRAGMA synchronous = NORMAL")
        index.execute("CREATE TABLE IF NOT EXISTS places (key TEXT PRIMARY KEY, place INTEGER, line_end INTEGER)")
        index.execute("CREATE INDEX IF NOT EXISTS ends ON places (line_end)")
        _catch_up(index, truth)
    except BaseException:
        index.close()
        raise
    return index


def _catch_up(index: sqlite3.Connection, truth: Path) -> None:
    """Enter the lines behind the last one known. Raises LookupError if that one does not stand where it should."""
    known = index.execute("SELECT key, place, line_end FROM places ORDER BY line_end DESC LIMIT 1").fetchone()
    end = known[2] if known else 0
    if known is not None:
        last = _entry_at(truth, known[1])
        if last is None or last["key"] != known[0]:
            raise LookupError(known[0])
    places = []
    with truth.open("rb") as file:
        file.seek(end)
        for line in file:
            entry = _entry(line)
            if entry is not None:
                places.append((entry["key"], end, end + len(line)))
            end += len(line)
    if places:
        index.execute("BEGIN")
        index.executemany("INSERT OR IGNORE INTO places VALUES (?, ?, ?)", places)
        index.execute("COMMIT")
