"""Stop means stop: nothing begins after the switch, nothing is lost by it, and resuming never bursts."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from bot.flow import deliver
from bot.model import Reason, State
from bot.store.stops import Lift, Scope, Stop
from bot.testing.network_server import Fault
from bot.testing.newsroom import look, pass_time, settle_down
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def stop(house: House, scope: Scope, value: str = "", until: timedelta | None = None) -> tuple[int, ...]:
    end = house.store.now() + until if until is not None else None
    return house.store.commit(Stop(id="halt", scope=scope, value=value, reason="tragedy", who="ed", until=end))


#: What each switch lets through of two articles (1: politics, tagged "Rail"; 2: sport) on the accounts one and two.
SCOPES = [
    (Scope.ALL, "", set()),
    (Scope.NETWORK, "fake", set()),
    (Scope.NETWORK, "mastodon", {("1", 1), ("1", 2), ("2", 1), ("2", 2)}),
    (Scope.ACCOUNT, "one", {("2", 1), ("2", 2)}),
    (Scope.SOURCE, "main", set()),
    (Scope.SOURCE, "other", {("1", 1), ("1", 2), ("2", 1), ("2", 2)}),
    (Scope.SECTION, "politics", {("1", 2), ("2", 2)}),
    (Scope.TAG, "rail", {("1", 2), ("2", 2)}),
    (Scope.ARTICLE, "guid-1", {("1", 2), ("2", 2)}),
]


@pytest.mark.parametrize(("scope", "value", "through"), SCOPES, ids=lambda part: part if isinstance(part, str) else "")
def test_p96_a_switch_of_every_scope_holds_what_it_names_and_nothing_else(
    house: OpenHouse, scope: Scope, value: str, through: set[tuple[str, int]]
) -> None:
    desk = house("one", "two", settle="60s")
    items = [article(1, section="Politics", tags=("Rail",)), article(2, section="Sport")]
    desk.show(*items)
    if scope is Scope.ARTICLE:
        from bot.store import articles

        with desk.store.read() as tx:
            value = articles.find(tx, str(items[0].link))[0].id
    stop(desk, scope, value)
    pass_time(desk.room, 5 * MINUTE, step=20 * SECOND)
    out = {(post.account, 1 if post.link == items[0].link else 2) for post in desk.server.posts}
    assert out == through
    waiting = [one for one in desk.all() if one.state is State.WAITING]
    assert len(waiting) == 4 - len(through)
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, MINUTE, step=20 * SECOND)
    assert len(desk.server.posts) == 4


@pytest.mark.parametrize("point", ["deliver after preflight", "deliver before start"])
def test_p92_a_stop_while_a_post_is_being_prepared_comes_before_its_first_byte(both: OpenHouse, point: str) -> None:
    house = both()

    def at(reached: str) -> None:
        if reached == point:
            house.room.crash = lambda other: None
            stop(house, Scope.ALL)

    house.room.crash = at
    house.show(article(1))
    pass_time(house.room, 5 * MINUTE, step=20 * SECOND)
    assert house.server.posts == []
    assert [request for request in house.server.requests if request[0] == "POST"] == []
    assert [one.state for one in house.all()] == [State.WAITING]


def test_p92_a_stop_survives_a_restart(house: OpenHouse) -> None:
    desk = house()
    stop(desk, Scope.ALL)
    desk.show(article(1))
    other = desk.newsroom("worker-2")
    pass_time(other, 5 * MINUTE, step=20 * SECOND)
    assert desk.server.posts == []
    desk.store.commit(Lift("halt", "ed"))
    settle_down(other)
    assert len(desk.server.posts) == 1


def test_a_stop_tells_which_attempts_were_open_already(both: OpenHouse) -> None:
    house = both()
    house.planned(article(1))
    started = deliver.start(house.room, "one")
    assert isinstance(started, deliver.Started)
    assert stop(house, Scope.ALL) == (started.attempt.id,)
    deliver.finish(house.room, started, deliver.send(house.room, started))
    assert house.states() == {(State.SENT, Reason.SENT): 1}


def test_p96_resuming_keeps_the_gap_and_the_caps(house: OpenHouse) -> None:
    desk = house(caps={"hour": 6, "gap": "4m"})
    stop(desk, Scope.ALL)
    desk.show(*(article(n, published_at=desk.clock.now()) for n in range(12)))
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert desk.server.posts == []
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, 3 * HOUR, step=2 * MINUTE)
    times = desk.times()
    assert len(times) == 12
    assert all(after - before >= 4 * MINUTE for before, after in itertools.pairwise(times))
    by_hour = [time.replace(minute=0, second=0, microsecond=0) for time in times]
    assert max(by_hour.count(hour) for hour in by_hour) <= 6


def test_a_stop_with_an_end_ends_by_itself_and_does_not_burst(house: OpenHouse) -> None:
    desk = house(caps={"gap": "4m"})
    stop(desk, Scope.ALL, until=30 * MINUTE)
    desk.show(*(article(n, published_at=desk.clock.now()) for n in range(4)))
    pass_time(desk.room, 29 * MINUTE, step=MINUTE)
    assert desk.server.posts == []
    pass_time(desk.room, 20 * MINUTE, step=20 * SECOND)
    times = desk.times()
    assert len(times) == 4
    assert all(after - before >= 4 * MINUTE for before, after in itertools.pairwise(times))


def test_what_grew_too_old_during_a_stop_is_missed_and_said(house: OpenHouse) -> None:
    desk = house()
    stop(desk, Scope.ALL)
    desk.show(article(1))
    pass_time(desk.room, 7 * HOUR, step=HOUR)
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, MINUTE)
    assert desk.server.posts == []
    assert desk.states() == {(State.SKIPPED, Reason.STALE): 1}


@pytest.mark.parametrize("lift", [True, False])
def test_a_stop_holds_a_resend_and_lets_the_look_go_on(house: OpenHouse, lift: bool) -> None:
    desk = house()
    desk.server.faults.append(Fault.LOST_BEFORE)
    desk.show(article(1))
    stop(desk, Scope.ALL)
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert desk.server.posts == []
    assert [one.state for one in desk.all()] == [State.WAITING]
    if lift:
        desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, MINUTE)
    assert len(desk.server.posts) == int(lift)


def test_a_stop_on_one_account_delays_no_other(house: OpenHouse) -> None:
    desk = house("a", "b", "c")
    stop(desk, Scope.ACCOUNT, "b")
    for number in range(3):
        desk.clock.advance(60)
        desk.source.show(*(article(n) for n in range(number + 1)))
        look(desk.room)
    assert [len(desk.server.visible(account)) for account in "123"] == [3, 0, 3]


@pytest.mark.parametrize(("scope", "value"), [(Scope.SECTION, "politics"), (Scope.TAG, "rail"), (Scope.SOURCE, "main")])
def test_a_stopped_story_does_not_block_those_behind_it(house: OpenHouse, scope: Scope, value: str) -> None:
    desk = house()
    stop(desk, scope, value)
    first = article(1, section="Politics", tags=("Rail",))
    desk.show(first)
    pass_time(desk.room, MINUTE)
    desk.show(first, article(2))
    pass_time(desk.room, MINUTE)
    assert [post.link for post in desk.server.posts] == ([] if scope is Scope.SOURCE else [article(2).link])
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, MINUTE)
    assert len(desk.server.posts) == 2
