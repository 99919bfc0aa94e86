"""What a person does to a post: each act is one conditional move, too late is said, two people are two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest

from bot import desk, looking, standstill, wishes
from bot.cli.telling import story_of
from bot.desk import Act, Case, Desk, TooLate, Unclear
from bot.errors import UsageError, WirepostError
from bot.flow import check, deliver, schedule
from bot.model import Delivery, Move, Reason, State, Why
from bot.store import articles, attempts
from bot.store.articles import Stored
from bot.store.audit import events_of
from bot.store.backlog import never_on
from bot.store.deliveries import MoveDelivery
from bot.store.ledger import imbalances
from bot.store.stops import Scope, Stop, switches
from bot.testing.network_server import Fault, Published
from bot.testing.newsroom import look, pass_time, settle_down
from bot.wishes import Wish, occasion_for
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, article

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TRIAL = {"tags": ("Trial",)}


def person(house: House, who: str = "ana") -> Desk:
    return Desk(store=house.store, editorial=house.room.editorial, who=who)


def planned(house: House, *numbers: int, **more: Any) -> list[Delivery]:
    """Articles come, and their posts wait (nothing is sent)."""
    return house.planned(*(article(number, **more) for number in numbers))


def edit_to(house: House, text: str | None) -> Callable[[Case], Act]:
    def decide(case: Case) -> Act:
        post, limits = wishes.composed_with(house.room, case, text)
        return desk.edit(case, text, post, limits.size)

    return decide


def wish(house: House, number: int, *, again: bool = False, at: datetime | None = None) -> Delivery | None:
    """`wirepost post` in short."""
    with house.store.read() as tx:
        (stored,) = articles.find(tx, str(article(number).link))
    ids, out = wishes.story_on(house.room, stored, "one")
    cases = [person(house).case(one) for one in ids]
    made = wishes.carry_out(house.room, Wish(stored.id, "one", "ana", occasion_for(cases, out, again=again), at))
    settle_down(house.room)
    return made


# -- hold, release, skip, move ------------------------------------------------------------------------------------


def test_a_held_post_stays_until_it_is_released_and_is_then_never_too_old(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1)
    ana = person(house)
    assert ana.do(one.id, desk.hold) == f"Held {one.id} (was planned 14:08). Undo: wirepost release {one.id}"
    pass_time(house.room, 7 * HOUR, step=HOUR)
    assert house.states() == {(State.HELD, Reason.BY_HAND): 1}
    assert house.server.posts == []
    assert ana.do(one.id, desk.release) == f"Released {one.id} on one. Undo: wirepost hold {one.id}"
    settle_down(house.room)
    assert len(house.server.visible()) == 1


def test_every_act_is_in_the_audit_log_with_its_person(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1)
    acts = [desk.hold, desk.release, lambda case: desk.move(case, case.now + HOUR), desk.skip, desk.retry]
    for who, act in zip(("ana", "ben", "cleo", "dora", "emil"), acts, strict=True):
        person(house, who).do(one.id, act)
    with house.store.read() as tx:
        told = [(event.who, event.event) for event in events_of(tx, one.id)]
    assert told == [
        ("ana", "delivery_hold"),
        ("ben", "delivery_release"),
        ("cleo", "delivery_moved"),
        ("dora", "delivery_skip"),
        ("emil", "delivery_reopen"),
    ]


def test_too_late_says_what_became_of_it(both: OpenHouse) -> None:
    house = both()
    house.show(article(1))
    (one,) = house.all()
    for act in (desk.hold, desk.skip, desk.release, desk.retry, lambda case: desk.move(case, case.now)):
        with pytest.raises(TooLate, match=rf"{one.id} went out at 14:08:00: https://fake\.example\.com/"):
            person(house).do(one.id, act)
    assert len(house.server.posts) == 1


def test_on_the_wire_is_too_late(house: OpenHouse) -> None:
    made = house()
    (one,) = planned(made, 1)
    check.run(made.room)  # the first publish waits for it
    schedule.run(made.room)
    started = deliver.start(made.room, "one")
    assert isinstance(started, deliver.Started)
    with pytest.raises(TooLate, match="on the wire just now"):
        person(made).do(one.id, desk.skip)
    deliver.finish(made.room, started, deliver.send(made.room, started))
    assert made.states() == {(State.SENT, Reason.SENT): 1}


def test_an_act_on_a_row_that_just_changed_is_decided_anew(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1)
    raced = []

    def decide(case: Case) -> Act:
        if not raced:
            raced.append(person(house, "ben").do(one.id, lambda other: desk.move(other, other.now + HOUR)))
        return desk.hold(case)

    assert "was planned 15:08" in person(house).do(one.id, decide)
    assert house.states() == {(State.HELD, Reason.BY_HAND): 1}


def test_a_dry_run_writes_nothing(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1)
    dry = Desk(store=house.store, editorial=house.room.editorial, who="ana", dry=True)
    assert dry.do(one.id, desk.hold) == f"would hold {one.id} (was planned 14:08)"
    assert house.all() == [one]


def test_a_pinned_post_goes_at_its_time_and_back_by_its_schedule(house: OpenHouse) -> None:
    made = house(caps={"gap": "30m"})
    planned(made, 1, 2)
    settle_down(made.room)
    (later,) = [each for each in made.all() if each.state is State.WAITING]
    ana = person(made)
    assert "for 14:13" in ana.do(later.id, lambda case: desk.move(case, case.now + 5 * MINUTE))
    pass_time(made.room, 6 * MINUTE, step=MINUTE)
    assert len(made.server.posts) == 2  # a pin passes the gap
    (three,) = [each for each in planned(made, 3) if each.state is State.WAITING]
    natural = three.due_at
    ana.do(three.id, lambda case: desk.move(case, case.now + 2 * HOUR))
    assert ana.do(three.id, lambda case: desk.move(case, None)).startswith(f"Moved {three.id} by its schedule")
    schedule.run(made.room)
    assert next(each.due_at for each in made.all() if each.id == three.id) == natural


def test_a_time_that_has_passed_is_refused(house: OpenHouse) -> None:
    made = house()
    (one,) = planned(made, 1)
    with pytest.raises(UsageError, match="14:07 is over: it is 14:08"):
        person(made).do(one.id, lambda case: desk.move(case, case.now - MINUTE))


def test_a_skipped_post_stays_skipped_when_its_article_changes(both: OpenHouse) -> None:
    house = both()
    house.show(article(1))
    house.clock.advance(60)
    wish(house, 1, again=True, at=house.store.now() + HOUR)
    again = next(one for one in house.all() if one.state is State.WAITING)
    house.clock.advance(60)
    person(house).do(again.id, desk.skip)
    house.show(article(1, headline="Another headline altogether"))
    assert next(one for one in house.all() if one.id == again.id).state is State.SKIPPED


def test_a_persons_pin_outlives_a_new_headline(house: OpenHouse) -> None:
    made = house(looked=True)
    made.server.down = True
    one = wish_new(made, made.store.now() + HOUR)
    person(made).do(one.id, lambda case: desk.move(case, case.now + 2 * HOUR))
    pinned = next(one for one in made.all() if one.id == one.id).pinned_at
    made.show(article(1, headline="Another headline altogether"))
    assert next(one for one in made.all() if one.id == one.id).pinned_at == pinned
    made.server.down = False


def wish_new(house: House, at: datetime) -> Delivery:
    stored = wishes.add(house.room, article(1))
    made = wishes.carry_out(house.room, Wish(stored.id, "one", "ana", at=at))
    assert made is not None
    return made


# -- retry and look-up --------------------------------------------------------------------------------------------


def test_a_refused_post_is_sent_again_on_demand(both: OpenHouse) -> None:
    house = both()
    house.server.faults.append(Fault.REFUSED)
    house.show(article(1))
    (one,) = house.all()
    assert one.state is State.REJECTED
    assert person(house).do(one.id, desk.retry) == f"Planned {one.id} again on one. Undo: wirepost skip {one.id}"
    settle_down(house.room)
    assert house.states() == {(State.SENT, Reason.SENT): 1}


def test_retry_of_what_never_failed_is_refused(house: OpenHouse) -> None:
    made = house(settle="10m")
    (one,) = planned(made, 1)
    with pytest.raises(UsageError, match="nothing failed"):
        person(made).do(one.id, desk.retry)


def test_p92_neither_retry_nor_move_comes_before_the_settle_time(house: OpenHouse) -> None:
    made = house(settle="10m")
    (one,) = planned(made, 1)
    ana = person(made)
    ana.do(one.id, lambda case: desk.move(case, case.now))
    ana.do(one.id, desk.skip)
    ana.do(one.id, desk.retry)
    pass_time(made.room, 9 * MINUTE, step=MINUTE)
    assert made.server.posts == []
    pass_time(made.room, 2 * MINUTE, step=MINUTE)
    assert len(made.server.posts) == 1


def unclear(house: House, fault: Fault = Fault.LOST_AFTER) -> Delivery:
    house.server.faults.append(fault)
    house.show(article(1))
    (one,) = house.all()
    assert one.state is State.UNKNOWN
    return one


@pytest.mark.parametrize("act", [desk.hold, desk.skip, desk.release, desk.retry, lambda case: desk.move(case, None)])
def test_nothing_is_done_to_an_unclear_post_but_looking(house: OpenHouse, act: Callable[[Case], Act]) -> None:
    made = house()
    one = unclear(made)
    with pytest.raises(Unclear, match=f"may be out .*Look first: wirepost lookup {one.id}") as told:
        person(made).do(one.id, act)
    assert told.value.exit_code == 8
    assert len(made.server.posts) == 1


def test_a_look_up_finds_what_is_there(both: OpenHouse) -> None:
    house = both()
    one = unclear(house)
    said = looking.look_up(house.room, person(house).case(one.id))
    assert said.startswith("Found on one: https://fake.example.com/")
    assert said.endswith(f"posted 14:08:00. {one.id} is now sent.")
    assert house.states() == {(State.SENT, Reason.SENT): 1}


def test_a_persons_absence_is_checked_and_never_doubles(both: OpenHouse) -> None:
    house = both()
    one = unclear(house)
    with pytest.raises(Unclear, match="may still be on its way until"):
        looking.send_again(house.room, person(house), one.id)
    house.clock.advance(5 * MINUTE)
    assert "there after all" in looking.send_again(house.room, person(house), one.id)
    settle_down(house.room)
    assert len(house.server.posts) == 1


def test_a_persons_absence_sends_it_again(both: OpenHouse) -> None:
    house = both()
    one = unclear(house, Fault.LOST_BEFORE)
    house.clock.advance(5 * MINUTE)
    assert "by your word" in looking.send_again(house.room, person(house), one.id)
    settle_down(house.room)
    assert len(house.server.posts) == 1
    assert house.states() == {(State.SENT, Reason.SENT): 1}


def test_a_persons_presence_settles_it_with_the_networks_own_id(both: OpenHouse) -> None:
    house = both()
    one = unclear(house)
    url = f"https://fake.example.com/{house.server.posts[0].id}"
    case = person(house).case(one.id)
    person(house).do(one.id, lambda case: desk.there(case, looking.receipt_at(house.room, case, url)))
    (sent,) = house.all()
    assert (sent.state, sent.url, sent.remote_id) == (State.SENT, url, house.server.posts[0].id)
    with pytest.raises(UsageError, match="address is expected"):
        looking.receipt_at(house.room, case, "over there")


@pytest.mark.parametrize(
    ("url", "told"), [("https://fake.example.com/p77", "p77"), ("https://else.example.com/1", None)]
)
def test_an_address_that_the_network_does_not_list_tells_its_id_or_stands_alone(
    both: OpenHouse, url: str, told: str | None
) -> None:
    house = both()
    one = unclear(house, Fault.LOST_BEFORE)
    person(house).do(one.id, lambda case: desk.there(case, looking.receipt_at(house.room, case, url)))
    (sent,) = house.all()
    assert (sent.state, sent.url, sent.remote_id) == (State.SENT, url, told)
    with house.store.read() as tx:
        (attempt,) = attempts.of_delivery(tx, one.id)
        assert imbalances(tx) == []
    assert attempt.receipt is not None
    assert (attempt.receipt.remote_id, attempt.receipt.url) == (told or "", url)
    house.server.posts.append(
        Published(told or "p1", "1", "", None, one.id, "", house.clock.now())
    )  # as the person saw


def test_there_and_not_there_need_a_doubt(both: OpenHouse) -> None:
    """A held post is not let go by saying that it isn't there."""
    house = both()
    house.server.faults.append(Fault.REFUSED)
    house.show(article(1, **TRIAL))
    (one,) = house.all()
    ana = person(house)
    ana.do(one.id, desk.retry)
    ana.do(one.id, edit_to(house, "The court found for her"))
    with pytest.raises(TooLate, match="nothing unclear"):
        looking.send_again(house.room, ana, one.id)
    assert house.states() == {(State.HELD, Reason.SENSITIVE): 1}


# -- two articles that turn out to be one story -------------------------------------------------------------------


def of_article(house: House, number: int) -> tuple[Stored, Delivery]:
    """An article as it is stored, and its post."""
    with house.store.read() as tx:
        (stored,) = articles.find(tx, str(article(number).link))
    (one,) = [each for each in house.all() if each.article == stored.id]
    return stored, one


def test_words_and_time_outlive_the_article_that_they_were_given_to(both: OpenHouse) -> None:
    """The story goes once, in the editor's words, at the editor's time; `why` says where they came from."""
    house = both()
    house.planned(article(1), article(2))
    ana, given = person(house), of_article(house, 2)[1]
    ana.do(given.id, edit_to(house, "As our paper heard"))
    ana.do(given.id, lambda case: desk.move(case, case.now + HOUR))
    at = house.clock.now() + HOUR
    house.planned(article(1, aliases=(str(article(2).link),)))
    pass_time(house.room, 2 * HOUR, step=MINUTE)
    assert house.sent() == ["As our paper heard"]
    assert house.times()[0] >= at
    assert str(article(1).link) in house.server.visible()[0].text
    with house.store.read() as tx:
        told = story_of(tx, of_article(house, 1)[0], ["one"], None).history
    (line,) = (line.words for line in told if line.event == "delivery_taken_over")
    assert line.startswith("one: taken over (")
    assert "edited_text As our paper heard" in line


# -- two people (P58, P93) ----------------------------------------------------------------------------------------


def test_p58_words_that_come_to_a_sensitive_story_wait_for_a_second_person(both: OpenHouse) -> None:
    """The article that they were written for was not sensitive; the one that survives is."""
    house = both()
    second = article(2)
    house.planned(article(1, **TRIAL), second)
    person(house).do(of_article(house, 2)[1].id, edit_to(house, "As our paper heard"))
    house.planned(article(1, aliases=(str(second.link),), **TRIAL))
    pass_time(house.room, HOUR, step=MINUTE)
    assert house.server.posts == []
    assert (State.HELD, Reason.SENSITIVE) in house.states()


def test_p58_words_on_a_story_that_becomes_sensitive_wait_for_a_second_person(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1)
    person(house).do(one.id, edit_to(house, "As our paper heard"))
    planned(house, 1, **TRIAL)
    pass_time(house.room, HOUR, step=MINUTE)
    assert house.states() == {(State.HELD, Reason.SENSITIVE): 1}


def test_p58_an_edited_text_on_a_sensitive_story_waits_for_a_second_person(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1, **TRIAL)
    said = person(house).do(one.id, edit_to(house, "Court clears her"))
    assert "The article's headline: Court rules on levy" in said
    assert "The text: Court clears her" in said
    pass_time(house.room, 5 * MINUTE, step=MINUTE)
    assert house.server.posts == []
    for alone in (None, "", "ana", " ANA "):
        with pytest.raises(UsageError, match="Two people"):
            person(house).do(one.id, lambda case, alone=alone: desk.release(case, alone))
    person(house).do(one.id, lambda case: desk.release(case, "Ben"))
    settle_down(house.room)
    assert [post.text.split("\n")[0] for post in house.server.visible()] == ["Court clears her"]
    with house.store.read() as tx:
        assert events_of(tx, one.id)[-1].who == "ana and Ben"


@pytest.mark.parametrize("way", [*permutations(["hold", "release", "skip", "retry", "now"], 2)], ids="-".join)
def test_p58_no_way_of_one_person_leads_round_the_second(house: OpenHouse, way: tuple[str, ...]) -> None:
    made = house()
    (one,) = planned(made, 1, **TRIAL)
    acts: dict[str, Callable[[Case], Act]] = {
        "hold": desk.hold,
        "release": desk.release,
        "skip": desk.skip,
        "retry": desk.retry,
        "now": lambda case: desk.move(case, case.now),
        "edit": edit_to(made, "Another text"),
    }
    for name in ("edit", *way, "edit", "hold", "retry"):
        with suppress(WirepostError):
            person(made).do(one.id, acts[name])
    with suppress(WirepostError):
        wish(made, 1, again=True)
    made.show(article(1, summary="A new revision.", **TRIAL))
    pass_time(made.room, 2 * MINUTE, step=MINUTE)
    assert [post.text for post in made.server.posts if post.text.startswith("Another text")] == []


def test_p58_editing_a_held_post_makes_its_hold_one_for_two(house: OpenHouse) -> None:
    made = house(rules={"routes": [{"name": "all", "hold": True}]})
    (one,) = planned(made, 1, **TRIAL)
    assert one.reason.reason is Reason.ROUTE_HOLD
    person(made).do(one.id, edit_to(made, "Court clears her"))
    assert made.states() == {(State.HELD, Reason.SENSITIVE): 1}


def test_p93_an_unclear_embargo_is_lifted_by_two_only(both: OpenHouse) -> None:
    house = both()
    (one,) = planned(house, 1, summary="Embargoed until the minister has spoken.")
    assert one.reason.reason is Reason.EMBARGO_UNCLEAR
    ana = person(house)
    with pytest.raises(UsageError, match="embargo"):
        ana.do(one.id, desk.release)
    ana.do(one.id, desk.skip)
    with pytest.raises(UsageError, match="embargo"):
        ana.do(one.id, desk.retry)
    with pytest.raises(TooLate, match="--second"):
        wish(house, 1)
    pass_time(house.room, 5 * MINUTE, step=MINUTE)
    assert house.server.posts == []
    ana.do(one.id, lambda case: desk.retry(case, "ben"))
    settle_down(house.room)
    assert len(house.server.posts) == 1


def test_p93_no_pin_and_no_retry_comes_before_an_embargo(house: OpenHouse) -> None:
    made = house()
    ends = made.store.now() + HOUR
    (one,) = planned(made, 1, embargo_until=ends)
    ana = person(made)
    with pytest.raises(UsageError, match="under embargo until 15:08"):
        ana.do(one.id, lambda case: desk.move(case, case.now))
    ana.do(one.id, desk.skip)
    ana.do(one.id, desk.retry)
    ana.do(one.id, desk.hold)
    ana.do(one.id, desk.release)
    pass_time(made.room, 59 * MINUTE, step=4 * MINUTE)
    assert made.server.posts == []
    pass_time(made.room, 2 * MINUTE, step=MINUTE)
    assert len(made.server.posts) == 1


# -- edit ---------------------------------------------------------------------------------------------------------


def test_an_edit_must_fit_and_says_the_count(house: OpenHouse) -> None:
    made = house()
    (one,) = planned(made, 1)
    with pytest.raises(UsageError, match="400 of 300 characters"):
        person(made).do(one.id, edit_to(made, "x" * 400))
    assert made.all()[0].edited_text is None
    said = person(made).do(one.id, edit_to(made, "A shorter word"))
    assert said.endswith(f"of 300. Undo: wirepost edit {one.id} --reset")
    said = person(made).do(one.id, edit_to(made, None))
    assert said.endswith(f"Undo: wirepost edit {one.id} --text 'A shorter word'")
    settle_down(made.room)
    assert made.server.visible()[0].text.startswith("Court rules on levy")


# -- post by hand, again, backfill --------------------------------------------------------------------------------


def test_the_same_link_goes_again_only_if_it_is_said(both: OpenHouse) -> None:
    house = both()
    house.show(article(1))
    with pytest.raises(TooLate, match=r"had this link already: .* went out at 14:08:00: .*--again"):
        wish(house, 1)
    house.clock.advance(60)
    assert getattr(wish(house, 1, again=True), "occasion", None) == "again-1"
    house.clock.advance(60)
    assert getattr(wish(house, 1, again=True), "occasion", None) == "again-2"
    assert [one.occasion for one in house.all() if one.state is State.SENT] == ["first", "again-1", "again-2"]
    assert len({post.delivery for post in house.server.posts}) == 3
    for post in house.server.posts[:2]:
        post.deleted = True  # what is wanted twice is no doubled post: the balance looks at the last alone


def test_outside_the_window_the_link_may_go_again(house: OpenHouse) -> None:
    made = house(same_link="7d")
    made.show(article(1))
    made.clock.advance(timedelta(days=8))
    assert getattr(wish(made, 1, at=made.store.now() + HOUR), "occasion", None) == "again-1"
    with pytest.raises(TooLate, match="has it already"):
        wish(made, 1, again=True)
    assert len(made.server.posts) == 1


def test_an_unclear_post_is_not_posted_again_by_hand(house: OpenHouse) -> None:
    made = house()
    unclear(made)
    with pytest.raises(Unclear):
        wish(made, 1, again=True)
    assert len(made.server.posts) == 1


def test_a_baseline_article_goes_by_hand_whatever_its_route_and_age(both: OpenHouse) -> None:
    house = both(looked=False, rules={"routes": [{"name": "shut", "to": []}]})
    old = house.store.now() - timedelta(days=30)
    house.show(*(article(number, published_at=old) for number in range(3)))
    assert house.all() == []
    assert wish(house, 1) is not None
    assert house.sent() == ["Court rules on levy"]


def test_a_file_of_a_known_link_never_doubles_it(house: OpenHouse) -> None:
    made = house()
    made.show(article(1))
    stored = wishes.add(made.room, article(1, source="file", guid="elsewhere.md"))
    ids, out = wishes.story_on(made.room, stored, "one")
    with pytest.raises(TooLate, match="had this link already"):
        occasion_for([person(made).case(one) for one in ids], out, again=False)
    with pytest.raises(UsageError, match="no link"):
        wishes.add(made.room, article(2, link=None))


def test_p16_backfill_sends_the_newest_oldest_first_by_the_gap(house: OpenHouse) -> None:
    made = house(looked=False, caps={"gap": "4m"})
    now = made.store.now()
    made.show(*(article(number, published_at=now - HOUR * (20 - number)) for number in range(20)))
    assert made.all() == []
    with made.store.read() as tx:
        found = never_on(tx, "main", "one", since=now - 5 * HOUR, limit=100)
    assert len(found) == 5
    chosen = found[:3][::-1]
    planned_now = wishes.carry_out_all(made.room, tuple(one.id for one in chosen), "one", "ana")
    assert [one.article for one in planned_now] == [one.id for one in chosen]
    pass_time(made.room, 12 * MINUTE, step=MINUTE)
    assert made.sent() == [one.article.headline for one in chosen]
    times = made.times()
    assert all(after - before >= 4 * MINUTE for before, after in pairwise(times))
    with made.store.read() as tx:
        assert len(never_on(tx, "main", "one", since=now - 5 * HOUR, limit=100)) == 2


# -- stop and resume ----------------------------------------------------------------------------------------------


def stop(house: House, scope: Scope = Scope.ALL, value: str = "", name: str = "halt") -> None:
    house.store.commit(Stop(id=name, scope=scope, value=value, reason="wrong figures", who="ana"))


@pytest.fixture
def stopped(house: OpenHouse) -> Iterator[House]:
    """Everything was stopped for seven hours: two stories grew too old, three are fresh, one is not due yet."""
    made = house(caps={"gap": "4m"})
    stop(made)
    made.show(article(1), article(2))
    made.clock.advance(6 * HOUR + 30 * MINUTE)
    late = {"published_at": made.clock.now()}
    made.show(article(1), article(2), *(article(number, **late) for number in (3, 4, 5)), article(6, **late))
    pinned = next(one for one in made.all() if one.text.startswith(article(6).headline))
    person(made).do(pinned.id, lambda case: desk.move(case, case.now + 5 * HOUR))
    made.clock.advance(30 * MINUTE)
    settle_down(made.room)
    assert made.server.posts == []
    yield made


def resume(house: House, choice: str) -> list[standstill.Late]:
    with house.store.read() as tx:
        on = switches(tx)
    late = standstill.late_on_all(house.room, on)
    standstill.treat(person(house), late, choice)
    assert standstill.lift(house.room, on, "ana") == on
    settle_down(house.room)
    pass_time(house.room, HOUR, step=MINUTE)
    return late


@pytest.mark.parametrize(("choice", "sent"), [("fresh", 3), ("send", 5), ("skip", 0)])
def test_p96_resuming_shows_what_came_due_and_never_bursts(stopped: House, choice: str, sent: int) -> None:
    now = stopped.store.now()
    late = resume(stopped, choice)
    goes = [one.goes_at for one in late]
    assert goes == [now, now + 4 * MINUTE, now + 8 * MINUTE, None, None]
    assert len(stopped.server.visible()) == sent
    if choice == "fresh":
        assert stopped.times() == [time for time in goes if time is not None]
    times = stopped.times()
    assert all(after - before >= 4 * MINUTE for before, after in pairwise(times))
    waiting = [one for one in stopped.all() if one.state is State.WAITING]
    assert [one.text.split("\n")[0] for one in waiting] == [article(6).headline]


def test_what_another_stop_holds_did_not_come_due(house: OpenHouse) -> None:
    made = house("one", "two")
    stop(made)
    stop(made, Scope.ACCOUNT, "two", "second")
    made.show(article(1))
    made.clock.advance(HOUR)
    with made.store.read() as tx:
        (first,) = [one for one in switches(tx) if one.id == "halt"]
    assert [one.delivery.account for one in standstill.late_on_all(made.room, [first])] == ["one"]
    standstill.lift(made.room, [first], "ana")
    pass_time(made.room, MINUTE)
    assert [post.account for post in made.server.posts] == ["1"]


def test_a_stop_counts_what_waits_under_it(house: OpenHouse) -> None:
    made = house("one", "two", settle="10m")
    made.show(article(1, section="Sport"), article(2))
    assert standstill.waiting_under(made.room, Scope.ALL, "") == 4
    assert standstill.waiting_under(made.room, Scope.SECTION, "sport") == 2
    assert standstill.waiting_under(made.room, Scope.ACCOUNT, "two") == 2
    assert standstill.waiting_under(made.room, Scope.SOURCE, "other") == 0


def test_a_move_of_a_row_that_changed_is_not_written(both: OpenHouse) -> None:
    house = both()
    (stale,) = planned(house, 1)
    person(house).do(stale.id, desk.hold)
    assert not house.store.commit(MoveDelivery(current=stale, move=Move.SKIP, why=Why(Reason.BY_HAND), who="ben"))
    assert house.states() == {(State.HELD, Reason.BY_HAND): 1}


def test_times_are_said_by_the_newsrooms_clock(house: OpenHouse) -> None:
    made = house(rules={"timezone": "America/New_York"})
    (one,) = planned(made, 1)
    said = person(made).do(one.id, lambda case: desk.move(case, datetime(2026, 11, 25, 14, 30, tzinfo=UTC)))
    assert f"{one.id} for Wed 25 Nov 09:30" in said
    look(made.room)
