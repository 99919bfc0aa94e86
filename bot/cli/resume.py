"""Lift a stop. What came due meanwhile goes out in order, by its gaps and caps, if it is still fresh.

Without an ID, every stop is lifted. --missed says what becomes of what came due: "fresh" sends what is still fresh and
lets the rest be missed, "send" sends all of it, "skip" skips all of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bot.cli import invocation
from bot.cli.acting import by_option
from bot.errors import NoMatch, UsageError

if TYPE_CHECKING:
    from bot.app import App
    from bot.model import Delivery

section = "Act"


@click.command(help=__doc__)
@click.argument("switch", required=False, metavar="[ID]")
@click.option("--missed", type=click.Choice(["fresh", "send", "skip"]), help="What becomes of what came due.")
@by_option
@click.pass_context
def command(ctx: click.Context, switch: str | None, missed: str | None, by: str) -> int:
    from bot.flow import restore
    from bot.store.stops import Lift, switches
    from bot.store.witness import ForgetRestored, restored_since

    call = invocation(ctx)
    app = call.app()
    with app.store.read() as tx:
        on = [one for one in switches(tx) if switch is None or one.id.startswith(switch)]
        since = restored_since(tx)
    if not on:
        if switch is None:
            click.echo("Nothing is stopped.")
            return 0
        raise NoMatch(f"No stop has the id {switch}: wirepost queue shows what is stopped.")
    if since is not None:
        restore.run(app.newsroom, anyway=True)
        click.echo(f"Posts since {since:%d %b %H:%M} UTC were read from the networks and taken over.", err=True)
    due, old = _came_due(app)
    click.echo(
        f"{len(due) + len(old)} posts came due: {len(due)} still fresh → go out in order, by their gaps; "
        f"{len(old)} too old → missed.",
        err=True,
    )
    choice = missed or _ask(due + old)
    _treat(app, choice, due, old, by)
    for one in on:
        app.store.commit(Lift(one.id, by))
        click.echo(f"Resumed {one}.")
    if since is not None:
        app.store.commit(ForgetRestored(by))
    return 0


def _came_due(app: App) -> tuple[list[Delivery], list[Delivery]]:
    """What waits past its time: still fresh, and too old."""
    from bot.model import State
    from bot.store import deliveries

    with app.store.read() as tx:
        waiting = deliveries.listing(tx, states=[State.WAITING], limit=100_000)
        now = tx.now
    late = [one for one in waiting if one.due_at is not None and one.due_at <= now]
    fresh = [one for one in late if one.fresh_until is None or one.fresh_until > now]
    return fresh, [one for one in late if one not in fresh]


def _ask(late: list[Delivery]) -> str:
    if not late:
        return "fresh"
    if not sys.stdin.isatty():
        raise UsageError("Posts came due meanwhile: say --missed fresh, --missed send or --missed skip.")
    chosen: str = click.prompt("Which go out?", type=click.Choice(["fresh", "send", "skip"]), default="fresh", err=True)
    return chosen


def _treat(app: App, choice: str, due: list[Delivery], old: list[Delivery], who: str) -> None:
    from bot.model import Move, Reason, Why
    from bot.store.deliveries import ChangeDelivery, MoveDelivery

    if choice == "skip":
        for one in due + old:
            why = Why(Reason.BY_HAND, who)
            app.store.commit(MoveDelivery(current=one, move=Move.SKIP, why=why, who=who, changes={"due_at": None}))
    if choice == "send":
        for one in old:
            app.store.commit(
                ChangeDelivery(current=one, event="delivery_kept_fresh", who=who, changes={"fresh_until": None})
            )
