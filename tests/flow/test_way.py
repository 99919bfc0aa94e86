"""The way of an article, from a source to the public, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.model import Article, Reason, State
from bot.store import Store, articles, attempts, deliveries
from bot.testing.clock import ManualClock
from bot.testing.network_server import FakeServer, Fault
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom, pass_time, settle_down


def article(number: int = 1, **more: object) -> Article:
    fields = {
        "source": "main",
        "guid": f"guid-{number}",
        "headline": HEADLINES[number % len(HEADLINES)] + f" {number}",
        "link": f"https://www.example.com/news/{number}",
        **more,
    }
    return Article(**fields)


HEADLINES = ("Rail strike is off", "Court rules on levy", "Mayor opens harbour bridge", "Storm closes coastal road")


def all_of(store: Store) -> list[tuple[str, State, Reason]]:
    with store.read() as tx:
        rows = deliveries.listing(tx, states=list(State), limit=10_000)
    return sorted((row.account, row.state, row.reason.reason) for row in rows)


def test_an_article_goes_out_once_on_each_account(store: Store, clock: ManualClock) -> None:
    server = FakeServer(clock)
    room = newsroom(store, clock, editorial({"one": {}, "two": {}}), server=server)
    source = room.sources["main"]
    look(room)
    clock.advance(60)
    source.show(article(1))
    look(room)
    assert [post.account for post in server.visible()] == ["1", "2"]
    assert all_of(store) == [("one", State.SENT, Reason.SENT), ("two", State.SENT, Reason.SENT)]
    clock.advance(60)
    look(room)
    assert len(server.visible()) == 2
    pass_time(room, timedelta(minutes=6))
    with store.read() as tx:
        sent = deliveries.listing(tx, states=[State.SENT])
        assert all(row.confirmed_at for row in sent)
        assert articles.find(tx, "https://example.com/news/1?utm_source=x")[0].id == sent[0].article


@pytest.mark.parametrize(
    "fault",
    [
        Fault.LOST_AFTER,
        Fault.LOST_BEFORE,
        Fault.ERROR_AFTER,
        Fault.ERROR_BEFORE,
        Fault.GATEWAY_AFTER,
        Fault.GARBAGE_AFTER,
        Fault.TAKEN_LATE,
    ],
)
def test_a_lost_answer_is_looked_up_and_never_resent_blindly(store: Store, clock: ManualClock, fault: Fault) -> None:
    server = FakeServer(clock)
    room = newsroom(store, clock, editorial({"one": {}}), server=server)
    look(room)
    clock.advance(60)
    server.faults.append(fault)
    room.sources["main"].show(article(1))
    look(room)
    assert all_of(store) == [("one", State.UNKNOWN, Reason.LOST_REPLY)]
    pass_time(room, timedelta(minutes=5))
    assert all_of(store) == [("one", State.SENT, Reason.SENT)]
    clock.advance(3600)
    assert len(server.visible()) == 1
    with store.read() as tx:
        tries = attempts.of_delivery(tx, deliveries.listing(tx, states=[State.SENT])[0].id)
    assert {attempt.key for attempt in tries} == {tries[0].key}
    assert {attempt.payload.body for attempt in tries} == {tries[0].payload.body}


def test_first_look_is_a_baseline(store: Store, clock: ManualClock) -> None:
    server = FakeServer(clock)
    room = newsroom(store, clock, editorial({"one": {}}), server=server)
    room.sources["main"].show(*(article(n) for n in range(500)))
    look(room)
    settle_down(room)
    assert server.visible() == []
    assert all_of(store) == []


def test_a_folder_that_is_still_being_filled_has_no_first_look_yet(store: Store, clock: ManualClock) -> None:
    """Else its rest would come as a flood of undated articles, and be held as one."""
    from bot.sources.base import Batch

    server = FakeServer(clock)
    rules = editorial({"one": {}}, defaults={**AT_ONCE, "first_look": "all", "near_duplicate": "warn"})
    room = newsroom(store, clock, rules, server=server)
    source = room.sources["main"]
    all_at_once = source.fetch
    source.fetch = lambda *parts: Batch(cursor={}, partial=True, next_in=2.0)
    look(room)
    source.fetch = all_at_once
    source.show(*(article(n) for n in range(30)))
    pass_time(room, timedelta(seconds=5), step=timedelta(seconds=1))
    assert len(server.visible()) == 30
