"""What many accounts hand over together is what each would have handed over alone, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.model import Attempt, Delivery, Move, Outcome, Payload, Reason, Receipt, Why
from bot.rules.timing import Pacing
from bot.store import Store
from bot.store.accounts import Effect
from bot.store.articles import Withdraw
from bot.store.handover import HandOver
from bot.store.outcomes import Expire
from bot.store.schema import accounts, attempts, deliveries, occupied
from bot.store.stops import Scope, Stop
from bot.testing.clock import START
from tests.store.line import Do, Line
from tests.store.stock import Stock, finishing, starting

TOGETHER, ALONE = ("a1", "a2", "a3"), ("b1", "b2", "b3")


@dataclass(frozen=True)
class Case:
    """An account in the middle of its work: a post is on the way, the next one is due."""

    stock: Stock
    account: str
    attempt: Attempt
    following: Delivery

    def handing_over(self, **more: Any) -> HandOver:
        receipt = Receipt(f"r-{self.following.id[:2]}", f"https://www.example.com/{self.following.id[:2]}", START)
        ended = finishing(
            self.attempt,
            Outcome.RECEIPT,
            Move.RECEIPT,
            receipt=receipt,
            changes={"retry_words": ""},
            shifts=False,
            why=Why(Reason.SENT),
        )
        return HandOver(ended, replace(starting(self.following), **more))

    def set_account(self, **columns: Any) -> None:
        with self.stock.store.engine.begin() as connection:
            connection.execute(accounts.update().where(accounts.c.name == self.account).values(**columns))

    def occupy(self) -> None:
        with self.stock.store.engine.begin() as connection:
            place = {"identity": f"@{self.account}", "story": self.following.story, "occasion": self.following.occasion}
            connection.execute(occupied.insert().values(attempt=self.attempt.id, **place))


def case(stock: Stock, account: str, number: int) -> Case:
    attempt = stock.started(stock.waiting(10 + number, account))
    return Case(stock, account, attempt, stock.waiting(20 + number, account))


def told(answer: tuple[bool, Any], one: Case) -> dict[str, Any]:
    """All that came of it: the answer, and what the store says, without the names by which accounts differ."""
    moved, begun = answer
    with one.stock.store.read() as tx:
        mine = deliveries.c.account == one.account
        rows = [row._asdict() for row in tx.rows(select(deliveries).where(mine).order_by(deliveries.c.id))]
        tried = tx.rows(select(attempts).where(attempts.c.account == one.account).order_by(attempts.c.id))
        tries = [row._asdict() for row in tried]
        dirty = tx.row(select(accounts.c.dirty).where(accounts.c.name == one.account))
        places = len(tx.rows(select(occupied).where(occupied.c.identity == f"@{one.account}")))
    number = begun.id if isinstance(begun, Attempt) else None
    if isinstance(begun, Attempt):
        assert begun == one.stock.attempt(begun)  # what is handed on is what was written
        assert one.stock.read(one.following.id).attempt == number
    begun = replace(begun, taken_by=None) if not isinstance(begun, Attempt) and begun.taken_by else begun
    named = {"id", "article", "story", "account", "identity", "delivery", "key", "attempt"}
    return {
        "moved": moved,
        "begun": "an attempt" if number else str(begun).replace(one.account, "the account"),
        "rows": [{name: value for name, value in row.items() if name not in named} for row in [*rows, *tries]],
        "dirty": dirty,
        "places": places,
    }


def nothing(_: Case) -> dict[str, Any]:
    return {}


def stopped(one: Case) -> dict[str, Any]:
    one.stock.store.commit(
        Stop(id=f"s{one.account}", scope=Scope.ACCOUNT, value=one.account, reason="a mistake", who="ed")
    )
    return {"scopes": ((Scope.ACCOUNT, one.account),)}


def withdrawn(one: Case) -> dict[str, Any]:
    one.stock.store.commit(Withdraw(one.following.article, "410"))
    return {}


def unplanned(one: Case) -> dict[str, Any]:
    one.stock.again(one.following.article)
    return {}


def blocked(one: Case) -> dict[str, Any]:
    one.set_account(blocked_until=START + timedelta(seconds=1))
    return {}


def parked(one: Case) -> dict[str, Any]:
    one.set_account(breaker=Reason.LOGIN)
    return {}


def renamed(one: Case) -> dict[str, Any]:
    one.set_account(identity=f"@not-{one.account}")
    return {}


def taken(one: Case) -> dict[str, Any]:
    one.occupy()
    return {}


def late(one: Case) -> dict[str, Any]:
    one.stock.store.commit(Expire(one.attempt))
    return {}


def another_version(one: Case) -> dict[str, Any]:
    return {"current": replace(one.following, version=one.following.version + 1)}


TROUBLES = [stopped, withdrawn, unplanned, blocked, parked, renamed, taken, late, another_version]
_ITS_OWN = ("remote_id", "url", "late_words")
#: They go well, but not so simply that many can be written at once.
SPECIAL = {
    "a gap": {"pacing": Pacing(gap=timedelta(minutes=1), month="2026-11")},
    "a cap": {"pacing": Pacing(windows=((START - timedelta(hours=1), 1),), month="2026-11")},
    "money": {"payload": Payload(b"bytes", "text", cost="0.2")},
}


@pytest.fixture
def stock(store: Store) -> Stock:
    return Stock(store, *TOGETHER, *ALONE)


def intents(cases: list[Case], trouble: Callable[[Case], dict[str, Any]]) -> list[HandOver]:
    """One of each case; the one in the middle has the trouble."""
    return [one.handing_over(**(trouble(one) if number == 1 else {})) for number, one in enumerate(cases)]


@pytest.mark.parametrize("trouble", [nothing, *TROUBLES], ids=lambda trouble: trouble.__name__)
def test_what_is_handed_over_together_is_what_each_would_hand_over_alone(
    stock: Stock, trouble: Callable[[Case], dict[str, Any]]
) -> None:
    many = [case(stock, name, number) for number, name in enumerate(TOGETHER)]
    singles = [case(stock, name, number) for number, name in enumerate(ALONE, start=3)]
    shared = dict(zip(TOGETHER, intents(many, trouble), strict=True))
    answers = Line(stock.store).together(**shared)
    alone = [stock.store.commit(Do(one.apply, one.lock)) for one in intents(singles, trouble)]
    for one, other, answer in zip(many, singles, alone, strict=True):
        first, second = told(answers[one.account], one), told(answer, other)
        for row in [*first["rows"], *second["rows"]]:  # each its own number in the links and the words of a stop
            row.update(
                {name: value and "…" for name, value in row.items() if name in ("remote_id", "url", "late_words")}
            )
        assert first == second
    assert [told(answers[name], one)["begun"] for name, one in zip(TOGETHER, many, strict=True)][::2] == [
        "an attempt"
    ] * 2


@pytest.mark.parametrize("number", [1, 3])
def test_ordinary_ones_are_written_in_one_statement_each(stock: Stock, number: int) -> None:
    many = [case(stock, name, at).handing_over() for at, name in enumerate(TOGETHER[:number])]
    found = stock.store.commit(Do(lambda tx: HandOver.together(tx, many)))
    assert found is not None
    assert [moved for moved, _ in found] == [True] * number
    assert [begun.account for _, begun in found] == list(TOGETHER[:number])


@pytest.mark.parametrize("special", sorted(SPECIAL))
def test_what_needs_a_closer_look_is_not_written_together(stock: Stock, special: str) -> None:
    many = [case(stock, name, at) for at, name in enumerate(TOGETHER)]
    wanted = [many[0].handing_over(), many[1].handing_over(**SPECIAL[special]), many[2].handing_over()]
    assert stock.store.commit(Do(lambda tx: HandOver.together(tx, wanted))) is None
    answers = Line(stock.store).together(**{one.account: intent for one, intent in zip(many, wanted, strict=True)})
    begun = [isinstance(answers[name][1], Attempt) for name in TOGETHER]
    assert begun == [True, special == "money", True]


def test_an_outcome_that_says_something_of_the_account_is_not_written_together(stock: Stock) -> None:
    one = case(stock, "a1", 1)
    plain = one.handing_over()
    busy = replace(plain.finish, effect=Effect(blocked_until=START + timedelta(hours=1)))
    assert stock.store.commit(Do(lambda tx: HandOver.together(tx, [replace(plain, finish=busy)]))) is None
    assert stock.attempt(one.attempt).outcome is Outcome.OPEN
