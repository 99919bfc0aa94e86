"""Networks that publish in two phases: a container that nobody sees, and its publication by name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.model import Outcome, Reason, State
from bot.sources.base import Gone
from bot.store.stops import Lift, Scope, Stop
from bot.testing.network import FakeOptions
from bot.testing.network_server import Fault
from bot.testing.newsroom import look, pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.stories import article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TWO_PHASES = {"one": FakeOptions(token=SecretStr("token-1"), two_phase=True)}


def test_both_phases_in_a_row_make_one_post(house: OpenHouse) -> None:
    desk = house(options=TWO_PHASES)
    desk.show(article(1))
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert desk.outcomes() == [Outcome.RECEIPT]
    assert len(desk.server.posts) == len(desk.server.drafts) == 1


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.ERROR_AFTER, Fault.GATEWAY_AFTER, Fault.GARBAGE_AFTER])
def test_a_finish_whose_answer_is_lost_is_looked_up_and_not_made_a_second_post(house: OpenHouse, fault: Fault) -> None:
    desk = house(options=TWO_PHASES)
    desk.server.faults.extend([None, fault])
    desk.show(article(1))
    assert len(desk.server.posts) == 1
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert desk.outcomes() == [Outcome.RECEIPT]
    assert len(desk.server.posts) == len(desk.server.drafts) == 1


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_BEFORE, Fault.LIMITED])
def test_a_finish_that_was_not_taken_is_repeated_by_its_container(house: OpenHouse, fault: Fault) -> None:
    desk = house(options=TWO_PHASES)
    desk.server.faults.extend([None, fault])
    desk.show(article(1))
    assert desk.server.posts == []
    pass_time(desk.room, 4 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == len(desk.server.drafts) == 1


def test_a_first_phase_whose_answer_is_lost_shows_nothing_and_ends_in_one_post(house: OpenHouse) -> None:
    desk = house(options=TWO_PHASES)
    desk.server.faults.append(Fault.LOST_AFTER)
    desk.show(article(1))
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == 1
    assert len(desk.server.drafts) == 2


def test_a_stop_between_the_phases_holds_the_publication_until_it_is_lifted(house: OpenHouse) -> None:
    desk = house(options=TWO_PHASES)
    desk.server.faults.extend([None, Fault.LOST_BEFORE])
    desk.show(article(1))
    desk.store.commit(Stop(id="halt", scope=Scope.ALL, value="", reason="breaking tragedy", who="ed"))
    pass_time(desk.room, 20 * MINUTE, step=timedelta(seconds=20))
    assert desk.states() == {(State.SENDING, Reason.ROUTE): 1}
    assert desk.server.posts == []
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, 2 * MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == 1


def test_an_article_withdrawn_between_the_phases_is_never_published(both: OpenHouse) -> None:
    house = both(options=TWO_PHASES)
    house.server.faults.extend([None, Fault.LOST_BEFORE])
    house.show(article(1))
    house.source.articles, house.source.gone = (), (Gone("guid-1", "410"),)
    look(house.room)
    pass_time(house.room, 10 * MINUTE, step=timedelta(seconds=20))
    assert house.states() == {(State.SKIPPED, Reason.WITHDRAWN): 1}
    assert house.outcomes() == [Outcome.ABSENT]
    assert house.server.posts == []


def test_a_container_that_is_gone_is_made_anew(house: OpenHouse) -> None:
    desk = house(options=TWO_PHASES)
    desk.server.faults.extend([None, Fault.LOST_BEFORE])
    desk.show(article(1))
    desk.server.drafts.clear()
    pass_time(desk.room, 4 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert desk.outcomes() == [Outcome.ABSENT, Outcome.RECEIPT]
    assert len(desk.server.posts) == 1


def test_a_pending_post_does_not_block_the_account(house: OpenHouse) -> None:
    desk = house(options=TWO_PHASES)
    desk.server.faults.extend([None, Fault.LOST_BEFORE])
    desk.show(article(1))
    desk.show(article(1), article(2))
    assert [post.link for post in desk.server.visible()] == ["https://www.example.com/news/2"]
    pass_time(desk.room, 3 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 2}


def test_a_dead_worker_between_the_phases_leaves_one_post(both: OpenHouse) -> None:
    house = both(options=TWO_PHASES)
    house.server.faults.extend([None, Fault.LOST_AFTER])
    house.show(article(1))
    house.clock.advance(timedelta(hours=2))
    pass_time(house.newsroom("worker-2"), 3 * MINUTE, step=15 * SECOND)
    assert house.states() == {(State.SENT, Reason.SENT): 1}
    assert len(house.server.posts) == 1
