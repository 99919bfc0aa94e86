"""Each account: its login, last post, caps used, what waits, what it cost. --test asks the network who we are.

JSON: a list of {account, network, live, identity, title, login, expires_at, last_sent_at, today, hour, waiting,
next_due_at, cost, …}.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.cli import invocation, phrasing, reading, standing
from bot.cli.render import json_option, listing, moment, print_json

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.cli.standing import Line

section = "Look"
HEAD = ("NAME", "NETWORK", "LOGIN", "LAST SENT", "TODAY", "HOUR", "WAITING", "COST")


@click.command(help=__doc__)
@click.option("--test", "ask", is_flag=True, help="Ask each network who we are; posts nothing.")
@json_option
@click.pass_context
def command(ctx: click.Context, ask: bool, as_json: bool) -> int:
    """List the accounts."""
    call = invocation(ctx)
    lost = _asked(call) if ask else []
    with reading.opened(call) as store:
        with store.read() as tx:
            found = standing.lines(call, tx)
            now = tx.now
        reading.warn(call, store)
    zone = call.settings().editorial.timezone
    if as_json:
        print_json([standing.as_object(one) for one in found])
    else:
        listing(HEAD, [_row(one, zone, now) for one in found], footer=f"Times: {zone}", no_color=call.no_color)
    for name, words in lost:
        call.say(f"{name}: {words}")
    return 0 if not lost else 4 if len(lost) == len(found) else 3


def _row(one: Line, zone: str, now: datetime) -> tuple[str, ...]:
    timing = one.timing
    budget = f"/{phrasing.money(timing.budget)}" if timing.budget is not None else ""
    cost = f"{phrasing.money(timing.spent)}{budget} {one.currency}" if timing.spent or budget else "-"
    live = one.row is not None and one.row.live_since is not None
    return (
        one.name,
        one.network,
        standing.login_words(one.row, live, zone, now),
        moment(one.last_sent, zone, now) if one.last_sent else "-",
        f"{one.today}/{timing.day}" if timing.day is not None else str(one.today),
        f"{one.hour}/{timing.hour}" if timing.hour is not None else str(one.hour),
        str(one.waiting),
        cost,
    )


def _asked(call: Invocation) -> list[tuple[str, str]]:
    """Ask every network; what it says is stored as after any check. The accounts that are lost, with the words."""
    from bot.flow import check
    from bot.store import accounts

    app = call.app()
    try:
        with app.store.read() as tx:
            known = sorted(set(app.newsroom.accounts) & set(accounts.all_accounts(tx)))
        silent = [name for name in known if not check.confirm_identity(app.newsroom, name)]
        with app.store.read() as tx:
            rows = accounts.all_accounts(tx)
        new = sorted(set(app.newsroom.accounts) - set(known))
        told = [(name, rows[name].breaker_words or "could not be asked; it is tried again") for name in silent]
        return told + [(name, "new in the settings: wirepost run takes it in first") for name in new]
    finally:
        app.close()
