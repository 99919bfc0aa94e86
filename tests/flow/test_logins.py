"""Tokens that are over, logins that are dead, and who an account is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bot.errors import AuthFailed, Busy, NotSent, SendError, Unknown
from bot.flow import check, deliver
from bot.flow.newsroom import Account
from bot.model import Outcome, Reason, State
from bot.networks.base import Credentials
from bot.store import accounts
from bot.store.accounts import AccountRow
from bot.testing.network import Fake, FakeOptions
from bot.testing.network_server import Fault
from bot.testing.newsroom import editorial, look, newsroom, pass_time, settle_down
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def row(house: House, name: str = "one") -> AccountRow:
    with house.store.read() as tx:
        found = accounts.by_name(tx, name)
    assert found is not None
    return found


def renewals(house: House) -> int:
    return sum(path == "/token" for _, path, _ in house.server.requests)


class Stubborn(Fake):
    """A network whose renewal goes wrong as `answers` says, in their order."""

    answers: list[SendError] = []  # noqa: RUF012 -- the test's own, set on a class made for it

    def refresh(self) -> Credentials:
        if self.answers:
            raise self.answers.pop(0)
        return super().refresh()


def stubborn(house: House, *answers: SendError) -> None:
    """From now on the house's renewals go wrong like this."""
    kind: type[Any] = type("Stubborn", (Stubborn,), {"answers": list(answers)})
    one = house.room.accounts["one"]
    house.room.accounts = {"one": type(one)(one.name, kind, one.options)}


def test_a_token_that_is_over_is_renewed_once_and_the_same_post_goes_out(both: OpenHouse) -> None:
    house = both()
    house.server.faults.append(Fault.EXPIRED)
    house.show(article(1))
    assert house.states() == {(State.SENT, Reason.SENT): 1}
    assert house.outcomes() == [Outcome.EXPIRED, Outcome.RECEIPT]
    assert renewals(house) == 1
    assert len(house.server.posts) == 1


def test_p81_two_workers_renew_one_token_once(both: OpenHouse) -> None:
    house = both()
    house.server.faults.append(Fault.EXPIRED)
    house.planned(article(1))
    started = deliver.start(house.room, "one")
    assert isinstance(started, deliver.Started)
    deliver.finish(house.room, started, deliver.send(house.room, started))
    other = house.newsroom("worker-2")
    with house.store.read() as tx:
        seen = accounts.by_name(tx, "one")
    assert seen is not None
    from bot.store.accounts import BeginRefresh

    assert house.store.commit(BeginRefresh("one", "worker-1", check.REFRESH_LEASE, seen.refreshed_at))
    assert not check.renew(other, "one")
    assert renewals(house) == 0
    house.clock.advance(61)  # worker-1 died with the lock in its hand
    settle_down(other)
    assert renewals(house) == 1
    settle_down(house.room)
    assert renewals(house) == 1
    assert len(house.server.posts) == 1


def test_p79_five_failed_renewals_are_no_dead_login(house: OpenHouse) -> None:
    desk = house()
    trouble = [Busy("500"), Unknown("timed out"), Busy("502"), Unknown("reset"), Busy("500")]
    stubborn(desk, *trouble)
    desk.server.faults.append(Fault.EXPIRED)
    desk.show(article(1))
    pass_time(desk.room, 9 * MINUTE, step=timedelta(seconds=10))
    assert row(desk).breaker is None
    assert len(desk.events("refresh_failed")) == 5
    pass_time(desk.room, 5 * MINUTE, step=timedelta(seconds=10))
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert desk.events("account_parked") == []
    assert len(desk.server.posts) == 1


@pytest.mark.parametrize("trouble", [Busy("500"), Unknown("timed out"), NotSent("no way there")], ids=str)
def test_p79_a_check_whose_token_is_over_and_whose_renewal_fails_on_the_way_is_no_dead_login(
    house: OpenHouse, trouble: SendError
) -> None:
    """The network says 401 and our renewal doesn't reach it: it never refused us, so nobody is told to log in."""
    desk = house()
    stubborn(desk, trouble)
    desk.server.stale.add("1")
    desk.clock.advance(check.EVERY)
    check.run(desk.room)
    assert len(desk.events("refresh_failed")) == 1
    assert (row(desk).breaker, desk.events("account_parked")) == (None, [])
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert renewals(desk) == 1
    desk.show(article(1))
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_p79_only_the_networks_own_refusal_parks_the_account(house: OpenHouse) -> None:
    desk = house()
    stubborn(desk, Busy("500"), AuthFailed("invalid_grant"))
    desk.server.faults.append(Fault.EXPIRED)
    desk.show(article(1))
    assert row(desk).breaker is None
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert row(desk).breaker is Reason.LOGIN
    assert row(desk).breaker_words == "invalid_grant"
    assert len(desk.events("account_parked")) == 1
    assert [one.state for one in desk.all()] == [State.WAITING]


def test_a_dead_login_parks_the_account_and_after_the_login_all_still_fresh_go(house: OpenHouse) -> None:
    desk = house("one", "two", caps={"gap": "0s"})
    desk.server.fault = lambda account, body: Fault.DEAD if account == "1" else None
    desk.show(*(article(n, published_at=desk.clock.now()) for n in range(4)))
    assert len(desk.server.visible("2")) == 4
    assert row(desk, "one").breaker is Reason.LOGIN
    assert sum(method == "POST" and account == "1" for method, _, account in desk.server.requests) == 1
    pass_time(desk.room, 70 * MINUTE, step=5 * MINUTE)
    # The hourly check finds /me answering again; its next post is refused, and the account parks again.
    desk.server.fault = lambda account, body: None
    pass_time(desk.room, 130 * MINUTE, step=5 * MINUTE)
    assert len(desk.server.visible("1")) == 4
    assert desk.states() == {(State.SENT, Reason.SENT): 8}


def test_a_dead_login_is_probed_no_more_than_once_an_hour(house: OpenHouse) -> None:
    desk = house()
    desk.server.fault = lambda account, body: Fault.DEAD
    desk.show(article(1))
    before = len(desk.server.requests)
    pass_time(desk.room, 5 * HOUR, step=2 * MINUTE)
    probes = sum(path == "/me" for _, path, _ in desk.server.requests[before:])
    tries = sum(method == "POST" for method, _, _ in desk.server.requests[before:])
    assert probes <= 5
    assert tries <= 5


def test_a_login_mended_in_the_settings_is_tried_at_once(house: OpenHouse) -> None:
    desk = house()
    desk.server.fault = lambda account, body: Fault.DEAD
    desk.show(article(1))
    assert row(desk).breaker is Reason.LOGIN
    desk.server.fault = lambda account, body: None
    pass_time(desk.room, 5 * MINUTE, step=MINUTE)
    assert desk.server.posts == []
    pass_time(desk.newsroom("worker-2"), timedelta(seconds=5))
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_p80_a_day_of_posts_and_three_restarts_needs_few_logins(house: OpenHouse) -> None:
    """The renewed token is kept, sealed, in the store: a restart uses it again."""
    desk = house()
    desk.server.stale.add("1")
    room = desk.room
    made: list[Any] = []
    for number in range(60):
        made.append(article(number, published_at=desk.clock.now()))
        desk.source.show(*made[-3:])
        look(room)
        desk.clock.advance(14 * MINUTE)
        if number in (15, 30, 45):
            room = desk.newsroom(f"worker-{number}")
    assert len(desk.server.posts) == 60
    assert renewals(desk) <= 5
    sealed = row(desk).credentials
    assert sealed is not None
    assert "fresh-token-1" not in sealed


def test_a_first_post_waits_for_a_good_check(house: OpenHouse) -> None:
    desk = house(looked=False, first_look="all")
    desk.server.down = True
    desk.show(article(1))
    assert row(desk).identity is None
    assert [one.state for one in desk.all()] == [State.WAITING]
    desk.server.down = False
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert row(desk).identity == "1"
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_two_names_of_one_identity_are_an_error_and_only_one_posts(house: OpenHouse) -> None:
    same = FakeOptions(token=SecretStr("token-1"))
    desk = house("one", "two", options={"one": same, "two": same})
    desk.show(article(1))
    assert row(desk, "two").breaker is Reason.LOGIN
    assert len(desk.server.posts) == 1


def test_an_account_renamed_in_the_settings_keeps_its_history_and_doubles_nothing(both: OpenHouse) -> None:
    house = both("one")
    house.show(article(1), article(2))
    joined = row(house).joined_at
    renamed = newsroom(
        house.store,
        house.clock,
        editorial({"desk": {}}, defaults=dict(house.rules.defaults.model_dump(mode="json"))),
        server=house.server,
        sources={"main": house.source},
    )
    house.clock.advance(60)
    house.source.show(article(1), article(2), article(3))
    look(renamed)
    assert row(house, "desk").joined_at == joined
    assert sorted(post.link for post in house.server.posts) == [article(n).link for n in (1, 2, 3)]
    assert {one.account for one in house.all() if one.state is State.SENT} == {"desk"}
    assert house.states()[State.SENT, Reason.SENT] == 3


class Heir(Fake):
    """A network that knows what it renewed from which first token."""

    def refresh(self) -> Credentials:
        return {**super().refresh(), "seed": self.options.token}

    def own_credentials(self) -> bool:
        return self.credentials.get("seed", "") == self.options.token


@pytest.mark.parametrize(("token", "inherits"), [("token-1", True), ("token-2", False)])
def test_an_account_renamed_in_the_settings_keeps_its_renewed_credentials(
    both: OpenHouse, token: str, inherits: bool
) -> None:
    house = both()
    rules = editorial({"desk": {}}, defaults=dict(house.rules.defaults.model_dump(mode="json")))
    house.room.accounts = {"one": Account("one", Heir, house.room.accounts["one"].options)}
    house.server.faults.append(Fault.EXPIRED)
    house.show(article(1))
    assert renewals(house) == 1
    options = {"desk": FakeOptions(token=SecretStr(token))}
    renamed = newsroom(house.store, house.clock, rules, server=house.server, network=Heir, options=options)
    check.run(renamed)
    desk = row(house, "desk")
    assert desk.identity == token[-1]
    kept = {name: secret.get_secret_value() for name, secret in renamed.credentials(desk).items()}
    assert kept == ({"access": "fresh-token-1", "seed": "token-1"} if inherits else {})
    assert (row(house, "one").credentials is None) == inherits
    assert len(house.events("credentials_inherited")) == inherits


def test_a_stranger_who_logs_in_under_an_old_name_inherits_nothing(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1))
    desk.options = {"one": FakeOptions(token=SecretStr("token-7"))}
    stranger = desk.newsroom("worker-2")
    desk.clock.advance(2 * HOUR)
    check.run(stranger)
    assert row(desk).identity == "7"
    assert [event.detail for event in desk.events("account_changed_identity")] == [{"was": "1", "is": "7"}]
    pass_time(stranger, 10 * MINUTE, step=MINUTE)
    assert desk.server.visible("7") == []


@pytest.mark.parametrize("state", ["waiting", "sent"])
def test_an_account_taken_out_of_the_settings_sends_nothing_more(house: OpenHouse, state: str) -> None:
    desk = house("one", "two")
    if state == "waiting":
        desk.server.down = True
    desk.show(article(1))
    desk.server.down = False
    alone = newsroom(
        desk.store,
        desk.clock,
        editorial({"two": {}}, defaults=dict(desk.rules.defaults.model_dump(mode="json"))),
        server=desk.server,
        sources={"main": desk.source},
        options={"two": FakeOptions(token=SecretStr("token-2"))},
    )
    pass_time(alone, 10 * MINUTE, step=MINUTE)
    assert len(desk.server.visible("1")) == (1 if state == "sent" else 0)
    assert len(desk.server.visible("2")) == 1
