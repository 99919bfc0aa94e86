"""Which workers are alive, and what each did last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select

from bot.store.engine import Tx
from bot.store.schema import Instant, workers

# A worker that has not been seen for a day is history.
FORGET = timedelta(days=1)

_ALL = select(workers).order_by(workers.c.beat_at.desc(), workers.c.id)
_OLD = workers.delete().where(workers.c.beat_at < bindparam("before", type_=Instant))


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker's last sign of life."""

    id: str
    started_at: datetime
    beat_at: datetime
    doing: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Intent: this worker lives."""

    id: str
    doing: str
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        values = {"id": self.id, "started_at": tx.now, "beat_at": tx.now, "doing": self.doing}
        tx.insert_or_update(workers, values, keep=["started_at"])
        tx.execute(_OLD, {"before": tx.now - FORGET})


@dataclass(frozen=True, slots=True)
class Leave:
    """Intent: this worker stops in good order."""

    id: str
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        tx.execute(workers.delete().where(workers.c.id == self.id))


def all_workers(tx: Tx) -> list[WorkerRow]:
    """Known workers, the last seen first."""
    return [WorkerRow(row.id, row.started_at, row.beat_at, row.doing) for row in tx.rows(_ALL)]
