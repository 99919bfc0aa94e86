"""How each source stands: its memory in the store, and what became of its articles. Read from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.cli import phrasing
from bot.cli.render import moment

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.cli.trying import Taken
    from bot.store import Tx
    from bot.store.sources import SourceRow

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One source as it is listed. `row` None: never looked at. `became`: what became of the day's articles."""

    name: str
    kind: str
    row: SourceRow | None
    became: Mapping[str, int]


def lines(call: Invocation, tx: Tx) -> list[Line]:
    """Every source of the settings as it stands."""
    from bot.store import sources

    rows = {row.name: row for row in sources.all_sources(tx)}
    return [
        Line(name=name, kind=source.kind, row=rows.get(name), became=_became(tx, name))
        for name, source in sorted(call.settings().sources.items())
    ]


def _became(tx: Tx, source: str) -> Mapping[str, int]:
    """The source's articles of the last 24 hours, each counted once: it goes somewhere, or why nowhere."""
    from sqlalchemy import select

    from bot.model import Status
    from bot.store.plans import decisions_of
    from bot.store.schema import articles

    query = (
        select(articles.c.id, articles.c.status, articles.c.hold)
        .where(articles.c.source == source, articles.c.first_seen_at >= tx.now - DAY)
        .order_by(articles.c.id)
    )
    counted: Counter[str] = Counter()
    for row in tx.rows(query):
        decisions = [decision for _, _, decision in decisions_of(tx, row.id)]
        if row.status != Status.LIVE:
            counted[row.hold or row.status] += 1
        elif not decisions:
            counted["not planned yet"] += 1
        elif any(decision.yes for decision in decisions):
            counted["routed"] += 1
        else:
            counted[str(decisions[0].reasons[0].reason)] += 1
    return dict(counted)


def notes(row: SourceRow, zone: str, now: datetime) -> list[str]:
    """What is wrong first: errors in a row, then what the last look noticed."""
    broken = (row.last_counts or {}).get("broken", 0)
    found = [f"{phrasing.plural(row.errors, 'error')} in a row: {row.last_error}"] if row.errors else []
    found += [f"{broken} broken"] if broken else []
    found += [f"moved to {row.moved_to}"] if row.moved_to else []
    found += row.notes
    if row.last_new_at is not None:
        found.append(f"last new {moment(row.last_new_at, zone, now)}")
    return found


def as_object(one: Line, tried: Taken | None) -> dict[str, Any]:
    row = one.row
    return {
        "source": one.name,
        "kind": one.kind,
        "last_look_at": row.last_look_at if row else None,
        "last_good_at": row.last_good_at if row else None,
        "last_new_at": row.last_new_at if row else None,
        "next_look_at": row.next_look_at if row else None,
        "errors": row.errors if row else 0,
        "last_error": row.last_error if row else None,
        "counts": dict(row.last_counts or {}) if row else {},
        "notes": list(row.notes) if row else [],
        "moved_to": row.moved_to if row else None,
        "ended": row.ended if row else False,
        "articles": {"since_hours": 24, "total": sum(one.became.values()), **one.became},
        "check": None if tried is None else tried.as_json(),
    }
