"""What needs a human: one open row per cause, so that each is said once and its end is said too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from bot.store.engine import Tx
from bot.store.schema import alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A cause that is, or was, open. `times_said`: how often a message went out for it."""

    cause: str
    kind: str
    words: str
    opened_at: datetime
    said_at: datetime | None
    times_said: int
    closed_at: datetime | None


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        cause=row.cause,
        kind=row.kind,
        words=row.words,
        opened_at=row.opened_at,
        said_at=row.said_at,
        times_said=row.times_said,
        closed_at=row.closed_at,
    )


@dataclass(frozen=True, slots=True)
class SyncAlerts:
    """Intent: exactly these causes are open now: {cause: (kind, words)}. Others are closed."""

    open_now: Mapping[str, tuple[str, str]]
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        known = {row.cause: row for row in tx.rows(select(alerts).order_by(alerts.c.cause))}
        for cause, (kind, words) in sorted(self.open_now.items()):
            row = known.get(cause)
            if row is None or row.closed_at is not None:
                fresh = {"kind": kind, "words": words, "opened_at": tx.now, "said_at": None, "times_said": 0}
                tx.insert_or_update(alerts, {"cause": cause, **fresh, "closed_at": None, "closing_said": False})
            elif row.words != words:
                tx.execute(alerts.update().where(alerts.c.cause == cause).values(words=words))
        for cause, row in sorted(known.items()):
            if cause not in self.open_now and row.closed_at is None:
                tx.execute(alerts.update().where(alerts.c.cause == cause).values(closed_at=tx.now))


@dataclass(frozen=True, slots=True)
class Said:
    """Intent: a message about this cause went out (its opening or reminder, or its end)."""

    cause: str
    closing: bool = False
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        values: dict[str, Any] = {"closing_said": True} if self.closing else {"said_at": tx.now}
        if not self.closing:
            values["times_said"] = alerts.c.times_said + 1
        tx.execute(alerts.update().where(alerts.c.cause == self.cause).values(**values))


def open_alerts(tx: Tx) -> list[Alert]:
    """What needs a human now, oldest first."""
    return [_alert(row) for row in tx.rows(_OPEN)]


def unsaid_endings(tx: Tx) -> list[Alert]:
    """Causes that ended after somebody was told of them, and nobody was told of the end yet."""
    return [_alert(row) for row in tx.rows(_UNSAID)]


#: Read at every tick of a worker, so made once.
_OPEN = select(alerts).where(alerts.c.closed_at.is_(None)).order_by(alerts.c.opened_at, alerts.c.cause)
_UNSAID = (
    select(alerts)
    .where(alerts.c.closed_at.is_not(None), alerts.c.times_said > 0, ~alerts.c.closing_said)
    .order_by(alerts.c.closed_at, alerts.c.cause)
)
