"""Taken back, embargoed, placeholder, sensitive: what must not go out, or not yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bot.errors import NotSent, UsageError
from bot.flow import deliver, discover, plan, schedule
from bot.model import Reason, Receipt, State
from bot.sources.base import Gone
from bot.store.articles import Withdraw
from bot.testing.clock import START
from bot.testing.network import FakeOptions
from bot.testing.network_server import Fault
from bot.testing.newsroom import look, pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.people import Person
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def take_back(house: House, *guids: str) -> None:
    house.source.articles = tuple(one for one in house.source.articles if one.guid not in guids)
    house.source.gone = tuple(Gone(guid, "410") for guid in guids)
    look(house.room)


def test_p92_what_disappears_within_its_settle_time_is_never_posted(both: OpenHouse) -> None:
    house = both("one", "two", settle="120s")
    house.show(article(1), article(2))
    pass_time(house.room, 100 * SECOND)
    take_back(house, "guid-1")
    pass_time(house.room, 10 * MINUTE, step=10 * SECOND)
    assert {post.link for post in house.server.posts} == {article(2).link}
    assert house.states() == {(State.SKIPPED, Reason.WITHDRAWN): 2, (State.SENT, Reason.SENT): 2}


def test_p92_the_last_look_finds_that_it_was_taken_back(house: OpenHouse) -> None:
    """No poll was due: only the look just before the send sees it."""
    desk = house(settle="120s")
    desk.show(article(1))
    desk.clock.advance(121)
    desk.source.complete = True
    desk.source.show()
    plan.run(desk.room)
    schedule.run(desk.room)
    deliver.run(desk.room)
    assert desk.server.posts == []
    assert desk.states() == {(State.SKIPPED, Reason.WITHDRAWN): 1}


def test_p91_the_last_look_finds_the_headline_as_it_is_now(house: OpenHouse) -> None:
    desk = house(settle="120s")
    desk.show(article(1))
    desk.clock.advance(121)
    desk.source.show(article(1, headline="Court rules on levy, twice"))
    pass_time(desk.room, 10 * SECOND)
    assert desk.sent() == ["Court rules on levy, twice"]


def test_an_article_that_comes_back_goes_out_once(house: OpenHouse) -> None:
    desk = house(settle="120s")
    desk.show(article(1))
    take_back(desk, "guid-1")
    desk.source.gone = ()
    desk.show(article(1))
    pass_time(desk.room, 5 * MINUTE, step=15 * SECOND)
    take_back(desk, "guid-1")
    desk.source.gone = ()
    desk.show(article(1))
    pass_time(desk.room, 5 * MINUTE, step=15 * SECOND)
    assert len(desk.server.posts) == 1


def test_withdrawn_while_unclear_and_found_stays_sent_for_what_follows(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.LOST_AFTER)
    desk.show(article(1))
    take_back(desk, "guid-1")
    assert desk.states() == {(State.UNKNOWN, Reason.LOST_REPLY): 1}
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_withdrawn_while_held_because_nobody_can_tell_it_stays_a_question(both: OpenHouse) -> None:
    """Found by the simulation: it was out, and the ledger said skipped: nobody would have taken it down."""
    house = both(options={"one": FakeOptions(token=SecretStr("token-1"), find=False)})
    house.server.faults.append(Fault.LOST_AFTER)
    house.show(article(1))
    pass_time(house.room, 11 * MINUTE, step=30 * SECOND)
    take_back(house, "guid-1")
    assert house.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    (one,) = house.all()
    Person(house.room, "ann").confirm(one, Receipt("p1", "https://fake.example.com/p1", house.clock.now()))
    assert house.states() == {(State.SENT, Reason.BY_HAND): 1}


def test_withdrawn_while_held_and_not_there_it_is_not_sent_again(house: OpenHouse) -> None:
    desk = house(options={"one": FakeOptions(token=SecretStr("token-1"), find=False)})
    desk.server.faults.append(Fault.LOST_BEFORE)
    desk.show(article(1))
    pass_time(desk.room, 11 * MINUTE, step=30 * SECOND)
    take_back(desk, "guid-1")
    (one,) = desk.all()
    Person(desk.room, "ann").deny(one)
    pass_time(desk.room, 2 * MINUTE, step=30 * SECOND)
    assert desk.states() == {(State.SKIPPED, Reason.WITHDRAWN): 1}
    assert desk.server.posts == []


def test_withdrawn_while_unclear_and_proved_absent_is_skipped(both: OpenHouse) -> None:
    house = both()
    house.server.faults.append(Fault.LOST_BEFORE)
    house.show(article(1))
    take_back(house, "guid-1")
    pass_time(house.room, 3 * MINUTE, step=15 * SECOND)
    assert house.states() == {(State.SKIPPED, Reason.WITHDRAWN): 1}
    assert house.server.posts == []


def test_withdrawn_between_the_proof_of_absence_and_the_resend_is_not_sent(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.LOST_BEFORE)
    desk.show(article(1))
    from bot.flow import reconcile

    reconcile.run(desk.room)
    desk.clock.advance(61)
    assert reconcile.run(desk.room)
    assert [one.state for one in desk.all()] == [State.WAITING]
    (one,) = desk.all()
    desk.store.commit(Withdraw(one.article, "410"))
    pass_time(desk.room, 5 * MINUTE, step=15 * SECOND)
    assert desk.server.posts == []
    assert desk.states() == {(State.SKIPPED, Reason.WITHDRAWN): 1}


FUTURE = START + 3 * HOUR

#: 50 ways to say that it may not be told before 17:07 UTC (START is 14:07); the house's zone is UTC.
EMBARGOED = [
    *({"embargo_until": FUTURE + n * SECOND} for n in range(12)),
    *({"published_at": FUTURE + n * SECOND} for n in range(12)),
    *({"summary": f"Embargoed until {at} on 24 November 2026. A report."} for at in ("17:07 UTC", "5.07pm GMT") * 7),
    *({"body": f"EMBARGOED: {at} 24 November 2026\nThe report says {n}."} for n, at in enumerate(("17:07 GMT",) * 12)),
]
#: What looks like an embargo and can't be read: a person says when.
UNREADABLE = [
    {"summary": "Embargoed until after the ministers have met."},
    {"summary": "Under embargo until 05/11/2026."},
    {"summary": "Embargoed until midnight."},
    {"summary": "NOT FOR PUBLICATION BEFORE the second reading."},
    {"body": "Embargoed until Friday, 26 November 2026, 09:00"},
]


def test_p93_fifty_embargoes_hold_over_restarts_and_clock_jumps(house: OpenHouse) -> None:
    assert len(EMBARGOED) == 50
    desk = house()
    for start in range(0, 50, 10):  # five polls: more at once would trip the breaker
        desk.source.show(*(article(n, **EMBARGOED[n]) for n in range(start, start + 10)))
        look(desk.room)
        desk.clock.advance(1)
    room = desk.room
    for number, jump in enumerate((HOUR, -HOUR, 2 * HOUR, -2 * HOUR)):
        desk.clock.step_wall(jump)
        pass_time(room, 2 * MINUTE, step=30 * SECOND)
        desk.clock.step_wall(-jump)
        room = desk.newsroom(f"worker-{number + 2}")
        pass_time(room, 25 * MINUTE, step=5 * MINUTE)
    early = [post.link for post in desk.server.posts]
    assert early == []
    pass_time(room, 2 * HOUR, step=5 * MINUTE)
    assert len(desk.server.posts) == 50
    assert min(post.visible_at for post in desk.server.posts) >= FUTURE


def test_an_embargo_that_comes_while_a_post_waits_for_its_next_try_holds(house: OpenHouse) -> None:
    """The delay of a try outranked the article's own: it went out when that was over, under embargo."""
    desk = house(max_age="24h")
    desk.server.faults.append(Fault.LIMITED)
    desk.server.limit = HOUR
    desk.show(article(1))
    assert desk.states() == {(State.WAITING, Reason.NETWORK_LIMIT): 1}
    until = desk.clock.now() + 3 * HOUR
    desk.show(article(1, embargo_until=until))
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert desk.server.posts == []
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert min(desk.times()) >= until


def test_an_embargo_holds_before_the_post_that_was_due_is_timed_anew(both: OpenHouse) -> None:
    """Between plan and schedule it kept its old time; and the delay after that try outranked the embargo's."""
    desk = both(max_age="24h")
    desk.planned(article(1))
    until = desk.clock.now() + 3 * HOUR
    desk.source.show(article(1, embargo_until=until))
    discover.run(desk.room, anyway=True)
    plan.run(desk.room)
    assert not deliver.run(desk.room)
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert desk.server.posts == []
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert min(desk.times()) >= until


@pytest.mark.parametrize("said", [{"embargo_until": START + 3 * HOUR}, {"headline": "Lorem ipsum dolor"}])
def test_what_comes_while_a_post_is_on_the_wire_holds_if_it_did_not_get_there(
    house: OpenHouse, said: dict[str, Any]
) -> None:
    """Plan leaves alone what is under way; once it waited again, it went out under embargo at its next try."""
    desk = house(max_age="24h")
    desk.planned(article(1))
    started = deliver.start(desk.room, "one")
    assert isinstance(started, deliver.Started)
    desk.planned(article(1, **said))
    deliver.finish(desk.room, started, NotSent("no way there"))
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert desk.server.posts == []
    pass_time(desk.room, 2 * HOUR, step=5 * MINUTE)
    assert len(desk.server.posts) == ("embargo_until" in said)


@pytest.mark.parametrize("said", UNREADABLE)
def test_p93_an_embargo_that_cannot_be_read_is_held_for_two_people(house: OpenHouse, said: dict[str, str]) -> None:
    desk = house()
    desk.show(article(1, **said))
    pass_time(desk.room, 26 * HOUR, step=HOUR)
    assert desk.states() == {(State.HELD, Reason.EMBARGO_UNCLEAR): 1}
    (one,) = desk.all()
    with pytest.raises(UsageError, match="--second"):
        Person(desk.room, "ann").release(one)
    with pytest.raises(UsageError, match="--second"):
        Person(desk.room, "ann").release(one, second="ann")
    assert desk.server.posts == []
    Person(desk.room, "ann").release(one, second="bo")
    (one,) = desk.all()
    assert one.reason.detail == "ann and bo"


def test_p70_a_date_far_ahead_is_held_and_a_near_one_waits(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1, published_at=START + 30 * HOUR), article(2, published_at=START + 2 * HOUR))
    assert desk.states()[State.HELD, Reason.FAR_FUTURE] == 1
    pass_time(desk.room, 2 * HOUR, step=MINUTE)
    assert [post.link for post in desk.server.posts] == [article(2).link]
    assert desk.server.posts[0].visible_at >= START + 2 * HOUR


PLACEHOLDERS = ("TK TK headline", "Lorem ipsum dolor sit amet", "test", "DO NOT PUBLISH: draft", "Headline here")


def test_p57_placeholders_are_held_until_a_named_person_releases_them(house: OpenHouse) -> None:
    desk = house()
    desk.show(*(article(n, headline=headline) for n, headline in enumerate(PLACEHOLDERS)))
    pass_time(desk.room, HOUR, step=10 * MINUTE)
    assert desk.states() == {(State.HELD, Reason.LINT): len(PLACEHOLDERS)}
    assert desk.server.posts == []
    Person(desk.room, "ann").release(desk.all()[0])
    pass_time(desk.room, MINUTE)
    assert len(desk.server.posts) == 1
    released = desk.events("delivery_release")
    assert [event.who for event in released] == ["ann"]


def test_p57_a_mended_headline_needs_nobody(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1, headline="TK TK headline"))
    assert desk.states() == {(State.HELD, Reason.LINT): 1}
    desk.show(article(1, headline="Court rules on levy"))
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_p57_released_it_stays_released_when_the_article_changes(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1, headline="Testing, testing: test"))
    assert desk.states() == {(State.HELD, Reason.LINT): 1}
    desk.server.down = True
    Person(desk.room, "ann").release(desk.all()[0])
    desk.show(article(1, headline="Testing, testing: test", summary="A band's new record."))
    desk.server.down = False
    pass_time(desk.room, 2 * MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_p58_an_edited_text_on_a_sensitive_story_needs_a_second_person(house: OpenHouse) -> None:
    desk = house(settle="120s")
    desk.show(article(1, headline="Jury acquits Lawson", tags=("trial",)))
    ann, bo = Person(desk.room, "ann"), Person(desk.room, "bo")
    ann.edit(desk.all()[0], "Lawson walks free https://www.example.com/news/1")
    assert desk.states() == {(State.HELD, Reason.SENSITIVE): 1}
    pass_time(desk.room, 10 * MINUTE, step=MINUTE)
    with pytest.raises(UsageError):
        ann.release(desk.all()[0])
    with pytest.raises(UsageError):
        ann.release(desk.all()[0], second="Ann")
    assert desk.server.posts == []
    bo.release(desk.all()[0], second="cy")
    pass_time(desk.room, MINUTE)
    assert desk.sent() == ["Lawson walks free https://www.example.com/news/1"]


def test_p58_an_edited_text_on_any_other_story_goes_out_as_edited(house: OpenHouse) -> None:
    desk = house(settle="120s")
    desk.show(article(1))
    Person(desk.room, "ann").edit(desk.all()[0], "Levy stays, court says https://www.example.com/news/1")
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert desk.sent() == ["Levy stays, court says https://www.example.com/news/1"]


def test_p58_a_text_that_the_source_brings_for_a_sensitive_story_is_held_too(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1, tags=("Death",), texts={"one": "He is gone https://www.example.com/news/1"}))
    pass_time(desk.room, 10 * MINUTE, step=MINUTE)
    assert desk.states() == {(State.HELD, Reason.SENSITIVE): 1}


@pytest.mark.parametrize("after", [2, 9])
def test_what_a_person_releases_goes_out_however_old_it_is(house: OpenHouse, after: int) -> None:
    desk = house(rules={"routes": [{"name": "all", "hold": True}]})
    desk.show(article(1))
    assert desk.states() == {(State.HELD, Reason.ROUTE_HOLD): 1}
    pass_time(desk.room, after * HOUR, step=HOUR)
    Person(desk.room, "ann").release(desk.all()[0])
    pass_time(desk.room, MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_times_of_an_embargo_in_the_text_are_read_in_the_houses_zone(house: OpenHouse) -> None:
    desk = house(rules={"timezone": "America/New_York"})
    desk.show(article(1, summary="Embargoed until 10:30 on 24 November 2026."))
    pass_time(desk.room, 2 * HOUR, step=MINUTE)
    assert desk.server.posts[0].visible_at == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
