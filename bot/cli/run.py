"""Run the bot: watch the sources, post what is due, until it is stopped.

Ctrl-C (or SIGTERM) stops once what is on the wire has ended; a second one stops at once and leaves that unclear. A
change of the settings file, or SIGHUP, makes the new settings hold; with mistakes in them the old ones stay.

--once makes one pass and ends: it looks at every source, sends all that is due now, waits until what is unclear could
be looked up and out any rest of up to two minutes that a network asks for, and exits with 0, 3 (some could not be
sent), 6 (stopped) or 8 (some may be out). With settle = "0s" and no caps that is everything new; what waits for a gap,
a slot or its settle time stays planned for the next pass.

--dry-run does all of it on a copy of the store but the last call: it prints the same posts and times.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.render import json_option

section = "Start"


@click.command(help=__doc__)
@click.option("--once", is_flag=True, help="One pass: look at every source, send what is due, end.")
@click.option("--only", metavar="STEP", help="Run one step once: discover, check, plan, schedule, deliver, reconcile.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go out; send and store nothing.")
@click.option("--online", is_flag=True, help="With --dry-run: ask the networks who we are (reads only).")
@click.option("--migrate", is_flag=True, help="Bring a PostgreSQL store to this version's schema first.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, once: bool, only: str | None, dry_run: bool, online: bool, migrate: bool, as_json: bool
) -> int:
    """Watch the sources and post what is due."""
    if (online or as_json) and not dry_run:
        raise click.UsageError("--online and --json go with --dry-run.")
    if dry_run and (only or migrate):
        raise click.UsageError("--dry-run runs every step on a copy: leave --only and --migrate out.")
    call = invocation(ctx)
    if dry_run:
        from bot.cli.rehearsing import show

        return show(call, online=online, as_json=as_json)
    from bot.cli import running

    return running.once(call, only, migrate=migrate) if once or only else running.serve(call, migrate=migrate)
