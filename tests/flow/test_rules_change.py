"""New settings, new accounts, rehearsal and going live: a change of rules reopens nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.flow import deliver, discover, plan, schedule
from bot.flow.newsroom import Newsroom
from bot.model import Reason, State
from bot.store import articles
from bot.store.articles import Admit
from bot.testing.network_server import Fault
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom, pass_time, settle_down
from tests.flow.conftest import OpenHouse
from tests.flow.people import Person
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def under(house: House, worker: str, **rules: Any) -> Newsroom:
    """The house under other rules: `accounts`, and whatever `editorial` takes."""
    accounts = rules.pop("accounts", {name: {} for name in house.rules.accounts})
    defaults = {**AT_ONCE, "near_duplicate": "warn", **rules.pop("defaults", {})}
    house.rules = editorial(accounts, defaults=defaults, **rules)
    return house.newsroom(worker)


def test_a_change_of_rules_reopens_nothing_that_was_sent_or_skipped_by_a_person(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1), article(2))
    desk.server.down = True
    desk.show(article(1), article(2), article(3))
    Person(desk.room, "ann").skip(next(one for one in desk.all() if one.state is State.WAITING))
    desk.server.down = False
    for number in range(3):
        room = under(
            desk, f"worker-{number + 2}", templates={"default": f"{number}: {{{{ headline }}}} {{{{ link }}}}"}
        )
        pass_time(room, 10 * MINUTE, step=MINUTE)
    assert len(desk.server.posts) == 2
    assert desk.states() == {(State.SENT, Reason.SENT): 2, (State.SKIPPED, Reason.BY_HAND): 1}


def test_what_waits_follows_the_new_template_and_an_edited_text_does_not(house: OpenHouse) -> None:
    desk = house(settle="10m")
    desk.show(article(1), article(2))
    edited = next(one for one in desk.all() if "Storm" in one.text)
    Person(desk.room, "ann").edit(edited, "Coast road shut https://www.example.com/news/2")
    room = under(desk, "worker-2", templates={"default": "New: {{ headline }} {{ link }}"})
    pass_time(room, 12 * MINUTE, step=MINUTE)
    assert sorted(desk.sent()) == [
        "Coast road shut https://www.example.com/news/2",
        "New: Court rules on levy https://www.example.com/news/1",
    ]


def test_more_than_three_new_posts_by_a_change_of_rules_wait_for_a_yes(both: OpenHouse) -> None:
    rules = {"routes": [{"name": "sport", "when": {"sections": ["Sport"]}}]}
    house = both(rules=rules)
    house.show(*(article(n, section="Opinion", published_at=house.clock.now()) for n in range(8)))
    assert house.all() == []
    room = under(house, "worker-2", routes=[{"name": "all"}])
    pass_time(room, 5 * MINUTE, step=MINUTE)
    assert len(house.server.posts) == 3
    assert house.states() == {(State.SENT, Reason.SENT): 3, (State.HELD, Reason.RULES_CHANGED): 5}
    room = under(house, "worker-3", routes=[{"name": "everything"}])
    pass_time(room, 5 * MINUTE, step=MINUTE)
    assert len(house.server.posts) == 3


def test_a_route_that_no_longer_takes_it_skips_what_waits_and_takes_it_again(house: OpenHouse) -> None:
    desk = house(settle="10m", rules={"routes": [{"name": "all"}]})
    desk.show(article(1, section="Sport"))
    room = under(desk, "worker-2", defaults={"settle": "10m"}, routes=[{"name": "no", "when": {"sections": ["News"]}}])
    settle_down(room)
    assert desk.states() == {(State.SKIPPED, Reason.ROUTE_CHANGED): 1}
    room = under(desk, "worker-3", defaults={"settle": "10m"}, routes=[{"name": "all"}])
    pass_time(room, 12 * MINUTE, step=MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_a_route_that_no_longer_takes_what_is_on_the_wire_skips_its_next_try(both: OpenHouse) -> None:
    desk = both(rules={"routes": [{"name": "all"}]})
    rooms: list[Newsroom] = []

    def meanwhile(account: str, body: Mapping[str, Any]) -> Fault:
        rooms.append(under(desk, "worker-2", routes=[{"name": "no", "when": {"sections": ["News"]}}]))
        plan.run(rooms[0])
        return Fault.LIMITED

    desk.server.fault = meanwhile
    desk.source.show(article(1, section="Sport"))
    discover.run(desk.room, anyway=True)
    plan.run(desk.room)
    schedule.run(desk.room)
    assert deliver.run(desk.room)
    desk.server.fault = lambda account, body: None
    pass_time(rooms[0], HOUR, step=5 * MINUTE)
    assert desk.states() == {(State.SKIPPED, Reason.ROUTE_CHANGED): 1}
    assert desk.server.posts == []


def test_an_account_that_joins_gets_only_what_is_first_seen_afterwards(house: OpenHouse) -> None:
    desk = house("one")
    desk.show(*(article(n, published_at=desk.clock.now()) for n in range(5)))
    desk.clock.advance(60)
    room = under(desk, "worker-2", accounts={"one": {}, "two": {}})
    settle_down(room)
    desk.clock.advance(60)
    desk.source.show(*(article(n) for n in range(6)))
    look(room)
    assert [post.link for post in desk.server.visible("2")] == [article(5).link]
    skipped = [one for one in desk.all() if one.account == "two" and one.state is State.SKIPPED]
    assert {one.reason.reason for one in skipped} <= {Reason.BEFORE_ACCOUNT}
    assert len(desk.server.visible("1")) == 6


def test_an_older_article_goes_to_a_new_account_if_a_person_asks(house: OpenHouse) -> None:
    desk = house("one", looked=False)
    desk.show(*(article(n) for n in range(5)))
    assert desk.server.posts == []
    with desk.store.read() as tx:
        stored = articles.find(tx, str(article(2).link))[0]
    desk.store.commit(Admit((stored.id,), "ann", {"one": {"who": "ann"}}))
    settle_down(desk.room)
    assert [post.link for post in desk.server.posts] == [article(2).link]


def test_a_rehearsal_keeps_text_and_time_sends_nothing_and_going_live_posts_only_what_is_new(house: OpenHouse) -> None:
    desk = house(account={"live": False}, caps={"gap": "4m"})
    desk.show(*(article(n, published_at=desk.clock.now() + n * SECOND) for n in range(3)))
    planned = sorted((one.due_at, one.text) for one in desk.all() if one.due_at)
    pass_time(desk.room, 20 * MINUTE, step=10 * SECOND)
    assert [request for request in desk.server.requests if request[0] == "POST"] == []
    assert desk.states() == {(State.SKIPPED, Reason.REHEARSAL): 3}
    times = sorted(one.updated_at for one in desk.all())
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [4 * MINUTE] * 2
    assert all(one.text for one in desk.all())
    assert planned
    room = under(desk, "worker-2", defaults={"caps": {"gap": "4m"}})
    pass_time(room, 10 * MINUTE, step=MINUTE)
    assert desk.server.posts == []
    desk.source.show(*(article(n) for n in range(4)))
    look(room)
    assert [post.link for post in desk.server.posts] == [article(3).link]


def test_an_account_that_goes_back_to_rehearsal_sends_nothing_more(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1))
    room = under(desk, "worker-2", accounts={"one": {"live": False}})
    desk.source.show(article(1), article(2))
    look(room)
    pass_time(room, 5 * MINUTE, step=MINUTE)
    assert len(desk.server.posts) == 1
    assert desk.states() == {(State.SENT, Reason.SENT): 1, (State.SKIPPED, Reason.REHEARSAL): 1}


def test_an_account_that_moves_to_another_network_starts_afresh(house: OpenHouse) -> None:
    from bot.store import accounts
    from bot.store.accounts import Join

    desk = house()
    desk.show(article(1))
    desk.clock.advance(60)
    desk.store.commit(Join((("one", "elsewhere", True),)))
    with desk.store.read() as tx:
        row = accounts.by_name(tx, "one")
    assert row is not None
    assert (row.identity, row.joined_at) == (None, desk.clock.now())


def test_the_same_rules_again_are_no_new_revision(house: OpenHouse) -> None:
    desk = house()
    again = newsroom(desk.store, desk.clock, desk.rules, server=desk.server)
    assert again.rules == desk.room.rules


def test_p108_what_the_editor_sees_is_what_goes_out(house: OpenHouse) -> None:
    desk = house(settle="10m", rules={"templates": {"default": "{{ headline }} · {{ link }}"}})
    desk.show(*(article(n) for n in range(3)))
    shown = sorted(one.text for one in desk.all())
    times = sorted(one.due_at for one in desk.all() if one.due_at)
    pass_time(desk.room, 12 * MINUTE, step=10 * SECOND)
    assert sorted(post.text for post in desk.server.posts) == shown
    assert all(abs(sent - due) <= 10 * SECOND for sent, due in zip(sorted(desk.times()), times, strict=True))
