"""Stop everything, or one account, network, source, section, tag or article.

It holds before the next byte leaves, in every process, and survives restarts. What is on the wire already can't be
called back: it is listed.
"""

from __future__ import annotations

from datetime import datetime

import click

from bot.cli import invocation
from bot.cli.acting import by_option, dry_option
from bot.cli.scopes import scope_options

section = "Act"


@click.command(help=__doc__)
@scope_options
@click.option("--until", metavar="TIME", help="Until when; without it, until somebody resumes.")
@click.option("--reason", metavar="TEXT", default="", help="Shown wherever something is stopped.")
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context, /, everything: bool, until: str | None, reason: str, dry: bool, by: str, **said: str | None
) -> int:
    from bot import standstill
    from bot.cli.phrasing import plural
    from bot.cli.render import DRY_RUN, moment, one_line, when
    from bot.cli.scopes import scope_said, spelled
    from bot.flow import schedule
    from bot.store.stops import Scope, Stop

    call = invocation(ctx)
    app = call.app()
    zone, now = call.settings().editorial.timezone, app.store.now()
    end = when(until, zone, now) if until is not None else None
    with app.store.read() as tx:
        scope, value = scope_said(call, tx, everything, said) or (Scope.ALL, "")
    what = one_line(spelled(scope, value)) + (f" until {moment(end, zone, now)}" if end is not None else "")
    if dry:
        waits = plural(standstill.waiting_under(app.newsroom, scope, value), "planned post")
        click.echo(f"would stop {what}. {waits} would wait.\n{DRY_RUN}")
        return 0
    switch = Stop(id=app.newsroom.random.new_id(), scope=scope, value=value, reason=reason.strip(), who=by, until=end)
    open_now = app.store.commit(switch)
    wire = [
        f"{one.delivery} on {one.account} since {_clock(one.started_at, zone)}"
        for one in standstill.on_the_wire(app.newsroom, open_now, scope, value)
    ]
    waits = plural(standstill.waiting_under(app.newsroom, scope, value), "planned post")
    why = f"{by}: {one_line(reason)}" if reason.strip() else by
    click.echo(
        f"STOPPED {what} at {_clock(app.store.now(), zone)} ({why}). On the wire now: {'; '.join(wire) or 'none'}. "
        f"{waits} wait{'s' * waits.startswith('1 ')}. Undo: wirepost resume {switch.id}"
    )
    schedule.run(app.newsroom)  # so that every listing gives the stop for the reason, worker or none
    return 0


def _clock(at: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return f"{at.astimezone(ZoneInfo(zone)):%H:%M:%S}"
