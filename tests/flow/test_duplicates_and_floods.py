"""Pains A and B: the same story twice, and a backlog that empties itself onto a timeline."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from bot.errors import Unreachable
from bot.model import Reason, State
from bot.store import Store
from bot.testing.clock import START, ManualClock
from bot.testing.network_server import Fault
from bot.testing.newsroom import pass_time, settle_down
from tests.flow.stories import House, article


def test_p01_the_gateway_answers_504_three_times_and_there_is_one_post(store: Store, clock: ManualClock) -> None:
    house = House(store, clock)
    house.server.faults.extend([Fault.GATEWAY_AFTER] * 3)
    house.show(article(1))
    pass_time(house.room, timedelta(minutes=5))
    assert len(house.server.visible()) == 1
    assert house.states() == {(State.SENT, Reason.SENT): 1}
    house.balances()


def test_p02_a_network_without_lookup_is_never_sent_to_again(sqlite_store: Store, clock: ManualClock) -> None:
    from bot.testing.network import FakeOptions

    house = House(sqlite_store, clock, options={"one": FakeOptions(find=False)})
    house.server.faults.append(Fault.LOST_AFTER)
    house.show(article(1))
    pass_time(house.room, timedelta(minutes=20))
    assert house.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert len(house.server.posts) == 1


def test_p02_p123_two_hours_later_a_doubt_is_looked_up_but_not_resent(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    house.server.faults.append(Fault.LOST_AFTER)
    house.show(article(1))
    assert house.states() == {(State.UNKNOWN, Reason.LOST_REPLY): 1}
    house.server.posts[0].deleted = True  # an editor took it down by hand
    clock.advance(timedelta(hours=2))
    again = house.newsroom("worker-2")
    pass_time(again, timedelta(minutes=15), step=timedelta(seconds=20))
    assert house.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert len(house.server.posts) == 1


def test_p04_twenty_new_dates_under_one_id_are_one_post(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    for _number in range(20):
        clock.advance(600)
        house.show(article(1, published_at=clock.now(), updated_at=clock.now()))
    assert len(house.server.visible()) == 1
    house.balances()


def test_p05_a_moved_site_posts_nothing(sqlite_store: Store, clock: ManualClock) -> None:
    old = [article(n, guid=f"http://old/?p={n}", published_at=START - timedelta(days=n)) for n in range(230)]
    house = House(sqlite_store, clock, looked=False)
    house.show(*old)
    clock.advance(3600)
    house.show(*(article(n, guid=f"https://new/{n}", published_at=START - timedelta(days=n)) for n in range(230)))
    assert house.server.visible() == []
    assert [event.detail["count"] for event in house.events("identity_remapped")] == [230]


def test_p06_another_story_under_a_used_id_is_held_and_stays_one_question(
    sqlite_store: Store, clock: ManualClock
) -> None:
    house = House(sqlite_store, clock)
    house.show(article(1, headline="Our guide to the harbour festival", published_at=clock.now()))
    clock.advance(timedelta(days=3))
    for _ in range(3):
        clock.advance(timedelta(hours=13))
        house.show(article(1, headline="Fire destroys paper mill", link="https://www.example.com/mill"))
    assert len(house.server.visible()) == 1
    with sqlite_store.read() as tx:
        from bot.store import articles

        held = articles.held(tx)
    assert [(one.article.headline, one.hold.reason if one.hold else None) for one in held] == [
        ("Fire destroys paper mill", Reason.GUID_REUSE)
    ]


def test_p07_items_that_vanish_come_back_and_slide_in_are_not_posted(sqlite_store: Store, clock: ManualClock) -> None:
    feed = [article(n, published_at=START - timedelta(hours=n)) for n in range(1, 31)]
    older = [article(n, published_at=START - timedelta(days=n)) for n in range(31, 36)]
    house = House(sqlite_store, clock, looked=False)
    house.show(*feed)
    for shown in (feed[10:], feed[10:], feed[10:], [*feed, *older], feed):
        clock.advance(timedelta(days=30))
        house.show(*shown)
    assert house.server.visible() == []


def test_p08_errors_and_an_empty_feed_in_between_post_nothing(sqlite_store: Store, clock: ManualClock) -> None:
    feed = [article(n) for n in range(1, 31)]
    house = House(sqlite_store, clock, looked=False)
    house.show(*feed)
    house.source.error = Unreachable("a redirect loop")
    house.show()
    house.source.error = None
    house.show()
    house.show(*feed)
    assert house.server.visible() == []


def test_p10_two_workers_on_one_store_send_each_post_once(store: Store, clock: ManualClock) -> None:
    house = House(store, clock, "one", "two", "three")
    other = house.newsroom("worker-2")
    house.source.show(*(article(n, published_at=clock.now()) for n in range(20)))
    from bot.flow import deliver, discover, plan, schedule

    discover.run(house.room, anyway=True)
    discover.run(other, anyway=True)
    for room in (house.room, other):
        plan.run(room)
        schedule.run(room)
    for account in ("one", "two", "three") * 10:
        for room in (house.room, other):
            started = deliver.start(room, account)
            if isinstance(started, deliver.Started):
                assert not isinstance(deliver.start(other, account), deliver.Started)  # one in flight per account
                deliver.finish(room, started, deliver.send(room, started))
    settle_down(house.room)
    assert len(house.server.visible()) == 60
    house.balances()


def test_p15_one_title_every_five_minutes_is_one_post(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    for number in range(40):
        clock.advance(300)
        house.show(
            article(0, guid=f"again-{number}", link=f"https://www.example.com/again/{number}", published_at=clock.now())
        )
    assert len(house.server.visible()) == 1
    assert house.states()[State.SKIPPED, Reason.NEAR_DUPLICATE] == 39


def test_p16_newest_three_of_a_first_look_go_oldest_first_at_the_gap(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock, looked=False, first_look="newest:3", caps={"gap": "4m"})
    house.show(*(article(n, published_at=START - timedelta(days=40 - n)) for n in range(20)))
    pass_time(house.room, timedelta(minutes=20), step=timedelta(seconds=20))
    assert house.sent() == [article(n).headline for n in (17, 18, 19)]
    gaps = [after - before for before, after in zip(house.times(), house.times()[1:], strict=False)]
    assert all(gap >= timedelta(minutes=4) for gap in gaps)


def test_p17_an_import_of_old_posts_is_held_as_one_question(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    house.show(*(article(n, published_at=START - timedelta(days=2000 + n)) for n in range(300)))
    assert house.server.visible() == []
    assert len(house.events("mass_change")) == 1


def test_p18_twenty_at_once_go_at_the_gap_under_the_cap_and_none_is_lost(
    sqlite_store: Store, clock: ManualClock
) -> None:
    house = House(sqlite_store, clock, caps={"hour": 5, "gap": "10m"})
    house.show(*(article(n, published_at=clock.now()) for n in range(20)))
    waiting = [one for one in house.all() if one.state is State.WAITING]
    assert all(one.due_at is not None and one.due_why for one in waiting)
    pass_time(house.room, timedelta(hours=7), step=timedelta(minutes=1))
    times = house.times()
    assert all(b - a >= timedelta(minutes=10) for a, b in itertools.pairwise(times))
    by_hour = [t.replace(minute=0, second=0, microsecond=0) for t in times]
    assert max(by_hour.count(hour) for hour in by_hour) <= 5
    counted = house.states()
    assert counted[State.SENT, Reason.SENT] == len(times)
    assert counted.total() == 20
    house.balances()


def test_p19_after_nine_hours_down_only_what_is_fresh_goes_at_its_gap(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock, caps={"gap": "4m"})
    house.server.down = True
    house.show(*(article(n, published_at=clock.now()) for n in range(30)))
    clock.advance(timedelta(hours=9))
    house.server.down = False
    house.show(*(article(n, published_at=clock.now() - timedelta(minutes=n)) for n in range(30, 40)))
    pass_time(house.room, timedelta(hours=1), step=timedelta(seconds=30))
    times = house.times()
    assert len(times) == 10
    assert all(b - a >= timedelta(minutes=4) for a, b in itertools.pairwise(times))
    assert sum(number for (_, reason), number in house.states().items() if reason in (Reason.STALE, Reason.CAP)) == 30


def test_p20_a_warmed_up_account_has_five_an_hour(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock, account={"warmup": "7d"})
    house.show(*(article(n, published_at=clock.now()) for n in range(20)))
    pass_time(house.room, timedelta(hours=3), step=timedelta(minutes=2))
    by_hour = [t.replace(minute=0, second=0, microsecond=0) for t in house.times()]
    assert max(by_hour.count(hour) for hour in by_hour) == 5


def test_p21_an_unsorted_feed_goes_out_once_in_publication_order(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock, caps={"gap": "1s"})
    minutes = [7, 3, 9, 1, 5]
    for _ in range(10):
        house.show(*(article(n, published_at=START - timedelta(minutes=n)) for n in minutes))
        pass_time(house.room, timedelta(seconds=10), step=timedelta(seconds=1))
    assert house.sent() == [article(n).headline for n in sorted(minutes, reverse=True)]


@pytest.mark.parametrize("items", [2_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_p22_a_first_look_at_a_huge_feed_posts_nothing_and_the_next_one_goes(
    sqlite_store: Store, clock: ManualClock, items: int
) -> None:
    house = House(sqlite_store, clock, looked=False)
    house.show(*(article(n) for n in range(items)))
    assert house.server.visible() == []
    clock.advance(60)
    house.show(*(article(n) for n in range(items // 2, items + 1)))
    assert house.sent() == [article(items).headline]


def test_p21_undated_articles_of_one_look_go_out_in_their_sources_order(
    sqlite_store: Store, clock: ManualClock
) -> None:
    house = House(sqlite_store, clock)
    house.show(*(article(n) for n in range(8)))
    assert house.sent() == [article(n).headline for n in range(8)]
