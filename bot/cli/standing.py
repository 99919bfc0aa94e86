"""How each account stands: login, caps used, what waits, what was spent. Read from the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.cli import phrasing
from bot.cli.render import moment

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.rules.timing import Timing
    from bot.store import Tx
    from bot.store.accounts import AccountRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One account as it is listed. `row` None: the store has never seen it."""

    name: str
    network: str
    row: AccountRow | None
    timing: Timing
    last_sent: datetime | None
    today: int
    hour: int
    waiting: int
    next_due: datetime | None
    currency: str


def lines(call: Invocation, tx: Tx) -> list[Line]:
    """Every account of the settings as it stands."""
    from bot import networks
    from bot.model import State
    from bot.rules.timing import timing_for
    from bot.store import accounts, attempts, deliveries

    settings = call.settings()
    rows, sent, counts = accounts.all_accounts(tx), accounts.last_sent(tx), deliveries.counts(tx)
    found = []
    for name, account in sorted(settings.accounts.items()):
        row = rows.get(name)
        network = networks.network(account.network)
        identity = row.identity if row else None
        spent = attempts.spent_in(tx, identity or "", tx.now.strftime("%Y-%m"))
        timing = timing_for(settings.editorial, name, network.pace, spent=spent)
        local = tx.now.astimezone(timing.zone)
        waiting = deliveries.waiting(tx, name)
        found.append(
            Line(
                name=name,
                network=network.name,
                row=row,
                timing=timing,
                last_sent=sent.get(name),
                today=accounts.posted_since(tx, identity, local.replace(hour=0, minute=0, second=0, microsecond=0)),
                hour=accounts.posted_since(tx, identity, local.replace(minute=0, second=0, microsecond=0)),
                waiting=counts.get((name, State.WAITING), 0),
                next_due=next((one.due_at for one in waiting if one.due_at), None),
                currency=network.cost.currency,
            )
        )
    return found


def login_words(row: AccountRow | None, live: bool, zone: str, now: datetime) -> str:
    """The login in a few words: "ok, no expiry", "NEEDED since 13:58"."""
    from bot.model import Reason

    if row is None or (row.checked_at is None and row.breaker is None):
        return "not checked yet" if live else "rehearsal, not checked"
    if row.breaker is not None and row.breaker_at is not None:
        word = {Reason.LOGIN: "NEEDED", Reason.BILLING: "NEEDS PAYMENT OR PERMISSION"}.get(row.breaker, "PARKED")
        return f"{word} since {moment(row.breaker_at, zone, now)}"
    if row.token_over_at is not None:
        return f"over since {moment(row.token_over_at, zone, now)}, being renewed"
    rest = "" if live else ", rehearsal"
    if row.expires_at is None:
        return f"ok, no expiry{rest}"
    left = row.expires_at - now
    days = f", {left.days}d" if left > timedelta(0) else ", over"
    return f"ok until {moment(row.expires_at, zone, now)}{days}{rest}"


def as_object(one: Line) -> dict[str, Any]:
    row, timing = one.row, one.timing
    return {
        "account": one.name,
        "network": one.network,
        "live": row is not None and row.live_since is not None,
        "identity": row.identity if row else None,
        "title": row.title if row else None,
        "scopes": list(row.scopes) if row else [],
        "login": str(row.breaker) if row and row.breaker else "ok" if row and row.checked_at else "unchecked",
        "login_words": row.breaker_words if row else None,
        "checked_at": row.checked_at if row else None,
        "expires_at": row.expires_at if row else None,
        "blocked_until": row.blocked_until if row else None,
        "last_sent_at": one.last_sent,
        "today": {"posts": one.today, "cap": timing.day},
        "hour": {"posts": one.hour, "cap": timing.hour},
        "waiting": one.waiting,
        "next_due_at": one.next_due,
        "cost": {"spent": _amount(timing.spent), "budget": _amount(timing.budget), "currency": one.currency},
    }


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else phrasing.money(value)
