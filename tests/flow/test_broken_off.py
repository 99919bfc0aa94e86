"""What breaks beside an outcome: it is written all the same, once, or looked up when its lease ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.errors import SendError, StoreError
from bot.flow import deliver, reconcile
from bot.model import Outcome, Payload, Pending, Post, Reason, Receipt, State
from bot.secrets import Keyring
from bot.store import Store, attempts
from bot.store.accounts import Affect, Effect
from bot.store.schema import accounts
from bot.testing.network import Fake
from bot.testing.network_server import Fault
from bot.testing.newsroom import pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, article

MINUTE = timedelta(minutes=1)


class Brittle(Fake):
    """An adapter with a mistake in it."""

    def render(self, post: Post) -> Payload:
        if "levy" in post.text:
            raise ValueError("nobody expected this")
        return super().render(post)


def test_whatever_stands_in_the_next_posts_way_the_outcome_of_this_one_is_written(house: OpenHouse) -> None:
    desk = house()
    desk.room.accounts = {"one": replace(desk.room.accounts["one"], network=Brittle)}
    desk.planned(article(0), article(1))
    with pytest.raises(ValueError, match="nobody expected"):
        deliver.run_account(desk.room, "one")
    assert desk.states() == {(State.SENT, Reason.SENT): 1, (State.WAITING, Reason.ROUTE): 1}
    assert desk.room.in_flight == set()


class Misjudged(SendError):
    """An error whose words can't be read."""

    @property
    def words(self) -> str:
        raise ValueError("nobody expected this")

    @words.setter
    def words(self, value: str) -> None: ...


class Wordless(Fake):
    """Its answers come; what it makes of them can't be written."""

    def send(self, payload: Payload, key: str) -> Receipt | Pending:
        super().send(payload, key)
        raise Misjudged


def test_an_outcome_that_cant_be_written_for_another_reason_is_looked_up_when_its_lease_ends(house: OpenHouse) -> None:
    desk = house()
    room = desk.room
    desk.planned(article(1))
    plain = room.accounts
    room.accounts = {"one": replace(plain["one"], network=Wordless)}
    with pytest.raises(ValueError, match="nobody expected"):
        deliver.run_account(room, "one")
    room.accounts = plain
    pass_time(room, 5 * MINUTE, step=MINUTE / 4)
    assert desk.outcomes() == [Outcome.FOUND]
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def on_the_wire(house: House) -> tuple[deliver.Started, Receipt]:
    """Two posts are due; the first one's receipt came, and is not written yet."""
    house.planned(article(1), article(2))
    started = deliver.start(house.room, "one")
    assert isinstance(started, deliver.Started)
    receipt = deliver.send(house.room, started)
    assert isinstance(receipt, Receipt)
    return started, receipt


def refusing_once(store: Store, point: str) -> None:
    """At this point of a commit the database goes away, once."""
    left = [point]

    def crash(at: str) -> None:
        if at in left:
            left.remove(at)
            raise StoreError("The database is gone.")

    store.crash = crash


def test_a_refused_start_whose_reason_cant_be_written_leaves_the_outcome_before_it_alone(house: OpenHouse) -> None:
    """It was written once more, as one that came late: an alert about a double post that there never was."""
    desk = house()
    started, receipt = on_the_wire(desk)

    def block(point: str) -> None:  # after the next post was read ahead
        if point == "deliver before finish":
            desk.store.commit(Affect("one", Effect(blocked_until=desk.clock.now() + MINUTE)))

    desk.room.crash = block
    refusing_once(desk.store, "before commit MarkDirty")
    with pytest.raises(StoreError):
        deliver._recorded(desk.room, started, receipt, lambda: True)
    assert desk.events("late_receipt") == []
    assert desk.states() == {(State.SENT, Reason.SENT): 1, (State.WAITING, Reason.ROUTE): 1}


def test_an_outcome_that_stands_though_its_commit_failed_is_no_late_one(both: OpenHouse) -> None:
    """A connection that breaks at a commit leaves open whether it stands; what is then tried again may be there."""
    house = both()
    started, receipt = on_the_wire(house)
    refusing_once(house.store, "after commit Finish")
    with pytest.raises(StoreError):
        deliver.finish(house.room, started, receipt)
    assert deliver.finish(house.room, started, receipt)
    assert house.events("late_receipt") == []
    with house.store.read() as tx:
        assert attempts.by_id(tx, started.attempt.id).outcome is Outcome.RECEIPT


def test_an_account_whose_credentials_cant_be_opened_keeps_no_other_from_being_looked_up(house: OpenHouse) -> None:
    desk = house("one", "two")
    desk.show(article(1))
    desk.server.faults.extend([Fault.LOST_AFTER, Fault.LOST_AFTER])
    desk.show(article(1), article(2))
    with desk.store.engine.begin() as connection:
        sealed = Keyring((b"1" * 32,)).encrypt("{}", place="accounts.one.credentials")
        connection.execute(accounts.update().where(accounts.c.name == "one").values(credentials=sealed))
    for _ in range(10):
        with pytest.raises(StoreError):
            reconcile.run(desk.room)
        desk.clock.advance(15)
    assert {(one.account, one.state, one.confirmed_at is not None) for one in desk.all()} == {
        ("one", State.SENT, False),
        ("one", State.UNKNOWN, False),
        ("two", State.SENT, True),
    }
