"""Whole weeks under an adversary: no promise is broken, a seed replays to the letter, and a broken promise is seen.

The 300 weeks of the suite; 20,000 with the soak marker; any number with `make simulate`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.errors import Unknown
from bot.log import configure
from bot.model import Payload, Pending, Receipt
from bot.networks.base import Network
from bot.testing.network import Fake
from bot.testing.network_server import Fault
from tests.simulation.__main__ import main
from tests.simulation.adversary import Week, week
from tests.simulation.ground import Ground
from tests.simulation.promises import Broken
from tests.simulation.weeks import Ended, lived
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
SEEDS = 300
CHUNK = 10
SOAK, SOAK_CHUNK = 20_000, 100


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    opened = Ground(tmp_path_factory.mktemp("ground"))
    before = structlog.get_config()
    configure(json=True, level="critical")
    yield opened
    structlog.configure(**before)
    opened.close()


def soaked(first: int) -> Any:
    return pytest.param(first, SOAK_CHUNK, marks=pytest.mark.soak)


@pytest.mark.parametrize(
    ("first", "seeds"),
    [
        *((first, CHUNK) for first in range(1, SEEDS + 1, CHUNK)),
        *(soaked(first) for first in range(SEEDS + 1, SOAK + 1, SOAK_CHUNK)),
    ],
)
def test_promises_1_2_3_and_6_hold_in_a_week_under_an_adversary(ground: Ground, first: int, seeds: int) -> None:
    for seed in range(first, first + seeds):
        ended = lived(seed, ground)
        assert ended.broken is None, "\n" + ended.told()


def test_the_weeks_are_weeks_in_which_much_goes_out_and_much_goes_wrong(ground: Ground) -> None:
    """A simulation in which nothing happens keeps every promise."""
    ended = [lived(seed, ground) for seed in range(1, 9)]
    told = "\n".join(one.story for one in ended)
    assert sum(one.posts for one in ended) > 80  # ten a week; the weeks are small, so that there can be many
    for happened in ("dies at", "clock is set", "stops", "unknown → sent", "unknown → waiting", "sleeps", "in again"):
        assert happened in told, happened


def simulated(seed: int, hash_seed: str) -> str:
    """`make simulate SEEDS=1 FROM=seed`, with the story."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}  # noqa: TID251 -- a child process gets the environment of its parent
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "1", "--from", str(seed), "--story"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=True)
    return done.stdout


def test_a_seed_tells_the_same_story_to_the_letter_whatever_the_hash_seed(ground: Ground) -> None:
    told = lived(7, ground).told()
    assert lived(7, ground).told() == told
    for hash_seed in ("1", "2"):
        assert simulated(7, hash_seed).startswith(told), hash_seed
    assert lived(8, ground).story.partition("\n")[2] != told.partition("\n")[2]


def test_make_simulate_says_what_broke_and_how_to_live_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--from", "3"]) == 0
    assert capsys.readouterr().out == "1 weeks, 0 broke a promise\n"
    assert "Again: make simulate SEEDS=1 FROM=4711" in Ended(4711, "promise 1", "a story", 1, 1).told()


# -- the checks can fail ------------------------------------------------------------------------------------------


SOUND = {"find": True, "proof": True, "two_phase": False}


def calm(seed: int = 2, **more: Any) -> Week:
    """A week in which nothing goes wrong but what a test plants."""
    plan = week(seed)
    accounts = tuple(
        replace(one, promises=SOUND, gap=timedelta(0), hour=1000, day=1000, quiet=(), slots=(), live=True)
        for one in plan.accounts
    )
    rest: dict[str, Any] = {"accounts": accounts, "keys": None, "slow": 0, "deaf": 0, "sleepy": 0, "acts": ()}
    return replace(plan, **{**rest, "faults": {None: 1.0}, **more})


LOSSES = {"faults": {None: 0.3, Fault.LOST_AFTER: 0.7}}


class Blind(Fake):
    """Says that it looked, and that nothing is there."""

    def find(self, payload: Payload, key: str, since: Any) -> Receipt | None:
        return None


class Impatient(Fake):
    """Sends again at once what got no answer, trusting that the server knows the key."""

    def send(self, payload: Payload, key: str) -> Receipt | Pending:
        try:
            return super().send(payload, key)
        except Unknown:
            return super().send(payload, key)


@pytest.mark.parametrize("network", [Blind, Impatient])
def test_an_adapter_that_doubles_is_caught(ground: Ground, network: type[Network]) -> None:
    assert lived(calm(**LOSSES), ground).broken is None
    broken = lived(calm(**LOSSES), ground, network=network).broken
    assert broken is not None
    assert broken.startswith("promise 1: account")
    assert "twice" in broken


def test_the_same_blind_repeat_is_none_where_the_server_keeps_its_keys(ground: Ground) -> None:
    assert lived(calm(**LOSSES, keys=timedelta(days=400)), ground, network=Impatient).broken is None


class Liar(Fake):
    """Answers for posts that it never sent."""

    def send(self, payload: Payload, key: str) -> Receipt | Pending:
        return Receipt("p0", "https://fake.example.com/p0", None)


def test_a_post_that_was_never_there_is_caught(ground: Ground) -> None:
    broken = lived(calm(), ground, network=Liar).broken
    assert broken is not None
    assert "was never there" in broken


class Careless(World):
    """A newsroom that was told nothing of gaps, caps, slots and quiet hours, nor which accounts only rehearse."""

    def _settings(self) -> None:
        meant = self.week
        free: dict[str, Any] = {"gap": timedelta(0), "hour": 1000, "day": 1000, "quiet": (), "slots": (), "live": True}
        self.week = replace(meant, accounts=tuple(replace(one, **free) for one in meant.accounts))
        super()._settings()
        self.week = meant


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gap": timedelta(hours=4)}, "promise 2: attempts"),
        ({"day": 1}, "in a day"),
        ({"hour": 1}, "in an hour"),
        ({"quiet": ("00:00-23:59",)}, "promise 3: attempt"),
        ({"slots": ("03:00",)}, "promise 3: the slot"),
        ({"live": False}, "rehearses"),
    ],
)
def test_a_newsroom_that_keeps_no_pace_is_caught(ground: Ground, change: dict[str, Any], words: str) -> None:
    plan = calm()
    world = Careless(replace(plan, accounts=tuple(replace(one, **change) for one in plan.accounts)), ground)
    with pytest.raises(Broken, match=words):
        world.live()
    world.close()


def test_a_start_under_a_stop_is_caught(ground: Ground) -> None:
    """Of all attempts of a week, each is seen to be one that such a switch would have forbidden."""
    world = World(calm(), ground)
    world.live()
    numbers = [row[0] for row in world.peek.execute("SELECT id FROM attempts WHERE account = 'desk1' ORDER BY id")]
    assert numbers
    for scope in (("all", ""), ("source", "main"), ("account", "desk1"), ("network", "fake")):
        stop = "INSERT INTO stops (id, scope, value, reason, by, at) VALUES ('s', ?, ?, '', 'ann', 0)"
        world.peek.execute(stop, scope)
        for number in numbers:
            with pytest.raises(Broken, match="promise 6"):
                world.promises._not_stopped(number, "it started")
        world.peek.execute("DELETE FROM stops")
        world.promises._not_stopped(numbers[0], "it started")
    world.close()


def test_a_ledger_that_lost_something_is_caught_at_the_end(ground: Ground) -> None:
    world = World(calm(), ground)
    world.live()
    sound = ground.copy()
    for spoil, words in (
        ("DELETE FROM decisions", "no decision"),
        ("UPDATE deliveries SET state = 'waiting' WHERE state = 'sent'", "still waiting"),
        ("DELETE FROM deliveries WHERE state = 'sent'", "can be seen, and is not sent"),
        ("UPDATE attempts SET outcome = 'unknown'", "its newest attempt"),
        ("DELETE FROM articles", "was never stored"),
    ):
        ground.put(sound)
        world.peek.execute(spoil)
        with pytest.raises(Broken, match=words):
            world.promises.at_the_end()
    world.close()
