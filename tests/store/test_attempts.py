"""The gate to the network: an attempt begins only if all conditions hold in the transaction that inserts it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.model import Attempt, Move, Outcome, Payload, Reason, State, Status, Why
from bot.rules.timing import Pacing
from bot.store import attempts
from bot.store.accounts import CheckFailed
from bot.store.articles import AddArticle, ChangedArticle, Withdraw, articles
from bot.store.attempts import Refused
from bot.store.outcomes import Settle
from bot.store.readback import Unread, accounts_unread, unread
from bot.store.schema import accounts, occupied
from bot.store.stops import Lift, Scope, Stop
from bot.testing.clock import START, ManualClock
from tests.store.stock import LEASE, RECEIPT, WHY, Stock, article, finishing, priced, starting

SECOND = timedelta(seconds=1)


def spent(stock: Stock, month: str = "2026-11") -> Decimal:
    with stock.store.read() as tx:
        return attempts.spent_in(tx, "@desk", month)


def test_a_start_freezes_payload_and_key_and_claims_its_delivery(stock: Stock) -> None:
    current = stock.waiting()
    attempt = stock.started(current, payload=Payload(b"\x00\xff", "Text", "https://www.example.com/"), key="k")
    assert (attempt.payload.body, attempt.payload.text, attempt.payload.link) == (
        b"\x00\xff",
        "Text",
        "https://www.example.com/",
    )
    assert (attempt.key, attempt.generation, attempt.worker) == ("k", 1, "worker-1")
    assert (attempt.outcome, attempt.started_at, attempt.lease_until) == (Outcome.OPEN, START, START + LEASE)
    after = stock.read(current.id)
    assert (after.state, after.attempt, after.tries, after.text) == (State.SENDING, attempt.id, 1, "Text")
    assert after.version == current.version + 1
    assert stock.attempt(attempt) == attempt


def test_a_second_start_of_what_was_read_before_gets_nothing(stock: Stock) -> None:
    current = stock.waiting()
    stock.started(current)
    assert stock.start(current) == Refused(moved=True)
    with stock.store.read() as tx:
        assert len(attempts.of_delivery(tx, current.id)) == 1


@pytest.mark.parametrize(("outcome", "move"), [(Outcome.RECEIPT, Move.RECEIPT), (Outcome.UNKNOWN, Move.MAYBE_SENT)])
def test_what_another_worker_sent_meanwhile_has_moved_and_is_nobodys_twin(
    stock: Stock, outcome: Outcome, move: Move
) -> None:
    """Its place on the account is taken by itself: that rules nothing out."""
    read_before = stock.waiting()
    stock.store.commit(finishing(stock.started(read_before), outcome, move))
    assert stock.start(read_before) == Refused(moved=True)


@pytest.mark.parametrize("state", sorted(set(State) - {State.WAITING}))
def test_only_a_waiting_delivery_starts(stock: Stock, state: State) -> None:
    current = stock.waiting(state=state)
    assert stock.start(current) == Refused(moved=True)
    assert stock.read(current.id) == current


@pytest.mark.parametrize(
    "columns",
    [
        {"identity": None},
        {"identity": "@somebody-else"},
        {"breaker": Reason.LOGIN},
        {"token_over_at": START},
        {"blocked_until": START + timedelta(microseconds=1)},
    ],
    ids=["nobody", "somebody else", "breaker", "token over", "blocked"],
)
def test_an_account_that_may_not_post_starts_nothing(stock: Stock, columns: dict[str, Any]) -> None:
    current = stock.waiting()
    with stock.store.engine.begin() as connection:
        connection.execute(accounts.update().values(**columns))
    refused = stock.start(current)
    assert isinstance(refused, Refused)
    assert refused.moved
    assert stock.state(current.id) is State.WAITING


def test_a_block_ends_at_its_instant(stock: Stock) -> None:
    current = stock.waiting()
    with stock.store.engine.begin() as connection:
        connection.execute(accounts.update().values(blocked_until=START))
    stock.started(current)


def test_a_withdrawn_or_changed_article_starts_nothing(stock: Stock) -> None:
    first, second = stock.waiting(1), stock.waiting(2)
    with stock.store.engine.begin() as connection:
        connection.execute(articles.update().where(articles.c.id == "article-1").values(status=Status.WITHDRAWN))
    stock.again("article-2")
    assert stock.start(first) == Refused(moved=True)
    assert stock.start(second) == Refused(moved=True)


def test_one_in_flight_per_identity_and_an_unknown_blocks_nobody(two: Stock) -> None:
    first, second, other = two.waiting(1), two.waiting(2), two.waiting(1, "late")
    attempt = two.started(first)
    assert two.start(second) == Refused(moved=True)
    two.started(other)  # another identity
    two.store.commit(finishing(attempt, Outcome.UNKNOWN, Move.MAYBE_SENT, changes={"doubted_at": START}))
    two.started(second)


def test_a_story_occupies_its_account_until_it_is_proved_not_to_be_out(stock: Stock) -> None:
    first = stock.waiting(1)
    attempt = stock.started(first)
    twin = stock.waiting(2, story="article-1")
    stock.store.commit(finishing(attempt, Outcome.UNKNOWN, Move.MAYBE_SENT, changes={"doubted_at": START}))
    refused = stock.start(twin)
    assert isinstance(refused, Refused)
    assert (refused.why and refused.why.reason, refused.taken_by) == (Reason.SAME_LINK, attempt.id)
    with stock.store.read() as tx:
        assert len(attempts.of_delivery(tx, twin.id)) == 0  # the refused row is gone again
    assert stock.store.commit(Settle(attempt=stock.attempt(attempt), move=Move.ABSENT, why=WHY))
    stock.started(twin)


@pytest.mark.parametrize(("passed", "reason"), [(239, Reason.GAP), (240, None)])
def test_the_gap_is_counted_from_the_last_start(
    stock: Stock, clock: ManualClock, passed: int, reason: Reason | None
) -> None:
    stock.sent(1)
    clock.advance(passed)
    result = stock.start(stock.waiting(2), pacing=Pacing(gap=timedelta(minutes=4)))
    assert (result.why.reason if isinstance(result, Refused) and result.why else None) is reason


def test_caps_count_what_is_or_may_be_out_since_an_instant(stock: Stock, clock: ManualClock) -> None:
    stock.sent(1)
    clock.advance(60)
    stock.unknown(2)
    clock.advance(60)
    third = stock.waiting(3)
    refused = stock.start(third, pacing=Pacing(windows=((START, 2),)))
    assert isinstance(refused, Refused)
    assert refused.why
    assert refused.why.reason is Reason.CAP
    stock.started(third, pacing=Pacing(windows=((START + timedelta(seconds=1), 2),)))


def test_what_was_proved_not_sent_counts_neither_for_gap_nor_cap(stock: Stock) -> None:
    attempt = stock.started(stock.waiting(1))
    stock.store.commit(finishing(attempt, Outcome.NOT_SENT, Move.NOT_SENT))
    stock.started(stock.waiting(2), pacing=Pacing(gap=timedelta(hours=1), windows=((START, 1),)))


def test_a_start_from_before_the_clock_was_set_back_blocks_nothing(stock: Stock, clock: ManualClock) -> None:
    stock.sent(1)
    clock.step_wall(-3600)
    stock.started(stock.waiting(2), pacing=Pacing(gap=timedelta(minutes=4)))


def test_money_is_counted_with_the_start_and_given_back_with_the_proof(stock: Stock) -> None:
    pacing = Pacing(month="2026-11", budget=Decimal("0.50"))
    attempt = stock.started(stock.waiting(1), pacing=pacing, **priced("0.20"))
    stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    assert spent(stock) == Decimal("0.20")
    attempt = stock.started(stock.waiting(2), pacing=pacing, **priced("0.30"))
    assert spent(stock) == Decimal("0.50")
    stock.store.commit(finishing(attempt, Outcome.NOT_SENT, Move.NOT_SENT))
    assert spent(stock) == Decimal("0.20")
    third = stock.waiting(3)
    refused = stock.start(third, pacing=pacing, **priced("0.300001"))
    assert isinstance(refused, Refused)
    assert refused.why
    assert refused.why.reason is Reason.BUDGET
    assert spent(stock) == Decimal("0.20")
    assert spent(stock, "2026-12") == 0
    stock.started(third, pacing=pacing, **priced("0.30"))


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        (Scope.ALL, ""),
        (Scope.ACCOUNT, "desk"),
        (Scope.NETWORK, "fake"),
        (Scope.SOURCE, "main"),
        (Scope.SECTION, "city"),
        (Scope.TAG, "rail"),
        (Scope.ARTICLE, "article-1"),
    ],
)
def test_a_stop_is_a_condition_of_the_start_until_it_is_lifted(stock: Stock, scope: Scope, value: str) -> None:
    current = stock.waiting()
    scopes = (
        (Scope.ACCOUNT, "desk"),
        (Scope.NETWORK, "fake"),
        (Scope.SOURCE, "main"),
        (Scope.SECTION, "city"),
        (Scope.TAG, "rail"),
        (Scope.ARTICLE, "article-1"),
    )
    stock.store.commit(Stop(id="other", scope=Scope.SECTION, value="sport", reason="", who="ann"))
    stock.store.commit(Stop(id="s", scope=scope, value=value, reason="fire", who="ann"))
    refused = stock.start(current, scopes=scopes)
    assert isinstance(refused, Refused)
    assert refused.stop is not None
    assert (refused.stop.id, refused.stop.reason, refused.stop.by) == ("s", "fire", "ann")
    assert stock.state(current.id) is State.WAITING
    assert stock.store.commit(Lift("s", "ann"))
    stock.started(current, scopes=scopes)


def test_a_stop_names_what_was_open_already_and_ends_at_its_time(stock: Stock, clock: ManualClock) -> None:
    attempt = stock.started(stock.waiting(1))
    stop = Stop(id="s", scope=Scope.ALL, value="", reason="", who="ann", until=START + timedelta(minutes=1))
    assert stock.store.commit(stop) == (attempt.id,)
    stock.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
    second = stock.waiting(2)
    assert isinstance(stock.start(second), Refused)
    clock.advance(60)
    stock.started(second)


def test_starts_of_one_transaction_see_each_other(two: Stock) -> None:
    """Group commit: two starts of one identity in one transaction, and one of another."""
    intents = [starting(two.waiting(1)), starting(two.waiting(2)), starting(two.waiting(1, "late"))]

    class Together:
        lock = ""

        def apply(self, tx: Any) -> list[Any]:
            return [intent.apply(tx) for intent in intents]

    results = two.store.commit(Together())
    assert [isinstance(result, Attempt) for result in results] == [True, False, True]


def test_numbers_grow_and_are_never_given_twice(stock: Stock) -> None:
    first = stock.started(stock.waiting(1))
    stock.store.commit(finishing(first, Outcome.NOT_SENT, Move.NOT_SENT))
    with stock.store.engine.begin() as connection:
        connection.execute(attempts.attempts.delete())
        connection.execute(occupied.delete())
    second = stock.started(stock.waiting(2))
    assert second.id > first.id
    with stock.store.read() as tx:
        assert attempts.last_number(tx) == second.id


def test_what_is_read_of_the_ledger(two: Stock, clock: ManualClock) -> None:
    sent = two.sent(1)
    attempt, doubted = two.unknown(2)
    open_one = two.started(two.waiting(1, "late"))
    with two.store.read() as tx:
        assert [(one.id, delivery.id) for one, delivery in attempts.undecided(tx)] == [
            (attempt.id, doubted.id),
            (open_one.id, "1-late"),
        ]
        assert attempts.outcomes(tx, after=attempt.id, also=[sent.attempt or 0]) == [
            (sent.attempt, "desk", Outcome.RECEIPT),
            (open_one.id, "late", Outcome.OPEN),
        ]
        assert attempts.history(tx, "@desk", limit=5) == [START, START]
        assert accounts_unread(tx, since=START, until=START) == ["desk"]
        assert unread(tx, "desk", since=START, until=START) == [Unread(sent.id, sent.remote_id, START)]
        assert unread(tx, "late", since=START, until=START) == []
        for since, until in ((START + SECOND, START + SECOND), (START - SECOND, START - SECOND)):
            assert accounts_unread(tx, since=since, until=until) == []
            assert unread(tx, "desk", since=since, until=until) == []


def test_a_dead_login_parks_and_a_changed_article_waits_for_its_plan(stock: Stock) -> None:
    current = stock.waiting()
    stock.store.commit(CheckFailed("desk", Reason.LOGIN, "revoked", timedelta(hours=1)))
    assert isinstance(stock.start(current), Refused)
    with stock.store.engine.begin() as connection:
        connection.execute(accounts.update().values(breaker=None))
    changed = article(1, headline="Another headline")
    stock.store.commit(AddArticle(ChangedArticle(id="article-1", article=changed, digest="other", keys=())))
    assert stock.start(current) == Refused(moved=True)
    stock.store.commit(Withdraw("article-1", "gone"))
    assert stock.state(current.id) is State.SKIPPED
    assert stock.start(stock.read(current.id)) == Refused(moved=True)


def test_p87_an_account_without_credit_tries_one_post_an_hour(stock: Stock, clock: ManualClock) -> None:
    stock.store.commit(CheckFailed("desk", Reason.BILLING, "no credit", timedelta(hours=1)))
    first, second = stock.waiting(1), stock.waiting(2)
    assert isinstance(stock.start(first, trial=True), Refused)
    clock.advance(timedelta(hours=1))
    assert isinstance(stock.start(first), Refused)
    attempt = stock.started(first, trial=True)
    stock.store.commit(finishing(attempt, Outcome.MISCONFIGURED, Move.PARK))
    assert isinstance(stock.start(second, trial=True), Refused)
    clock.advance(timedelta(hours=1))
    stock.started(second, trial=True)


def test_a_dead_login_is_no_want_of_money(stock: Stock, clock: ManualClock) -> None:
    stock.store.commit(CheckFailed("desk", Reason.LOGIN, "revoked", timedelta(hours=1)))
    clock.advance(timedelta(hours=2))
    assert isinstance(stock.start(stock.waiting(), trial=True), Refused)


def test_a_trial_that_is_refused_at_the_gate_costs_no_hour(stock: Stock) -> None:
    stock.store.commit(CheckFailed("desk", Reason.BILLING, "no credit", timedelta(0)))
    current = stock.waiting()
    capped = Pacing(month="2026-11", windows=((START, 0),))
    assert stock.start(current, trial=True, pacing=capped) == Refused(Why(Reason.CAP))
    stock.started(current, trial=True)
