"""Give posts another time: a time of yours, now, or back to their schedule.

A time of yours passes gaps, caps and quiet hours, but no embargo, no stop and no budget.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, acting, desk_of
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@acting
@click.option("--to", "at", metavar="TIME", help='Such as 14:30, "tomorrow 9:00", +20m or 2026-11-24T14:30.')
@click.option("--now", "at_once", is_flag=True, help="As soon as the worker sees it.")
@click.option("--next", "by_schedule", is_flag=True, help="Back to the schedule.")
@click.pass_context
def command(
    ctx: click.Context,
    what: tuple[str, ...],
    account: str | None,
    by: str,
    dry: bool,
    at: str | None,
    at_once: bool,
    by_schedule: bool,
) -> int:
    from bot import desk
    from bot.cli.render import when

    call = invocation(ctx)
    if [at is not None, at_once, by_schedule].count(True) != 1:
        raise UsageError("Say one of --to TIME, --now, --next.")
    app = call.app()
    now = app.store.now()
    zone = call.settings().editorial.timezone
    wanted = None if by_schedule or at_once else when(str(at), zone, now)

    def decide(case: desk.Case) -> desk.Act:
        return desk.move(case, case.now if at_once else wanted)

    return act(call, desk_of(app, by, dry=dry), what, account, decide, one_each=True)
