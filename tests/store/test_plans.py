"""What plan and schedule write, new rules, alerts and workers."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.model import Move, Reason, State, Status, Why
from bot.rules.editorial import Editorial
from bot.store import Store, accounts, alerts, articles, plans, revisions, workers
from bot.store.alerts import Said, SyncAlerts
from bot.store.articles import AddArticle, Admit, ChangedArticle, Withdraw
from bot.store.audit import events_named
from bot.store.deliveries import MarkDirty, MoveDelivery
from bot.store.plans import DecisionRow, Plan, Planned, Refresh, SetTimes, Timed
from bot.store.revisions import ApplyRules
from bot.store.workers import Beat, Leave
from bot.testing.clock import START, ManualClock
from tests.store.stock import WHY, Stock, article, new_article

NO = DecisionRow(account="desk", yes=False, reasons=(Why(Reason.NO_ROUTE),), trace=("city: no",))


def planned(**more: Any) -> Planned:
    return Planned(**{"article": "article-1", "story": "article-1", "revision": 1, "decisions": (NO,), **more})


def unplanned(store: Store) -> list[str]:
    with store.read() as tx:
        return [one.id for one in articles.unplanned(tx, limit=9)]


# -- plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_written_once_and_for_the_revision_that_it_saw(stock: Stock) -> None:
    stock.article(1)
    stock.store.commit(Plan((planned(),), 1))
    assert unplanned(stock.store) == []
    with stock.store.read() as tx:
        assert plans.decisions_of(tx, "article-1") == [("desk", 1, NO)]
    new = article(1, headline="Corrected")
    stock.store.commit(AddArticle(ChangedArticle(id="article-1", article=new, digest="d2", keys=())))
    late = DecisionRow(account="desk", yes=True, reasons=(WHY,))
    stock.store.commit(Plan((planned(decisions=(late,)),), 1))  # made from revision 1
    assert unplanned(stock.store) == ["article-1"]
    with stock.store.read() as tx:
        assert plans.decisions_of(tx, "article-1") == [("desk", 1, NO)]


@pytest.mark.parametrize(
    ("status", "meanwhile"),
    [
        (Status.HELD, Admit(("article-1",), "ann")),
        (Status.LIVE, Admit(("article-1",), "ann", {"desk": {"who": "ann"}})),
        (Status.LIVE, Withdraw("article-1", "410")),
    ],
)
def test_what_a_person_or_the_source_wanted_while_plan_was_at_work_is_planned(
    stock: Stock, status: Status, meanwhile: Any
) -> None:
    """No new revision comes of it: the old plan counted as that of what was wanted now, and it never went."""
    stock.article(1, status=status)
    made_before = planned(status=status)
    stock.store.commit(meanwhile)
    stock.store.commit(Plan((made_before,), 1))
    assert unplanned(stock.store) == ["article-1"]
    with stock.store.read() as tx:
        assert plans.decisions_of(tx, "article-1") == []


def test_a_plan_by_rules_that_hold_no_more_is_made_anew(stock: Stock) -> None:
    """New rules ask for a plan of all that is fresh; one that was under way must not answer for it."""
    stock.store.commit(ApplyRules(rules("4m"), "ann", "", timedelta(hours=6)))
    stock.article(1)
    stock.store.commit(ApplyRules(rules("5m"), "ann", "", timedelta(hours=6)))
    stock.store.commit(Plan((planned(),), 1, newest=1))
    assert unplanned(stock.store) == ["article-1"]
    stock.store.commit(Plan((planned(),), 2, newest=2))
    assert unplanned(stock.store) == []


def test_the_same_delivery_is_made_once(stock: Stock) -> None:
    first = stock.waiting(1)
    stock.again("article-1")
    new = plans.NewDelivery(
        id="another",
        account="desk",
        occasion="first",
        state=State.WAITING,
        why=WHY,
        priority=first.priority,
        route="all",
        ready_at=START,
        ready_why=None,
        fresh_until=None,
    )
    stock.store.commit(Plan((planned(new=(new,)),), 1))
    assert stock.read(first.id) == first


def test_a_refresh_moves_or_changes_only_what_is_as_it_was_read(two: Stock) -> None:
    first, second = two.waiting(1), two.waiting(1, "late")
    two.again("article-1")
    skip = Refresh(current=first, move=Move.RULED_OUT, why=Why(Reason.NO_ROUTE))
    text = Refresh(current=replace(second, version=99), changes={"text": "New"})
    two.store.commit(Plan((planned(refresh=(skip, text)),), 2))
    assert (two.state(first.id), two.read(first.id).reason.reason) == (State.SKIPPED, Reason.NO_ROUTE)
    assert two.read(second.id) == second
    assert unplanned(two.store) == ["article-1"]  # it comes round once more
    two.store.commit(Plan((planned(refresh=(Refresh(current=second, changes={"text": "New"}),)),), 2))
    assert (two.read(second.id).text, two.read(second.id).version) == ("New", second.version + 1)
    with two.store.read() as tx:
        assert plans.planned_before(tx, ["article-1"], 2) == {"article-1"}
        assert plans.planned_before(tx, ["article-1"], 1) == frozenset()


# -- times --------------------------------------------------------------------------------------------------------


def test_a_timetable_is_written_and_cleans_its_account_unless_it_moved_on(stock: Stock) -> None:
    due, gone = stock.waiting(1), stock.waiting(2)
    with stock.store.read() as tx:
        (account,) = accounts.dirty(tx)
    why = (Why(Reason.GAP, "4 min"),)
    times = (Timed(due, START + timedelta(hours=1), why), Timed(gone, None, (Why(Reason.CAP, "full"),), Move.RULED_OUT))
    stock.store.commit(MarkDirty(("desk",)))
    stock.store.commit(SetTimes("desk", account.version, times))
    assert (stock.read(due.id).due_at, stock.read(due.id).due_why) == (START + timedelta(hours=1), why)
    assert (stock.state(gone.id), stock.read(gone.id).reason) == (State.SKIPPED, Why(Reason.CAP, "full"))
    with stock.store.read() as tx:
        (account,) = accounts.dirty(tx)  # what made it dirty meanwhile is not lost
    stock.store.commit(SetTimes("desk", account.version, ()))
    with stock.store.read() as tx:
        assert accounts.dirty(tx) == []


def test_a_timetable_moves_nothing_that_moved_meanwhile(stock: Stock) -> None:
    current = stock.waiting(1)
    stock.store.commit(MoveDelivery(current=current, move=Move.HOLD, why=WHY, who="ann"))
    before = stock.read(current.id)
    stock.store.commit(SetTimes("desk", 1, (Timed(current, START + timedelta(hours=9), ()),)))
    stock.store.commit(SetTimes("desk", 1, (Timed(current, None, (WHY,), Move.RULED_OUT),)))
    assert stock.read(current.id) == before


# -- rules --------------------------------------------------------------------------------------------------------


def rules(gap: str) -> Editorial:
    return Editorial.model_validate({"defaults": {"caps": {"gap": gap}}})


def test_new_rules_are_numbered_and_replan_what_is_fresh(stock: Stock, clock: ManualClock) -> None:
    fresh = timedelta(hours=6)
    assert stock.store.commit(ApplyRules(rules("4m"), "ann", "first", fresh)) == 1
    stock.waiting(1)
    clock.advance(timedelta(hours=5))
    stock.waiting(2)
    clock.advance(timedelta(hours=2))
    assert stock.store.commit(ApplyRules(rules("4m"), "ann", "the same", fresh)) == 1
    assert unplanned(stock.store) == []
    assert stock.store.commit(ApplyRules(rules("5m"), "ben", "slower", fresh)) == 2
    assert unplanned(stock.store) == ["article-2"]
    with stock.store.read() as tx:
        current = revisions.current(tx)
        assert [(one.who, one.subject) for one in events_named(tx, "rules_applied", since=START)] == [("ben", "2")]
        assert [row.name for row in accounts.dirty(tx)] == ["desk"]
    assert current is not None
    assert (current.number, current.author, current.note) == (2, "ben", "slower")
    assert current.editorial == rules("5m")


def test_new_rules_wake_neither_baseline_nor_what_is_held(store: Store) -> None:
    for number, status in enumerate((Status.BASELINE, Status.HELD, Status.WITHDRAWN)):
        store.commit(AddArticle(new_article(f"a{number}", article(number), status=status)))
        store.commit(Plan((planned(article=f"a{number}", status=status, decisions=()),), 1))
    store.commit(ApplyRules(rules("4m"), "ann", "", timedelta(hours=6)))
    store.commit(ApplyRules(rules("5m"), "ann", "", timedelta(hours=6)))
    assert unplanned(store) == []


def test_eight_threads_that_apply_the_same_new_rules_make_one_revision(store: Store) -> None:
    store.commit(ApplyRules(rules("4m"), "ann", "", timedelta(0)))
    numbers: list[int] = []
    ready = threading.Barrier(8)

    def apply() -> None:
        ready.wait()
        numbers.append(store.commit(ApplyRules(rules("5m"), "ann", "", timedelta(0))))

    threads = [threading.Thread(target=apply) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [2] * 8


# -- alerts and workers -------------------------------------------------------------------------------------------


def test_a_cause_is_open_once_said_once_and_its_end_is_said_too(store: Store, clock: ManualClock) -> None:
    cause = {"login:desk": ("login", "desk needs a login")}
    store.commit(SyncAlerts(cause))
    clock.advance(60)
    store.commit(SyncAlerts({"login:desk": ("login", "desk still needs one")}))
    with store.read() as tx:
        (one,) = alerts.open_alerts(tx)
    assert (one.opened_at, one.words, one.said_at, one.times_said) == (START, "desk still needs one", None, 0)
    store.commit(Said("login:desk"))
    with store.read() as tx:
        (one,) = alerts.open_alerts(tx)
    assert (one.said_at, one.times_said) == (START + timedelta(seconds=60), 1)
    store.commit(SyncAlerts({}))
    with store.read() as tx:
        assert alerts.open_alerts(tx) == []
        assert [ended.cause for ended in alerts.unsaid_endings(tx)] == ["login:desk"]
    store.commit(Said("login:desk", closing=True))
    with store.read() as tx:
        assert alerts.unsaid_endings(tx) == []
    clock.advance(60)
    store.commit(SyncAlerts(cause))  # it comes back: as new
    with store.read() as tx:
        (one,) = alerts.open_alerts(tx)
    assert (one.opened_at, one.times_said, one.closed_at) == (START + timedelta(seconds=120), 0, None)


def test_a_cause_that_nobody_heard_of_ends_in_silence(store: Store) -> None:
    store.commit(SyncAlerts({"overdue:desk": ("overdue", "late")}))
    store.commit(SyncAlerts({}))
    with store.read() as tx:
        assert alerts.unsaid_endings(tx) == []


def test_a_worker_is_known_by_its_last_beat_and_forgotten_after_a_day(store: Store, clock: ManualClock) -> None:
    store.commit(Beat("one", "planning"))
    clock.advance(60)
    store.commit(Beat("one", "sending"))
    store.commit(Beat("two", ""))
    store.commit(Leave("two"))
    with store.read() as tx:
        (row,) = workers.all_workers(tx)
    assert (row.id, row.started_at, row.beat_at, row.doing) == ("one", START, START + timedelta(seconds=60), "sending")
    clock.advance(timedelta(days=1, seconds=1))
    store.commit(Beat("three", ""))
    with store.read() as tx:
        assert [row.id for row in workers.all_workers(tx)] == ["three"]
