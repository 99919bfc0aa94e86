"""deliver: send what is due, exactly once.

Three callables that a worker's threads chain and a simulation runs one by one: `start` (looks at the article again,
freezes the payload and the key in an attempt row, commits), `send` (touches no store), `finish` (commits the outcome).
No byte leaves before the attempt is committed, and only what is proved never to have left is tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.errors import (
    AuthFailed,
    Misconfigured,
    NotSent,
    SendError,
    StoreError,
)
from bot.flow.due import Case, first_due, next_due
from bot.flow.freezing import freeze, terms_of
from bot.flow.newsroom import LOOK_SLACK, Account, Newsroom
from bot.flow.outcomes import Verdict, judge
from bot.flow.preflight import at_hand, moved_on
from bot.log import events
from bot.model import Attempt, Delivery, Move, Outcome, Pending, Reason, Receipt, Status, Why
from bot.networks.base import Network, only_send_errors
from bot.rules.compose import BadTemplate, CannotFit
from bot.rules.freshness import before_account
from bot.store import deliveries as stored_deliveries
from bot.store.accounts import AccountRow, may_try
from bot.store.attempts import Refused, Start
from bot.store.deliveries import ChangeDelivery, MarkDirty, MoveDelivery
from bot.store.handover import HandOver
from bot.store.outcomes import Finish, Settle

log = events("deliver")

# The store refused an outcome: the next try, in seconds.
RECORD_AGAIN = 1.0
# A proof of absence counts for so long; then the network must be asked again before anything is sent.
ABSENCE_HOLDS = timedelta(seconds=30)


# -- the decision -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ruled:
    """It doesn't go now: a move of the delivery, or (None) it just waits, for a reason."""

    move: Move | None
    why: Why


def decide(case: Case, resend_window: timedelta, *, may_look: bool) -> Ruled | None:
    """Why the delivery may not go now; None if it may. Pure. Nothing here permits by the age of a stored time alone."""
    delivery, row, now = case.delivery, case.row, case.now
    if case.stop is not None:
        return Ruled(None, Why(Reason.STOPPED, str(case.stop)))
    if row.breaker is not None and not may_try(row, now):
        return Ruled(None, Why(row.breaker, row.breaker_words or ""))
    if row.blocked_until is not None and row.blocked_until > now:
        return Ruled(None, Why(Reason.NETWORK_LIMIT))
    unsure = row.identity is None or row.checked_at is None or row.token_over_at is not None
    if row.live_since is not None and unsure:
        return Ruled(None, Why(Reason.LOGIN))
    if delivery.doubted_at is not None:
        return _doubted(case, resend_window, may_look)
    if case.stored.status is not Status.LIVE:
        return Ruled(Move.RULED_OUT, Why(Reason.WITHDRAWN))
    if delivery.fresh_until is not None and now > delivery.fresh_until:
        return Ruled(Move.RULED_OUT, Why(Reason.STALE, delivery.retry_words))
    by_hand = delivery.fresh_until is None
    if before_account(case.stored.first_seen_at, row.joined_at, row.live_since) and not by_hand:
        return Ruled(Move.RULED_OUT, Why(Reason.BEFORE_ACCOUNT))
    if row.live_since is None:
        return Ruled(Move.RULED_OUT, Why(Reason.REHEARSAL))
    return None


def _doubted(case: Case, resend_window: timedelta, may_look: bool) -> Ruled | None:
    """An earlier attempt may have been on the way: only a fresh proof of absence inside the window lets it go again."""
    since = case.doubt_began or case.delivery.doubted_at
    assert since is not None
    if not timedelta(0) <= case.now - since <= resend_window:
        return Ruled(Move.CANNOT_TELL, Why(Reason.CANNOT_TELL))
    if case.absence_age is None or case.absence_age > ABSENCE_HOLDS.total_seconds():
        return Ruled(None, Why(Reason.LOST_REPLY)) if may_look else Ruled(Move.CANNOT_TELL, Why(Reason.CANNOT_TELL))
    if case.delivery.fresh_until is not None and case.now > case.delivery.fresh_until:
        return Ruled(Move.RULED_OUT, Why(Reason.STALE, case.delivery.retry_words))
    return None


# -- start --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """A committed attempt, ready to be sent. `clocks`: the two local clocks as read before its transaction began.

    `shifts`: do the times of what waits on the account hang on when this one goes? `account`: as which it goes.
    """

    attempt: Attempt
    delivery: Delivery
    row: AccountRow
    clocks: tuple[datetime, float]
    shifts: bool
    account: Account


@dataclass(frozen=True, slots=True)
class _Ready:
    """All that is needed to begin: what was read, and the intent made of it."""

    case: Case
    intent: Start
    clocks: tuple[datetime, float]
    shifts: bool
    account: Account


def start(newsroom: Newsroom, account: str, *, looked_for: str = "") -> Started | Why | None:
    """Begin an attempt for what is due first on an account. None: nothing is due. A reason: it may not go now.

    `looked_for`: the delivery that was looked up just now; another one that comes first meanwhile has its own look.
    """
    clocks = newsroom.clock.now(), newsroom.clock.monotonic()
    newsroom.ahead.pop(account, None)
    if account not in newsroom.accounts:
        return None  # renamed or taken out of the settings a moment ago
    if newsroom.parked_by_clock or newsroom.may_be_early(account):
        return Why(Reason.CLOCK_SKEW)
    case = first_due(newsroom, account)
    if case is None:
        return None
    network = newsroom.accounts[account].network
    ruled = decide(case, network.resend_window, may_look=case.delivery.id != looked_for)
    if ruled is not None and ruled.why.reason is Reason.LOST_REPLY and case.last is not None:
        seen = look_again(newsroom, case.delivery, case.last, case.row)
        return start(newsroom, account, looked_for=case.delivery.id) if seen else ruled.why
    if ruled is not None and ruled.why.reason is Reason.STALE and newsroom.time_unheard:
        return Why(Reason.CLOCK_SKEW)
    if ruled is not None:
        return _rule_out(newsroom, case, ruled)
    if case.frozen is None and moved_on(newsroom, case.stored, case.now):
        newsroom.wake("plan")
        return Why(Reason.SETTLE)
    ready = _ready(newsroom, case, clocks)
    if not isinstance(ready, _Ready):
        return ready
    newsroom.crash("deliver before start")
    return _begun(newsroom, ready, newsroom.store.commit(ready.intent))


def _at_once(newsroom: Newsroom, account: str) -> _Ready | None:
    """What may begin right now without asking a source or a network anything first; None: `start` has to see to it.

    So it has to whatever raises here: the outcome of the last one, which is known to nobody else, goes first.
    """
    try:
        return _ready_at_once(newsroom, account)
    except Exception:  # noqa: BLE001 -- `start` meets it again, behind the outcome, and raises it
        return None


def _ready_at_once(newsroom: Newsroom, account: str) -> _Ready | None:
    clocks = newsroom.clock.now(), newsroom.clock.monotonic()
    configured = newsroom.accounts.get(account)
    if configured is None or newsroom.parked_by_clock or configured.network.prepare is not Network.prepare:
        return None
    case = next_due(newsroom, account)
    if case is None or case.frozen is not None or not at_hand(newsroom, case.stored):
        return None
    if decide(case, configured.network.resend_window, may_look=True) is not None:
        return None
    if moved_on(newsroom, case.stored, case.now):
        newsroom.wake("plan")
        return None
    ready = _ready(newsroom, case, clocks)
    return ready if isinstance(ready, _Ready) else None


def _rule_out(newsroom: Newsroom, case: Case, ruled: Ruled) -> Why:
    """Make the move, if there is one to make."""
    if ruled.move is not None:
        changes = {"due_at": None} if ruled.move is not Move.RULED_OUT else {}
        newsroom.store.commit(
            MoveDelivery(current=case.delivery, move=ruled.move, why=ruled.why, who="wirepost", changes=changes)
        )
        log.info(str(ruled.move), delivery=case.delivery.id, account=case.row.name, reason=ruled.why.reason)
        newsroom.wake("schedule")
    elif ruled.why.reason is Reason.LOGIN:
        newsroom.wake("check")
    return ruled.why


def look_again(newsroom: Newsroom, delivery: Delivery, last: Attempt, row: AccountRow) -> bool:
    """Before a resend: is it there after all? Found → sent. Absent → a fresh proof. True if the look succeeded."""
    adapter = newsroom.reader(row)
    if not adapter.abilities().find:
        return True
    since = (delivery.doubted_at or last.started_at) - LOOK_SLACK
    try:
        receipt = newsroom.safely(lambda: adapter.find(last.payload, last.key, since))
    except Exception:  # noqa: BLE001 -- whatever an adapter raises: we could not look, and nothing is sent
        return False
    if receipt is None:
        if newsroom.parked_by_clock:  # the attempt may be dated by a wrong clock: what was read proves nothing
            return False
        if adapter.find_is_proof():
            newsroom.sightings.again(("absent", delivery.id))
        return True
    newsroom.store.commit(Settle(attempt=last, move=Move.FOUND, why=Why(Reason.SENT), receipt=receipt))
    return True


def _ready(newsroom: Newsroom, case: Case, clocks: tuple[datetime, float]) -> _Ready | Why:
    """All that the attempt needs; or why it may not go, which is in the store then."""
    account = newsroom.accounts[case.row.name]
    terms = terms_of(newsroom, case)
    shut = terms.shut(case, newsroom.editorial)
    if shut is not None:
        newsroom.store.commit(MarkDirty((case.row.name,)))
        newsroom.wake("schedule")
        return Why(shut)
    try:
        return _Ready(case, freeze(newsroom, case, terms), clocks, terms.shifts, account)
    except (CannotFit, BadTemplate) as error:
        return _rule_out(newsroom, case, Ruled(Move.HOLD, error.why))
    except SendError as error:
        return _upload_failed(newsroom, case, error)


def _begun(newsroom: Newsroom, ready: _Ready, result: Attempt | Refused) -> Started | Why:
    if isinstance(result, Refused):
        newsroom.ahead.pop(ready.case.row.name, None)
        return _refused(newsroom, ready.case, result)
    newsroom.in_flight.add(result.id)
    newsroom.crash("deliver after start")
    return Started(result, ready.case.delivery, ready.case.row, ready.clocks, ready.shifts, ready.account)


def _upload_failed(newsroom: Newsroom, case: Case, error: SendError) -> Why:
    """Nothing was published: it waits, as after any proved failure. A dead login parks the account."""
    now = newsroom.store.now()
    verdict = judge(
        error if isinstance(error, NotSent | AuthFailed | Misconfigured) else NotSent(error.words),
        case.delivery,
        now,
        newsroom.random.uniform,
    )
    newsroom.store.commit(
        ChangeDelivery(
            current=case.delivery,
            event="delivery_delayed",
            who="wirepost",
            changes=verdict.changes,
            effect=verdict.effect,
        )
    )
    return verdict.why


def _refused(newsroom: Newsroom, case: Case, refused: Refused) -> Why:
    """No attempt was started. What the gate says is true now: act on it, and let plan reckon the times again."""
    why = refused.why
    if why is None:  # another worker was faster: what follows from its move is marked by its move
        newsroom.wake("plan")
        return Why(Reason.GAP)
    if why.reason is Reason.SAME_LINK:
        return _rule_out(newsroom, case, Ruled(Move.RULED_OUT, Why(Reason.SAME_LINK, str(refused.taken_by))))
    if why.reason is Reason.BUDGET:
        return _rule_out(newsroom, case, Ruled(Move.HOLD, why))
    newsroom.store.commit(MarkDirty((case.row.name,)))
    newsroom.wake("plan")
    newsroom.wake("schedule")
    return why


# -- send and finish ----------------------------------------------------------------------------------------------


def send(newsroom: Newsroom, started: Started) -> Receipt | Pending | SendError:
    """Put it on the wire, once. Touches no store. Whatever nobody expected is Unknown."""
    if started.row.name not in newsroom.accounts:
        return NotSent(f"{started.row.name} is not in the settings any more.")
    if newsroom.accounts[started.row.name] != started.account:
        return NotSent(f"{started.row.name} has another connection in the settings now.")
    try:
        adapter = newsroom.publisher(started.row, started.clocks)
        return adapter.send(started.attempt.payload, started.attempt.key)
    except Exception as error:  # noqa: BLE001 -- the seam's rule: anything unexpected is Unknown
        return only_send_errors(error)


def finish(newsroom: Newsroom, started: Started, result: Receipt | Pending | SendError) -> bool:
    """Write the outcome down. False: it came after the attempt was given up, and moved nothing. Raises StoreError."""
    verdict = _judged(newsroom, started, result)
    newsroom.crash("deliver before finish")
    moved = newsroom.store.commit(_outcome(newsroom, started, result, verdict))
    _ended(newsroom, started, verdict, moved)
    return moved


def _judged(newsroom: Newsroom, started: Started, result: Receipt | Pending | SendError) -> Verdict:
    # Only a refusal asks for the time (on PostgreSQL that is a question to the database).
    now = newsroom.store.now() if isinstance(result, SendError) else started.attempt.started_at
    return judge(result, started.delivery, now, newsroom.random.uniform)


def _outcome(newsroom: Newsroom, started: Started, result: Receipt | Pending | SendError, verdict: Verdict) -> Finish:
    told = result if isinstance(result, SendError) else None
    lease = started.attempt.lease_until - started.attempt.started_at
    return Finish(
        attempt=started.attempt,
        outcome=verdict.outcome,
        move=verdict.move,
        why=verdict.why,
        words=told.words if told else "",
        status=told.status if told else None,
        request_id=told.request_id if told else None,
        receipt=verdict.receipt,
        container=verdict.container,
        lease=lease if verdict.outcome is Outcome.PENDING else None,
        changes=verdict.changes,
        effect=verdict.effect,
        shifts=started.shifts or verdict.outcome is not Outcome.RECEIPT,
    )


def _ended(newsroom: Newsroom, started: Started, verdict: Verdict, moved: bool) -> None:
    newsroom.in_flight.discard(started.attempt.id)
    _tell(started, verdict, moved)
    newsroom.crash("deliver after finish")
    if started.row.breaker is not None:
        newsroom.wake("check")  # what was tried behind a breaker may end it
    if started.shifts or verdict.outcome is not Outcome.RECEIPT:
        newsroom.wake(_NEXT.get(verdict.outcome, "schedule"))
    if verdict.move in (Move.NOT_SENT, Move.PARK):
        newsroom.wake("plan")  # its article may have changed meanwhile


def hand_over(newsroom: Newsroom, started: Started, result: Receipt | Pending | SendError) -> Started | Why | None:
    """Write the outcome down and begin what is due next: in one transaction where nobody has to be asked before.

    A durable commit is most of what a post costs, so two of them would be most of that again. Raises StoreError;
    then, as after `finish`, the outcome is not written.
    """
    account = started.row.name
    verdict = _judged(newsroom, started, result)
    ready = _at_once(newsroom, account) if verdict.outcome is Outcome.RECEIPT else None
    newsroom.crash("deliver before finish")
    outcome = _outcome(newsroom, started, result, verdict)
    if ready is None:
        _ended(newsroom, started, verdict, newsroom.store.commit(outcome))
        return start(newsroom, account)
    moved, begun = newsroom.store.commit(HandOver(outcome, ready.intent))
    _ended(newsroom, started, verdict, moved)  # first: what a refused start has to write may fail
    return _begun(newsroom, ready, begun)


def _tell(started: Started, verdict: Verdict, moved: bool) -> None:
    fields: dict[str, Any] = {
        "delivery": started.delivery.id,
        "account": started.row.name,
        "attempt": started.attempt.id,
        "outcome": verdict.outcome,
    }
    if verdict.receipt is not None:
        log.info("sent", url=verdict.receipt.url, **fields)
    elif verdict.outcome is Outcome.PENDING:
        log.info("pending", **fields)
    else:
        log.warning("unclear" if verdict.outcome is Outcome.UNKNOWN else "not_sent", words=verdict.why.detail, **fields)
    if not moved:
        log.warning("came_late", **fields)


# -- the thin part ------------------------------------------------------------------------------------------------


def run(newsroom: Newsroom) -> bool:
    """Send what is due on every account, one after the other (the worker has a thread for each). True if any went."""
    with newsroom.store.read() as tx:
        names = stored_deliveries.due_accounts(tx)
    return sum(run_account(newsroom, name) for name in names if name in newsroom.accounts) > 0


def run_account(newsroom: Newsroom, account: str, *, going: Callable[[], bool] = lambda: True) -> bool:
    """Send what is due on one account, in order, until nothing is or may. `going()` false ends it between two."""
    sent = False
    started = start(newsroom, account) if going() else None
    while isinstance(started, Started) or (isinstance(started, Why) and started.reason in _GO_ON):
        if isinstance(started, Started):
            result = send(newsroom, started)
            newsroom.crash("deliver after send")
            sent = True
            started = _recorded(newsroom, started, result, going)
        else:
            started = start(newsroom, account) if going() else None
    return sent


def _recorded(
    newsroom: Newsroom, started: Started, result: Receipt | Pending | SendError, going: Callable[[], bool]
) -> Started | Why | None:
    """Write the outcome down; while the store refuses (a full disk, a database that restarts), again and again.

    What came back is known here only. If the process ends first, the attempt's lease ends, and it is looked up; so it
    does, and is, if anything else raises.
    """
    pause = threading.Event()
    try:
        while True:
            try:
                if going():
                    return hand_over(newsroom, started, result)
                finish(newsroom, started, result)
                return None
            except StoreError as error:
                if started.attempt.id not in newsroom.in_flight:
                    raise  # the outcome stands; it was the next start that failed
                if not going():
                    raise
                log.error("outcome_not_recorded", attempt=started.attempt.id, error=str(error))
                newsroom.clock.wait(pause, RECORD_AGAIN)
    finally:
        newsroom.in_flight.discard(started.attempt.id)  # it is off the wire, whatever came of it


#: Which step an outcome wakes, where it isn't schedule.
_NEXT = {Outcome.UNKNOWN: "reconcile", Outcome.PENDING: "reconcile", Outcome.EXPIRED: "check"}

#: After these the delivery has moved, and the next one may be due.
_GO_ON = frozenset({Reason.STALE, Reason.REHEARSAL, Reason.BEFORE_ACCOUNT, Reason.WITHDRAWN, Reason.CANNOT_TELL})
