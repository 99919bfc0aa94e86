"""A year on the clock: 50 accounts in 8 zones, 100 sources, every change of the clocks; no slot missed, none doubled.

What must happen is reckoned by `almanac`, straight from zoneinfo; what does happen is the real flow's doing, on SQLite.
The suite goes through the days around each change and an ordinary day of each month; `make soak` through all 366 days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from bot.model import State
from bot.store import schema
from bot.store.ledger import imbalances
from bot.testing.clock import ManualClock
from tests.year.almanac import (
    DAY,
    HOUR,
    MARGIN,
    MINUTE,
    Absence,
    Desk,
    Expected,
    changes,
    daily,
    expected,
    midnight,
    set_back,
    slots_of,
)
from tests.year.drive import Leap, Stretch, World, held, link

BEGINS, DAYS = date(2026, 12, 1), 366
#: Each zone with a slot in an hour that it skips, one in an hour that it shows twice, and quiet hours that end in the
#: one it skips. Kolkata changes nothing.
ODD = {
    "Europe/Berlin": ("02:30", "02:30", "01:10"),
    "America/New_York": ("02:30", "01:30", "01:10"),
    "America/Santiago": ("00:30", "23:30", "23:10"),
    "Australia/Lord_Howe": ("02:15", "01:45", "01:10"),
    "Africa/Casablanca": ("02:30", "02:30", "01:10"),
    "Africa/Cairo": ("00:30", "23:30", "23:10"),
    "Asia/Kolkata": ("02:30", "02:30", "01:10"),
    "Pacific/Auckland": ("02:30", "02:30", "01:10"),
}
SECOND = timedelta(seconds=1)


def at(text: str) -> time:
    return time.fromisoformat(text)


def later(text: str, minutes: int) -> str:
    return f"{datetime.combine(BEGINS, at(text)) + minutes * MINUTE:%H:%M}"


def desks() -> list[Desk]:
    """Six rhythms in each of the eight zones, and two accounts that post at midnight where a day can begin at one."""
    found = []
    for number, (name, (skipped, twice, quiet)) in enumerate(ODD.items()):
        zone = ZoneInfo(name)
        working = {weekday: (at("07:15"), at("20:45")) for weekday in range(5)} | {5: (at("11:00"),)}
        rhythms = (
            Desk(f"{number}-skipped", zone, daily(skipped, "12:10")),
            Desk(f"{number}-twice", zone, daily(twice, "18:00")),
            Desk(f"{number}-both-skipped", zone, daily(skipped, later(skipped, 10))),
            Desk(f"{number}-quiet", zone, daily("05:30", "12:00"), (at("22:00"), at("06:30"))),
            Desk(f"{number}-quiet-skipped", zone, daily(later(quiet, 10), "15:00"), (at(quiet), at(skipped))),
            Desk(f"{number}-working-days", zone, working),
        )
        found.extend(rhythms)
    found.append(Desk("8-midnight", ZoneInfo("America/Santiago"), daily("00:00", "12:00")))
    found.append(Desk("9-midnight", ZoneInfo("Africa/Cairo"), daily("00:00", "12:00")))
    return found


def disturbed(active: Sequence[Desk], begins: datetime, ends: datetime) -> Stretch:
    """A stretch in which the worker is restarted, and the wall clock set, once in about five days each.

    A restart lies across a change of the clocks that shows an hour twice, where there is one, or Berlin's that skips
    one; else across a slot. The wall clock is set forward across a slot, and back over one that was just used.
    """
    restarts: list[Absence] = []
    leaps: list[Leap] = []
    day = begins + MARGIN
    while day < ends - MARGIN:
        until = min(day + 5 * DAY, ends - MARGIN)
        number = len(restarts) + day.toordinal()
        slots = slots_of(active[number * 7 % len(active)], day, until)
        moments = [
            moment
            for desk in active
            for moment in changes(desk.zone, day, until)
            if set_back(moment, desk.zone) or desk.zone.key == "Europe/Berlin"
        ]
        middle = moments[0] if moments else slots[len(slots) // 2].goes
        restarts.append(
            Absence(middle - (3 + number % 5) * MINUTE + 11 * SECOND, middle + (1 + number % 7) * MINUTE + 3 * SECOND)
        )
        both = Leap(slots[0].goes - 9 * SECOND, 25 * SECOND), Leap(slots[-1].goes + 9 * SECOND, -25 * SECOND)
        if all(abs(leap.at - middle) > HOUR for leap in both):
            leaps.extend(both)
        day += 5 * DAY
    absences = [*restarts, *(Absence(leap.at, leap.at + leap.by) for leap in leaps if leap.by > timedelta(0))]
    return Stretch(begins, ends, expected(active, begins, ends, absences), restarts, leaps)


def around_the_changes(everybody: Sequence[Desk]) -> list[Stretch]:
    """From the eve of each change of clocks to the day after, for the desks that it concerns; and a day for all."""
    wanted: dict[date, list[Desk]] = {date(2027, month, 15): list(everybody) for month in (1, 8)}
    for desk in everybody:
        for moment in changes(desk.zone, *whole_year()):
            for shift in (-1, 0, 1):
                wanted.setdefault((moment + shift * DAY).date(), []).append(desk)
    found: list[tuple[date, date, list[Desk]]] = []
    for day, active in sorted(wanted.items()):
        if found and found[-1][1] == day:
            begins, _, before = found[-1]
            active = [desk for desk in everybody if desk in before or desk in active]
            found[-1] = (begins, day + DAY, active)
        else:
            found.append((day, day + DAY, active))
    return [disturbed(active, midnight(begins) - MARGIN, midnight(ends) + MARGIN) for begins, ends, active in found]


def wrong(posted: Sequence[tuple[str, str, datetime]], wanted: Expected, numbers: dict[str, str]) -> list[str]:
    """Where the public saw anything else than it should."""
    there = Counter(posted)
    should = Counter((numbers[piece.desk], link(piece), piece.due) for piece in wanted.pieces)
    return sorted([f"not there: {one}" for one in should - there] + [f"too much: {one}" for one in there - should])


def whole_year() -> tuple[datetime, datetime]:
    return midnight(BEGINS), midnight(BEGINS) + DAYS * DAY


def months() -> Iterator[tuple[datetime, datetime]]:
    """The whole year in stretches of a month or so."""
    for number in range(12):
        yield midnight(BEGINS) + number * DAYS // 12 * DAY, midnight(BEGINS) + (number + 1) * DAYS // 12 * DAY


def files() -> int:
    """How many files this process holds open; 0 where the system doesn't tell."""
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


def live_through(world: World, stretch: Stretch) -> tuple[int, int]:
    """A stretch just as it was reckoned; how many slots there were, and how many posts."""
    names = {desk.name: str(number) for number, desk in enumerate(sorted(world.desks, key=lambda desk: desk.name), 1)}
    assert wrong(world.live(stretch), stretch.expected, names) == []
    return stretch.expected.slots, len(stretch.expected.pieces)


def all_sent(world: World, posts: int) -> None:
    """Nothing waits, nothing was held, skipped or doubted: each article has one delivery, and it was sent."""
    with world.room.store.read() as tx:
        states = select(schema.deliveries.c.state, func.count()).group_by(schema.deliveries.c.state)
        assert [tuple(row) for row in tx.rows(states)] == [(State.SENT, posts)]
        assert tx.execute(select(func.count()).select_from(schema.attempts)).scalar_one() == posts
        assert imbalances(tx) == []


def test_p34_p35_p36_p39_p41_no_slot_is_missed_or_doubled_around_every_change_of_clocks(sqlite_url: str) -> None:
    everybody = desks()
    assert len({moment for desk in everybody for moment in changes(desk.zone, *whole_year())}) == 14
    stretches = around_the_changes(everybody)
    there = World(sqlite_url, ManualClock(stretches[0].begins), everybody, polls=14 * DAY, rounds=DAY)
    assert (len(everybody), len(there.sources)) == (50, 100)
    slots = posts = 0
    sizes: list[int] = []
    for stretch in stretches:
        more = live_through(there, stretch)
        slots, posts = slots + more[0], posts + more[1]
        sizes.append(held())
    assert slots > posts > slots * 0.85
    all_sent(there, posts)
    there.stop()
    assert sizes[-1] < sizes[7] * 1.01  # the caches are full by then


@pytest.mark.soak
def test_p34_p35_p36_p39_p41_p114_a_year_without_a_missed_slot_in_the_same_memory(
    sqlite_url: str, record_property: Callable[[str, object], None]
) -> None:
    everybody = desks()
    there = World(sqlite_url, ManualClock(midnight(BEGINS)), everybody, polls=DAY, rounds=6 * HOUR)
    slots = posts = 0
    sizes: list[int] = []
    opened: list[int] = []
    for begins, ends in months():
        before = {name: source.looks for name, source in there.sources.items()}
        more = live_through(there, disturbed(everybody, begins, ends))
        slots, posts = slots + more[0], posts + more[1]
        sizes.append(held())
        opened.append(files())
        assert all(
            source.looks - before[name] >= 0.9 * ((ends - begins) / DAY) for name, source in there.sources.items()
        )
        record_property(
            f"{ends:%Y-%m-%d}", f"{posts} posts in {slots} slots, {sizes[-1]} bytes held, {opened[-1]} files"
        )
    assert posts > slots * 0.85
    all_sent(there, posts)
    there.stop()
    assert sizes[-1] < sizes[1] * 1.02
    assert opened[-1] <= opened[1]
