"""A small file beside the store that tells when the store was lost or an older one was put in its place.

It holds the store's id, the highest attempt number as of its writing, and the accounts' identities. An empty store with
a witness was lost: its sources begin with a baseline (pain P09). A store behind its witness is a restored backup: what
went out since is not in it, so everything stops until its posts were read from the networks and a person resumes.

Numbers alone can't tell a store from a copy that was made before an older one was put back: the older one counts from
behind. So each restore that is noticed adds a name to the store's line of descent, which the witness keeps, too: a
store that doesn't know the witness's newest name is older than it, whatever its numbers say.

A backup needs no witness: `db backup` writes into the copy that it is one (`COPIED_AT`), so that it is known wherever
and however it is put in place.
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

from sqlalchemy import bindparam, select

from bot.errors import StoreError
from bot.model import MOVES, Move, Reason, State
from bot.store import attempts
from bot.store.accounts import AccountRow
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.schema import accounts, deliveries, meta
from bot.store.sources import STATE_RESET

STORE_ID = "store_id"
DESCENT = "descent"
RESTORED_SINCE = "restored_since"
# When a copy of a store was made; only a copy has it.
COPIED_AT = "copied_at"
# Followed by a network's name and who an account is there: a person resumed, and the account was not read since.
UNREAD_SINCE = "unread_since/"


class Finding(StrEnum):
    """What store and witness say together."""

    SAME = "same"
    NEW = "new"
    RESET = "reset"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Witness:
    """The file's content, and the same of the store as it is now; `at` is when it was written.

    `descent`: a name for each restore that was noticed, oldest first. `store_id`: empty if the store was made just now.
    `copied`: it is a backup; never in the file.
    """

    store_id: str
    last_attempt: int
    identities: tuple[str, ...]
    at: datetime
    descent: tuple[str, ...] = ()
    copied: bool = False


def judge(witness: Witness | None, now: Witness) -> Finding:
    """What the file and the store as it is now say together. Pure."""
    if now.copied:
        return Finding.RESTORED
    if witness is None:
        return Finding.SAME if now.store_id else Finding.NEW
    if not now.store_id:
        return Finding.RESET if witness.last_attempt or witness.identities else Finding.NEW
    if now.store_id != witness.store_id:
        return Finding.SAME  # another house's store was put here on purpose: nothing to compare
    if now.descent == witness.descent:
        return Finding.RESTORED if now.last_attempt < witness.last_attempt else Finding.SAME
    # Another worker's witness may have slept through a restore that was seen to: it knows a part of the line.
    return Finding.SAME if now.descent[: len(witness.descent)] == witness.descent else Finding.RESTORED


def taken(tx: Tx) -> Witness:
    """What a witness of the store says now."""
    identities = tuple(sorted(row.identity for row in tx.rows(_IDENTITIES)))
    descent = tuple(json.loads(_value(tx, DESCENT) or "[]"))
    copied = _value(tx, COPIED_AT) is not None
    return Witness(_value(tx, STORE_ID) or "", attempts.last_number(tx), identities, tx.now, descent, copied)


def _value(tx: Tx, key: str) -> str | None:
    row = tx.row(_META, {"is_key": key})
    return row.value if row else None


def read(path: Path) -> Witness | None:
    """The witness, or None if there is none. Raises StoreError if it can't be read as one."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return Witness(
            data["store_id"],
            int(data["last_attempt"]),
            tuple(data["identities"]),
            datetime.fromisoformat(data["at"]),
            tuple(data.get("descent", ())),
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
        "descent": list(witness.descent),
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


#: What waits on accounts that are not in the settings.
_HOLD_LEFT = (
    deliveries.update()
    .where(
        deliveries.c.state == State.WAITING,
        deliveries.c.account.in_(select(accounts.c.name).where(accounts.c.removed)),
    )
    .values(
        state=MOVES[State.WAITING, Move.HOLD],
        reason=Reason.RESTORED,
        detail="",
        due_at=None,
        version=deliveries.c.version + 1,
    )
)
#: Read at every tick of a worker, so made once.
_META = select(meta.c.value).where(meta.c.key == bindparam("is_key"))
_UNREAD = select(meta).where(meta.c.key.startswith(UNREAD_SINCE, autoescape=True))
_IDENTITIES = select(accounts.c.identity).where(~accounts.c.removed, accounts.c.identity.is_not(None))


def store_id(tx: Tx) -> str | None:
    """The store's id, None before `Christen`."""
    return _value(tx, STORE_ID)


def restored_since(tx: Tx) -> datetime | None:
    """From when on our own posts may be missing in this restored store; None if it is not a restored one, or a person
    resumed."""
    since = _value(tx, RESTORED_SINCE)
    return datetime.fromisoformat(since) if since else None


def unread_since(tx: Tx) -> dict[str, datetime]:
    """Who was not read since a person resumed a restored store (see `whose`), with that of `restored_since`."""
    rows = tx.rows(_UNREAD)
    return {row.key.removeprefix(UNREAD_SINCE): datetime.fromisoformat(row.value) for row in rows}


def whose(row: AccountRow) -> str:
    """Who an account is, whatever its name in the settings: "mastodon/109…"."""
    return f"{row.network}/{row.identity}"


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
    """Intent: this store is a backup put back; posts since its newest row, less a margin, may be missing. `name`: of
    this restore."""

    newest: datetime
    name: str
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        earlier = restored_since(tx)  # put back twice without a resume: the older one counts
        newest = self.newest - timedelta(hours=1)
        since = min(newest, earlier or newest, *unread_since(tx).values()).isoformat()
        descent = [*taken(tx).descent, self.name]
        tx.insert_or_update(meta, {"key": RESTORED_SINCE, "value": since})
        tx.insert_or_update(meta, {"key": DESCENT, "value": json.dumps(descent)})
        tx.execute(meta.delete().where(meta.c.key == COPIED_AT))
        note(tx, "restored", "store", {"since": since})


@dataclass(frozen=True, slots=True)
class ForgetRestored:
    """Intent: a person resumed: what was missing is adopted or held. Each of `unread` (see `whose`) is read once more,
    since not all of them could be just now. An account that is not in the settings now could not be read at all: what
    waits on it is held, and once it is back it counts as one that joined now."""

    who: str
    unread: tuple[str, ...] = ()
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        since = _value(tx, RESTORED_SINCE)
        for one in self.unread if since else ():
            tx.insert_or_update(meta, {"key": UNREAD_SINCE + one, "value": since})
        if since:
            tx.execute(accounts.update().where(accounts.c.removed).values(joined_at=tx.now))
            tx.execute(_HOLD_LEFT.values(updated_at=tx.now))
        tx.execute(meta.delete().where(meta.c.key == RESTORED_SINCE))
        note(tx, "restore_acknowledged", "store", who=self.who)


@dataclass(frozen=True, slots=True)
class AccountRead:
    """Intent: the account was read after a restore (see `whose`)."""

    whose: str
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        tx.execute(meta.delete().where(meta.c.key == UNREAD_SINCE + self.whose))
