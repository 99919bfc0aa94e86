"""Answers with what no store takes in them: the outcome is written all the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bot.model import Identity, Outcome, Reason, State
from bot.testing.clock import ManualClock
from bot.testing.network_server import Answer, FakeServer, Fault
from bot.testing.newsroom import pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.stories import article

MINUTE = timedelta(minutes=1)
HALF, NUL = "cut in the middle \ud83d", "with \0 in it"


class Odd(FakeServer):
    """Its posts and its refusals say what the test says."""

    words = ""
    saying: Mapping[str, Any] = {}

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        answer = super().answer(method, target, headers, body)
        if answer.status == 422:
            answer.body = {"error": self.words}
        elif isinstance(answer.body, dict) and "url" in answer.body:
            answer.body |= self.saying
        elif isinstance(answer.body, dict) and "posts" in answer.body:
            answer.body = {"posts": [{**post, **self.saying} for post in answer.body["posts"]]}
        return answer


@pytest.mark.parametrize("words", [HALF, NUL], ids=["half a character", "nul"])
def test_a_refusal_in_words_that_no_store_takes_is_written(both: OpenHouse, clock: ManualClock, words: str) -> None:
    """SQLite's driver refuses half a character, and PostgreSQL NUL: the post stood in sending, its account too."""
    server = Odd(clock)
    server.words = words
    server.faults.append(Fault.REFUSED)
    house = both(server=server)
    house.show(article(1))
    assert house.states() == {(State.REJECTED, Reason.REFUSED): 1}
    house.show(article(1), article(2))
    assert house.states()[State.SENT, Reason.SENT] == 1


@pytest.mark.parametrize(
    "saying",
    [{"url": HALF}, {"url": NUL}, {"id": NUL}, {"at": "2026-11-24T10:00:00"}, {"at": "0001-01-01T00:00:00+14:00"}],
    ids=["half a character", "nul", "nul in the id", "no zone", "no such year"],
)
def test_a_receipt_that_no_store_takes_as_it_is_is_written(
    both: OpenHouse, clock: ManualClock, saying: Mapping[str, Any]
) -> None:
    server = Odd(clock)
    server.saying = saying
    house = both(server=server)
    house.show(article(1), article(2))
    assert house.states() == {(State.SENT, Reason.SENT): 2}
    assert all(one.sent_at == clock.now() or "at" not in saying for one in house.all())


def test_what_is_found_by_such_an_answer_is_written(both: OpenHouse, clock: ManualClock) -> None:
    server = Odd(clock)
    server.saying = {"url": HALF + NUL}
    server.faults.append(Fault.LOST_AFTER)
    house = both(server=server)
    house.show(article(1))
    pass_time(house.room, 3 * MINUTE, step=MINUTE / 4)
    assert house.outcomes() == [Outcome.FOUND]


def test_who_we_are_is_kept_whatever_characters_we_are_called_by() -> None:
    assert Identity(remote_id="1", name=HALF + NUL).name == "cut in the middle \ufffdwith \ufffd in it"
