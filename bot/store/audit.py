"""What happened and who did it: one row per change by a person, a rule, a network or a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from bot.store.engine import Tx
from bot.store.schema import Instant, audit

#: Who acts when no person does.
MACHINE = "wirepost"


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the audit log."""

    at: datetime
    who: str
    event: str
    subject: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """Intent: write one event down."""

    event: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    who: str = MACHINE
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        note(tx, self.event, self.subject, self.detail, who=self.who)


def note(tx: Tx, event: str, subject: str, detail: Mapping[str, Any] | None = None, *, who: str = MACHINE) -> None:
    """Add an event to the transaction that makes it true."""
    tx.insert(audit, {"at": tx.now, "who": who, "event": event, "subject": subject, "detail": dict(detail or {})})


def events_of(tx: Tx, subject: str, *, limit: int = 200) -> list[Event]:
    """The newest events about an article, delivery, account or source, oldest first."""
    found = tx.rows(select(audit).where(audit.c.subject == subject).order_by(audit.c.id.desc()).limit(limit))
    return [Event(row.at, row.who, row.event, row.subject, row.detail) for row in reversed(found)]


def events_named(tx: Tx, event: str, *, since: datetime) -> list[Event]:
    """Events of one name since then, oldest first."""
    return events_among(tx, [event], since=since)


def events_among(tx: Tx, events: Iterable[str], *, since: datetime) -> list[Event]:
    """Events of these names since then, oldest first."""
    found = tx.rows(_NAMED, {"names": sorted(events), "since": since})
    return [Event(row.at, row.who, row.event, row.subject, row.detail) for row in found]


_NAMED = (
    select(audit)
    .where(audit.c.event.in_(bindparam("names", expanding=True)), audit.c.at >= bindparam("since", type_=Instant))
    .order_by(audit.c.id)
)
