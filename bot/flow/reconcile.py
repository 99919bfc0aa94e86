"""reconcile: what became of attempts whose end we don't know?

It looks at the network, never resends by itself: found → sent; proved absent, inside the window → waiting (deliver
sends it again, with the same bytes and key); can't tell → held, and a person decides. What permits a look or a resend
is waited for on this process's own monotonic clock; stored times may only close a window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.errors import Duplicate, Expired, SendError
from bot.flow.newsroom import LOOK_SLACK, Newsroom
from bot.flow.outcomes import doubt_began
from bot.log import events
from bot.model import Attempt, Delivery, Move, Outcome, Pending, Reason, Receipt, Status, Why
from bot.networks.base import InFlight, Network, only_send_errors
from bot.rules.backoff import next_try
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store.accounts import AccountRow, Affect, Effect
from bot.store.outcomes import BeginFinish, Confirm, EndPending, Expire, Settle
from bot.store.readback import accounts_unread, unread
from bot.store.stops import scopes_of

log = events("reconcile")

# After a look that settled nothing, the next ones come after so many seconds; then always the last (x.md, section 10:
# a network's lag is not documented, so look soon, then later, then much later).
LOOKS = (5.0, 30.0, 120.0, 600.0)
# A post is read back so long after it was sent at the earliest, and within five minutes (pain P25).
READ_BACK = timedelta(seconds=30)
READ_BACK_WITHIN = timedelta(hours=24)
# Refused as a duplicate: what is older than its attempt by more than this is somebody else's post.
OURS = timedelta(minutes=2)
# Refused as a duplicate: of what? A post of the last day at most (a person's own, pain P11), or a person looks.
KNOWN = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An unknown attempt with all that decides what may be done about it."""

    attempt: Attempt
    delivery: Delivery
    withdrawn: bool
    seen_for: float
    looked: int
    since_look: float
    can_find: bool
    proof: bool
    in_flight: InFlight
    resend_window: timedelta
    began: datetime | None = None
    rest: timedelta = timedelta(0)

    @property
    def refused_as_known(self) -> bool:
        """Did the network say that it has this already?"""
        return self.delivery.reason.reason is Reason.DUPLICATE_REJECTED


def may_look(doubt: Doubt) -> bool:
    """Has everything on the way landed, by our own clock, and is it this look's turn? Pure."""
    wait = doubt.in_flight.server_error if doubt.attempt.status == 500 else doubt.in_flight.lost
    if not doubt.refused_as_known and doubt.seen_for < wait:
        return False
    return doubt.looked == 0 or doubt.since_look >= LOOKS[min(doubt.looked, len(LOOKS)) - 1]


def settle(doubt: Doubt, found: Receipt | None, now: datetime) -> Settle | None:
    """What a complete look means. None: look again later. Pure."""
    attempt, since = doubt.attempt, doubt.delivery.doubted_at or doubt.attempt.started_at
    if found is not None:
        if doubt.refused_as_known and found.at is not None and found.at < min(since, attempt.started_at) - OURS:
            why = Why(Reason.DUPLICATE_REJECTED, found.url or found.remote_id)
            return Settle(attempt=attempt, move=Move.RULED_OUT, why=why)
        return Settle(attempt=attempt, move=Move.FOUND, why=Why(Reason.SENT), receipt=found)
    if doubt.refused_as_known:
        return Settle(attempt=attempt, move=Move.CANNOT_TELL, why=Why(Reason.DUPLICATE_REJECTED))
    inside = timedelta(0) <= now - (doubt.began or since) <= doubt.resend_window
    if doubt.proof and doubt.withdrawn:
        return Settle(attempt=attempt, move=Move.RULED_OUT, why=Why(Reason.WITHDRAWN))
    if doubt.proof and inside:
        return Settle(attempt=attempt, move=Move.ABSENT, why=Why(Reason.LOST_REPLY), changes=_due(doubt, now))
    if inside and doubt.can_find:
        return None
    return Settle(attempt=attempt, move=Move.CANNOT_TELL, why=Why(Reason.CANNOT_TELL))


def _due(doubt: Doubt, now: datetime) -> dict[str, Any]:
    """At once; after a 500 later each time, since the service that answers so has more to mend than this post."""
    at = now + (doubt.rest if doubt.attempt.status == 500 else timedelta(0))
    return {"ready_at": at, "ready_why": Reason.LOST_REPLY, "due_at": at, "absent_at": now}


# -- the thin part ------------------------------------------------------------------------------------------------


def run(newsroom: Newsroom) -> bool:
    """Settle what can be settled now, and read back what was sent. True if anything moved.

    Whatever one of them raises (an account whose credentials our key doesn't open) is raised when all had their turn.
    """
    failed: list[Exception] = []
    with newsroom.store.read() as tx:
        undecided = stored_attempts.undecided(tx)
        rows = stored_accounts.all_accounts(tx) if undecided else {}
    moved = False
    for attempt, delivery in undecided:
        row = rows.get(attempt.account)
        if row is not None and attempt.account in newsroom.accounts and attempt.id not in newsroom.in_flight:
            moved = _tried(failed, partial(_one, newsroom, attempt, delivery, row)) or moved
    for kind in _KINDS:
        newsroom.sightings.keep_only(kind, {(kind, attempt.id) for attempt, _ in undecided})
    moved = _read_back(newsroom, failed) or moved
    if moved:
        newsroom.wake("schedule")
    if failed:
        raise failed[0]
    return moved


def _tried(failed: list[Exception], work: Callable[[], bool]) -> bool:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 -- one account's trouble; the others are none the worse for it
        failed.append(error)
        return False


def in_doubt(newsroom: Newsroom) -> bool:
    """Was there anything at the last run whose end isn't known?"""
    return any(newsroom.sightings.has(kind) for kind in _KINDS)


# What is watched from its first sight on: an attempt without an outcome, an unknown one, a container.
_KINDS = ("lease", "unknown", "pending")


def _one(newsroom: Newsroom, attempt: Attempt, delivery: Delivery, row: AccountRow) -> bool:
    if attempt.outcome is Outcome.OPEN:
        return _expire(newsroom, attempt)
    if attempt.outcome is Outcome.PENDING:
        return _second_phase(newsroom, attempt, delivery, row)
    return _look(newsroom, attempt, delivery, row)


def _expire(newsroom: Newsroom, attempt: Attempt) -> bool:
    """No outcome was recorded: unknown, once the whole lease has passed on our own clock since we first saw it."""
    if newsroom.sightings.age(("lease", attempt.id)) < newsroom.lease_left(attempt):
        return False
    return newsroom.store.commit(Expire(attempt))


def _doubt(newsroom: Newsroom, attempt: Attempt, delivery: Delivery, adapter: Network) -> Doubt:
    with newsroom.store.read() as tx:
        stored = stored_articles.by_id(tx, delivery.article)
        tried = stored_attempts.of_delivery(tx, delivery.id)
    looked, since = newsroom.looked.get(attempt.id, (0, 0.0))
    rest = next_try(delivery.tries, uniform=newsroom.random.uniform)
    return Doubt(
        attempt=attempt,
        delivery=delivery,
        withdrawn=stored is not None and stored.status is Status.WITHDRAWN,
        seen_for=newsroom.sightings.age(("unknown", attempt.id)),
        looked=looked,
        since_look=newsroom.clock.monotonic() - since,
        can_find=adapter.abilities().find,
        proof=adapter.abilities().find and adapter.find_is_proof(),
        in_flight=adapter.in_flight_max,
        resend_window=adapter.resend_window,
        began=doubt_began(delivery, tried),
        rest=min(rest, adapter.resend_window / 2),  # the resend must fall into the attempt's own window
    )


def _look(newsroom: Newsroom, attempt: Attempt, delivery: Delivery, row: AccountRow, *, by_hand: bool = False) -> bool:
    adapter = newsroom.reader(row)
    doubt = _doubt(newsroom, attempt, delivery, adapter)
    if not by_hand and not may_look(doubt):
        return False
    found = None
    if doubt.can_find:
        newsroom.looked[attempt.id] = (doubt.looked + 1, newsroom.clock.monotonic())
        since = (delivery.doubted_at or attempt.started_at) - LOOK_SLACK
        try:
            earliest = min(since, attempt.started_at - (KNOWN if doubt.refused_as_known else LOOK_SLACK))
            earliest -= max(
                timedelta(0), newsroom.skew
            )  # ahead of the network's clock, ours dated the attempt too late
            found = newsroom.safely(lambda: adapter.find(attempt.payload, attempt.key, earliest))
        except Exception as error:  # noqa: BLE001 -- whatever an adapter raises: we could not look, and stay in doubt
            _could_not_look(newsroom, row.name, attempt, error)
            return False
        if found is None and newsroom.parked_by_clock:
            newsroom.last_look[attempt.id] = "Our clock and the network's disagree: what was read proves nothing."
            return False
    newsroom.crash("reconcile after look")
    settled = settle(doubt, found, newsroom.store.now())
    if settled is None or not newsroom.store.commit(settled):
        return False
    log.info(str(settled.move), delivery=delivery.id, account=row.name, attempt=attempt.id, reason=settled.why.reason)
    if settled.move is Move.ABSENT:
        newsroom.sightings.again(("absent", delivery.id))
        newsroom.wake("deliver")
    return True


def _could_not_look(newsroom: Newsroom, account: str, attempt: Attempt, error: Exception) -> None:
    """It stays in doubt. A token that is over is renewed by check, and the next look has a new one."""
    known = only_send_errors(error)
    newsroom.last_look[attempt.id] = known.words
    log.warning("look_failed", account=account, attempt=attempt.id, words=known.words)
    if isinstance(known, Expired):
        newsroom.store.commit(Affect(account, Effect(token_over=True)))
        newsroom.wake("check")


def look_up(newsroom: Newsroom, delivery: Delivery) -> Receipt | SendError | None:
    """A person asks (`wirepost lookup`): the answer, and the move that it proves. Absence settles nothing here."""
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, delivery.account)
        attempt = stored_attempts.by_id(tx, delivery.attempt) if delivery.attempt else None
    if row is None or attempt is None:
        return Duplicate("There is no attempt to look up.")
    adapter = newsroom.reader(row)
    try:
        found = adapter.find(attempt.payload, attempt.key, attempt.started_at - LOOK_SLACK)
    except Exception as error:  # noqa: BLE001 -- the seam's rule
        return only_send_errors(error)
    if found is not None:
        newsroom.store.commit(Settle(attempt=attempt, move=Move.FOUND, why=Why(Reason.SENT), receipt=found))
        newsroom.wake("plan")
    return found


# -- two phases ---------------------------------------------------------------------------------------------------


def _second_phase(newsroom: Newsroom, attempt: Attempt, delivery: Delivery, row: AccountRow) -> bool:
    """A container waits to be published. Look at it first; publish it by its name; whatever fails, look again."""
    if attempt.finishing_at is not None:
        wait = newsroom.accounts[row.name].network.in_flight_max.lost
        if newsroom.sightings.age(("pending", attempt.id)) < wait:
            return False
    reader = newsroom.reader(row)
    assert attempt.container is not None
    try:
        state = reader.poll(attempt.payload, attempt.key, attempt.container)
    except Exception:  # noqa: BLE001 -- could not look: it stays pending
        newsroom.sightings.again(("pending", attempt.id))
        return False
    if not isinstance(state, Pending):
        return newsroom.store.commit(_ended(attempt, delivery, state, newsroom.store.now()))
    with newsroom.store.read() as tx:
        stored = stored_articles.by_id(tx, delivery.article)
    if stored is None or stored.status is not Status.LIVE:
        withdrawn = Why(Reason.WITHDRAWN)
        return newsroom.store.commit(
            EndPending(attempt=attempt, outcome=Outcome.ABSENT, move=Move.RULED_OUT, why=withdrawn)
        )
    scopes = scopes_of(stored.article, stored.id, row.name, newsroom.accounts[row.name].network.name)
    return _publish_container(newsroom, attempt, delivery, row, scopes)


def _publish_container(newsroom: Newsroom, attempt: Attempt, delivery: Delivery, row: AccountRow, scopes: Any) -> bool:
    lease = newsroom.lease(newsroom.accounts[row.name].network)
    clocks = newsroom.clock.now(), newsroom.clock.monotonic()
    if not newsroom.store.commit(BeginFinish(attempt, lease, scopes)):
        return False
    newsroom.sightings.again(("pending", attempt.id))
    newsroom.crash("reconcile before finish")
    assert attempt.container is not None
    try:
        publisher = newsroom.publisher(row, clocks)
        state = publisher.finish(attempt.payload, attempt.key, attempt.container)
    except Exception:  # noqa: BLE001 -- published or not: the next look at the container tells
        return False
    newsroom.crash("reconcile after finish")
    if isinstance(state, Pending):
        return False
    return newsroom.store.commit(_ended(attempt, delivery, state, newsroom.store.now()))


def _ended(attempt: Attempt, delivery: Delivery, state: Receipt | None, now: datetime) -> EndPending:
    if state is not None:
        return EndPending(
            attempt=attempt, outcome=Outcome.RECEIPT, move=Move.RECEIPT, why=Why(Reason.SENT), receipt=state
        )
    again = {"due_at": None, "ready_at": now, "ready_why": Reason.BACKOFF}
    why = Why(Reason.BACKOFF)
    return EndPending(attempt=attempt, outcome=Outcome.ABSENT, move=Move.NOT_SENT, why=why, changes=again)


# -- read back ----------------------------------------------------------------------------------------------------


def _read_back(newsroom: Newsroom, failed: list[Exception]) -> bool:
    """Are the sent posts really there? One list call per account; where a network can't be read, nothing is claimed."""
    with newsroom.store.read() as tx:
        since, until = tx.now - READ_BACK_WITHIN, tx.now - READ_BACK
        names = accounts_unread(tx, since=since, until=until)
        rows = stored_accounts.all_accounts(tx) if names else {}
    moved = False
    for name in names:
        if name in newsroom.accounts and name in rows:
            moved = _tried(failed, partial(_confirm, newsroom, rows[name], since, until)) or moved
    return moved


def _confirm(newsroom: Newsroom, row: AccountRow, since: datetime, until: datetime) -> bool:
    tries, last = newsroom.looked.get(row.name, (0, 0.0))
    if tries and newsroom.clock.monotonic() - last < LOOKS[min(tries, len(LOOKS)) - 1]:
        return False
    adapter = newsroom.reader(row)
    if not adapter.reads_back():
        return False
    with newsroom.store.read() as tx:
        sent = unread(tx, row.name, since=since, until=until)
    if not sent:
        return False  # another worker was faster
    try:
        seen = {post.receipt.remote_id for post in adapter.recent(sent[0].sent_at - LOOK_SLACK)}
    except Exception:  # noqa: BLE001 -- could not look: it is asked again
        newsroom.looked[row.name] = (tries + 1, newsroom.clock.monotonic())
        return False
    newsroom.looked.pop(row.name, None)
    there = tuple(delivery.id for delivery in sent if delivery.remote_id in seen)
    missing = tuple(delivery.id for delivery in sent if delivery.remote_id not in seen)
    if not adapter.find_is_proof():
        missing = ()
    if there or missing:
        newsroom.store.commit(Confirm(row.name, there, missing))
    return bool(missing)
