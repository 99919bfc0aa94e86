"""What goes when: the planned posts and the free slots of the days to come, and what they will cost.

JSON: {posts: [{delivery, article, account, due_at, text, cost}], free_slots: [{account, schedule, at}],
costs: [{account, month, spent, planned, budget, currency}]}.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation, outlook, phrasing, reading
from bot.cli.render import json_option, listing, moment, one_line, print_json

if TYPE_CHECKING:
    from bot.model import Delivery

section = "Look"
HEAD = ("WHEN", "ACCOUNT", "POST", "COST")


@click.command(help=__doc__)
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--days", type=click.IntRange(1, 366), default=2, show_default=True, help="How far ahead.")
@json_option
@click.pass_context
def command(ctx: click.Context, account: str | None, days: int, as_json: bool) -> None:
    """Show what is to come."""
    from bot.model import State
    from bot.store import deliveries

    call = invocation(ctx)
    settings = call.settings()
    reading.account_named(settings, account)
    names = [account] if account else sorted(settings.accounts)
    with reading.opened(call) as store:
        with store.read() as tx:
            now, until = tx.now, tx.now + timedelta(days=days)
            planned = deliveries.listing(tx, states=[State.WAITING], account=account, limit=10_000)
            costs = [cost for name in names if (cost := outlook.cost_of(settings, tx, name, planned)) is not None]
            titles = reading.headlines(tx, (one.article for one in planned))
        reading.warn(call, store)
    served = [one for one in planned if one.account in settings.accounts]
    posts = [one for one in served if one.due_at is not None and one.due_at <= until]
    free = [slot for name in names for slot in outlook.free_slots(settings, name, posts, now, until)]
    if as_json:
        print_json(
            {"posts": [_object(one) for one in posts], "free_slots": free, "costs": [c.as_json() for c in costs]}
        )
        return
    zone = settings.editorial.timezone
    shown = [(one.due_at or now, one.account, titles.get(one.article, one.text), _price(one.cost)) for one in posts]
    shown += [(slot["at"], slot["account"], f"(slot free: {slot['schedule']})", "-") for slot in free]
    rows = [(moment(at, zone, now), name, one_line(text), cost) for at, name, text, cost in sorted(shown)]
    listing(HEAD, rows, footer=f"{phrasing.plural(len(posts), 'post')}.  Times: {zone}", no_color=call.no_color)
    for cost in costs:
        click.echo(cost.words)
    if not posts:
        call.say("Nothing planned.")


def _price(cost: str) -> str:
    return phrasing.money(Decimal(cost)) if Decimal(cost) else "-"


def _object(one: Delivery) -> dict[str, Any]:
    keys = ("article", "account", "due_at", "text", "cost")
    return {"delivery": one.id, **{key: getattr(one, key) for key in keys}}
