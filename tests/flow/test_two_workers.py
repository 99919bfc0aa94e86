"""Two workers on one store: what one of them knows must not undo what the other one learnt."""

from __future__ import annotations

from bot.flow import check, deliver, discover, plan, schedule
from bot.model import Reason, Why
from bot.store import Store, accounts
from bot.testing.clock import ManualClock
from bot.testing.newsroom import look, settle_down
from tests.flow.stories import House, article


def test_p91_a_workers_older_look_never_takes_back_another_workers_correction(store: Store, clock: ManualClock) -> None:
    house = House(store, clock, "one", settle="20s")
    other = house.newsroom("worker-2")
    house.show(article(1, headline="Bridge closed for a week"))
    discover.run(other, anyway=True)  # worker 2's look holds for 30 s
    clock.advance(10)
    house.show(article(1, headline="Bridge closed for a day"))
    clock.advance(15)
    settle_down(other)
    assert [post.text.partition("\n")[0] for post in house.server.visible()] == ["Bridge closed for a day"]
    look(house.room)
    assert len(house.server.visible()) == 1
    house.balances()


def test_p92_a_workers_older_look_withdraws_nothing_that_another_one_saw_since(
    store: Store, clock: ManualClock
) -> None:
    house = House(store, clock, "one", settle="20s")
    house.source.complete = True
    other = house.newsroom("worker-2")
    house.show(article(1))
    discover.run(other, anyway=True)
    clock.advance(5)
    house.show(article(1), article(2))
    clock.advance(24)
    settle_down(other)
    assert len(house.server.visible()) == 2
    house.balances()


def test_p10_losing_a_race_for_an_account_times_nothing_anew(store: Store, clock: ManualClock) -> None:
    """With four workers on an account's backlog, each lost race would else reckon all of its times again."""
    house = House(store, clock, "one")
    other = house.newsroom("worker-2")
    check.run(other)  # nothing leaves a worker that has not asked the networks for the time yet
    house.source.show(*(article(n) for n in range(3)))
    discover.run(house.room, anyway=True)
    for step in (plan, schedule):
        step.run(house.room)
    started = deliver.start(house.room, "one")
    assert isinstance(started, deliver.Started)
    with store.read() as tx:
        assert accounts.dirty(tx) == []
    lost = deliver.start(other, "one")
    assert lost == Why(Reason.GAP)
    with store.read() as tx:
        assert accounts.dirty(tx) == []
    deliver.finish(house.room, started, deliver.send(house.room, started))
    settle_down(house.room)
    assert len(house.server.visible()) == 3
    house.balances()
