"""Each source: last and next look, what it brought, what was left out and why. --check reads it now.

JSON: a list of {source, kind, last_look_at, next_look_at, last_new_at, errors, last_error, counts, notes, articles, …}:
`counts` are the last look's, `articles` those of the last 24 hours by what became of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation, phrasing, reading
from bot.cli.render import distance, json_option, listing, moment, print_json

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.cli.trying import Taken
    from bot.store import Tx
    from bot.store.sources import SourceRow

section = "Look"
HEAD = ("NAME", "KIND", "LAST LOOK", "NEXT LOOK", "SEEN", "NEW", "24 H", "NOTES")
DAY = timedelta(hours=24)


@click.command(help=__doc__)
@click.option("--check", "ask", is_flag=True, help="Read each source now; stores nothing, moves no cursor.")
@json_option
@click.pass_context
def command(ctx: click.Context, ask: bool, as_json: bool) -> int:
    """List the sources."""
    from bot.cli.trying import taken

    call = invocation(ctx)
    tried = taken(call) if ask else {}
    with reading.opened(call) as store:
        with store.read() as tx:
            found = lines(call, tx)
            now = tx.now
        reading.warn(call, store)
    zone = call.settings().editorial.timezone
    if as_json:
        print_json([_object(one, tried.get(one.name)) for one in found])
    else:
        listing(HEAD, [_row(one, zone, now) for one in found], footer=f"Times: {zone}", no_color=call.no_color)
        for name, one in tried.items():
            click.echo(f"{name}: {one.words}")
    failed = [name for name, one in tried.items() if one.error]
    return 0 if not failed else 1 if len(failed) == len(tried) else 3


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


def _row(one: Line, zone: str, now: datetime) -> tuple[str, ...]:
    row = one.row
    if row is None:
        return one.name, one.kind, "never", "-", "-", "-", "-", ""
    counts = row.last_counts or {}
    day = sum(one.became.values())
    split = phrasing.counted({word.replace("_", " "): number for word, number in one.became.items()})
    return (
        one.name,
        one.kind,
        f"{moment(row.last_look_at, zone, now)}" if row.last_look_at else "never",
        "ended" if row.ended else distance(row.next_look_at, now) if row.next_look_at else "-",
        str(counts.get("seen", "-")),
        str(counts.get("new", "-")),
        f"{day}: {split}" if day else "0",
        "; ".join(_notes(row, zone, now)),
    )


def _notes(row: SourceRow, zone: str, now: datetime) -> list[str]:
    """What is wrong first: errors in a row, then what the last look noticed."""
    broken = (row.last_counts or {}).get("broken", 0)
    found = [f"{phrasing.plural(row.errors, 'error')} in a row: {row.last_error}"] if row.errors else []
    found += [f"{broken} broken"] if broken else []
    found += [f"moved to {row.moved_to}"] if row.moved_to else []
    found += row.notes
    if row.last_new_at is not None:
        found.append(f"last new {moment(row.last_new_at, zone, now)}")
    return found


def _object(one: Line, tried: Taken | None) -> dict[str, Any]:
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
