"""What goes when: the planned posts and the free slots of the days to come, and what they will cost.

JSON: {posts: [{delivery, article, account, due_at, text, cost}], free_slots: [{account, schedule, at}],
costs: [{account, month, spent, planned, budget, currency}]}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation, phrasing, reading
from bot.cli.render import json_option, listing, moment, one_line, print_json

if TYPE_CHECKING:
    from bot.model import Delivery
    from bot.settings import Settings
    from bot.store import Tx

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
            costs = [cost for name in names if (cost := _cost(settings, tx, name, planned)) is not None]
            titles = reading.headlines(tx, (one.article for one in planned))
        reading.warn(call, store)
    posts = [one for one in planned if one.due_at is not None and one.due_at <= until]
    free = [slot for name in names for slot in free_slots(settings, name, posts, now, until)]
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


# -- money --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Money:
    """One account's month: what was spent, what the planned posts of this month will cost, and the budget."""

    account: str
    month: str
    spent: Decimal
    planned: Decimal
    budget: Decimal | None
    currency: str

    @property
    def words(self) -> str:
        """ "desk-x: 4.10 spent in 2026-11, 1.20 planned, together 5.30 of 10.00 USD (53 %)"."""
        total = self.spent + self.planned
        share = f" of {phrasing.money(self.budget)}" if self.budget is not None else ""
        percent = f" ({total * 100 / self.budget:.0f} %)" if self.budget else ""
        return (
            f"{self.account}: {phrasing.money(self.spent)} spent in {self.month}, "
            f"{phrasing.money(self.planned)} planned, together {phrasing.money(total)}{share} {self.currency}{percent}"
        )

    def as_json(self) -> dict[str, Any]:
        """For programs; money as text, exact."""
        budget = phrasing.money(self.budget) if self.budget is not None else None
        sums = {"spent": phrasing.money(self.spent), "planned": phrasing.money(self.planned), "budget": budget}
        return {"account": self.account, "month": self.month, **sums, "currency": self.currency}


def _cost(settings: Settings, tx: Tx, name: str, planned: Sequence[Delivery]) -> Money | None:
    """None for an account on which posts cost nothing and no budget is set."""
    from bot import networks
    from bot.store import accounts, attempts

    network = networks.network(settings.accounts[name].network)
    caps, month = settings.editorial.caps_of(name), tx.now.strftime("%Y-%m")
    row = accounts.by_name(tx, name)
    mine = [one for one in planned if one.account == name and (one.due_at is None or f"{one.due_at:%Y-%m}" == month)]
    total = sum((Decimal(one.cost) for one in mine), Decimal(0))
    spent = attempts.spent_in(tx, (row.identity if row else None) or "", month)
    if not total and not spent and caps.cost_month is None:
        return None
    budget = caps.cost_month.amount if caps.cost_month else None
    return Money(name, month, spent, total, budget, network.cost.currency)


# -- slots --------------------------------------------------------------------------------------------------------


def free_slots(
    settings: Settings, account: str, posts: Iterable[Delivery], now: datetime, until: datetime
) -> list[dict[str, Any]]:
    """The slots of the account's schedules that no planned post uses: none leaves in or after one, before the next."""
    from bisect import bisect_right
    from zoneinfo import ZoneInfo

    from bot.rules.slots import next_slots

    editorial = settings.editorial
    wanted = {route.schedule for route in editorial.routes if route.schedule and route.takes(account)}
    due = [one.due_at for one in posts if one.account == account and one.due_at is not None]
    found = []
    for name in sorted(wanted):
        schedule = editorial.schedules[name]
        slots = list(next_slots(schedule, ZoneInfo(editorial.zone_of(account)), now, until)) if schedule.slots else []
        used = {bisect_right(slots, at) - 1 for at in due}
        found += [
            {"account": account, "schedule": name, "at": at} for index, at in enumerate(slots) if index not in used
        ]
    return found
