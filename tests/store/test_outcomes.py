"""How an attempt ends: each outcome once, by its attempt; what comes late or was superseded moves nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from bot.model import MOVES, PROVED_NOT_OUT, Attempt, Move, Outcome, Reason, Receipt, State, Why
from bot.store import attempts, deliveries
from bot.store.accounts import Effect, by_name
from bot.store.audit import events_named, events_of
from bot.store.ledger import imbalances
from bot.store.outcomes import BeginFinish, Confirm, EndPending, Expire, Settle
from bot.store.readback import accounts_unread, unread
from bot.store.schema import attempts as attempt_rows
from bot.store.schema import occupied
from bot.store.stops import Scope, Stop
from bot.testing.clock import START, ManualClock
from tests.store.stock import LEASE, RECEIPT, WHY, Stock, finishing, priced

DOUBT = {"doubted_at": START}


def places(stock: Stock) -> int:
    with stock.store.read() as tx:
        return int(tx.execute(select(func.count()).select_from(occupied)).scalar_one())


def counted(stock: Stock, attempt: Attempt) -> bool:
    with stock.store.read() as tx:
        return bool(tx.execute(select(attempt_rows.c.counts).where(attempt_rows.c.id == attempt.id)).scalar_one())


def late_words(stock: Stock, attempt: Attempt) -> str | None:
    with stock.store.read() as tx:
        found: str | None = tx.execute(
            select(attempt_rows.c.late_words).where(attempt_rows.c.id == attempt.id)
        ).scalar_one()
    return found


def test_a_receipt_ends_in_sent_with_its_proof(stock: Stock) -> None:
    attempt = stock.started(stock.waiting())
    assert stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT, why=Why(Reason.SENT)))
    after = stock.read(attempt.delivery)
    assert (after.state, after.remote_id, after.url, after.sent_at) == (State.SENT, "r-1", RECEIPT.url, START)
    ended = stock.attempt(attempt)
    assert (ended.outcome, ended.receipt) == (Outcome.RECEIPT, RECEIPT)
    assert counted(stock, attempt)
    assert places(stock) == 1


@pytest.mark.parametrize(
    ("outcome", "move", "state"),
    [
        (Outcome.NOT_SENT, Move.NOT_SENT, State.WAITING),
        (Outcome.BUSY, Move.NOT_SENT, State.WAITING),
        (Outcome.EXPIRED, Move.NOT_SENT, State.WAITING),
        (Outcome.AUTH_FAILED, Move.PARK, State.WAITING),
        (Outcome.MISCONFIGURED, Move.PARK, State.WAITING),
        (Outcome.REJECTED, Move.REFUSED, State.REJECTED),
        (Outcome.UNKNOWN, Move.MAYBE_SENT, State.UNKNOWN),
        (Outcome.PENDING, None, State.SENDING),
    ],
)
def test_each_outcome_ends_in_its_state(stock: Stock, outcome: Outcome, move: Move | None, state: State) -> None:
    attempt = stock.started(stock.waiting(), **priced("0.20"))
    intent = finishing(attempt, outcome, move, words="their words", status=400, request_id="q", why=Why(Reason.REFUSED))
    assert stock.store.commit(intent)
    ended = stock.attempt(attempt)
    assert (ended.outcome, ended.words, ended.status, ended.request_id) == (outcome, "their words", 400, "q")
    assert stock.state(attempt.delivery) is state
    free = outcome in PROVED_NOT_OUT
    assert places(stock) == (0 if free else 1)
    assert counted(stock, attempt) is not free
    with stock.store.read() as tx:
        assert attempts.spent_in(tx, "@desk", "2026-11") == (0 if free else Decimal("0.20"))
        assert imbalances(tx) == []


def test_an_outcome_is_recorded_once(stock: Stock) -> None:
    attempt = stock.started(stock.waiting())
    assert stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    before = stock.read(attempt.delivery)
    assert not stock.store.commit(finishing(attempt, Outcome.NOT_SENT, Move.NOT_SENT, words="late"))
    assert stock.read(attempt.delivery) == before
    assert late_words(stock, attempt) == "not_sent: late"
    assert places(stock) == 1


def test_an_outcome_tells_the_account_too(stock: Stock) -> None:
    attempt = stock.started(stock.waiting())
    effect = Effect(breaker=Reason.LOGIN, words="revoked", probe_in=timedelta(hours=1), token_over=True)
    stock.store.commit(finishing(attempt, Outcome.AUTH_FAILED, Move.PARK, effect=effect))
    with stock.store.read() as tx:
        row = by_name(tx, "desk")
        assert len(events_of(tx, "desk")) == 2  # joined, parked
    assert row is not None
    assert (row.breaker, row.breaker_words, row.breaker_at) == (Reason.LOGIN, "revoked", START)
    assert (row.probe_at, row.token_over_at, row.dirty) == (START + timedelta(hours=1), START, True)
    again = stock.started_after_mending("desk", 2)
    stock.store.commit(finishing(again, Outcome.BUSY, Move.NOT_SENT, effect=Effect(blocked_until=START)))
    with stock.store.read() as tx:
        row = by_name(tx, "desk")
    assert row is not None
    assert row.blocked_until == START


# -- leases that end ----------------------------------------------------------------------------------------------


def test_p31_a_lease_without_an_outcome_ends_in_unknown_dated_by_its_attempt(stock: Stock, clock: ManualClock) -> None:
    attempt = stock.started(stock.waiting())
    clock.advance(600)
    assert stock.store.commit(Expire(attempt))
    after = stock.read(attempt.delivery)
    assert (after.state, after.doubted_at) == (State.UNKNOWN, START)
    assert stock.attempt(attempt).outcome is Outcome.UNKNOWN
    assert not stock.store.commit(Expire(attempt))
    assert places(stock) == 1


def test_an_outcome_that_comes_first_leaves_nothing_to_expire(stock: Stock) -> None:
    attempt = stock.started(stock.waiting())
    stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    assert not stock.store.commit(Expire(attempt))
    assert stock.state(attempt.delivery) is State.SENT


def test_a_receipt_after_the_lease_settles_its_own_doubt(stock: Stock) -> None:
    attempt = stock.started(stock.waiting())
    stock.store.commit(Expire(attempt))
    assert stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    after = stock.read(attempt.delivery)
    assert (after.state, after.remote_id) == (State.SENT, "r-1")
    assert stock.attempt(attempt).outcome is Outcome.FOUND
    with stock.store.read() as tx:
        assert imbalances(tx) == []


def test_a_receipt_after_its_attempt_was_superseded_moves_nothing_and_is_told(stock: Stock) -> None:
    first, _ = stock.unknown()
    absent = {"due_at": START}
    assert stock.store.commit(Settle(attempt=first, move=Move.ABSENT, why=WHY, changes=absent))
    second = stock.started(stock.read(first.delivery))
    before = stock.read(first.delivery)
    assert not stock.store.commit(finishing(first, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    assert stock.read(first.delivery) == before
    assert stock.attempt(second).outcome is Outcome.OPEN
    with stock.store.read() as tx:
        told = events_named(tx, "late_receipt", since=START)
    assert [(one.subject, one.detail["remote_id"]) for one in told] == [(first.delivery, "r-1")]


# -- doubts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("move", "state", "outcome", "free"),
    [
        (Move.FOUND, State.SENT, Outcome.FOUND, False),
        (Move.ABSENT, State.WAITING, Outcome.ABSENT, True),
        (Move.CANNOT_TELL, State.HELD, Outcome.UNKNOWN, False),
        (Move.SAID_THERE, State.SENT, Outcome.FOUND, False),
        (Move.SAID_ABSENT, State.WAITING, Outcome.ABSENT, True),
        (Move.RULED_OUT, State.SKIPPED, Outcome.UNKNOWN, False),
    ],
)
def test_a_doubt_is_settled_once(stock: Stock, move: Move, state: State, outcome: Outcome, free: bool) -> None:
    attempt, _ = stock.unknown()
    receipt = RECEIPT if state is State.SENT else None
    who = "ann" if move in (Move.SAID_THERE, Move.SAID_ABSENT) else ""
    assert stock.store.commit(Settle(attempt=attempt, move=move, why=WHY, receipt=receipt, who=who))
    after = stock.read(attempt.delivery)
    assert after.state is state
    assert stock.attempt(attempt).outcome is outcome
    assert places(stock) == (0 if free else 1)
    assert counted(stock, attempt) is not free
    again = Move.FOUND if state is not State.SENT else Move.ABSENT
    if (state, again) not in MOVES:
        assert not stock.store.commit(Settle(attempt=attempt, move=again, why=WHY, receipt=RECEIPT))
        assert stock.read(attempt.delivery) == after
    with stock.store.read() as tx:
        assert [one.who for one in events_named(tx, f"delivery_{move}", since=START)] == ([who] if who else [])


def test_a_withdrawn_story_proved_absent_is_free_again(stock: Stock) -> None:
    attempt, _ = stock.unknown()
    assert stock.store.commit(Settle(attempt=attempt, move=Move.RULED_OUT, why=Why(Reason.WITHDRAWN)))
    assert stock.state(attempt.delivery) is State.SKIPPED
    assert stock.attempt(attempt).outcome is Outcome.ABSENT
    assert places(stock) == 0


def test_p13_what_was_refused_as_another_post_costs_no_money_no_pace_and_no_place(stock: Stock) -> None:
    attempt = stock.started(stock.waiting(), **priced("0.20"))
    doubt = {"why": Why(Reason.DUPLICATE_REJECTED), "changes": DOUBT}
    stock.store.commit(finishing(attempt, Outcome.UNKNOWN, Move.MAYBE_SENT, **doubt))
    why = Why(Reason.DUPLICATE_REJECTED, "https://www.example.com/by-hand")
    assert stock.store.commit(Settle(attempt=stock.attempt(attempt), move=Move.RULED_OUT, why=why))
    assert (stock.state(attempt.delivery), stock.attempt(attempt).outcome) == (State.SKIPPED, Outcome.DUPLICATE)
    assert (places(stock), counted(stock, attempt)) == (0, False)
    with stock.store.read() as tx:
        assert attempts.spent_in(tx, "@desk", "2026-11") == Decimal(0)
        assert attempts.undecided(tx) == []
        assert imbalances(tx) == []


def test_a_person_settles_what_is_held(stock: Stock) -> None:
    attempt, _ = stock.unknown()
    stock.store.commit(Settle(attempt=attempt, move=Move.CANNOT_TELL, why=Why(Reason.CANNOT_TELL)))
    assert stock.store.commit(Settle(attempt=attempt, move=Move.SAID_THERE, why=WHY, receipt=RECEIPT, who="ann"))
    assert stock.state(attempt.delivery) is State.SENT


def test_absent_and_there_after_all_takes_place_and_money_again(stock: Stock) -> None:
    """The last look before a resend finds the post that the look before did not see."""
    attempt = stock.started(stock.waiting(), **priced("0.20"))
    stock.store.commit(finishing(attempt, Outcome.UNKNOWN, Move.MAYBE_SENT, changes=DOUBT))
    stock.store.commit(Settle(attempt=stock.attempt(attempt), move=Move.ABSENT, why=WHY))
    assert places(stock) == 0
    again = Settle(attempt=stock.attempt(attempt), move=Move.FOUND, why=WHY, receipt=RECEIPT)
    assert stock.store.commit(again)
    assert (stock.state(attempt.delivery), places(stock)) == (State.SENT, 1)
    with stock.store.read() as tx:
        assert attempts.spent_in(tx, "@desk", "2026-11") == Decimal("0.20")
        assert imbalances(tx) == []


@pytest.mark.parametrize("how", ["a late receipt", "another worker's look"])
def test_found_by_one_who_does_not_know_that_it_was_proved_absent_takes_its_place_again(stock: Stock, how: str) -> None:
    attempt = stock.started(stock.waiting(), **priced("0.20"))
    stock.store.commit(Expire(attempt))
    doubted = stock.attempt(attempt)
    stock.store.commit(Settle(attempt=doubted, move=Move.ABSENT, why=WHY))
    if how == "a late receipt":
        assert stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    else:
        assert stock.store.commit(Settle(attempt=doubted, move=Move.FOUND, why=WHY, receipt=RECEIPT))
    assert (stock.state(attempt.delivery), places(stock), counted(stock, attempt)) == (State.SENT, 1, True)
    with stock.store.read() as tx:
        assert attempts.spent_in(tx, "@desk", "2026-11") == Decimal("0.20")
        assert imbalances(tx) == []


def test_what_is_sent_or_superseded_is_not_settled(stock: Stock) -> None:
    sent = stock.sent(1)
    with stock.store.read() as tx:
        (attempt,) = attempts.of_delivery(tx, sent.id)
    for move in (Move.FOUND, Move.ABSENT, Move.CANNOT_TELL, Move.SAID_ABSENT):
        assert not stock.store.commit(Settle(attempt=attempt, move=move, why=WHY, receipt=RECEIPT))
    assert stock.read(sent.id) == sent
    assert places(stock) == 1


# -- two phases ---------------------------------------------------------------------------------------------------


def pending(stock: Stock) -> Attempt:
    attempt = stock.started(stock.waiting(1))
    assert stock.store.commit(finishing(attempt, Outcome.PENDING, None, container="c-1", lease=LEASE))
    return stock.attempt(attempt)


def test_a_container_is_published_by_its_name_once(stock: Stock, clock: ManualClock) -> None:
    attempt = pending(stock)
    assert (attempt.container, attempt.outcome) == ("c-1", Outcome.PENDING)
    clock.advance(10)
    assert stock.store.commit(BeginFinish(attempt, LEASE, ()))
    assert stock.attempt(attempt).finishing_at == START + timedelta(seconds=10)
    assert stock.attempt(attempt).lease_until == START + timedelta(seconds=10) + LEASE
    end = EndPending(attempt=attempt, outcome=Outcome.RECEIPT, move=Move.RECEIPT, why=WHY, receipt=RECEIPT)
    assert stock.store.commit(end)
    assert stock.state(attempt.delivery) is State.SENT
    assert not stock.store.commit(end)
    assert not stock.store.commit(BeginFinish(attempt, LEASE, ()))


def test_a_container_that_is_gone_frees_the_place(stock: Stock) -> None:
    attempt = pending(stock)
    assert stock.store.commit(EndPending(attempt=attempt, outcome=Outcome.ABSENT, move=Move.NOT_SENT, why=WHY))
    assert (stock.state(attempt.delivery), places(stock)) == (State.WAITING, 0)


def test_a_pending_one_blocks_nobody_and_no_lease_ends_it(stock: Stock) -> None:
    attempt = pending(stock)
    stock.started(stock.waiting(2))
    assert not stock.store.commit(Expire(attempt))


def test_a_stop_holds_before_the_second_phase(stock: Stock) -> None:
    attempt = pending(stock)
    stock.store.commit(Stop(id="s", scope=Scope.ACCOUNT, value="desk", reason="", who="ann"))
    assert not stock.store.commit(BeginFinish(attempt, LEASE, ((Scope.ACCOUNT, "desk"),)))
    assert stock.attempt(attempt).finishing_at is None


# -- reading back -------------------------------------------------------------------------------------------------


def test_a_post_that_is_read_back_is_confirmed_and_one_that_is_not_is_told(stock: Stock, clock: ManualClock) -> None:
    there, missing = stock.sent(1), stock.sent(2)
    clock.advance(30)
    stock.store.commit(Confirm("desk", (there.id,), (missing.id,)))
    assert stock.read(there.id).confirmed_at == START + timedelta(seconds=30)
    assert stock.state(missing.id) is State.SENT  # the receipt stands; a person is told
    with stock.store.read() as tx:
        assert [one.subject for one in events_named(tx, "not_visible", since=START)] == [missing.id]
        assert accounts_unread(tx, since=START, until=tx.now) == []
        assert unread(tx, "desk", since=START, until=tx.now) == []


# -- all moves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("move", [Move.FOUND, Move.ABSENT, Move.CANNOT_TELL, Move.SAID_THERE, Move.SAID_ABSENT])
def test_a_settlement_moves_only_what_is_in_doubt(sqlite_stock: Stock, move: Move) -> None:
    """Also where MOVES has such a move, it is made only from a doubt of this attempt (or the wait for its resend)."""
    stock = sqlite_stock
    doubts = {State.UNKNOWN, State.HELD} | ({State.WAITING} if move is Move.FOUND else set())
    receipt = Receipt("r-2") if move in (Move.FOUND, Move.SAID_THERE) else None
    for number, state in enumerate(State):
        attempt, doubted = stock.unknown(number)
        table = deliveries.deliveries
        with stock.store.engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == doubted.id).values(state=state))
        before = stock.read(doubted.id)
        moves = state in doubts and (state, move) in MOVES
        assert stock.store.commit(Settle(attempt=attempt, move=move, why=WHY, receipt=receipt)) is moves, state
        after = stock.read(doubted.id)
        assert after.state is MOVES[state, move] if moves else after == before, state
