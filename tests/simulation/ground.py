"""One store for all the weeks of a test run: its statements are compiled once, its file is new for each week."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bot.clock import Clock, SystemClock
from bot.store import Store
from bot.store.migrate import migrate
from bot.store.witness import COPIED_AT


class Ground:
    """A store in a folder. `peek` reads its file past the store's own code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "wirepost.db"
        self._empty = folder / "empty.db"
        made = Store(f"sqlite:///{self._empty}", SystemClock())
        migrate(made)
        made.close()
        self.store = Store(f"sqlite:///{self._path}", SystemClock(), own_time=False)
        event.listen(self.store.engine, "connect", _hasty)
        self._copies = 0
        self.peek: sqlite3.Connection

    def clear(self, clock: Clock, crash: Callable[[str], None]) -> None:
        """An empty store for a new week."""
        self.store.clock, self.store.crash = clock, crash
        self.put(self._empty)

    def put(self, copy: Path) -> None:
        """This file takes the store's place."""
        self.close()
        for ending in ("-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        shutil.copyfile(copy, self._path)
        self.peek = sqlite3.connect(self._path, isolation_level=None)

    def copy(self, *, backup: bool = False) -> Path:
        """The store as it is now, in a file of its own; a backup says that it is one."""
        self._copies += 1
        path = self._folder / f"copy-{self._copies}.db"
        with closing(sqlite3.connect(path)) as target:
            self.peek.backup(target)
            if backup:
                target.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, '')", (COPIED_AT,))
                target.commit()
        return path

    def close(self) -> None:
        """Close all connections."""
        if hasattr(self, "peek"):
            self.peek.close()
        self.store.close()


def _hasty(connection: sqlite3.Connection, _: Any) -> None:
    """A process that dies loses nothing that the system has: only a loss of power needs the disk, and none happens."""
    connection.execute("PRAGMA synchronous = OFF")
