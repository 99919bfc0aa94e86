"""What networks ask us to wait for, what they cost, and what one address of ours may ask."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot import alerts
from bot.alerts.causes import causes_of
from bot.flow import check
from bot.flow.newsroom import Account
from bot.model import Pace, Payload, Post, Reason, State
from bot.networks.base import Cost, Network
from bot.settings.shape import Alerts
from bot.store import accounts, attempts
from bot.testing.clock import ManualClock
from bot.testing.network import Fake
from bot.testing.network_server import FakeServer, Fault
from bot.testing.newsroom import pass_time, settle_down
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Dear(Fake):
    """A network that charges 20 cents for each post."""

    cost = Cost(publish=Decimal("0.2"), publish_link=Decimal("0.2"))

    def render(self, post: Post) -> Payload:
        return replace(super().render(post), cost="0.2")


class Narrow(Fake):
    """A network that takes 30 requests in 5 minutes from one address, whatever the account."""

    pace = Pace(per_host=(30, timedelta(minutes=5)))


class Logging(FakeServer):
    """A server that notes when it was asked what."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.asked: list[tuple[datetime, str, str, str]] = []
        self.time = clock

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Any:
        answer = super().answer(method, target, headers, body)
        self.asked.append((self.time.now(), *self.requests[-1]))
        return answer

    def posts_asked(self, account: str = "1") -> list[datetime]:
        return [at for at, method, path, who in self.asked if (method, path, who) == ("POST", "/posts", account)]


def on(house: House, kind: type[Network]) -> None:
    """The house's accounts are on another kind of network from now on."""
    house.room.accounts = {name: Account(name, kind, one.options) for name, one in house.room.accounts.items()}


def open_causes(house: House) -> dict[str, str]:
    """The open causes for alarm, by kind and subject, with their words."""
    return {cause: words for cause, (_, words) in causes_of(alerts.read(house.room, timedelta(days=3))).items()}


@pytest.mark.parametrize("style", ["HTTP date", "ISO time", "seconds"])
def test_p83_p84_a_limit_of_38_seconds_is_kept_to_ten_seconds_whatever_its_form(
    house: OpenHouse, clock: ManualClock, style: str
) -> None:
    server = Logging(clock)
    desk = house(server=server)
    server._limited = ("HTTP date", "ISO time", "seconds").index(style)
    server.faults.append(Fault.LIMITED)
    desk.show(article(1))
    pass_time(desk.room, MINUTE, step=SECOND)
    first, second = server.posts_asked()
    assert 38 * SECOND <= second - first <= 50 * SECOND
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    (one,) = desk.all()
    assert one.tries == 1  # a wait that the network asked for costs no try


def test_p83_a_pause_of_twelve_hours_outlives_restarts_and_others_go_on(house: OpenHouse, clock: ManualClock) -> None:
    server = Logging(clock)
    desk = house("one", "two", server=server, max_age="24h")
    server._limited = 2
    server.limit = 43_837 * SECOND
    server.fault = lambda account, body: Fault.LIMITED if account == "1" else None
    desk.show(article(1))
    began = clock.now()
    with desk.store.read() as tx:
        row = accounts.by_name(tx, "one")
    assert row is not None
    assert row.blocked_until is not None
    assert 43_837 * SECOND <= row.blocked_until - began <= 43_850 * SECOND
    for number in range(2, 6):
        other = desk.newsroom(f"worker-{number}")
        desk.source.show(*(article(n) for n in range(1, number + 1)))
        pass_time(other, 3 * HOUR, step=HOUR)
    assert len(server.posts_asked("1")) == 1
    assert len(server.visible("2")) == 5
    server.fault = lambda account, body: None
    pass_time(other, HOUR, step=5 * MINUTE)
    assert len(server.visible("1")) == 5


def test_p84_a_rest_of_years_is_not_believed_and_told(house: OpenHouse) -> None:
    desk = house(max_age="48h")
    desk.server._limited = 1
    desk.server.limit = timedelta(days=365 * 55)
    desk.server.faults.append(Fault.LIMITED)
    desk.show(article(1))
    assert len(desk.events("long_limit")) == 1
    assert "long_limit one" in open_causes(desk)
    pass_time(desk.room, 27 * HOUR, step=HOUR)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_p85_twenty_accounts_on_one_host_never_pass_its_limit_together(house: OpenHouse, clock: ManualClock) -> None:
    server = Logging(clock)
    desk = house(*(f"a{n:02}" for n in range(20)), server=server)
    clock.advance(HOUR)
    settle_down(desk.room)
    clock.advance(10 * MINUTE)
    on(desk, Narrow)
    server.asked.clear()
    desk.show(article(1), article(2))
    pass_time(desk.room, HOUR, step=MINUTE)
    times = [at for at, *_ in server.asked]
    assert max(sum(at <= other < at + 5 * MINUTE for other in times) for at in times) <= 30
    assert desk.states() == {(State.SENT, Reason.SENT): 40}


def test_p86_the_post_that_the_budget_cannot_pay_is_held_and_marks_are_told(house: OpenHouse) -> None:
    desk = house(account={"caps": {"cost_month": "5.00 USD"}})
    on(desk, Dear)
    for number in range(26):
        desk.source.show(*(article(n) for n in range(max(0, number - 2), number + 1)))
        pass_time(desk.room, SECOND, step=SECOND)
        desk.clock.advance(310)  # the source is looked at every five minutes
        settle_down(desk.room)
        if number == 20:
            assert "budget 80 one" in open_causes(desk)
    pass_time(desk.room, 10 * MINUTE, step=MINUTE)
    assert len(desk.server.posts) == 25
    assert desk.states() == {(State.SENT, Reason.SENT): 25, (State.HELD, Reason.BUDGET): 1}
    assert "budget 100 one" in open_causes(desk)
    with desk.store.read() as tx:
        assert attempts.spent_in(tx, "1", "2026-11") == Decimal("5.00")
    assert sum(Decimal(one.cost) for one in desk.all() if one.state is State.SENT) == Decimal("5.00")


def test_p86_money_is_given_back_for_what_never_went_out(house: OpenHouse) -> None:
    desk = house(account={"caps": {"cost_month": "5.00 USD"}})
    on(desk, Dear)
    desk.server.faults.extend([Fault.LIMITED, Fault.LOST_BEFORE, Fault.REFUSED])
    desk.show(article(1))
    pass_time(desk.room, 4 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.REJECTED, Reason.REFUSED): 1}
    with desk.store.read() as tx:
        assert attempts.spent_in(tx, "1", "2026-11") == Decimal(0)


def test_p86_a_new_month_has_a_new_budget(house: OpenHouse, clock: ManualClock) -> None:
    clock.advance(datetime(2026, 11, 30, 20, tzinfo=clock.now().tzinfo) - clock.now())
    desk = house(account={"caps": {"cost_month": "0.20 USD"}})
    on(desk, Dear)
    desk.show(article(1))
    desk.show(article(1), article(2))
    assert desk.states() == {(State.SENT, Reason.SENT): 1, (State.HELD, Reason.BUDGET): 1}
    clock.advance(timedelta(hours=5))
    desk.show(article(1), article(2), article(3))
    assert clock.now().date() == date(2026, 12, 1)
    assert len(desk.server.posts) == 2


def test_p87_without_credit_the_account_is_parked_probed_hourly_and_keeps_its_queue(
    house: OpenHouse, clock: ManualClock
) -> None:
    server = Logging(clock)
    desk = house("one", "two", server=server, max_age="24h")
    server.fault = lambda account, body: Fault.BILLING if account == "1" else None
    desk.show(*(article(n) for n in range(5)))
    assert "billing one" in open_causes(desk)
    assert alerts.run(desk.room, Alerts())
    assert not alerts.run(desk.room, Alerts())
    for _ in range(36):  # the hourly check of the token is good each time, and ends nothing
        pass_time(desk.room, 10 * MINUTE, step=10 * MINUTE)
        assert "billing one" in open_causes(desk)
    refused = server.posts_asked("1")
    assert len(refused) <= 7
    assert all(later - earlier >= HOUR for earlier, later in itertools.pairwise(refused))
    assert len(refused) >= 5
    assert len(desk.events("account_parked")) == 1
    assert sum(one.state is State.WAITING for one in desk.all()) == 5
    assert len(server.visible("2")) == 5
    server.fault = lambda account, body: None
    pass_time(desk.room, 70 * MINUTE, step=5 * MINUTE)
    assert len(server.visible("1")) == 5
    assert open_causes(desk) == {}


@pytest.mark.parametrize("by_hand", [False, True], ids=["by itself", "by hand"])
def test_want_of_money_ends_by_a_persons_word_but_not_by_a_good_check(house: OpenHouse, by_hand: bool) -> None:
    desk = house()
    desk.server.faults.append(Fault.BILLING)
    desk.show(article(1))
    assert check.confirm_identity(desk.room, "one", by_hand=by_hand)
    settle_down(desk.room)
    assert len(desk.server.posts) == by_hand
    assert ("billing one" in open_causes(desk)) is not by_hand


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE])
def test_a_trial_without_an_answer_ends_want_of_money_only_if_it_is_found(house: OpenHouse, fault: Fault) -> None:
    desk = house()
    desk.server.faults.extend([Fault.BILLING, fault])
    desk.show(article(1))
    pass_time(desk.room, 64 * MINUTE, step=MINUTE)
    assert ("billing one" in open_causes(desk)) is (fault is Fault.LOST_BEFORE)
    assert len(desk.server.posts) == (fault is Fault.LOST_AFTER)


def test_a_login_that_dies_while_there_is_no_money_is_said(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.extend([Fault.BILLING, Fault.DEAD])
    desk.show(article(1))
    assert set(open_causes(desk)) == {"billing one"}
    pass_time(desk.room, 61 * MINUTE, step=MINUTE)
    assert set(open_causes(desk)) == {"login one"}


def test_a_refused_text_is_refused_once_and_the_next_goes(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.REFUSED)
    desk.show(article(1), article(2))
    pass_time(desk.room, HOUR, step=5 * MINUTE)
    assert desk.states() == {(State.REJECTED, Reason.REFUSED): 1, (State.SENT, Reason.SENT): 1}
    rejected = next(one for one in desk.all() if one.state is State.REJECTED)
    assert rejected.reason.detail == "not allowed here"
