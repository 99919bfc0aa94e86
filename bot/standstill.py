"""Lifting a stop: what came due meanwhile, what of it is still fresh and when it would go, and what a person wants.

Nothing bursts: what is let go is timed anew by gaps and caps. A restored store first takes over what is out already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.desk import Desk, keep_fresh, skip
from bot.flow import discover, plan, restore, schedule
from bot.flow.newsroom import Newsroom
from bot.flow.schedule import Rhythm
from bot.model import Attempt, Delivery, State
from bot.store import Tx
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store import sources as stored_sources
from bot.store.stops import Lift, Scope, StopSwitch, scopes_of, switches
from bot.store.witness import ForgetRestored, restored_since, whose

# More than any newsroom has waiting: all of them.
EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True)
class Late:
    """A post that came due during a stop; `goes_at`: when it goes if the stop is lifted now, None: it is too old."""

    delivery: Delivery
    goes_at: datetime | None


def came_due(now: datetime, rhythm: Rhythm, freed: Collection[str], since: datetime) -> list[Late]:
    """What of `freed` would have gone between the stop and now, in the order in which it goes if it goes now. Pure."""
    would_have = {
        timed.current.id
        for timed in schedule.retime(since, rhythm)
        if timed.move is not None or (timed.due_at is not None and timed.due_at <= now)
    }
    late = [
        Late(timed.current, timed.due_at if timed.move is None else None)
        for timed in schedule.retime(now, rhythm)
        if timed.current.id in freed and timed.current.id in would_have
    ]
    return sorted(late, key=lambda one: (one.goes_at is None, one.goes_at or one.delivery.ready_at, one.delivery.id))


# -- the thin part ------------------------------------------------------------------------------------------------


def late_on_all(room: Newsroom, lifted: Sequence[StopSwitch]) -> list[Late]:
    """What came due under these switches on every account, those that nothing else stops."""
    found: list[Late] = []
    with room.store.read() as tx:
        kept = [one for one in switches(tx) if one not in lifted]
        since = min((switch.at for switch in lifted), default=tx.now)
        for name, row in sorted(stored_accounts.all_accounts(tx).items()):
            if name not in room.accounts:
                continue
            rhythm = schedule.rhythm_of(room, tx, row)
            stopped = {one.id for one in rhythm.waiting if _under(tx, room, one, kept)}
            freed = {one.id for one in rhythm.waiting if one.id not in stopped and _under(tx, room, one, lifted)}
            free = replace(rhythm, waiting=tuple(one for one in rhythm.waiting if one.id not in stopped), stopped={})
            found += came_due(tx.now, free, freed, since)
    return found


def _under(tx: Tx, room: Newsroom, one: Delivery, on: Sequence[StopSwitch]) -> bool:
    scopes = _scopes(tx, room, one) if on else ()
    return any((switch.scope, switch.value) in scopes for switch in on)


def _scopes(tx: Tx, room: Newsroom, one: Delivery) -> tuple[tuple[Scope, str], ...]:
    stored = stored_articles.by_id(tx, one.article)
    account = room.accounts.get(one.account)
    if stored is None or account is None:
        return ((Scope.ALL, ""), (Scope.ACCOUNT, one.account))
    return scopes_of(stored.article, stored.id, one.account, account.network.name)


def waiting_under(room: Newsroom, scope: Scope, value: str) -> int:
    """How many planned posts a switch of this scope holds."""
    with room.store.read() as tx:
        waiting = stored_deliveries.listing(tx, states=[State.WAITING], limit=EVERYTHING)
        return sum((scope, value) in _scopes(tx, room, one) for one in waiting)


def on_the_wire(room: Newsroom, numbers: Sequence[int], scope: Scope, value: str) -> list[Attempt]:
    """Which of these open attempts a switch of this scope came too late for."""
    found = []
    with room.store.read() as tx:
        for number in numbers:
            attempt = stored_attempts.by_id(tx, number)
            one = stored_deliveries.by_id(tx, attempt.delivery) if attempt is not None else None
            if attempt is not None and one is not None and (scope, value) in _scopes(tx, room, one):
                found.append(attempt)
    return found


def treat(desk: Desk, late: Sequence[Late], choice: str) -> None:
    """Before the stop is lifted: "skip" all that came due, "send" also what is too old; "fresh" leaves all as it is."""
    acts = {"skip": ([one.delivery.id for one in late], skip), "send": (_too_old(late), keep_fresh)}
    ids, act = acts.get(choice, ([], skip))
    for one in ids:
        desk.do(one, act)


def _too_old(late: Sequence[Late]) -> list[str]:
    return [one.delivery.id for one in late if one.goes_at is None]


def lift(room: Newsroom, on: Sequence[StopSwitch], who: str) -> list[StopSwitch]:
    """Lift the switches; those that really were still on. With the last one on everything a restored store is
    acknowledged; one that ends by itself doesn't count, since nobody would do it then."""
    lifted = [one for one in on if room.store.commit(Lift(one.id, who))]
    with room.store.read() as tx:
        all_stopped = any(one.scope is Scope.ALL and one.until is None for one in switches(tx))
        since = restored_since(tx)
        live = [whose(row) for row in stored_accounts.all_accounts(tx).values() if row.live_since is not None]
    if since is not None and not all_stopped:
        room.store.commit(ForgetRestored(who, tuple(live)))
    return lifted


def take_over(room: Newsroom) -> list[str]:
    """Adopt from the networks what went out since the backup; the names of the sources that could not be read, and of
    the accounts of which nobody knows yet who they are (renamed just now, or not logged in).

    The sources are looked at first: what is not in the store yet could not be found, and would go out again.
    """
    now = room.store.now()
    discover.run(room, anyway=True)
    plan.run(room)
    restore.run(room, anyway=True)
    with room.store.read() as tx:
        rows = {row.name: row for row in stored_sources.all_sources(tx)}
        unknown = {
            row.name
            for row in stored_accounts.all_accounts(tx).values()
            if row.live_since is not None and row.identity is None and row.name in room.accounts
        }
    looked = {
        name for name, row in rows.items() if row.ended or (row.last_good_at is not None and row.last_good_at >= now)
    }
    return sorted({*room.sources} - looked | unknown)
