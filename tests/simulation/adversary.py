"""What is done to a newsroom in one week, as data: drawn from a seed, each week another mix.

A `Week` says who the accounts are and what their network promises, what the publisher writes and when, how the wire
fails, and at which moments something happens to the world (`Act`). The world carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.testing.network_server import Fault
from tests.simulation.dice import Dice

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)

#: Weeks begin at these: a plain one, and those in which Europe, Lord Howe and America set their clocks.
STARTS = (
    datetime(2026, 11, 23, 6, 30, tzinfo=UTC),
    datetime(2026, 10, 20, 5, 0, tzinfo=UTC),
    datetime(2026, 3, 26, 9, 0, tzinfo=UTC),
    datetime(2026, 10, 29, 7, 0, tzinfo=UTC),
    datetime(2026, 4, 1, 12, 0, tzinfo=UTC),
)
ZONES = ("Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
#: Local slots; none stands in an hour that a clock change skips or repeats.
SLOTS = ("08:00", "12:30", "18:00", "21:45")
SECTIONS = ("city", "sport", "culture")


class Act(StrEnum):
    """Something that happens to the world at a moment of the week."""

    EDITOR = "an editor acts"
    STOP = "a stop switch"
    DIE = "a worker dies at one of its next writes or bytes"
    FREEZE = "a worker's machine sleeps"
    CLOCK = "the wall clock is set"
    LOGIN_DIES = "a login dies"
    TOKEN_ENDS = "a token ends"
    NETWORK_DOWN = "the network can't be reached"
    REMOVED = "a post is removed on the network"
    RETITLE = "a headline changes"
    EMBARGO = "an embargo is put on an article"
    CHURN = "a source gives its articles other ids"
    WITHDRAW = "an article is withdrawn"
    FLOOD = "a source shows many old articles"
    SOURCE_FAILS = "a source fails"
    RENAME = "an account is renamed in the settings"
    RESTORE = "an older store is put back"


#: How often each act happens in a week in which it does: from, to.
OFTEN: Mapping[Act, tuple[int, int]] = {
    Act.EDITOR: (2, 12),
    Act.STOP: (1, 5),
    Act.DIE: (2, 12),
    Act.FREEZE: (1, 5),
    Act.CLOCK: (1, 4),
    Act.LOGIN_DIES: (1, 2),
    Act.TOKEN_ENDS: (1, 3),
    Act.NETWORK_DOWN: (1, 3),
    Act.REMOVED: (1, 4),
    Act.RETITLE: (2, 8),
    Act.EMBARGO: (1, 4),
    Act.CHURN: (1, 3),
    Act.WITHDRAW: (1, 5),
    Act.FLOOD: (1, 1),
    Act.SOURCE_FAILS: (1, 3),
    Act.RENAME: (1, 2),
    Act.RESTORE: (1, 2),
}
#: In what share of the weeks an act happens at all.
SHARES: Mapping[Act, float] = {
    **dict.fromkeys(Act, 0.4),
    Act.EDITOR: 0.7,
    Act.DIE: 0.7,
    Act.FLOOD: 0.15,
    Act.RENAME: 0.2,
    Act.RESTORE: 0.25,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """An account: who it is on the network, what the newsroom asks of it, what its network promises."""

    number: int
    live: bool
    zone: str
    gap: timedelta
    hour: int
    day: int
    quiet: tuple[str, ...]
    slots: tuple[str, ...]
    promises: Mapping[str, Any]

    @property
    def rules(self) -> dict[str, Any]:
        """As the settings have it."""
        caps = {"gap": f"{int(self.gap.total_seconds())}s", "hour": self.hour, "day": self.day}
        return {"live": self.live, "timezone": self.zone, "caps": caps, "quiet": self.quiet}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticlePlan:
    """What the publisher writes: `at` seconds after the week's start (before it: a baseline). `number` names it."""

    number: int
    at: float
    source: str
    also: str | None
    section: str
    dated: timedelta | None
    embargo: timedelta | None
    breaking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """All that is decided before the week begins."""

    seed: int
    start: datetime
    accounts: tuple[AccountPlan, ...]
    sources: tuple[str, ...]
    articles: tuple[ArticlePlan, ...]
    first_look: str
    settle: timedelta
    max_age: timedelta
    workers: int
    #: Does the network tell the time with its answers? Then its clock is the true one, else it is the bot's own.
    tells_time: bool
    #: How long it honours keys (None: ignores them).
    keys: timedelta | None
    #: What becomes of a publish (None: it is taken, and said so), by weight.
    faults: Mapping[Fault | None, float]
    #: Of 1: an answer that takes seconds; a read that fails; a worker that falls asleep between commit and byte, or
    #: before it writes the outcome down.
    slow: float
    deaf: float
    sleepy: float
    acts: tuple[tuple[float, Act], ...] = field(default=())


def week(seed: int) -> Week:
    """The week of a seed."""
    dice = Dice(seed)
    sources = ("main", "wire") if dice.chance(0.4) else ("main",)
    slotted = dice.chance(0.4)
    accounts = tuple(_account(dice, number, slotted) for number in range(1, dice.weighted({2: 8, 3: 1.5, 4: 0.3}) + 1))
    keys = dice.pick((None, None, HOUR, timedelta(days=400)))
    return Week(
        seed=seed,
        start=dice.pick(STARTS),
        accounts=accounts,
        sources=sources,
        articles=_articles(dice, sources),
        first_look=dice.weighted({"nothing": 6, "newest:2": 2, "all": 1}),
        settle=dice.pick((timedelta(0), timedelta(seconds=120), timedelta(minutes=15))),
        max_age=dice.pick((2 * HOUR, 6 * HOUR, 24 * HOUR)),
        workers=dice.weighted({1: 5, 2: 4, 3: 1}),
        tells_time=dice.chance(0.7),
        keys=keys,
        faults=_faults(dice),
        slow=dice.pick((0, 0, 0.02, 0.15)),
        deaf=dice.pick((0, 0, 0.1, 0.3)),
        sleepy=dice.pick((0, 0.02, 0.1)),
        acts=_acts(dice),
    )


def _account(dice: Dice, number: int, slotted: bool) -> AccountPlan:
    promises: dict[str, Any] = {
        "find": dice.chance(0.8),
        "proof": dice.chance(0.8),
        "two_phase": dice.chance(0.2),
    }
    return AccountPlan(
        number=number,
        live=number == 1 or dice.chance(0.9),
        zone=dice.pick(ZONES),
        gap=timedelta(minutes=dice.pick((0, 4, 4, 30))),
        hour=dice.pick((2, 6, 20)),
        day=dice.pick((5, 20, 60)),
        quiet=dice.pick(((), (), ("23:00-06:00",), ("12:00-13:30", "22:00-05:00"))),
        slots=SLOTS if slotted and dice.chance(0.5) else (),
        promises=promises,
    )


def _articles(dice: Dice, sources: tuple[str, ...]) -> tuple[ArticlePlan, ...]:
    """A few old ones, then the week's: alone, and in bursts."""
    times = [-dice.moment(timedelta(days=3)) for _ in range(dice.number(2, 5))]
    wanted = dice.weighted({8: 5, 12: 3, 20: 1, 45: 0.2})
    while len(times) < wanted:
        at = dice.moment(WEEK)
        times += [at + dice.seconds(0, 900) for _ in range(dice.weighted({1: 8, 2: 3, 5: 1, 9: 0.4}))]
    return tuple(_article(dice, number, at, sources) for number, at in enumerate(sorted(times), 1))


def _article(dice: Dice, number: int, at: float, sources: tuple[str, ...]) -> ArticlePlan:
    source = dice.pick(sources)
    also = next((name for name in sources if name != source), None) if dice.chance(0.3) else None
    dated = dice.weighted({"now": 8, "undated": 1, "late": 1, "ahead": 1, "far": 0.2})
    offsets = {
        "now": timedelta(0),
        "undated": None,
        "late": -timedelta(minutes=dice.number(10, 180)),
        "ahead": timedelta(minutes=dice.number(15, 600)),
        "far": timedelta(hours=dice.number(30, 60)),
    }
    return ArticlePlan(
        number=number,
        at=at,
        source=source,
        also=also,
        section=dice.pick(SECTIONS),
        dated=offsets[dated],
        embargo=timedelta(minutes=dice.number(5, 400)) if dice.chance(0.08) else None,
        breaking=dice.chance(0.06),
    )


def _faults(dice: Dice) -> Mapping[Fault | None, float]:
    """How the wire fails this week: not at all, now and then, or most of the time."""
    share = dice.pick((0, 0.05, 0.15, 0.4, 0.7))
    kinds = dice.some(list(Fault), 0.5) if share else []
    each = {kind: dice.seconds(0.2, 1) * (0.2 if kind in _GRAVE else 1) for kind in kinds}
    total = sum(each.values())
    weights = {kind: share * weight / total for kind, weight in each.items()}
    return {None: 1 - sum(weights.values()), **weights}


#: After these a post is not tried again by itself, or its account rests until somebody looks: rarer than the others.
_GRAVE = frozenset({Fault.DEAD, Fault.REFUSED, Fault.BILLING, Fault.DUPLICATE})


def _acts(dice: Dice) -> tuple[tuple[float, Act], ...]:
    acts = [
        (dice.moment(WEEK), act) for act in Act if dice.chance(SHARES[act]) for _ in range(dice.number(*OFTEN[act]))
    ]
    return tuple(sorted(acts))
