"""A small file beside the store that tells when the store was lost or an older one was put in its place.

It holds the store's id, the highest attempt number as of its writing, and the accounts' identities. An empty store with
a witness was lost: its sources begin with a baseline (pain P09). A store behind its witness is a restored backup: what
went out since is not in it, so everything stops until its posts were read from the networks and a person resumes.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import select

from bot.errors import StoreError
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.schema import meta
from bot.store.sources import STATE_RESET

STORE_ID = "store_id"
RESTORED_SINCE = "restored_since"
# At most so many attempts may begin before the witness is written again.
BLOCK = 1_000


class Finding(StrEnum):
    """What store and witness say together."""

    SAME = "same"
    NEW = "new"
    RESET = "reset"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Witness:
    """The file's content; `at` is when it was written."""

    store_id: str
    last_attempt: int
    identities: tuple[str, ...]
    at: datetime


def judge(witness: Witness | None, store_id: str | None, last_attempt: int) -> Finding:
    """What the two say together. Pure. `store_id` None: the store was made just now."""
    if witness is None:
        return Finding.NEW if store_id is None else Finding.SAME
    if store_id is None:
        return Finding.RESET if witness.last_attempt or witness.identities else Finding.NEW
    if store_id != witness.store_id:
        return Finding.SAME  # another house's store was put here on purpose: nothing to compare
    return Finding.RESTORED if last_attempt < witness.last_attempt else Finding.SAME


def read(path: Path) -> Witness | None:
    """The witness, or None if there is none. Raises StoreError if it can't be read as one."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return Witness(
            data["store_id"],
            int(data["last_attempt"]),
            tuple(data["identities"]),
            datetime.fromisoformat(data["at"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: the store's witness can't be read ({type(error).__name__}). It guards against posting twice "
            "after a lost or restored store. If you know that the store is the right one, delete the file."
        ) from error


def write(path: Path, witness: Witness) -> None:
    """Replace the file in one step. Raises StoreError: without a witness nothing is sent."""
    data = {
        "store_id": witness.store_id,
        "last_attempt": witness.last_attempt,
        "identities": sorted(witness.identities),
        "at": witness.at.isoformat(),
    }
    # A name of its own: several workers may share the folder, and the last one to replace the file is as good as any.
    fresh = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: the store's witness can't be written: {error.strerror}") from error


def store_id(tx: Tx) -> str | None:
    """The store's id, None before `Christen`."""
    row = tx.row(select(meta.c.value).where(meta.c.key == STORE_ID))
    return row.value if row else None


def restored_since(tx: Tx) -> datetime | None:
    """From when on our own posts may be missing in this restored store; None if it is not a restored one."""
    row = tx.row(select(meta.c.value).where(meta.c.key == RESTORED_SINCE))
    return datetime.fromisoformat(row.value) if row else None


@dataclass(frozen=True, slots=True)
class Christen:
    """Intent: a new store gets its id; one whose predecessor was lost remembers that."""

    id: str
    lost: bool
    identities: Sequence[str] = ()
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        tx.insert_unless_there(meta, {"key": STORE_ID, "value": self.id})
        if self.lost:
            tx.insert_unless_there(meta, {"key": STATE_RESET, "value": tx.now.isoformat()})
            note(tx, "state_reset", "store", {"identities": list(self.identities)})


@dataclass(frozen=True, slots=True)
class MarkRestored:
    """Intent: this store is a backup put back; posts since its newest row, less a margin, may be missing."""

    newest: datetime
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        earlier = restored_since(tx)  # put back twice without a resume: the older one counts
        newest = self.newest - timedelta(hours=1)
        since = min(newest, earlier or newest).isoformat()
        tx.insert_or_update(meta, {"key": RESTORED_SINCE, "value": since})
        note(tx, "restored", "store", {"since": since})


@dataclass(frozen=True, slots=True)
class ForgetRestored:
    """Intent: a person resumed: what was missing is adopted or held."""

    who: str
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        tx.execute(meta.delete().where(meta.c.key == RESTORED_SINCE))
        note(tx, "restore_acknowledged", "store", who=self.who)
