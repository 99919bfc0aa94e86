"""Each source: last and next look, what it brought, what was left out and why. --check reads it now.

JSON: a list of {source, kind, last_look_at, next_look_at, last_new_at, errors, last_error, counts, notes, articles, …}:
`counts` are the last look's, `articles` those of the last 24 hours by what became of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.cli import intake, invocation, phrasing, reading
from bot.cli.render import distance, json_option, listing, moment, print_json

if TYPE_CHECKING:
    from bot.cli.intake import Line

section = "Look"
HEAD = ("NAME", "KIND", "LAST LOOK", "NEXT LOOK", "SEEN", "NEW", "24 H", "NOTES")


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
            found = intake.lines(call, tx)
            now = tx.now
        reading.warn(call, store)
    zone = call.settings().editorial.timezone
    if as_json:
        print_json([intake.as_object(one, tried.get(one.name)) for one in found])
    else:
        listing(HEAD, [_row(one, zone, now) for one in found], footer=f"Times: {zone}", no_color=call.no_color)
        for name, one in tried.items():
            click.echo(f"{name}: {one.words}")
    failed = [name for name, one in tried.items() if one.error]
    return 0 if not failed else 1 if len(failed) == len(tried) else 3


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
        "; ".join(intake.notes(row, zone, now)),
    )
