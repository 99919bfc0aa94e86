"""On the minute: slots, quiet hours and zones, over restarts, blocked loops, clock jumps and sleep."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bot.flow import check, deliver, discover, plan, schedule
from bot.flow.newsroom import Newsroom
from bot.model import Priority, Reason, State
from bot.rules.duplicates import keys_of
from bot.rules.editorial import Schedule
from bot.store import identity
from bot.store.accounts import CheckFailed
from bot.testing.clock import START, ManualClock
from bot.testing.network_server import FakeServer, Fault
from bot.testing.newsroom import look, pass_time, settle_down
from tests.flow.conftest import OpenHouse
from tests.flow.people import Person
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def slots(*times: str, **more: Any) -> dict[str, Any]:
    """Settings: one route for all, by daily slots."""
    return {
        "schedules": {"day": {"daily": list(times), **more}},
        "routes": [{"name": "all", "schedule": "day"}],
    }


def at(hour: int, minute: int = 0, day: int = 25) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def go_to(house: House, moment: datetime) -> None:
    house.clock.advance(moment - house.clock.now())


def test_p37_a_loop_blocked_for_ninety_seconds_at_the_slot_sends_right_after(both: OpenHouse) -> None:
    house = both(rules=slots("15:00"))
    house.show(article(1))
    go_to(house, datetime(2026, 11, 24, 15, 1, 30, tzinfo=UTC))
    settle_down(house.room)
    assert house.times() == [datetime(2026, 11, 24, 15, 1, 30, tzinfo=UTC)]
    assert house.states() == {(State.SENT, Reason.SENT): 1}


def test_p39_stopped_before_a_slot_and_started_after_it_posts_once_and_keeps_the_next_slot(house: OpenHouse) -> None:
    desk = house(rules=slots("09:00", "12:00"), max_age="24h")
    desk.show(article(1), article(2))
    go_to(desk, at(8, 55))
    settle_down(desk.room)
    assert desk.server.posts == []
    go_to(desk, at(9, 20))
    other = desk.newsroom("worker-2")
    settle_down(other)
    pass_time(other, 4 * HOUR, step=5 * MINUTE)
    assert desk.times() == [at(9, 20), at(12)]


ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe")


@pytest.mark.parametrize("zone", ZONES)
def test_p40_a_slot_is_the_accounts_own_wall_clock_wherever_the_machine_is(house: OpenHouse, zone: str) -> None:
    from zoneinfo import ZoneInfo

    desk = house(rules=slots("18:30"), account={"timezone": zone}, max_age="48h")
    desk.show(article(1))
    (one,) = desk.all()
    assert one.due_at is not None
    assert one.due_at.astimezone(ZoneInfo(zone)).strftime("%H:%M") == "18:30"
    go_to(desk, one.due_at - SECOND)
    settle_down(desk.room)
    assert desk.server.posts == []
    go_to(desk, one.due_at)
    settle_down(desk.room)
    assert desk.times() == [one.due_at]


def test_p40_now_means_now_on_the_stores_clock(house: OpenHouse) -> None:
    desk = house(rules=slots("09:00"), max_age="24h", account={"timezone": "Asia/Kolkata"})
    desk.show(article(1))
    assert desk.server.posts == []
    Person(desk.room, "ann").move(desk.all()[0], desk.store.now())
    settle_down(desk.room)
    assert desk.times() == [START + MINUTE]


@pytest.mark.parametrize("jump", [-HOUR, HOUR, -timedelta(days=1)], ids=["back", "ahead", "a day back"])
def test_p41_a_clock_that_is_set_doubles_nothing_and_the_next_post_leaves_within_a_minute(
    house: OpenHouse, jump: timedelta
) -> None:
    desk = house(caps={"gap": "20s", "hour": 3})
    desk.clock.advance(timedelta(days=30))
    desk.show(article(1))
    assert len(desk.server.posts) == 1
    desk.clock.step_wall(jump)
    pass_time(desk.room, 30 * SECOND)
    desk.show(article(1), article(2))
    pass_time(desk.room, MINUTE)
    assert [post.link for post in desk.server.posts] == [article(1).link, article(2).link]


def test_p41_three_hours_of_sleep_double_nothing(house: OpenHouse) -> None:
    desk = house(caps={"gap": "10m"})
    desk.show(*(article(n, published_at=desk.clock.now()) for n in range(3)))
    assert len(desk.server.posts) == 1
    desk.clock.advance(3 * HOUR)
    pass_time(desk.room, MINUTE)
    assert len(desk.server.posts) == 2
    pass_time(desk.room, 15 * MINUTE, step=MINUTE)
    assert len(desk.server.posts) == 3
    times = desk.times()
    assert all(later - earlier >= 10 * MINUTE for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("jump", [-HOUR, HOUR, 3 * HOUR])
@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_p41_a_clock_set_while_a_post_is_unclear_never_doubles_it(
    house: OpenHouse, fault: Fault, jump: timedelta
) -> None:
    desk = house()
    desk.server.faults.append(fault)
    desk.show(article(1))
    pass_time(desk.room, 20 * SECOND)
    desk.clock.step_wall(jump)
    pass_time(desk.room, 15 * MINUTE, step=15 * SECOND)
    assert len(desk.server.posts) <= 1
    assert {one.state for one in desk.all()} <= {State.SENT, State.HELD}


class Dated(FakeServer):
    """A server that tells the true time in every answer."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._true = clock.monotonic

    def answer(self, *parts: Any) -> Any:
        told = super().answer(*parts)
        true = START + timedelta(seconds=self._true() - 1_000.0)
        told.headers["Date"] = format_datetime(true.replace(microsecond=0), usegmt=True)
        return told


def test_p41_a_clock_five_minutes_off_the_networks_parks_and_comes_back(house: OpenHouse, clock: ManualClock) -> None:
    """A wrong clock must not make a day of posts stale: publishing rests until the clocks agree."""
    desk = house(server=Dated(clock), caps={"gap": "5m"}, max_age="1h")
    desk.show(article(1), article(2))
    assert len(desk.server.posts) == 1
    clock.step_wall(2 * HOUR)
    pass_time(desk.room, 7 * MINUTE, step=30 * SECOND)
    assert desk.room.parked_by_clock
    assert [one.state for one in desk.all() if one.state is not State.SENT] == [State.WAITING]
    assert len(desk.server.posts) == 1
    clock.step_wall(-2 * HOUR)
    pass_time(desk.room, MINUTE)
    assert len(desk.server.posts) == 2


def planned(house: House) -> None:
    """A post that waits for its slot while no worker runs any more."""
    house.show(article(1))
    assert {one.state for one in house.all()} == {State.WAITING}


def every_order(room: Newsroom) -> None:
    """The steps as threads may happen to run them: those that go by the clock before the networks are asked."""
    schedule.run(room)
    deliver.run(room)
    settle_down(room)


def test_p41_a_worker_that_starts_two_days_ahead_rules_nothing_out_and_posts_nothing(
    house: OpenHouse, clock: ManualClock
) -> None:
    desk = house(server=Dated(clock), rules=slots("15:00"))
    planned(desk)
    clock.step_wall(timedelta(days=2))
    room = desk.newsroom("worker-2")
    every_order(room)
    assert room.parked_by_clock
    assert {one.state for one in desk.all()} == {State.WAITING}
    assert desk.server.posts == []
    clock.step_wall(-timedelta(days=2))
    pass_time(room, HOUR, step=MINUTE)
    assert desk.times() == [datetime(2026, 11, 24, 15, 0, tzinfo=UTC)]


def test_p93_a_worker_that_starts_an_hour_ahead_lets_no_embargoed_post_out(
    house: OpenHouse, clock: ManualClock
) -> None:
    desk = house(server=Dated(clock))
    desk.show(article(1, embargo_until=clock.now() + 30 * MINUTE))
    clock.step_wall(HOUR)
    room = desk.newsroom("worker-2")
    every_order(room)
    assert desk.server.posts == []


def test_p41_an_outage_at_the_start_keeps_what_is_too_old_only_until_everybody_was_asked(house: OpenHouse) -> None:
    """Without any `Date` our own clock decides, as P41 binds it."""
    desk = house("one", "two", rules=slots("15:00"))
    planned(desk)
    desk.clock.advance(timedelta(days=1))
    desk.server.down = True
    room = desk.newsroom("worker-2")
    schedule.run(room)
    assert {one.state for one in desk.all()} == {State.WAITING}
    first, second = check.begin(room)
    check.one(room, first)
    schedule.run(room)
    assert {one.state for one in desk.all()} == {State.WAITING}
    check.one(room, second)
    schedule.run(room)
    assert desk.states() == {(State.SKIPPED, Reason.STALE): 2}


def test_p41_nobody_waits_for_the_time_of_an_account_that_is_parked_meanwhile(house: OpenHouse) -> None:
    desk = house("one", "two")
    desk.server.down = True
    room = desk.newsroom("worker-2")
    first, second = check.begin(room)
    check.one(room, first)
    assert room.time_unheard
    desk.store.commit(CheckFailed(second, None, "another worker could not reach it", 2 * MINUTE))
    assert check.begin(room) == []
    assert not room.time_unheard


def test_a_start_asks_accounts_only_until_one_network_told_the_time(house: OpenHouse, clock: ManualClock) -> None:
    """`run --once` from cron starts every minute; the hourly check is enough for who we are."""
    desk = house("one", "two", server=Dated(clock))
    before = len(desk.server.requests)
    for number in range(5):
        settle_down(desk.newsroom(f"worker-{number}"))
    assert [path for _, path, _ in desk.server.requests[before:]] == ["/me"] * 5


def test_p07_old_keys_are_forgotten_by_a_clock_that_the_networks_agree_with(
    house: OpenHouse, clock: ManualClock
) -> None:
    desk = house(server=Dated(clock))
    desk.show(article(1), article(2))
    clock.step_wall(timedelta(days=500))
    desk.source.show(article(2))
    room = desk.newsroom("worker-2")
    discover.run(room, anyway=True)
    assert discover.forget(room)  # nobody was asked for the time
    check.run(room)
    assert discover.forget(room)  # and it is another one
    with desk.store.read() as tx:
        assert identity.faded(tx, limit=99) != []
    clock.step_wall(-timedelta(days=500))
    clock.advance(timedelta(days=500))
    look(room)
    assert not discover.forget(room)
    with desk.store.read() as tx:
        assert identity.faded(tx, limit=99) == []
        assert {
            known.id for known in identity.known_by(tx, keys_of(article(1), seen_on=START.date())).values()
        } == set()


def test_p42_what_came_at_night_leaves_from_six_on_in_order_at_the_gap(house: OpenHouse) -> None:
    desk = house(quiet=["23:00-06:00"], caps={"gap": "5m"}, max_age="24h", max_age_breaking="12h")
    go_to(desk, at(23, 30, day=24))
    made = [article(n, published_at=desk.clock.now() + n * SECOND) for n in range(12)]
    made[7] = article(7, published_at=made[7].published_at, priority=Priority.BREAKING)
    desk.show(*made)
    pass_time(desk.room, 6 * HOUR, step=30 * MINUTE)
    assert desk.server.posts == []
    pass_time(desk.room, 2 * HOUR, step=MINUTE)
    times = desk.times()
    assert times[0] == at(6)
    assert len(times) == 12
    assert all(later - earlier >= 5 * MINUTE for earlier, later in itertools.pairwise(times))
    order = [int(str(post.link).rpartition("/")[2]) for post in desk.server.visible()]
    assert order == [7, *(n for n in range(12) if n != 7)]


@pytest.mark.parametrize("asleep", [True, False])
def test_a_machine_that_wakes_in_quiet_hours_sends_nothing_that_was_due_before(house: OpenHouse, asleep: bool) -> None:
    """Found by the simulation: what was due at 22:59 went at 23:30, when the worker woke."""
    desk = house(quiet=["23:00-06:00"], max_age="24h")
    go_to(desk, at(22, 58))
    desk.source.show(article(1), article(2, published_at=desk.clock.now()))
    for step in (discover, plan, schedule):
        step.run(desk.room)
    go_to(desk, at(23, 30) if asleep else at(22, 59))
    deliver.run(desk.room)
    settle_down(desk.room)
    assert len(desk.times()) == (0 if asleep else 2)
    go_to(desk, at(6, 0, day=26))
    settle_down(desk.room)
    assert [moment.hour for moment in desk.times()] == ([6, 6] if asleep else [22, 22])


def test_p45_settings_changed_while_running_hold_from_the_next_post_on(house: OpenHouse) -> None:
    desk = house(rules=slots("16:00"))
    desk.show(article(1))
    desk.rules = desk.rules.model_copy(update={"schedules": {"day": Schedule(daily=["15:00"])}})
    room = desk.newsroom("worker-2")
    settle_down(room)
    pass_time(room, 3 * HOUR, step=MINUTE)
    assert [time.hour for time in desk.times()] == [15]


def test_a_slot_takes_one_post_and_the_rest_wait_for_theirs(house: OpenHouse) -> None:
    desk = house(rules=slots("15:00", "15:30", "16:00"))
    desk.show(*(article(n, published_at=desk.clock.now() + n * SECOND) for n in range(3)))
    pass_time(desk.room, 3 * HOUR, step=30 * SECOND)
    assert [(time.hour, time.minute) for time in desk.times()] == [(15, 0), (15, 30), (16, 0)]


def test_an_article_seen_by_a_second_look_keeps_its_slot(house: OpenHouse) -> None:
    desk = house(rules=slots("15:00"))
    desk.show(article(1))
    for _ in range(10):
        desk.clock.advance(60)
        look(desk.room)
    (one,) = desk.all()
    assert one.due_at == datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
