"""The queue as it is listed: rows for people, objects for programs. Read from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.cli import phrasing, reading
from bot.cli.render import moment
from bot.model import OPEN_STATES, State, Why
from bot.store import Tx, accounts, deliveries, stops
from bot.store.schema import deliveries as table
from bot.store.workers import all_workers

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.model import Delivery
    from bot.store import Store

# Later than this a planned post is overdue, and the row says why instead of what chose its time (ux: 1.1, 1).
OVERDUE = timedelta(minutes=2)
NO_WORKER = "Overdue: no worker runs. Start one: wirepost run."
# Of ended ones only those that changed lately: the store keeps years.
ENDED_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Lineup:
    """One reading of the queue: as objects for programs, as rows for people."""

    objects: list[dict[str, Any]]
    rows: list[tuple[str, ...]]
    footer: str


def read(call: Invocation, store: Store, wanted: phrasing.Wanted, account: str | None, limit: int) -> Lineup:
    """Read it. Raises StoreError."""
    zone, here = call.settings().editorial.timezone, call.settings().accounts
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
        late = _late(tx, zone)
        now = tx.now
    return Lineup(
        [_object(one, zone, now, parked) for one in found],
        [
            _row(one, short[one.id], names.get(one.article, ""), zone, now, parked.get(one.account), late)
            if one.account in here or one.state is not State.WAITING
            else _left(one, short[one.id], names.get(one.article, ""))
            for one in found
        ],
        f"{phrasing.counted(_tally(found, parked))}.  Times: {zone}",
    )


def _late(tx: Tx, zone: str) -> str:
    """Why what is long due has not gone, as far as the whole house can tell."""
    switches, seen = stops.switches(tx), all_workers(tx)
    if switches:
        return f"Overdue: stopped: {switches[0]}."
    return f"Overdue: the worker was last seen {moment(seen[0].beat_at, zone, tx.now)}." if seen else NO_WORKER


def _tally(found: list[Delivery], parked: Mapping[str, Why]) -> Mapping[str, int]:
    return Counter(phrasing.state_word(one, _breaker(one, parked)) for one in found)


def _breaker(one: Delivery, parked: Mapping[str, Why]) -> Any:
    return parked[one.account].reason if one.account in parked else None


def _row(
    one: Delivery, short: str, headline: str, zone: str, now: datetime, parked: Why | None, late: str
) -> tuple[str, ...]:
    word = phrasing.state_word(one, parked.reason if parked else None)
    why = phrasing.why_words(one, zone, now, parked)
    if parked is None and one.state is State.WAITING and one.due_at is not None and now - one.due_at > OVERDUE:
        why = late
    return short, phrasing.when_words(one.due_at, zone, now), one.account, word, headline or one.text, why


def _left(one: Delivery, short: str, headline: str) -> tuple[str, ...]:
    """It has a time, and won't go: nobody serves its account any more."""
    why = f"{phrasing.left(one.account)}, or: wirepost skip {short}"
    return short, "-", one.account, phrasing.state_word(one), headline or one.text, why


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
