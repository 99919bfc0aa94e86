"""A look at a source is written down whole, by the worker that made it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.model import Reason, State, Status, Why
from bot.store import Store, articles, sources
from bot.store.audit import events_named
from bot.store.sources import BeginLook, EndLook, FailLook, PutOff, SourceRow
from bot.store.witness import Christen
from bot.testing.clock import START, ManualClock
from tests.store.stock import Stock, article, new_article

LEASE, HOUR = timedelta(minutes=2), timedelta(hours=1)


def begin(store: Store, worker: str = "w", **more: Any) -> SourceRow | None:
    return store.commit(BeginLook("main", "feed", worker, LEASE, **more))


def ending(worker: str = "w", **more: Any) -> EndLook:
    return EndLook(name="main", worker=worker, **{"cursor": {"etag": "x"}, "next_look_in": HOUR, **more})


def row(store: Store) -> SourceRow:
    with store.read() as tx:
        (found,) = sources.all_sources(tx)
    return found


def test_a_look_brings_articles_and_cursor_together(store: Store, clock: ManualClock) -> None:
    begun = begin(store)
    assert begun is not None
    assert (dict(begun.cursor), begun.first_good_at) == ({}, None)
    clock.advance(5)
    touched = store.commit(
        ending(
            arrivals=(new_article("a", article(1)),), counts={"new": 1}, notes=("a note",), moved_to="https://e.com/"
        )
    )
    assert touched == ("a",)
    after = row(store)
    later = START + timedelta(seconds=5)
    assert (dict(after.cursor), after.first_good_at, after.last_good_at, after.last_new_at) == (
        {"etag": "x"},
        later,
        later,
        later,
    )
    assert (after.next_look_at, dict(after.last_counts or {}), after.notes) == (later + HOUR, {"new": 1}, ("a note",))
    assert after.moved_to == "https://e.com/"


def test_one_worker_looks_at_a_time_and_a_dead_ones_look_is_free_after_its_lease(
    store: Store, clock: ManualClock
) -> None:
    assert begin(store, "dead")
    assert begin(store, "next") is None
    assert begin(store, "next", anyway=True) is None
    assert begin(store, "dead")  # its own look again, after a restart of the step
    clock.advance(121)
    assert begin(store, "next")
    assert store.commit(ending("dead", arrivals=(new_article("a", article(1)),))) is None
    with store.read() as tx:
        assert articles.by_id(tx, "a") is None  # neither articles nor cursor of a look that was taken over
    assert dict(row(store).cursor) == {}
    assert store.commit(ending("next")) == ()


def test_a_source_rests_until_its_next_look_unless_it_calls(store: Store, clock: ManualClock) -> None:
    begin(store)
    store.commit(ending())
    with store.read() as tx:
        assert sources.due(tx, ["main", "other"]) == ["other"]
        assert sources.next_look(tx) == START + HOUR
    assert begin(store) is None
    assert begin(store, anyway=True)
    store.commit(ending())
    clock.advance(HOUR)
    with store.read() as tx:
        assert sources.due(tx, ["main"]) == ["main"]
        assert sources.next_look(tx) is None  # a timer for what is due by now would fire until its look ends
    assert begin(store)


def test_a_failed_look_moves_no_cursor_and_counts(store: Store) -> None:
    begin(store)
    store.commit(ending())
    for errors in (1, 2):
        assert begin(store, anyway=True)
        assert store.commit(FailLook("main", "w", "timeout", HOUR)) is True
        assert (row(store).errors, row(store).last_error) == (errors, "timeout")
    assert dict(row(store).cursor) == {"etag": "x"}
    assert store.commit(FailLook("main", "w", "late", HOUR)) is False
    begin(store, anyway=True)
    store.commit(FailLook("main", "w", "410", HOUR, ended=True))
    with store.read() as tx:
        assert sources.due(tx, ["main"]) == []
    assert row(store).ended
    begin(store, anyway=True)
    store.commit(ending())
    assert (row(store).errors, row(store).ended, row(store).last_error) == (0, False, None)


def test_a_look_that_is_put_off_was_not_made(store: Store) -> None:
    begin(store)
    store.commit(PutOff("main", "w", timedelta(seconds=1)))
    assert (row(store).first_good_at, row(store).next_look_at) == (None, START + timedelta(seconds=1))
    assert begin(store, "other", anyway=True)


def test_what_is_gone_is_withdrawn_in_the_same_transaction(stock: Stock) -> None:
    waiting = stock.waiting(1)
    begin(stock.store)
    stock.store.commit(ending(gone=(("article-1", "not listed"),), events=(("note", {"a": 1}),)))
    assert stock.state(waiting.id) is State.SKIPPED
    with stock.store.read() as tx:
        assert [one.subject for one in events_named(tx, "note", since=START)] == ["main"]


def test_the_longest_silence_is_remembered(store: Store, clock: ManualClock) -> None:
    for number, gap in enumerate((0, 100, 7000, 50)):
        clock.advance(gap)
        begin(store, anyway=True)
        store.commit(ending(arrivals=(new_article(f"a{number}", article(number)),)))
    assert row(store).longest_gap == 7000


def test_p30_a_silence_is_forgotten_after_a_month(store: Store, clock: ManualClock) -> None:
    """A source that once rested for a week is not waited for three weeks ever after."""
    day = 86_400
    for number, gap in enumerate((0, day, 7 * day, *([day] * 30))):
        clock.advance(gap)
        begin(store, anyway=True)
        store.commit(ending(arrivals=(new_article(f"a{number}", article(number)),)))
        if number == 20:
            assert row(store).longest_gap == 7 * day
    assert row(store).longest_gap == day


def test_p09_after_a_lost_store_a_first_look_is_a_baseline(store: Store) -> None:
    begun = begin(store)
    assert begun is not None
    with store.read() as tx:
        assert not sources.must_baseline(tx, begun)
    store.commit(Christen("new", lost=True, identities=("@desk",)))
    with store.read() as tx:
        assert sources.must_baseline(tx, begun)
        assert [one.detail for one in events_named(tx, "state_reset", since=START)] == [{"identities": ["@desk"]}]
    store.commit(ending())
    again = begin(store, anyway=True)
    assert again is not None
    with store.read() as tx:
        assert not sources.must_baseline(tx, again)


def test_what_the_breaker_holds_is_found_by_its_source(store: Store) -> None:
    held = {"status": Status.HELD, "hold": Why(Reason.MASS_CHANGE)}
    begin(store)
    news = (
        new_article("a", article(1), **held),
        new_article("b", article(2), status=Status.HELD, hold=Why(Reason.LINT)),
        new_article("c", article(3)),
        new_article("d", article(4, source="wire"), **held),
    )
    store.commit(ending(arrivals=news))
    with store.read() as tx:
        assert sources.breaker_holds(tx, "main") == ["a"]
