"""One worker at a time on SQLite: a lock of the operating system that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from bot.errors import StoreError, StoreTaken


class Hold:
    """The lock file of a store, held from `take` to `release` (or the end of the process)."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the store. Raises StoreTaken with the other process's number, StoreError if the folder can't be used."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreError(
                f"{self.path}: can't be opened: {error.strerror}. {owner_hint(self.path.parent)}"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            other = file.read().strip() or "another process"
            file.close()
            raise StoreTaken(
                f"{self.path.name.removesuffix('.lock')} is in use by {other}: one worker at a time on SQLite. "
                "Stop that one first, or use PostgreSQL for several."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let the store go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def owner_hint(folder: Path) -> str:
    """Who owns a folder and who we are, with the command that mends it (pain P106)."""
    try:
        found = folder.stat()
    except OSError:
        return f"Make the folder first: mkdir -p {folder}"
    me = os.geteuid()
    mend = f"chmod -R u+rwX {folder}" if found.st_uid == me else f"chown -R {me}:{os.getegid()} {folder}"
    return f"The folder belongs to {found.st_uid}:{found.st_gid}, this runs as {me}:{os.getegid()}. To mend it: {mend}"
