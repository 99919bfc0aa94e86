"""Every move of a delivery, legal and illegal, lost and won; edits; what is read of them."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from bot.model import MOVES, Attempt, Move, Reason, State, Why
from bot.store import accounts, deliveries
from bot.store.audit import events_of
from bot.store.deliveries import ChangeDelivery, MarkDirty, MoveDelivery
from bot.testing.clock import START, ManualClock
from tests.store.stock import WHY, Stock, as_read


def dirty(stock: Stock) -> list[str]:
    with stock.store.read() as tx:
        return [row.name for row in accounts.dirty(tx)]


def clean(stock: Stock) -> None:
    with stock.store.engine.begin() as connection:
        connection.execute(accounts.accounts.update().values(dirty=False))


def moving(stock: Stock, state: State, move: Move) -> tuple[MoveDelivery, str]:
    current = stock.waiting(state=state)
    return MoveDelivery(current=current, move=move, why=Why(Reason.BY_HAND, "so"), who="ann"), current.id


@pytest.mark.parametrize(("state", "move"), MOVES)
def test_every_legal_move_is_made_once_and_written_down(sqlite_stock: Stock, state: State, move: Move) -> None:
    stock = sqlite_stock
    intent, identity = moving(stock, state, move)
    clean(stock)
    assert stock.store.commit(intent) is True
    after = stock.read(identity)
    assert (after.state, after.reason, after.version) == (
        MOVES[state, move],
        Why(Reason.BY_HAND, "so"),
        intent.current.version + 1,
    )
    assert dirty(stock) == ["desk"]
    assert stock.store.commit(intent) is False  # the same, read before
    assert stock.read(identity) == after
    with stock.store.read() as tx:
        assert [(one.event, one.who) for one in events_of(tx, identity)] == [(f"delivery_{move}", "ann")]


@pytest.mark.parametrize("state", State)
def test_every_illegal_move_is_refused_whatever_was_read(sqlite_stock: Stock, state: State) -> None:
    current = sqlite_stock.waiting(state=state)
    for move in Move:
        if (state, move) not in MOVES:
            with pytest.raises(KeyError):
                sqlite_stock.store.commit(MoveDelivery(current=current, move=move, why=WHY, who="ann"))
    assert sqlite_stock.read(current.id) == current


def test_a_move_names_the_version_and_the_state_that_it_read(stock: Stock) -> None:
    current = stock.waiting()
    skip = MoveDelivery(current=current, move=Move.SKIP, why=WHY, who="ann")
    hold = MoveDelivery(current=current, move=Move.HOLD, why=WHY, who="ben", changes={"due_at": None})
    assert stock.store.commit(hold)
    assert not stock.store.commit(skip)  # ann looked before ben acted
    assert stock.state(current.id) is State.HELD
    lie = as_read(stock.read(current.id), state=State.WAITING)
    assert not stock.store.commit(MoveDelivery(current=lie, move=Move.SKIP, why=WHY, who="ann"))
    with stock.store.read() as tx:
        assert [one.who for one in events_of(tx, current.id)] == ["ben"]


def test_an_edit_changes_what_waits_or_is_held_and_nothing_that_left(stock: Stock) -> None:
    current = stock.waiting(1)
    edit = ChangeDelivery(current=current, event="edited", who="ann", changes={"edited_text": "New words"})
    assert stock.store.commit(edit)
    assert (stock.read(current.id).edited_text, stock.read(current.id).version) == ("New words", current.version + 1)
    assert not stock.store.commit(edit)
    held = stock.waiting(2, state=State.HELD)
    assert stock.store.commit(ChangeDelivery(current=held, event="edited", who="ann", changes={"edited_text": "X"}))
    gone = stock.waiting(3, state=State.SENDING)
    assert not stock.store.commit(ChangeDelivery(current=gone, event="edited", who="ann", changes={"edited_text": "X"}))
    assert stock.read(gone.id) == gone
    with stock.store.read() as tx:
        assert events_of(tx, gone.id) == []


def test_a_dirty_account_gets_a_new_version_so_that_an_older_timetable_cannot_clean_it(two: Stock) -> None:
    clean(two)
    with two.store.read() as tx:
        before = accounts.all_accounts(tx)
    two.store.commit(MarkDirty(("late", "late")))
    with two.store.read() as tx:
        after = accounts.all_accounts(tx)
    assert dirty(two) == ["late"]
    assert after["late"].version == before["late"].version + 1
    assert after["desk"] == before["desk"]


def test_what_is_due_comes_in_order(two: Stock, clock: ManualClock) -> None:
    third = two.waiting(3, due_at=START)
    first = two.waiting(1, due_at=START - timedelta(minutes=2))
    later = two.waiting(2, due_at=START + timedelta(minutes=1))
    two.waiting(4, state=State.HELD)
    with two.store.read() as tx:
        assert deliveries.due_accounts(tx) == ["desk"]
        assert deliveries.next_due(tx, "desk", limit=9) == [first, third]
        assert deliveries.next_due(tx, "late") == []
        assert deliveries.waiting(tx, "desk") == [first, third, later]
        assert deliveries.next_due_at(tx) == first.due_at
        assert deliveries.next_due_at(tx, after=START) == later.due_at
        assert deliveries.overdue(tx, before=START) == [first]
        assert deliveries.counts(tx) == {("desk", State.WAITING): 3, ("desk", State.HELD): 1}
    clock.advance(60)
    with two.store.read() as tx:
        assert deliveries.next_due(tx, "desk", limit=9) == [first, third, later]


def test_what_is_found_by_id_prefix_article_and_state(two: Stock) -> None:
    one, other = two.waiting(1), two.waiting(1, "late")
    sent = two.sent(2)
    with two.store.read() as tx:
        assert deliveries.by_id(tx, "none") is None
        assert deliveries.by_prefix(tx, "1-") == [one, other]
        assert deliveries.by_prefix(tx, "%") == []
        assert deliveries.of_articles(tx, ["article-1", "article-2", "none"]) == {
            "article-1": [one, other],
            "article-2": [sent],
            "none": [],
        }
        assert deliveries.listing(tx, states=[State.WAITING], account="late") == [other]
        assert deliveries.listing(tx, states=[State.SENT], since=START) == [sent]
        assert deliveries.listing(tx, states=[State.SENT], since=START + timedelta(seconds=1)) == []
        assert deliveries.same_link(tx, "desk", "article-2", since=START) == sent
        assert deliveries.same_link(tx, "late", "article-2", since=START) is None
        assert deliveries.same_link(tx, "desk", "article-2", since=START + timedelta(seconds=1)) is None


def test_p10_eight_threads_that_claim_the_same_post_start_it_once(stock: Stock) -> None:
    current = stock.waiting()
    ready = threading.Barrier(8)
    results = []

    def claim() -> None:
        ready.wait()
        results.append(stock.start(current))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Attempt) for result in results) == 1
    assert len(results) == 8
