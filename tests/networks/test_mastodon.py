"""Mastodon and its relatives: what each promises, and what becomes of a post when the server fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.errors import Busy, SendError, Unknown
from bot.http import Door
from bot.model import Unit
from bot.networks.mastodon import Mastodon, MastodonOptions
from bot.rules.text import measure
from bot.testing.clock import ManualClock
from bot.testing.mastodon_server import Fault, MastodonServer, no_faults, scripted, seeded
from bot.testing.networks import Nowhere
from bot.testing.samples import NOW, SAMPLE_KEY, sample_post

_OPTIONS: dict[str, Any] = {"server": "https://social.example.com", "token": "token-1"}


def _silent(facts: dict[str, Any], **options: Any) -> Mastodon:
    return Mastodon(MastodonOptions(**{**_OPTIONS, **options}), {}, facts, Nowhere())


@pytest.fixture
def door() -> Iterator[Door]:
    with closing(Door(SystemClock(), user_agent="test")) as opened:
        yield opened


def _at(server: MastodonServer, door: Door, facts: dict[str, Any] | None = None) -> Mastodon:
    options = MastodonOptions(**_OPTIONS, base=server.base, allow_private=True)
    return Mastodon(options, {}, facts or {"account": "1"}, door.publishing(allow_private=True))


# software, key seconds, unit, cost of a link, is absence proof
_KINDS = [
    ("mastodon", 3600, Unit.GRAPHEMES, 23, True),
    ("hometown", 3600, Unit.GRAPHEMES, 23, True),
    ("akkoma", 21600, Unit.CHARACTERS, None, False),
    ("pleroma", 21600, Unit.CHARACTERS, None, False),
    ("gotosocial", "none", Unit.CHARACTERS, None, False),
    ("pixelfed", "none", Unit.CHARACTERS, None, False),
    ("takahe", "none", Unit.CHARACTERS, None, False),
    ("something-new", "none", Unit.CHARACTERS, None, False),
]


@pytest.mark.parametrize(("software", "key", "unit", "link", "proof"), _KINDS)
def test_p02_each_software_is_trusted_with_what_it_keeps(
    software: str, key: object, unit: Unit, link: int | None, proof: bool
) -> None:
    facts = {"software": software, "max_characters": 5000, "characters_reserved_per_url": 23}
    adapter = _silent(facts)
    bounds = adapter.bounds()
    assert (adapter.abilities().idempotent, bounds.unit, bounds.link_cost) == (key, unit, link)
    assert (bounds.size, adapter.find_is_proof()) == (5000, proof)


def test_p47_the_warning_counts_too() -> None:
    """Mastodon counts spoiler and text together, so a standing warning takes its room from the text."""
    whole, warned = _silent({}), _silent({}, warning="Weather ⛈️ report")
    assert whole.bounds().size - warned.bounds().size == measure("Weather ⛈️ report", whole.bounds())


def test_a_server_without_scheme_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"server\n.*\^https\?://"):
        MastodonOptions(server="social.example.com", token="t")


def test_check_reads_the_server(door: Door) -> None:
    with MastodonServer(software="mastodon") as server:
        me = _at(server, door).check()
    assert (me.remote_id, me.name) == ("1@social.example.com", "@desk1@social.example.com")
    assert (me.facts["software"], me.facts["account"], me.facts["max_characters"]) == ("mastodon", "1", 500)


def test_p01_three_lost_answers_and_one_status(door: Door) -> None:
    """The server takes the post and answers an error three times; the same key makes it one status in the end."""
    faults = [Fault.ERROR_AFTER, Fault.DROP_AFTER, Fault.ERROR_AFTER]
    with MastodonServer(faults=scripted(faults)) as server:
        adapter = _at(server, door)
        payload = adapter.render(sample_post(adapter.bounds()))
        for _ in faults:
            with pytest.raises(Unknown):
                adapter.send(payload, SAMPLE_KEY)
        receipt = adapter.send(payload, SAMPLE_KEY)
        assert [(status.id, status.key) for status in server.statuses] == [(receipt.remote_id, SAMPLE_KEY)]


def test_p01_where_keys_are_ignored_the_look_up_finds_it(door: Door) -> None:
    start = SystemClock().now() - timedelta(seconds=5)
    with MastodonServer(keys=False, faults=scripted([Fault.DROP_AFTER, None, Fault.DROP_BEFORE])) as server:
        adapter = _at(server, door)
        payload = adapter.render(sample_post(adapter.bounds()))
        other = adapter.render(
            sample_post(adapter.bounds(), headline="Ferry pier", link="https://www.example.com/ferry")
        )
        with pytest.raises(Unknown):
            adapter.send(payload, SAMPLE_KEY)
        found = adapter.find(payload, SAMPLE_KEY, start)
        assert found is not None
        assert found.remote_id == server.statuses[0].id
        adapter.send(payload, SAMPLE_KEY)
        assert len(server.statuses) == 2, "this server must ignore keys, or the test shows nothing"
        with pytest.raises(Unknown):
            adapter.send(other, "6b" * 32)
        assert adapter.find(other, "6b" * 32, start) is None


def test_p02_a_lost_reply_is_found_behind_all_that_a_server_takes_in_three_hours(door: Door) -> None:
    """Sent as fast as the server takes it, 300 posts stand there within minutes: a look-up must see behind them."""
    start = SystemClock().now() - timedelta(seconds=5)
    with MastodonServer(keys=False, faults=scripted([Fault.DROP_AFTER])) as server:
        adapter = _at(server, door)
        lost, absent, *others = (
            adapter.render(sample_post(adapter.bounds(), headline=f"Story {n}", link=f"https://www.example.com/{n}"))
            for n in range(301)
        )
        with pytest.raises(Unknown):
            adapter.send(lost, SAMPLE_KEY)
        for number, payload in enumerate(others):
            adapter.send(payload, f"{number:064x}")
        assert len(server.statuses) == 300
        found = adapter.find(lost, SAMPLE_KEY, start)
        assert found is not None
        assert found.remote_id == "1"
        assert adapter.find(absent, "6b" * 32, start) is None


@pytest.mark.parametrize("style", [Fault.LIMITED, Fault.LIMITED_DATE, Fault.LIMITED_ISO])
def test_p83_p84_every_style_of_reset_gives_the_right_wait(style: Fault) -> None:
    """38 seconds, as a number, an HTTP date and an ISO time: 38 s, at most a second more."""
    clock = ManualClock(NOW)
    with (
        closing(Door(clock, user_agent="test")) as door,
        MastodonServer(faults=scripted([style]), limit=timedelta(seconds=38), clock=clock) as server,
    ):
        adapter = _at(server, door)
        with pytest.raises(Busy) as caught:
            adapter.send(adapter.render(sample_post(adapter.bounds())), SAMPLE_KEY)
    assert caught.value.until is not None
    assert timedelta(seconds=38) <= caught.value.until - NOW <= timedelta(seconds=39)
    assert server.statuses == []


def test_the_faulty_server_counts_exactly(door: Door) -> None:
    """What the adapter calls sent is there; what it calls proved not sent is not; the rest is doubt, and only that."""
    shares = {Fault.DROP_AFTER: 0.1, Fault.ERROR_BEFORE: 0.1, Fault.ERROR_AFTER: 0.1, Fault.LIMITED: 0.1}
    outcomes: dict[str, str] = {}
    with MastodonServer(keys=False, faults=seeded(7, shares)) as server:
        adapter = _at(server, door)
        payload = adapter.render(sample_post(adapter.bounds()))
        for number in range(120):
            key = f"{number:064x}"
            try:
                outcomes[key] = adapter.send(payload, key).remote_id
            except SendError as error:
                outcomes[key] = type(error).__name__
        there = {status.key: status.id for status in server.statuses}
    assert len(there) == len(server.statuses)
    assert set(outcomes.values()) >= {"Unknown", "Busy"}
    for key, outcome in outcomes.items():
        assert outcome == "Unknown" or there.get(key, "Busy") == outcome
    doubted = [key for key, outcome in outcomes.items() if outcome == "Unknown"]
    assert {key in there for key in doubted} == {True, False}


def test_a_fault_plan_is_the_same_for_the_same_seed() -> None:
    plan, again, other = (seeded(seed, {Fault.DROP_AFTER: 0.5}) for seed in (1, 1, 2))
    drawn = [plan(number, "1") for number in range(200)]
    assert drawn == [again(number, "1") for number in range(200)]
    assert drawn != [other(number, "1") for number in range(200)]
    assert 60 < drawn.count(Fault.DROP_AFTER) < 140
    assert no_faults(1, "1") is None
