"""What is planned, held, on the wire or unclear, soonest first.

JSON (stable): a list of {delivery, article, account, state, reason, due_at, text}; more keys may come. With --jsonl,
one such object a line; --watch prints the list again whenever it changed.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation, phrasing, reading
from bot.cli.render import json_option, listing, print_json, print_jsonl

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.model import Delivery, Why
    from bot.store import Store

section = "Look"
HEAD = ("ID", "WHEN", "ACCOUNT", "STATE", "POST", "WHY")
# How often --watch looks at the store, in seconds.
LOOK_AGAIN = 1.0
# Of ended ones only those that changed lately: the store keeps years.
ENDED_WITHIN = timedelta(days=7)


@click.command(help=__doc__)
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--state", "states", multiple=True, metavar="STATE", help="Only this state; the screen's or JSON's word.")
@click.option("--watch", is_flag=True, help="Print it again whenever it changed, until Ctrl-C.")
@click.option("--jsonl", is_flag=True, help="One JSON object a line.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=500, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    account: str | None,
    states: tuple[str, ...],
    watch: bool,
    jsonl: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries."""
    call = invocation(ctx)
    wanted = phrasing.states_of(states)
    reading.account_named(call.settings(), account)
    shown: list[dict[str, Any]] | None = None
    with reading.opened(call) as store:
        while True:
            seen = _read(call, store, wanted, account, limit)
            if seen.objects != shown:
                reading.warn(call, store)
                _print(call, seen, jsonl=jsonl, as_json=as_json)
                shown = seen.objects
            if not watch or call.clock.wait(threading.Event(), LOOK_AGAIN):
                return


class _Seen:
    """One reading of the queue: as objects for programs, as rows for people."""

    def __init__(self, objects: list[dict[str, Any]], rows: list[tuple[str, ...]], footer: str) -> None:
        self.objects = objects
        self.rows = rows
        self.footer = footer


def _read(call: Invocation, store: Store, wanted: phrasing.Wanted, account: str | None, limit: int) -> _Seen:
    from bot.model import OPEN_STATES, Why
    from bot.store import accounts, deliveries
    from bot.store.schema import deliveries as table

    zone = call.settings().editorial.timezone
    with store.read() as tx:
        ended = any(state not in OPEN_STATES for state in wanted.states)
        since = tx.now - ENDED_WITHIN if ended else None
        found = deliveries.listing(tx, states=wanted.states, account=account, since=since, limit=limit)
        found = [one for one in found if wanted.holds(one)]
        names = reading.headlines(tx, (one.article for one in found))
        short = reading.short_ids(tx, table, (one.id for one in found))
        parked = {
            name: Why(row.breaker, row.breaker_words or "")
            for name, row in accounts.all_accounts(tx).items()
            if row.breaker is not None
        }
        now = tx.now
    return _Seen(
        [_object(one, zone, now, parked) for one in found],
        [_row(one, short[one.id], names.get(one.article, ""), zone, now, parked.get(one.account)) for one in found],
        f"{phrasing.counted(_tally(found, parked))}.  Times: {zone}",
    )


def _tally(found: list[Delivery], parked: Mapping[str, Why]) -> Mapping[str, int]:
    return Counter(phrasing.state_word(one, _breaker(one, parked)) for one in found)


def _breaker(one: Delivery, parked: Mapping[str, Why]) -> Any:
    return parked[one.account].reason if one.account in parked else None


def _row(one: Delivery, short: str, headline: str, zone: str, now: datetime, parked: Why | None) -> tuple[str, ...]:
    word = phrasing.state_word(one, parked.reason if parked else None)
    why = phrasing.why_words(one, zone, now, parked)
    return short, phrasing.when_words(one.due_at, zone, now), one.account, word, headline or one.text, why


def _object(one: Delivery, zone: str, now: datetime, parked: Mapping[str, Why]) -> dict[str, Any]:
    return {
        "delivery": one.id,
        "article": one.article,
        "account": one.account,
        "state": str(one.state),
        "reason": str(one.reason.reason),
        "due_at": one.due_at,
        "text": one.edited_text or one.text,
        "detail": one.reason.detail,
        "due_why": [[str(why.reason), why.detail] for why in one.due_why],
        "tries": one.tries,
        "sent_at": one.sent_at,
        "url": one.url,
        "parked": str(parked[one.account].reason) if one.account in parked else None,
    }


def _print(call: Invocation, seen: _Seen, *, jsonl: bool, as_json: bool) -> None:
    if jsonl:
        print_jsonl(seen.objects)
    elif as_json:
        print_json(seen.objects)
    else:
        listing(HEAD, seen.rows, footer=seen.footer, no_color=call.no_color)
        if not seen.rows:
            call.say("Nothing planned.")
