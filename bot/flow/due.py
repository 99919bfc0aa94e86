"""What is due first on an account, with all that decides whether it may go.

`first_due` reads it as it is now. `next_due` looks a few posts ahead, so that a run of them doesn't read the store once
for each: what it gives may be half a second old, and the conditions of `Start` hold it to what is true.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.flow.newsroom import Ahead, Newsroom
from bot.flow.outcomes import doubt_began
from bot.model import Attempt, Delivery
from bot.store import Tx
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store.accounts import AccountRow
from bot.store.articles import Stored
from bot.store.stops import Scope, StopSwitch, scopes_of, switches

# How many due posts of an account are looked through for one that no stop holds.
DUE_AT_ONCE = 500
# So many due posts of an account are read at once, and gone by for so long: a breaking story waits no longer than that.
AHEAD = 16
AHEAD_HOLDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One due delivery with all that decides whether it may go now."""

    delivery: Delivery
    stored: Stored
    row: AccountRow
    stop: StopSwitch | None
    last: Attempt | None
    absence_age: float | None
    now: datetime
    #: From when the window for a resend counts.
    doubt_began: datetime | None = None

    @property
    def frozen(self) -> Attempt | None:
        """The attempt whose payload and key must go out again as they are, if at all: it may be there already."""
        return self.last if self.delivery.doubted_at is not None else None


def next_due(newsroom: Newsroom, account: str) -> Case | None:
    """What is due next, as read up to half a second ago; None: nothing is, or it is not that simple."""
    monotonic = newsroom.clock.monotonic()
    ahead = newsroom.ahead.get(account)
    if ahead is None or not ahead.due or not 0 <= monotonic - ahead.read_at <= AHEAD_HOLDS:
        ahead = newsroom.ahead[account] = _read_ahead(newsroom, account, monotonic)
    if ahead.row is None or not ahead.due:
        return None
    delivery, stored = ahead.due.popleft()
    now = ahead.now + timedelta(seconds=monotonic - ahead.read_at)
    return Case(delivery=delivery, stored=stored, row=ahead.row, stop=None, last=None, absence_age=None, now=now)


def _read_ahead(newsroom: Newsroom, account: str, monotonic: float) -> Ahead:
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, account)
        # Who picks among what is stopped is `start`.
        due = [] if switches(tx) else stored_deliveries.next_due(tx, account, limit=AHEAD)
        stored = stored_articles.by_ids(tx, [delivery.article for delivery in due])
        now = tx.now
    sure = [one for one in due if one.doubted_at is None and one.article in stored]
    return Ahead(monotonic, now, row, deque((one, stored[one.article]) for one in sure))


def first_due(newsroom: Newsroom, account: str) -> Case | None:
    """What is due first of what no stop holds; if all is stopped, the very first."""
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, account)
        found = _first_free(newsroom, tx, account)
        if row is None or found is None:
            return None
        delivery, stored, stop = found
        attempts = stored_attempts.of_delivery(tx, delivery.id) if delivery.doubted_at else []
        now = tx.now
    return Case(
        delivery=delivery,
        stored=stored,
        row=row,
        stop=stop,
        last=attempts[-1] if attempts else None,
        absence_age=newsroom.sightings.since(("absent", delivery.id)),
        now=now,
        doubt_began=doubt_began(delivery, attempts),
    )


def _first_free(newsroom: Newsroom, tx: Tx, account: str) -> tuple[Delivery, Stored, StopSwitch | None] | None:
    """What is due first and not stopped, for a stopped article must not stand in the others' way; else the first."""
    on = switches(tx)
    first = None
    for delivery in stored_deliveries.next_due(tx, account, limit=DUE_AT_ONCE if on else 1):
        stored = stored_articles.by_id(tx, delivery.article)
        if stored is None:
            continue
        under = set(scopes(newsroom, stored, account))
        stop = next((switch for switch in on if (switch.scope, switch.value) in under), None)
        first = first or (delivery, stored, stop)
        if stop is None:
            return delivery, stored, None
    return first


def scopes(newsroom: Newsroom, stored: Stored, account: str) -> tuple[tuple[Scope, str], ...]:
    """Everything under which this article on this account can be stopped."""
    return scopes_of(stored.article, stored.id, account, newsroom.accounts[account].network.name)
