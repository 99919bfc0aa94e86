"""What keeps an account's posts out of certain times: quiet hours, blackout dates, caps, and the posts themselves.

Each answers one question about an instant: what stands in the way, and until when? All in ticks (see `slots`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from typing import NamedTuple

from bot.model import Reason
from bot.rules.editorial import Span
from bot.rules.slots import DAY, HOUR, MINUTE, SECOND, WallClock, date_of, day_number

#: Most posts in a clock hour while an account warms up: accounts that wrote 15 to 25 at once were restricted
#: (github.com/ropensci-archive/rtweet/issues/353).
WARM_UP_HOUR = 5


class Obstacle(NamedTuple):
    """What stands in the way of an instant, and until when. `number`: the cap, or the distance to keep in ticks."""

    until: int
    reason: Reason
    number: int = 0


class Stretches:
    """A set of instants, as half-open stretches that are merged where they touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Put start <= instant < end into the set."""
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def end(self, tick: int) -> int | None:
        """Where the stretch ends that holds this instant; None if none does."""
        index = bisect_right(self._starts, tick) - 1
        return self._ends[index] if index >= 0 and tick < self._ends[index] else None


def _of_day(moment: time) -> int:
    return (moment.hour * 60 + moment.minute) * MINUTE + moment.second * SECOND


#: No clock is set back further, but where a place changes its side of the date line.
_SET_BACK = 3 * HOUR


class Shut:
    """Quiet hours and blackout dates by one wall clock."""

    __slots__ = ("_clock", "_dates", "_spans")

    def __init__(self, clock: WallClock, quiet: Iterable[Span] = (), dates: Iterable[date] = ()) -> None:
        self._clock = clock
        self._spans = [(_of_day(span.start), _of_day(span.end)) for span in quiet]
        self._dates = {day_number(each) for each in dates}

    def obstacle(self, tick: int) -> Obstacle | None:
        """The quiet span or date that holds this instant. It ends when the clock next shows its end, never later."""
        if not self._spans and not self._dates:
            return None
        day, moment = divmod(self._clock.reading(tick), DAY)
        if day in self._dates:
            return Obstacle(self._clock.first_after(tick, (day + 1) * DAY), Reason.BLACKOUT)
        for start, end in self._spans:
            over_midnight = end <= start
            if start <= moment and (moment < end or over_midnight):
                ends = (day + over_midnight) * DAY + end
            elif over_midnight and moment < end:
                ends = day * DAY + end
            else:
                ends = (day + over_midnight) * DAY + end
                if not self._set_back_in(tick, day, moment, start, ends):
                    continue
            return Obstacle(self._clock.first_after(tick, ends), Reason.QUIET)
        return None

    def _set_back_in(self, tick: int, day: int, moment: int, start: int, ends: int) -> bool:
        """Did this quiet span begin, and was the clock set back to before its beginning since? Then it goes on."""
        if not start - _SET_BACK <= moment < start:
            return False
        begun = self._clock.instant(day * DAY + start)
        return begun <= tick < self._clock.first_after(begun, ends)

    def room(self, tick: int) -> int:
        """How long from an open instant the date stays the same and no quiet span begins, in ticks."""
        reading = self._clock.reading(tick)
        day, moment = divmod(reading, DAY)
        next_start = min((start for start, _ in self._spans if start > moment), default=DAY)
        return self._clock.first_after(tick, day * DAY + next_start) - tick


class Limits(NamedTuple):
    """Most posts in a clock hour, a local day, a local month; None = no such limit."""

    hour: int | None
    day: int | None
    month: int | None


def warm_up_hour(hour: int | None) -> int:
    """The cap of a clock hour while an account warms up."""
    return WARM_UP_HOUR if hour is None else min(hour, WARM_UP_HOUR)


class Caps:
    """Counts of the posts per clock hour, local day and local month, and the limits on them.

    An hour or a day is what the wall clock calls one: the hour that a clock shows twice counts as one hour, so a day of
    25 hours gives no hour more than its cap. `soft` limits may be passed by breaking news that is allowed to; `hard`
    ones, and those of the warm-up, may not.
    """

    def __init__(self, clock: WallClock, soft: Limits, hard: Limits, warm_up_until: int) -> None:
        self._clock = clock
        self._limits = (soft, hard)
        self._warm_up_until = warm_up_until
        used = {
            Reason.CAP_MONTH: soft.month is not None or hard.month is not None,
            Reason.CAP_DAY: soft.day is not None or hard.day is not None,
            Reason.CAP_HOUR: soft.hour is not None or hard.hour is not None or warm_up_until > 0,
        }
        self._windows = {reason: window for reason, window in _WINDOWS.items() if used[reason]}
        self._counts: dict[Reason, Counter[int]] = {reason: Counter() for reason in self._windows}
        self._full = tuple({reason: Stretches() for reason in _WINDOWS} for _ in self._limits)

    def since(self, now: int) -> int:
        """Posts before this instant count for no cap that holds from `now` on."""
        reading = self._clock.reading(now)
        starts = [self._clock.instant(window(reading)[1]) for window in self._windows.values()]
        return min(starts, default=now)

    def count(self, tick: int) -> None:
        """A post goes, or went, at this instant."""
        reading = self._clock.reading(tick)
        for reason, window in self._windows.items():
            self._counts[reason][window(reading)[0]] += 1

    def obstacle(self, tick: int, *, hard_only: bool) -> Obstacle | None:
        """The longest cap that is used up at this instant."""
        limits, full = self._limits[hard_only], self._full[hard_only]
        for reason, limit in ((Reason.CAP_MONTH, limits.month), (Reason.CAP_DAY, limits.day)):
            if limit is not None and (end := self._end(reason, tick, limit, full[reason])) is not None:
                return Obstacle(end, reason, limit)
        hour = limits.hour
        if tick < self._warm_up_until:
            hour = warm_up_hour(hour)
        if hour is None or (end := self._end(Reason.CAP_HOUR, tick, hour, full[Reason.CAP_HOUR])) is None:
            return None
        return Obstacle(end, Reason.CAP_HOUR, hour)

    def _end(self, reason: Reason, tick: int, limit: int, full: Stretches) -> int | None:
        """When the window ends that holds this instant, if `limit` posts are in it. What is full stays full."""
        end = full.end(tick)
        if end is not None:
            return end
        label, _, over = _WINDOWS[reason](self._clock.reading(tick))
        if self._counts[reason][label] < limit:
            return None
        end = self._clock.first_after(tick, over)
        if reason is Reason.CAP_HOUR and tick < self._warm_up_until:
            end = min(end, self._warm_up_until)
        full.add(tick, end)
        return end


def _hour(reading: int) -> tuple[int, int, int]:
    label = reading // HOUR
    return label, label * HOUR, (label + 1) * HOUR


def _day(reading: int) -> tuple[int, int, int]:
    label = reading // DAY
    return label, label * DAY, (label + 1) * DAY


def _month(reading: int) -> tuple[int, int, int]:
    day = date_of(reading // DAY)
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return day.year * 12 + day.month, day_number(day.replace(day=1)) * DAY, day_number(following) * DAY


#: Each cap's window, of a reading: its label, and the readings at which it begins and ends.
_WINDOWS = {Reason.CAP_MONTH: _month, Reason.CAP_DAY: _day, Reason.CAP_HOUR: _hour}


class Purse:
    """The money of each calendar month (UTC)."""

    def __init__(self, budget: Decimal | None, now: int, spent: Decimal) -> None:
        self._budget = budget
        self._spent = {_month(now)[0]: spent}

    def pays(self, cost: Decimal, tick: int) -> str:
        """Pay, and give ""; or give the words for why there is not enough left, paying nothing."""
        if self._budget is None or cost <= 0:
            return ""
        month = _month(tick)[0]
        spent = self._spent.get(month, Decimal(0))
        if spent + cost > self._budget:
            return f"{spent:.2f} of {self._budget:.2f}, {cost:.2f} more needed"
        self._spent[month] = spent + cost
        return ""
