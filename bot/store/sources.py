"""What is remembered of each source between two looks, and the transaction in which a look is written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Row, bindparam, func, or_, select

from bot.model import Reason, Status
from bot.store.articles import Arrival, NewArticle, record_new, withdraw
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.schema import Instant, articles, meta, sources

# How far back a source's own rhythm is taken from (pain P30).
RECENTLY = timedelta(days=30)
#: The meta row that says: this store was empty though accounts had been used before.
STATE_RESET = "state_reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source's memory. `longest_gap`: the longest time without anything new in seconds, over the last month."""

    name: str
    kind: str
    cursor: Mapping[str, Any]
    first_good_at: datetime | None
    last_good_at: datetime | None
    last_look_at: datetime | None
    last_new_at: datetime | None
    next_look_at: datetime | None
    errors: int
    last_error: str | None
    longest_gap: int
    last_counts: Mapping[str, Any] | None
    notes: tuple[str, ...]
    moved_to: str | None
    ended: bool


def _source(row: Row[Any]) -> SourceRow:
    return SourceRow(
        name=row.name,
        kind=row.kind,
        cursor=row.cursor,
        first_good_at=row.first_good_at,
        last_good_at=row.last_good_at,
        last_look_at=row.last_look_at,
        last_new_at=row.last_new_at,
        next_look_at=row.next_look_at,
        errors=row.errors,
        last_error=row.last_error,
        longest_gap=row.longest_gap,
        last_counts=row.last_counts,
        notes=tuple(row.notes or ()),
        moved_to=row.moved_to,
        ended=row.ended,
    )


@dataclass(frozen=True, slots=True)
class BeginLook:
    """Intent: this worker looks at the source now; None if it is not due or another one is at it.

    `lease`: how long the look may take before another worker may try. `anyway`: due or not (a watch fired).
    """

    name: str
    kind: str
    worker: str
    lease: timedelta
    anyway: bool = False

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> SourceRow | None:
        tx.insert_unless_there(
            sources,
            {"name": self.name, "kind": self.kind, "cursor": {}, "errors": 0, "longest_gap": 0, "ended": False},
        )
        free = or_(
            sources.c.looking_until.is_(None), sources.c.looking_until < tx.now, sources.c.looking_by == self.worker
        )
        due = or_(sources.c.next_look_at.is_(None), sources.c.next_look_at <= tx.now)
        condition = [sources.c.name == self.name, free] + ([] if self.anyway else [due])
        taken = tx.changed(
            sources.update()
            .where(*condition)
            .values(looking_until=tx.now + self.lease, looking_by=self.worker, last_look_at=tx.now)
        )
        row = tx.row(select(sources).where(sources.c.name == self.name)) if taken else None
        return _source(row) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLook:
    """Intent: all that a good look brought, with the cursor, in one transaction. None: another worker took over."""

    name: str
    worker: str
    cursor: Mapping[str, Any]
    next_look_in: timedelta
    arrivals: tuple[Arrival, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    moved_to: str | None = None
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> tuple[str, ...] | None:
        """The ids of the articles that this look touched."""
        row = tx.row(select(sources).where(sources.c.name == self.name))
        if row is None or row.looking_by != self.worker:
            return None
        touched = tuple(arrival.record(tx) for arrival in self.arrivals if not isinstance(arrival, NewArticle))
        touched += tuple(record_new(tx, [arrival for arrival in self.arrivals if isinstance(arrival, NewArticle)]))
        for article, evidence in self.gone:
            withdraw(tx, article, evidence)
        tx.execute(sources.update().where(sources.c.name == self.name).values(**self._memory(tx, row)))
        for event, detail in self.events:
            note(tx, event, self.name, detail)
        return touched

    def _memory(self, tx: Tx, row: Row[Any]) -> dict[str, Any]:
        brought = any(isinstance(arrival, NewArticle) for arrival in self.arrivals)
        return {
            "cursor": dict(self.cursor),
            "first_good_at": row.first_good_at or tx.now,
            "last_good_at": tx.now,
            "last_new_at": tx.now if brought else row.last_new_at,
            "longest_gap": _longest_gap(tx, row) if brought else row.longest_gap,
            "next_look_at": tx.now + self.next_look_in,
            "looking_until": None,
            "looking_by": None,
            "errors": 0,
            "last_error": None,
            "last_counts": dict(self.counts),
            "notes": list(self.notes),
            "moved_to": self.moved_to,
            "ended": False,
        }


def _longest_gap(tx: Tx, row: Row[Any]) -> int:
    """The longest time without anything new, in seconds, that began within the last 30 days or ends now. A holiday's
    silence is forgotten after a month: else a source once silent for a week would never be missed again."""
    month_ago = tx.now - RECENTLY
    seen = (
        select(articles.c.first_seen_at)
        .where(articles.c.source == row.name, articles.c.first_seen_at >= month_ago)
        .distinct()
        .order_by(articles.c.first_seen_at)
    )
    last = row.last_new_at or row.first_good_at or tx.now
    times = {found.first_seen_at for found in tx.rows(seen)} | {tx.now, last}
    if row.first_good_at is not None and row.first_good_at >= month_ago:
        times.add(row.first_good_at)
    gaps = (later - earlier for earlier, later in pairwise(sorted(times)))
    return int(max(gaps, default=timedelta(0)).total_seconds())


@dataclass(frozen=True, slots=True)
class PutOff:
    """Intent: a look that is not to count, since the source is still being filled: as if it had not been made."""

    name: str
    worker: str
    next_look_in: timedelta

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> None:
        mine = (sources.c.name == self.name, sources.c.looking_by == self.worker)
        rest = {"looking_until": None, "looking_by": None, "next_look_at": tx.now + self.next_look_in}
        tx.execute(sources.update().where(*mine).values(**rest))


@dataclass(frozen=True, slots=True)
class FailLook:
    """Intent: a look that brought nothing usable; the cursor stays where it was."""

    name: str
    worker: str
    error: str
    next_look_in: timedelta
    ended: bool = False

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> bool:
        changed = tx.changed(
            sources.update()
            .where(sources.c.name == self.name, sources.c.looking_by == self.worker)
            .values(
                looking_until=None,
                looking_by=None,
                errors=sources.c.errors + 1,
                last_error=self.error,
                next_look_at=tx.now + self.next_look_in,
                ended=self.ended,
            )
        )
        return changed == 1


#: Read at every tick of a worker, so made once.
_ALL = select(sources).order_by(sources.c.name)
_RESTING = select(sources.c.name).where(or_(sources.c.next_look_at > bindparam("now", type_=Instant), sources.c.ended))
_NEXT_LOOK = select(func.min(sources.c.next_look_at, type_=Instant)).where(
    sources.c.next_look_at > bindparam("now", type_=Instant), ~sources.c.ended
)


def all_sources(tx: Tx) -> list[SourceRow]:
    """Every source that was ever looked at, by name."""
    return [_source(row) for row in tx.rows(_ALL)]


def due(tx: Tx, names: Iterable[str]) -> list[str]:
    """Which of these sources (never looked at, or known) are due for a look now."""
    resting = {row.name for row in tx.rows(_RESTING, {"now": tx.now})}
    return sorted(set(names) - resting)


def next_look(tx: Tx) -> datetime | None:
    """When the next look will be due, or None. (What is due by now is under way, or somebody else's.)"""
    found: datetime | None = tx.execute(_NEXT_LOOK, {"now": tx.now}).scalar()
    return found


def must_baseline(tx: Tx, source: SourceRow) -> bool:
    """After a lost store, a source's first look is a baseline whatever `first_look` says (P09)."""
    lost = tx.row(select(meta.c.value).where(meta.c.key == STATE_RESET))
    return source.first_good_at is None and lost is not None


def breaker_holds(tx: Tx, source: str) -> list[str]:
    """Ids of a source's articles that its mass-change breaker holds."""
    query = (
        select(articles.c.id)
        .where(
            articles.c.source == source,
            articles.c.status == Status.HELD,
            articles.c.hold == Reason.MASS_CHANGE,
        )
        .order_by(articles.c.first_seen_at, articles.c.id)
    )
    return [row.id for row in tx.rows(query)]
