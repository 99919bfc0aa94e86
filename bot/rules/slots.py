"""Calendar arithmetic: what a wall clock shows at an instant, when it first shows a time, and a schedule's slots.

An instant is a count of *ticks* (microseconds since 1970 in UTC); a *reading* is what the wall clock shows then,
counted in the same unit as if the clock stood in UTC. Both are plain integers: comparing and rounding them is exact,
and fast enough to time thousands of posts. The rules for the two odd hours of a year follow from one function,
`first_after`: a time that the clock skips counts as the first instant after the skip, a time that it shows twice as the
first of both.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bot.rules.editorial import Schedule

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: How far ahead a free time is looked for: in a year and a month every month's cap has come by once.
HORIZON = 400 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_EPOCH_ORDINAL = _EPOCH.toordinal()
#: No clock on Earth is more than 14 h ahead of UTC (Kiritimati, https://www.iana.org/time-zones): 16 h before the tick
#: that equals a reading, every clock still shows less.
_AHEAD = 16 * HOUR


def to_ticks(moment: datetime) -> int:
    """An aware datetime as ticks, exact to the microsecond."""
    return (moment - _EPOCH) // _TICK


def length_ticks(length: timedelta) -> int:
    """A length of time in ticks."""
    return length // _TICK


def from_ticks(ticks: int) -> datetime:
    """Ticks as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=ticks)


def day_number(day: date) -> int:
    """A date as days since 1970-01-01: what `reading // DAY` gives."""
    return day.toordinal() - _EPOCH_ORDINAL


def date_of(number: int) -> date:
    """The date of a day number."""
    return date.fromordinal(number + _EPOCH_ORDINAL)


def _offset(zone: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    return length_ticks(offset) if offset else 0


@lru_cache(maxsize=512)
def _offsets(zone: ZoneInfo, year: int) -> tuple[tuple[int, int], ...]:
    """The zone's offsets within a UTC year as (first tick, offset), the year's own beginning first.

    The offset is looked up once a day, and a change is then searched to the second: no zone changes twice in a day.
    """
    start = to_ticks(datetime(year, 1, 1, tzinfo=UTC)) // SECOND
    end = to_ticks(datetime(year + 1, 1, 1, tzinfo=UTC)) // SECOND
    found = [(start * SECOND, _offset(zone, start))]
    for day in range(start, end, 86_400):
        low, high = day, min(day + 86_400, end - 1)
        after = _offset(zone, high)
        if after == found[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _offset(zone, middle) == after else (middle, high)
        found.append((high * SECOND, after))
    return tuple(found)


class WallClock:
    """A zone's wall clock. Years are read when they are first asked for; nothing else is kept."""

    __slots__ = ("_ends", "_first", "_from", "_last", "_offsets", "_starts", "_to", "zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._starts: list[int] = []
        self._offsets: list[int] = []
        self._from = self._to = 0
        self._first = self._last = 0

    @property
    def city(self) -> str:
        """The zone as people say it: "London", "New York"."""
        return self.zone.key.rpartition("/")[2].replace("_", " ")

    def reading(self, tick: int) -> int:
        """What the clock shows at an instant."""
        run = self._run(tick)
        return tick + self._offsets[run]

    def first_after(self, tick: int, reading: int) -> int:
        """The first instant after `tick` at which the clock shows `reading`, or would have shown it but for a skip.

        `reading` must be ahead of what the clock shows at `tick`.
        """
        run = self._run(tick)
        while True:
            offset = self._offsets[run]
            end = self._starts[run + 1] if run + 1 < len(self._starts) else self._to
            if reading - offset < end:
                return max(reading - offset, self._starts[run])
            run = self._run(end)

    def instant(self, reading: int) -> int:
        """When the clock shows `reading`: the first of two such instants; after the skip if there is none."""
        return self.first_after(reading - _AHEAD, reading)

    def has_day(self, number: int) -> bool:
        """Is there such a date here at all? Samoa had no 30 December 2011."""
        return self.reading(self.instant(number * DAY + DAY // 2)) // DAY == number

    def _run(self, tick: int) -> int:
        """The index of the stretch of equal offset that holds this instant."""
        if not self._from <= tick < self._to:
            self._cover(tick)
        return bisect_right(self._starts, tick) - 1

    def _cover(self, tick: int) -> None:
        year = from_ticks(tick).year
        if not self._starts:
            self._first = year
            self._last = year - 1
        first, last = min(self._first, year), max(self._last, year)
        self._first, self._last = first, last
        runs = [run for each in range(first, last + 1) for run in _offsets(self.zone, each)]
        self._starts = [start for start, _ in runs]
        self._offsets = [offset for _, offset in runs]
        self._from = self._starts[0]
        self._to = to_ticks(datetime(last + 1, 1, 1, tzinfo=UTC))


def slot_ticks(schedule: Schedule, clock: WallClock, after: int, until: int) -> Iterator[tuple[int, int]]:
    """A schedule's slots with after <= instant < until, in order, as (instant, the reading that the schedule names).

    Each slot of each local date comes once. Slots that the clock skips share the first instant after the skip. Dates of
    the schedule's blackout, and dates that don't exist in the zone, have none.
    """
    week = [
        [((at.hour * 60 + at.minute) * 60 + at.second) * SECOND for at in schedule.times(weekday)]
        for weekday in range(7)
    ]
    closed = {day_number(day) for day in schedule.blackout}
    # A slot in a skip at the end of a date happens on the next one (Nuuk, 23:30): begin a date early.
    number = clock.reading(after) // DAY - 1
    last = clock.reading(until) // DAY
    while number <= last:
        times = week[(number + 3) % 7]  # 1970-01-01 was a Thursday
        if times and number not in closed and clock.has_day(number):
            for time in times:
                tick = clock.instant(number * DAY + time)
                if after <= tick < until:
                    yield tick, number * DAY + time
        number += 1


def clock_of(schedule: Schedule, zone: ZoneInfo) -> WallClock:
    """The clock that a schedule's times are read from: its own zone, else the account's."""
    return WallClock(ZoneInfo(schedule.timezone) if schedule.timezone else zone)


def next_slots(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    """A schedule's slots with after <= slot < until, in UTC, in order, each local slot once; none for `asap`.

    `zone` is the account's; the schedule's own outranks it. A slot in the hour that doesn't exist comes at the first
    instant after it; one in the hour that exists twice at its first occurrence. Jitter is not in it.
    """
    if schedule.asap:
        return
    for tick, _ in slot_ticks(schedule, clock_of(schedule, zone), to_ticks(after), to_ticks(until)):
        yield from_ticks(tick)


def longest_gap(schedule: Schedule) -> timedelta:
    """The longest time between two consecutive slots of a plain week (no change of clocks); zero for `asap`.

    An article that is stale sooner than this can miss every slot. A schedule with one slot a week has seven days.
    """
    if schedule.asap:
        return timedelta(0)
    slots = [
        timedelta(days=weekday, hours=at.hour, minutes=at.minute, seconds=at.second)
        for weekday in range(7)
        for at in schedule.times(weekday)
    ]
    if not slots:
        return timedelta.max
    return max(later - sooner for sooner, later in zip(slots, [*slots[1:], slots[0] + timedelta(days=7)], strict=True))


def hour_minute(reading: int) -> str:
    """A reading as a clock shows it: "06:00"."""
    return f"{reading // HOUR % 24:02}:{reading // MINUTE % 60:02}"


class Slots:
    """A schedule's slots from a week back on, read as far as they are asked for; closed ones are stepped over."""

    def __init__(self, schedule: Schedule, clock: WallClock, begin: int) -> None:
        self._schedule, self._clock = schedule, clock
        self._read_to = begin
        self._horizon = begin + HORIZON
        self.ticks: list[int] = []
        self.readings: list[int] = []
        self._next: list[int] = [0]

    def reaches(self, index: int) -> bool:
        """Is there a slot of this number, and one at a later time after it, within the horizon? Reads on as needed."""
        while self._read_to < self._horizon and not (index < len(self.ticks) and self.ticks[index] < self.ticks[-1]):
            for tick, reading in slot_ticks(self._schedule, self._clock, self._read_to, self._read_to + 28 * DAY):
                self.ticks.append(tick)
                self.readings.append(reading)
                self._next.append(len(self.ticks))
                self._horizon = tick + HORIZON
            self._read_to += 28 * DAY
        return index < len(self.ticks)

    def last_before(self, tick: int) -> int:
        """The number of the first slot of the instant whose slots are the last at or before `tick`; 0 if none is."""
        while (not self.ticks or self.ticks[-1] <= tick) and self.reaches(len(self.ticks)):
            pass
        index = bisect_right(self.ticks, tick) - 1
        return bisect_left(self.ticks, self.ticks[index]) if index >= 0 else 0

    def end(self, index: int) -> int:
        """When the slots of the next instant begin."""
        following = bisect_right(self.ticks, self.ticks[index])
        return self.ticks[following] if following < len(self.ticks) else self._read_to

    def rank(self, index: int) -> int:
        """How many slots of the same instant (a skipped hour's) come before it."""
        return index - bisect_left(self.ticks, self.ticks[index])

    def open_from(self, index: int) -> int:
        """The first number from `index` on that was not closed."""
        root = index
        while self._next[root] != root:
            root = self._next[root]
        while self._next[index] != root:
            self._next[index], index = root, self._next[index]
        return root

    def close(self, index: int) -> None:
        """Nobody of this rhythm can use this slot any more."""
        self._next[index] = index + 1

    def name(self, index: int) -> str:
        """The slot as the schedule writes it: "12:10 London"."""
        return f"{hour_minute(self.readings[index])} {self._clock.city}"
