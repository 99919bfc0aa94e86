"""Accounts: joining, being somebody, older names, breakers, and one refresh among many workers."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.model import Identity, Move, Reason, State, Why
from bot.store import Store, accounts, attempts, deliveries
from bot.store.accounts import AccountRow, BeginRefresh, Checked, CheckFailed, EndRefresh, Join
from bot.store.audit import events_named
from bot.store.deliveries import MoveDelivery
from bot.store.ledger import imbalances
from bot.store.schema import decisions
from bot.testing.clock import START, ManualClock
from tests.store.stock import Stock

WE = Identity(remote_id="@we", name="We", scopes=("write",), expires_at=START + timedelta(days=1), facts={"size": 500})


def row(store: Store, name: str = "desk") -> AccountRow:
    with store.read() as tx:
        found = accounts.by_name(tx, name)
    assert found is not None
    return found


def named(store: Store, event: str) -> list[str]:
    with store.read() as tx:
        return [one.subject for one in events_named(tx, event, since=START)]


def test_joining_marks_who_is_new_who_left_and_who_came_back(store: Store, clock: ManualClock) -> None:
    store.commit(Join((("a", "fake", True), ("b", "fake", False))))
    assert (row(store, "a").joined_at, row(store, "a").live_since, row(store, "b").live_since) == (START, START, None)
    clock.advance(60)
    store.commit(Join((("b", "fake", True),)))
    assert row(store, "a").removed
    assert row(store, "b").live_since == START + timedelta(seconds=60)
    with store.read() as tx:
        assert list(accounts.all_accounts(tx)) == ["b"]
    store.commit(Join((("a", "fake", True), ("b", "fake", False))))
    assert (row(store, "a").removed, row(store, "a").joined_at, row(store, "a").live_since) == (False, START, START)
    assert row(store, "b").live_since is None
    assert named(store, "account_joined") == ["a", "b"]
    assert named(store, "account_live") == ["b"]
    assert named(store, "account_rehearses") == ["b"]


def test_a_name_that_moves_to_another_network_is_another_account(store: Store, clock: ManualClock) -> None:
    store.commit(Join((("desk", "fake", True),)))
    assert store.commit(Checked("desk", "fake", WE))
    clock.advance(60)
    store.commit(Join((("desk", "other", True),)))
    after = row(store)
    assert (after.network, after.identity, after.checked_at, dict(after.facts)) == ("other", None, None, {})
    assert after.joined_at == START + timedelta(seconds=60)


def test_a_good_check_ends_a_breaker(store: Store) -> None:
    store.commit(Join((("desk", "fake", True),)))
    store.commit(CheckFailed("desk", Reason.LOGIN, "revoked", timedelta(hours=1)))
    store.commit(CheckFailed("desk", Reason.BILLING, "and no money", timedelta(hours=2)))
    parked = row(store)
    assert (parked.breaker, parked.breaker_words, parked.probe_at) == (
        Reason.LOGIN,
        "revoked",
        START + timedelta(hours=2),
    )
    assert named(store, "account_parked") == ["desk"]  # once
    assert store.commit(Checked("desk", "fake", WE))
    after = row(store)
    assert (after.breaker, after.probe_at, after.identity, after.title) == (None, None, "@we", "We")
    assert (after.scopes, after.expires_at, dict(after.facts)) == (("write",), WE.expires_at, {"size": 500})


def test_a_check_that_only_failed_on_the_way_parks_nobody(store: Store) -> None:
    store.commit(Join((("desk", "fake", True),)))
    store.commit(CheckFailed("desk", None, "timeout", timedelta(minutes=1)))
    assert (row(store).breaker, row(store).probe_at) == (None, START + timedelta(minutes=1))


def test_two_names_with_one_identity_are_refused(store: Store) -> None:
    store.commit(Join((("desk", "fake", True), ("late", "fake", True), ("else", "other", True))))
    assert store.commit(Checked("desk", "fake", WE))
    assert store.commit(Checked("late", "fake", WE)) is False
    assert row(store, "late").identity is None
    assert store.commit(Checked("else", "other", WE))  # the same id on another network is somebody else
    assert store.commit(Checked("desk", "fake", WE))


def test_a_renamed_account_keeps_its_history(store: Store, clock: ManualClock) -> None:
    """History hangs on the network's own id: the name in the settings is a label."""
    old = Stock(store, "old")
    sent = old.sent(1)
    waiting = old.waiting(2)
    with store.engine.begin() as connection:
        blocked = {"blocked_until": START + timedelta(minutes=5), "credentials": "sealed to the old name"}
        connection.execute(accounts.accounts.update().values(**blocked))
    clock.advance(60)
    store.commit(Join((("new", "fake", True),)))
    Stock.plan(old, "article-1", "new", "1-new")  # planned before anybody knew who it is
    assert store.commit(Checked("new", "fake", Identity(remote_id="@old", name="old")))
    assert (row(store, "new").joined_at, row(store, "new").blocked_until) == (START, START + timedelta(minutes=5))
    assert row(store, "new").live_since == START  # what waits is not older than the account
    assert (row(store, "old").identity, row(store, "old").credentials) == (None, None)
    with store.read() as tx:
        assert {one.id: one.state for one in deliveries.listing(tx, states=list(State), account="new")} == {
            sent.id: State.SENT,
            waiting.id: State.WAITING,
        }
        assert deliveries.listing(tx, states=list(State), account="old") == []
        assert [one.account for one in attempts.of_delivery(tx, sent.id)] == ["new"]
        assert tx.rows(select(decisions).where(decisions.c.account == "old")) == []
        assert imbalances(tx) == []
    assert named(store, "account_renamed") == ["new"]


@pytest.mark.parametrize("state", [State.SENT, State.UNKNOWN])
def test_a_name_with_a_history_of_its_own_that_becomes_another_keeps_both(store: Store, state: State) -> None:
    """Two accounts change places in the settings: what each one tried stays in the ledger."""
    both = Stock(store, "desk", "old")
    theirs, waiting = both.sent(1, "old"), both.waiting(2, "old")
    mine = both.sent(1, "desk") if state is State.SENT else both.unknown(1, "desk")[1]
    both.waiting(2, "desk")
    store.commit(Join((("desk", "fake", True),)))
    assert store.commit(Checked("desk", "fake", Identity(remote_id="@old", name="old")))
    with store.read() as tx:
        kept = {name: deliveries.listing(tx, states=list(State), account=name) for name in ("desk", "old")}
        tried = {one.id: [try_.account for try_ in attempts.of_delivery(tx, one.id)] for one in (theirs, mine)}
        assert imbalances(tx) == []
    assert {one.id for one in kept["desk"]} == {theirs.id, waiting.id}
    assert {one.id: one.state for one in kept["old"]} == {mine.id: state}
    assert tried == {theirs.id: ["desk"], mine.id: ["old"]}


def test_what_was_found_on_a_network_after_a_restore_stays_in_the_ledger_of_a_name_that_becomes_another(
    store: Store,
) -> None:
    both = Stock(store, "desk", "old")
    theirs, mine = both.waiting(1, "old"), both.waiting(1, "desk")
    store.commit(MoveDelivery(current=mine, move=Move.FOUND, why=Why(Reason.RESTORED), who="wirepost"))
    store.commit(Join((("desk", "fake", True),)))
    assert store.commit(Checked("desk", "fake", Identity(remote_id="@old", name="old")))
    with store.read() as tx:
        kept = {one.id: (one.account, one.state) for one in deliveries.listing(tx, states=list(State))}
    assert kept == {theirs.id: ("desk", State.WAITING), mine.id: ("old", State.SENT)}


def test_another_person_logged_in_under_a_name_joins_now(store: Store, clock: ManualClock) -> None:
    store.commit(Join((("desk", "fake", True),)))
    store.commit(Checked("desk", "fake", WE))
    clock.advance(60)
    store.commit(Checked("desk", "fake", Identity(remote_id="@they", name="They")))
    assert (row(store).identity, row(store).joined_at) == ("@they", START + timedelta(seconds=60))
    assert named(store, "account_changed_identity") == ["desk"]


def test_when_each_account_sent_last(two: Stock) -> None:
    two.sent(1)
    with two.store.read() as tx:
        assert accounts.last_sent(tx) == {"desk": START}


# -- refresh ------------------------------------------------------------------------------------------------------

REFRESH = timedelta(seconds=60)


def test_p81_eight_threads_that_want_a_refresh_make_one(store: Store) -> None:
    store.commit(Join((("desk", "fake", True),)))
    ready = threading.Barrier(8)
    refreshed: list[str] = []

    def renew(number: int) -> None:
        worker = f"worker-{number}"
        seen = row(store).refreshed_at
        ready.wait()
        if store.commit(BeginRefresh("desk", worker, REFRESH, seen)):
            refreshed.append(worker)
            assert store.commit(EndRefresh("desk", worker, f"sealed-{worker}"))
        else:
            again = store.commit(BeginRefresh("desk", worker, REFRESH, seen))
            assert again is False  # it is being done, or was just done: never twice for one expiry

    threads = [threading.Thread(target=renew, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refreshed) == 1
    assert (row(store).credentials, row(store).refreshed_at) == (f"sealed-{refreshed[0]}", START)


def test_a_refresh_whose_worker_died_is_free_after_its_lease(store: Store, clock: ManualClock) -> None:
    store.commit(Join((("desk", "fake", True),)))
    assert store.commit(BeginRefresh("desk", "dead", REFRESH, None))
    assert not store.commit(BeginRefresh("desk", "next", REFRESH, None))
    clock.advance(61)
    assert store.commit(BeginRefresh("desk", "next", REFRESH, None))
    assert not store.commit(EndRefresh("desk", "dead", "too late"))  # it would overwrite the newer pair
    assert store.commit(EndRefresh("desk", "next", "sealed"))
    assert row(store).credentials == "sealed"


def test_a_refresh_that_brought_nothing_keeps_the_old_pair(store: Store) -> None:
    store.commit(Join((("desk", "fake", True),)))
    store.commit(BeginRefresh("desk", "w", REFRESH, None))
    store.commit(EndRefresh("desk", "w", "first"))
    assert not store.commit(BeginRefresh("desk", "w", REFRESH, None))  # somebody did it since this one looked
    assert store.commit(BeginRefresh("desk", "w", REFRESH, row(store).refreshed_at))
    assert store.commit(EndRefresh("desk", "w", None))
    assert row(store).credentials == "first"


@pytest.mark.parametrize("shown", [lambda kept: repr(kept[0]), lambda kept: repr(kept[1])], ids=["row", "intent"])
def test_credentials_show_in_no_repr(store: Store, shown: Any) -> None:
    store.commit(Join((("desk", "fake", True),)))
    end = EndRefresh("desk", "w", "sealed-secret")
    store.commit(BeginRefresh("desk", "w", REFRESH, None))
    store.commit(end)
    assert row(store).credentials == "sealed-secret"
    assert "sealed-secret" not in shown((row(store), end))
