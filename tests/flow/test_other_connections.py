"""A name of the settings that gets another connection may be somebody else, and is asked before anything goes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from bot.flow import check, deliver
from bot.flow.newsroom import Account
from bot.model import Outcome, Reason, Receipt, State
from bot.store import accounts, attempts
from bot.store.accounts import Checked
from bot.store.stops import Lift, Scope, Stop
from bot.testing.network import FakeOptions
from bot.testing.newsroom import look, pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, article

MINUTE = timedelta(minutes=1)
SWAPPED = {"one": FakeOptions(token=SecretStr("token-2")), "two": FakeOptions(token=SecretStr("token-1"))}


def checked(house: House, name: str = "one") -> bool:
    with house.store.read() as tx:
        row = accounts.by_name(tx, name)
    return row is not None and row.checked_at is not None


def test_two_tokens_that_change_places_post_nothing_where_it_stands_already(both: OpenHouse) -> None:
    """What was out on one identity and waited on the other went out on the first once more, until the hourly check."""
    house = both("one", "two")
    house.store.commit(Stop(id="s", scope=Scope.ACCOUNT, value="two", reason="", who="ed"))
    house.show(article(1))
    house.options = SWAPPED
    house.room.accounts = house.newsroom("read again").accounts
    house.store.commit(Lift("s", "ed"))
    pass_time(house.room, 5 * MINUTE, step=MINUTE)
    assert [post.account for post in house.server.posts] == ["1"]
    assert house.states()[State.WAITING, Reason.ROUTE] == 1
    with house.store.read() as tx:
        assert [row.breaker for row in accounts.all_accounts(tx).values()] == [Reason.LOGIN] * 2


def test_an_account_with_another_token_goes_on_when_it_was_asked_who_it_is(both: OpenHouse) -> None:
    house = both()
    house.show(article(1))
    house.options = {"one": FakeOptions(token=SecretStr("token-1"), size=280)}
    room = house.newsroom("worker-2")
    assert not checked(house)
    house.source.show(article(1), article(2))
    room.unasked = set()
    house.planned(article(1), article(2))
    assert deliver.start(room, "one") is not None
    assert len(house.server.posts) == 1
    look(room)
    assert checked(house)
    assert len(house.server.posts) == 2


def test_the_same_connection_at_a_start_asks_nothing_anew(house: OpenHouse) -> None:
    desk = house()
    desk.newsroom("worker-2")
    assert checked(desk)


def test_who_asked_by_the_connection_before_has_not_asked(house: OpenHouse) -> None:
    """A check that was under way when the settings were read again."""
    desk = house()
    before = desk.room.accounts["one"]
    desk.options = {"one": FakeOptions(token=SecretStr("token-7"))}
    room = desk.newsroom("worker-2")
    identity = check.ask(replace(room, accounts={"one": before}), "one")
    assert desk.store.commit(Checked("one", "fake", identity, mark=before.mark))
    assert not checked(desk)
    check.run(room)
    assert checked(desk)


def test_what_was_begun_by_one_connection_does_not_leave_by_another(house: OpenHouse) -> None:
    desk = house()
    desk.planned(article(1))
    started = deliver.start(desk.room, "one")
    assert isinstance(started, deliver.Started)
    options = FakeOptions(token=SecretStr("token-7"))
    desk.room.accounts = {"one": Account.marked(desk.room.keyring, "one", started.account.network, options)}
    result = deliver.send(desk.room, started)
    assert not isinstance(result, Receipt)
    assert deliver.finish(desk.room, started, result)
    assert desk.server.posts == []
    with desk.store.read() as tx:
        assert attempts.of_delivery(tx, started.delivery.id)[0].outcome is Outcome.NOT_SENT
