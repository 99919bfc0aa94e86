"""What is to come on an account beside its planned posts: money and free slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.cli import phrasing

if TYPE_CHECKING:
    from bot.model import Delivery
    from bot.settings import Settings
    from bot.store import Tx


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


def cost_of(settings: Settings, tx: Tx, name: str, planned: Sequence[Delivery]) -> Money | None:
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
