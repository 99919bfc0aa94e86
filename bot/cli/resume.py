"""Lift a stop. What came due meanwhile goes out in order, by its gaps and caps, if it is still fresh.

Without an ID or a scope, every stop is lifted. --missed says what becomes of what came due: "fresh" sends what is still
fresh and lets the rest be missed, "send" sends all of it, "skip" skips all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.cli import Invocation, invocation
from bot.cli.acting import by_option, desk_of, dry_option
from bot.cli.scopes import scope_options
from bot.errors import StoppedError, UsageError
from bot.flow import schedule
from bot.standstill import Late, late_on_all, lift, take_over, treat

if TYPE_CHECKING:
    from bot.app import App

section = "Act"
CHOICES = click.Choice(["fresh", "send", "skip"])
# So many of the posts are listed one by one.
SHOWN = 20


@click.command(help=__doc__)
@click.argument("switch", required=False, metavar="[ID]")
@scope_options
@click.option("--missed", type=CHOICES, help="What becomes of what came due.")
@click.option("--yes", is_flag=True, help="As it is shown: the same as --missed fresh.")
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    switch: str | None,
    everything: bool,
    missed: str | None,
    yes: bool,
    dry: bool,
    by: str,
    **said: str | None,
) -> int:
    from bot.cli.render import DRY_RUN
    from bot.cli.scopes import switches_meant

    call = invocation(ctx)
    app = call.app()
    on = switches_meant(call, app, switch, everything, said)
    if not on:
        click.echo("Nothing is stopped.")
        return 0
    if not dry:
        _take_over(app, call)
    late = late_on_all(app.newsroom, on)
    _show(call, late, app.store.now())
    if dry:
        click.echo("\n".join(f"would resume {one}" for one in on) + f"\n{DRY_RUN}")
        return 0
    treat(desk_of(app, by), late, missed or ("fresh" if yes or not late else _ask()))
    for one in lift(app.newsroom, on, by):
        click.echo(f"Resumed {one}. Undo: wirepost stop --{one.scope}{f' {one.value}' if one.value else ''}")
    schedule.run(app.newsroom)  # so that no listing says "stopped" until a worker comes to it
    return 0


def _take_over(app: App, call: Invocation) -> None:
    """In a restored store, first adopt what is out already. Raises StoppedError while a source can't be read."""
    from bot.cli.render import moment
    from bot.store.witness import restored_since

    with app.store.read() as tx:
        since, now = restored_since(tx), tx.now
    if since is None:
        return
    blind = take_over(app.newsroom)
    if blind:
        raise StoppedError(
            f"{', '.join(blind)} can't be read just now: what came of it since the backup might go out twice. "
            "Try again (wirepost sources, wirepost accounts), or take it out of the settings."
        )
    at = moment(since, call.settings().editorial.timezone, now)
    call.say(f"Posts since {at} were read from the networks and taken over; what can't be known is on hold.")


def _show(call: Invocation, late: Sequence[Late], now: datetime) -> None:
    """The list that a person decides on: "23 posts came due: 5 still fresh → …; 18 older than 6h → missed."."""

    from bot.cli.phrasing import plural
    from bot.cli.render import moment, one_line
    from bot.rules.durations import spell_duration

    rules = call.settings().editorial
    fresh = [one for one in late if one.goes_at is not None]
    gaps = {spell_duration(gap) for one in fresh if (gap := rules.caps_of(one.delivery.account).gap) is not None}
    apart = f"{gaps.pop()} apart" if len(gaps) == 1 else "by their gaps"
    old = f"{len(late) - len(fresh)} older than {spell_duration(rules.defaults.max_age)} → missed"
    click.echo(f"{plural(len(late), 'post')} came due: {len(fresh)} still fresh → go out in order, {apart}; {old}.")
    for one in late[:SHOWN]:
        time = moment(one.goes_at, rules.timezone, now) if one.goes_at is not None else "missed"
        click.echo(f"  {one.delivery.id}  {time}  {one.delivery.account}  {one_line(one.delivery.text)[:60]}")
    if len(late) > SHOWN:
        click.echo(f"  … and {len(late) - SHOWN} more")


def _ask() -> str:
    if not sys.stdin.isatty():
        raise UsageError("Posts came due meanwhile: say --missed fresh, --missed send or --missed skip.")
    chosen: str = click.prompt("Which go out?", type=CHOICES, default="fresh", err=True)
    return chosen
