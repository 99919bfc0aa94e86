"""Nothing fails in the dark: one source or account that is ill delays no other, and each skip has its reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot import alerts
from bot.alerts.causes import causes_of
from bot.errors import Blocked, Ended, NotFeed, Unreachable
from bot.flow import discover
from bot.flow.newsroom import Newsroom
from bot.model import Reason, State
from bot.sources.base import SourceOptions
from bot.store import Store, sources
from bot.testing.clock import ManualClock
from bot.testing.network_server import FakeServer, Fault
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom, pass_time, settle_down
from bot.testing.source import Scripted
from tests.flow.conftest import OpenHouse
from tests.flow.ledger_check import faults
from tests.flow.stories import WORDS, House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def many(store: Store, clock: ManualClock, number: int, server: FakeServer) -> tuple[Newsroom, dict[str, Scripted]]:
    """A newsroom with so many sources."""
    scripts = {f"s{index:02}": Scripted(f"s{index:02}") for index in range(number)}
    rules = editorial({"one": {}}, defaults={**AT_ONCE, "near_duplicate": "warn"})
    return newsroom(store, clock, rules, server=server, sources=scripts), scripts


def of(source: str, number: int) -> list[object]:
    headline = f"{WORDS[number % len(WORDS)]} in {source}"
    return [article(number, source=source, headline=headline, link=f"https://www.example.com/{source}/{number}")]


def test_p29_one_source_that_raises_and_one_that_is_empty_delay_no_other(
    sqlite_store: Store, clock: ManualClock
) -> None:
    server = FakeServer(clock)
    room, scripts = many(sqlite_store, clock, 50, server)
    look(room)
    clock.advance(60)
    scripts["s00"].error = Unreachable("connection reset")
    for name, script in scripts.items():
        if name not in ("s00", "s01"):
            script.show(*of(name, 1))
    before = {name: script.looks for name, script in scripts.items()}
    pass_time(room, 5 * MINUTE + 30 * SECOND, step=30 * SECOND)  # the interval and 10 %
    polled = [name for name, script in scripts.items() if script.looks > before[name]]
    assert len(polled) == 50
    assert {post.link for post in server.posts} == {f"https://www.example.com/s{n:02}/1" for n in range(2, 50)}
    assert faults(sqlite_store, server) == []


@pytest.mark.parametrize(
    "error", [Unreachable("DNS"), NotFeed("an HTML page"), Blocked("403", status=403), Ended("410")]
)
def test_p29_a_source_in_trouble_is_noted_and_its_state_kept(house: OpenHouse, error: Exception) -> None:
    desk = house()
    desk.source.error = error
    look(desk.room)
    with desk.store.read() as tx:
        (row,) = sources.all_sources(tx)
    assert row.errors == 1
    assert row.last_error == str(error)
    assert row.cursor == {"looks": 1}
    assert row.ended == isinstance(error, Ended)


def test_p114_three_days_of_twenty_sources_miss_no_poll(sqlite_store: Store, clock: ManualClock) -> None:
    slow = SourceOptions(every=3 * HOUR)
    scripts = {f"s{index:02}": Scripted(f"s{index:02}", slow) for index in range(20)}
    room = newsroom(sqlite_store, clock, editorial({"one": {}}), sources=scripts)
    last = {name: (0, clock.now()) for name in scripts}
    longest = timedelta(0)
    for _ in range(3 * 24):
        clock.advance(HOUR)
        discover.run(room)
        for name, script in scripts.items():
            looks, at = last[name]
            if script.looks > looks:
                longest = max(longest, clock.now() - at)
                last[name] = (script.looks, clock.now())
    assert longest <= 4 * HOUR
    assert all(script.looks >= 3 * 6 for script in scripts.values())
    with sqlite_store.read() as tx:
        assert all(row.errors == 0 for row in sources.all_sources(tx))


def test_p23_an_overdue_post_is_named_with_its_account(house: OpenHouse) -> None:
    desk = house("one", "two")
    desk.show(article(1))
    desk.server.fault = lambda account, body: None
    desk.source.show(article(1), article(2))
    discover.run(desk.room, anyway=True)
    from bot.flow import plan, schedule

    plan.run(desk.room)
    schedule.run(desk.room)
    desk.clock.advance(5 * MINUTE + SECOND)  # nobody delivers
    found = causes_of(alerts.read(desk.room, timedelta(days=3)))
    assert {"overdue one", "overdue two"} <= set(found)
    settle_down(desk.room)
    assert not [cause for cause in causes_of(alerts.read(desk.room, timedelta(days=3))) if "overdue" in cause]


def test_p29_one_account_in_trouble_delays_no_other(house: OpenHouse) -> None:
    desk = house("a", "b", "c", "d")
    trouble = {"1": Fault.DEAD, "2": Fault.LOST_BEFORE, "3": Fault.LIMITED}
    desk.server.fault = lambda account, body: trouble.get(account)
    desk.show(article(1), article(2))
    assert len(desk.server.visible("4")) == 2
    assert {one.state for one in desk.all()} == {State.SENT, State.WAITING, State.UNKNOWN}


def reasons(desk: House) -> dict[str, Reason]:
    return {one.account: one.reason.reason for one in desk.all()}


def test_p26_every_article_and_account_has_its_decision_with_a_reason(house: OpenHouse) -> None:
    from bot.store import articles, plans

    rules = {
        "routes": [
            {"name": "sport", "when": {"sections": ["Sport"]}, "to": ["one"]},
            {"name": "none", "when": {"sections": ["Ads"]}, "to": [], "reason": "paid"},
        ]
    }
    desk = house("one", "two", rules=rules)
    desk.show(article(1, section="Sport"), article(2, section="Ads"), article(3, section="Opinion"))
    told = {}
    with desk.store.read() as tx:
        for number in (1, 2, 3):
            stored = articles.find(tx, str(article(number).link))[0]
            told[number] = {row[0]: row[2].reasons[0].reason for row in plans.decisions_of(tx, stored.id)}
    assert told[1] == {"one": Reason.ROUTE, "two": Reason.NO_ROUTE}
    assert set(told[2].values()) == {Reason.ROUTE_CLOSED}
    assert told[3] == {"": Reason.NO_ROUTE}
    assert reasons(desk) == {"one": Reason.SENT}
