"""schedule: when does what waits go?

All that waits on an account on which anything moved is timed anew, together, by the timetable. What finds no time while
it is fresh is skipped at once, with the reason; what the month's money can't pay is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from bot.flow.newsroom import Account, Newsroom
from bot.model import Delivery, Move, Reason, Why
from bot.rules.editorial import Editorial, Route
from bot.rules.timetable import timetable
from bot.rules.timing import Timing, Waiting, history_needed, timing_for
from bot.store import Tx
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store.accounts import AccountRow
from bot.store.plans import SetTimes, Timed
from bot.store.stops import StopSwitch, scopes_of, switches


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What the times of one account follow from."""

    editorial: Editorial
    row: AccountRow
    network: Account
    waiting: tuple[Delivery, ...]
    history: tuple[datetime, ...]
    spent: Decimal
    stopped: Mapping[str, StopSwitch] = field(default_factory=dict)


def retime(now: datetime, rhythm: Rhythm) -> tuple[Timed, ...]:
    """The due time of all that waits on one account, with reasons. Pure."""
    row = rhythm.row
    timing = timing_of(rhythm.editorial, row, rhythm.network, rhythm.spent)
    routes = {route.name: route for route in rhythm.editorial.routes}
    by_id = {delivery.id: delivery for delivery in rhythm.waiting}
    # What a switch without an end holds has no time, and takes nobody's place; lifting it times all anew.
    held = {one: switch for one, switch in rhythm.stopped.items() if switch.until is None}
    times = [Timed(by_id[one], None, (Why(Reason.STOPPED, str(switch)),)) for one, switch in held.items()]
    asked = [_waiting(one, routes.get(one.route), rhythm) for one in rhythm.waiting if one.id not in held]
    for due in timetable(now, asked, rhythm.history, timing):
        current = by_id[due.id]
        move = {"skip": Move.RULED_OUT, "hold": Move.HOLD}.get(due.outcome)
        why = due.why
        if move is Move.RULED_OUT and current.retry_words:
            why = (Why(due.why[0].reason, current.retry_words), *due.why[1:])
        times.append(Timed(current, due.due_at, why, move))
    return tuple(times)


def timing_of(editorial: Editorial, row: AccountRow, account: Account, spent: Decimal) -> Timing:
    """One account's rhythm as it is now. Pure."""
    return timing_for(
        editorial,
        row.name,
        account.network.pace,
        joined_at=row.joined_at,
        spent=spent,
        blocked_until=row.blocked_until,
        blocked_by=Reason.NETWORK_LIMIT if row.blocked_until else None,
    )


def _waiting(delivery: Delivery, route: Route | None, rhythm: Rhythm) -> Waiting:
    schedule = rhythm.editorial.schedules.get(route.schedule) if route is not None and route.schedule else None
    switch = rhythm.stopped.get(delivery.id)
    ends = switch.until if switch is not None and switch.until is not None else delivery.ready_at
    stopped = ends > delivery.ready_at
    return Waiting(
        id=delivery.id,
        article=delivery.article,
        priority=delivery.priority,
        ready_at=ends if stopped else delivery.ready_at,
        ready_why=Reason.STOPPED if stopped else delivery.ready_why,
        fresh_until=delivery.fresh_until,
        pinned_at=delivery.pinned_at,
        schedule=schedule,
        quiet=route.quiet if route is not None else None,
        over_cap=route.over_cap if route is not None else False,
        cost=Decimal(delivery.cost),
        order=(delivery.turn, delivery.article),
    )


# -- the thin part ------------------------------------------------------------------------------------------------


def run(newsroom: Newsroom) -> bool:
    """Set the times of every account on which something moved. True if there was one."""
    if newsroom.parked_by_clock:
        return False  # by a wrong clock a day of posts would be too old
    with newsroom.store.read() as tx:
        rows = [row for row in stored_accounts.dirty(tx) if row.name in newsroom.accounts]
    for row in rows:
        with newsroom.store.read() as tx:
            rhythm = rhythm_of(newsroom, tx, row)
            now = tx.now
        times, unsure = retime(now, rhythm), newsroom.time_unheard
        kept = tuple(timed for timed in times if timed.move is not Move.RULED_OUT) if unsure else times
        newsroom.store.commit(SetTimes(row.name, row.version, kept, settled=len(kept) == len(times)))
    if rows:
        newsroom.wake("deliver")
    return bool(rows)


def rhythm_of(newsroom: Newsroom, tx: Tx, row: AccountRow) -> Rhythm:
    """Read what the times of one account follow from."""
    waiting = stored_deliveries.waiting(tx, row.name)
    spent = stored_attempts.spent_in(tx, row.identity or "", tx.now.strftime("%Y-%m"))
    account = newsroom.accounts[row.name]
    newest = history_needed(timing_of(newsroom.editorial, row, account, spent))
    if row.live_since is None:
        history = stored_deliveries.rehearsed(tx, row.name, limit=newest)
    else:
        history = stored_attempts.history(tx, row.identity or "", limit=newest)
    return Rhythm(
        editorial=newsroom.editorial,
        row=row,
        network=account,
        waiting=tuple(waiting),
        history=tuple(history),
        spent=spent,
        stopped=_stopped(tx, waiting, account),
    )


def _stopped(tx: Tx, waiting: list[Delivery], account: Account) -> dict[str, StopSwitch]:
    """Which deliveries a stop switch holds; of several switches the one that holds longest."""
    on = switches(tx)
    found: dict[str, StopSwitch] = {}
    for delivery in waiting if on else ():
        stored = stored_articles.by_id(tx, delivery.article)
        scopes = scopes_of(stored.article, stored.id, account.name, account.network.name) if stored else ()
        hits = [switch for switch in on if (switch.scope, switch.value) in scopes]
        if hits:
            found[delivery.id] = max(hits, key=lambda switch: (switch.until is None, switch.until or switch.at))
    return found
