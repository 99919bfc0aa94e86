"""One story by several ways: two sources, another address, another name for the same link."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.flow import deliver, discover, plan, schedule
from bot.flow.newsroom import Newsroom
from bot.model import Article, Reason, State
from bot.store import Store, deliveries
from bot.testing.clock import ManualClock
from bot.testing.network_server import FakeServer
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom, pass_time, settle_down
from bot.testing.source import Scripted
from tests.flow.ledger_check import faults
from tests.flow.stories import article

MINUTE = timedelta(minutes=1)


class Two:
    """A newsroom with two sources."""

    def __init__(self, store: Store, clock: ManualClock, **defaults: object) -> None:
        self.store, self.clock = store, clock
        self.server = FakeServer(clock)
        self.main, self.wire = Scripted("main"), Scripted("wire")
        rules = editorial({"one": {}}, defaults={**AT_ONCE, "near_duplicate": "warn", **defaults})
        self.rules = rules
        self.room = self.worker("worker-1")
        look(self.room)
        clock.advance(60)

    def worker(self, name: str) -> Newsroom:
        from bot.clock import SeededRandom

        return newsroom(
            self.store,
            self.clock,
            self.rules,
            server=self.server,
            sources={"main": self.main, "wire": self.wire},
            worker=name,
            random=SeededRandom(sum(name.encode())),
        )

    def states(self) -> list[tuple[str, State, Reason]]:
        with self.store.read() as tx:
            rows = deliveries.listing(tx, states=list(State))
        return sorted((row.text.rpartition("/")[2], row.state, row.reason.reason) for row in rows)


@pytest.fixture
def two(store: Store, clock: ManualClock) -> Iterator[Two]:
    made = Two(store, clock)
    yield made
    assert faults(store, made.server) == []


def copied(one: Article, **more: object) -> Article:
    """The same article as the wire has it."""
    from dataclasses import replace

    return replace(one, source="wire", guid=f"wire-{one.guid}", **more)


WAYS = [
    "https://www.example.com/news/1?utm_source=wire",
    "http://example.com/news/1/",
    "https://www.example.com/news/1#top",
]


@pytest.mark.parametrize("link", WAYS)
def test_p11_one_article_by_two_sources_is_one_post(two: Two, link: str) -> None:
    two.main.show(article(1))
    two.wire.show(copied(article(1), link=link))
    look(two.room)
    two.clock.advance(60)
    look(two.room)
    assert len(two.server.posts) == 1


def test_p11_the_second_source_hours_later_posts_nothing(two: Two) -> None:
    two.main.show(article(1))
    look(two.room)
    pass_time(two.room, timedelta(hours=12), step=timedelta(hours=1))
    two.wire.show(copied(article(1), headline="Levy ruling: court sides with towns"))
    look(two.room)
    pass_time(two.room, 10 * MINUTE, step=MINUTE)
    assert len(two.server.posts) == 1


def test_two_workers_that_find_one_article_by_two_sources_post_it_once(two: Two) -> None:
    other = two.worker("worker-2")
    two.main.show(article(1))
    two.wire.show(copied(article(1)))
    discover.run(two.room, only="main", anyway=True)
    discover.run(other, only="wire", anyway=True)
    for room in (two.room, other):
        plan.run(room)
        schedule.run(room)
    for room in (two.room, other):
        deliver.run(room)
    assert len(two.server.posts) == 1


def test_stories_that_turn_out_to_be_one_after_the_first_was_sent_stay_one(two: Two) -> None:
    """The second waits when the first is found to have its address too."""
    two.main.show(article(1))
    look(two.room)
    two.server.down = True
    two.wire.show(copied(article(2)))
    look(two.room)
    two.server.down = False
    two.main.show(article(1, summary="Now with its other address.", aliases=(str(article(2).link),)))
    look(two.room)
    pass_time(two.room, 10 * MINUTE, step=MINUTE)
    assert len(two.server.posts) == 1
    assert two.states() == [("1", State.SENT, Reason.SENT), ("2", State.SKIPPED, Reason.MERGED)]


def test_stories_that_turn_out_to_be_one_before_either_was_sent_are_one(two: Two) -> None:
    two.server.down = True
    two.main.show(article(1))
    two.wire.show(copied(article(2)))
    look(two.room)
    two.main.show(article(1, summary="Now with its other address.", aliases=(str(article(2).link),)))
    look(two.room)
    two.server.down = False
    pass_time(two.room, 10 * MINUTE, step=MINUTE)
    settle_down(two.room)
    assert len(two.server.posts) == 1


def test_stories_that_turn_out_to_be_one_after_both_were_sent_change_nothing(two: Two) -> None:
    two.main.show(article(1))
    two.wire.show(copied(article(2)))
    look(two.room)
    assert len(two.server.posts) == 2
    two.main.show(article(1, summary="Now with its other address.", aliases=(str(article(2).link),)))
    look(two.room)
    pass_time(two.room, 10 * MINUTE, step=MINUTE)
    assert len(two.server.posts) == 2
