"""When each waiting delivery of one account goes: the only place that decides it.

`timetable` is pure. The same deliveries in any order give the same times, and as long as posts leave at the times it
gave, asking again gives the same times for the rest: what a forecast shows is what the worker does.

Who chooses first: a person's pin, then breaking, normal, evergreen; among equals, posts with a slot before posts that
go at once (a slot is an appointment), then by publication. Each takes the earliest time that those before it left open:

- *Pinned* goes at its time exactly: a person's word outranks slots, quiet hours, blackout dates, gaps and caps (which
  count it all the same), but not an embargo, a stop, a network's refusal or the budget.
- *At once* goes as soon as it is ready, `gap` (or the schedule's `spread`, if longer; not breaking news) after the post
  before it.
- *Slots* take one post each: the first slot that is not before the article was ready and that no post has used. A post
  uses the slot that it leaves in or after, before the next one. A slot that passed while nothing could go (process
  down, account stopped) is made up for at once by one post, as long as that is fresh; the slots after it stay as they
  are. A slot whose day is closed or whose day's or month's cap is used up is passed over.
- Who stands in quiet hours or a closed date waits until its end, a full hour or day likewise.
- *Jitter* shifts forward only, by a share that hangs on account and slot (on the delivery for posts that go at once):
  never over midnight, into quiet hours, or up to the next slot. Breaking news that goes at once has none.
- What can't go while it is fresh is skipped at once: `cap` if it could have gone but for other posts, else `stale`.
- What would cost more than the month (UTC) has left is held, and takes nobody's place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from bot.model import Priority, Reason, Why
from bot.rules.editorial import Schedule, Span
from bot.rules.pacing import Caps, Limits, Obstacle, Purse, Shut, Stretches
from bot.rules.slots import (
    DAY,
    HORIZON,
    HOUR,
    MINUTE,
    SECOND,
    Slots,
    WallClock,
    clock_of,
    date_of,
    from_ticks,
    hour_minute,
    length_ticks,
    to_ticks,
)
from bot.rules.timing import RANK, Due, Timing, Waiting, history_needed, limits_at, timing_for

__all__ = ["Due", "Timing", "Waiting", "history_needed", "limits_at", "shut_at", "timetable", "timing_for"]

#: How late a pinned post may be without a freshness of its own: the shortest that the defaults know (breaking, 1 h).
PIN_GRACE = 1 * HOUR

#: Why a delivery is ready only now although its article was before: trouble on the way doesn't cost it its slot.
_DELAYED = frozenset(
    {
        Reason.BACKOFF,
        Reason.NETWORK_LIMIT,
        Reason.BREAKER,
        Reason.LOGIN,
        Reason.BILLING,
        Reason.STOPPED,
        Reason.CLOCK_SKEW,
        Reason.LOST_REPLY,
    }
)
#: A slot that these move is passed over: its post would go at midnight, a time that nobody chose.
_VOID = frozenset({Reason.BLACKOUT, Reason.CAP_DAY, Reason.CAP_MONTH})


def timetable(now: datetime, waiting: Sequence[Waiting], history: Sequence[datetime], timing: Timing) -> list[Due]:
    """When each of an account's waiting deliveries goes, by time; at the end what is skipped or held.

    `history` holds the instants, by our clock, at which the account's posts of the last 32 days were sent or started,
    in any order (the newest `history_needed` are enough). Two pins may share an instant; all other posts keep the
    account's gap.
    """
    queue = sorted(waiting, key=_turn)
    distances = {_distance(each, timing) for each in waiting}
    lost: set[_Slot] = set()
    for _ in range(_PASSES):
        line = _Timeline(now, history, timing, distances, lost)
        dues = [line.place(each) for each in queue]
        overtaken = line.overtaken()
        if not overtaken:
            break
        lost |= overtaken
    return sorted(dues, key=lambda due: (due.due_at is None, due.due_at or now))


#: How often the table is made anew because a post was placed between a slot and the end of the quiet hours that its
#: own post waits for, and so uses the slot up. It takes slots in quiet hours and a route without any: seldom twice.
_PASSES = 8
#: A slot: its instant, how many others of the same instant come before it, and the identity of its schedule.
_Slot = tuple[int, int, int]


def shut_at(now: datetime, timing: Timing, quiet: Sequence[Span] | None, schedule: Schedule | None) -> Reason | None:
    """What closes an instant to all posts but pinned ones, whatever was planned before: quiet hours, a closed date.

    `quiet` None = the account's.
    """
    quiet = timing.quiet if quiet is None else quiet
    dates = schedule.blackout if schedule is not None else ()
    if not (quiet or timing.blackout or dates):
        return None
    clock = WallClock(timing.zone)
    found = Shut(clock, quiet, timing.blackout).obstacle(to_ticks(now))
    if found is None and schedule is not None:
        found = Shut(clock_of(schedule, timing.zone), dates=dates).obstacle(to_ticks(now))
    return found.reason if found is not None else None


def _turn(delivery: Waiting) -> tuple[Any, ...]:
    at_once = delivery.schedule is None or delivery.schedule.asap
    return delivery.pinned_at is None, RANK[delivery.priority], at_once, delivery.order, delivery.id


def _distance(delivery: Waiting, timing: Timing) -> int:
    """What a delivery keeps between itself and the post before it."""
    schedule = delivery.schedule
    spreads = schedule is not None and schedule.asap and delivery.priority is not Priority.BREAKING
    return length_ticks(max(timing.gap, schedule.spread) if spreads and schedule is not None else timing.gap)


def _share(room: int, *marks: object) -> int:
    """A whole number of seconds from 0 to `room` ticks that hangs on nothing but the marks."""
    digest = blake2b("|".join(map(str, marks)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (max(0, room) // SECOND + 1) * SECOND


@dataclass(frozen=True, slots=True)
class _Rhythm:
    """What deliveries with the same schedule and quiet hours share."""

    shut: tuple[Shut, ...]
    distance: int
    jitter: int
    hard_only: bool
    slots: Slots | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A time, or None; what moved it, last thing last; its slot, in words, as such, and when that is with jitter."""

    tick: int | None
    moves: tuple[Obstacle, ...] = ()
    slot: str = ""
    key: _Slot | None = None
    goes: int = 0


class _Timeline:
    """One account's time to come, filled one delivery after the other."""

    def __init__(
        self, now: datetime, history: Sequence[datetime], timing: Timing, distances: set[int], lost: set[_Slot]
    ) -> None:
        self._timing = timing
        self._now = to_ticks(now)
        self._clock = WallClock(timing.zone)
        self._today = self._clock.reading(self._now) // DAY
        self._gap = length_ticks(timing.gap)
        self._opens = max(self._now, to_ticks(timing.blocked_until)) if timing.blocked_until else self._now
        self._house = Shut(self._clock, dates=timing.blackout)
        self._caps = Caps(
            self._clock,
            Limits(timing.hour, timing.day, timing.month),
            Limits(timing.hard_hour, timing.hard_day, None),
            to_ticks(timing.warmup_until) if timing.warmup_until else 0,
        )
        self._purse = Purse(timing.budget, self._now, timing.spent)
        self._posts: list[int] = []
        self._lost = lost
        self._taken: dict[_Slot, _Found] = {}
        self._near = {distance: Stretches() for distance in distances}
        self._rhythms: dict[tuple[object, ...], _Rhythm] = {}
        since = min(self._caps.since(self._now), self._now - max(distances, default=0))
        for moment in sorted(history)[-history_needed(timing) :]:
            tick = to_ticks(moment)
            if tick >= since:
                self._post(tick, self._gap)
            else:
                self._posts.append(tick)  # too old for any cap or gap; its slot is used all the same

    def place(self, delivery: Waiting) -> Due:
        """Give a delivery its time, and take it from those that follow."""
        ready = to_ticks(delivery.ready_at)
        start = max(ready, self._opens)
        limit = min(start + HORIZON, to_ticks(delivery.fresh_until)) if delivery.fresh_until else start + HORIZON
        rhythm = self._rhythm(delivery)
        if delivery.pinned_at is not None:
            pin = to_ticks(delivery.pinned_at)
            start = max(start, pin)
            found = _Found(start if start <= max(limit, pin + PIN_GRACE) else None)
        else:
            found = self._find(delivery, start, limit, rhythm, crowd=True)
        why = self._why(delivery, found, start)
        if found.tick is None:
            return Due(delivery.id, None, (self._refusal(delivery, start, limit, rhythm, found), *why), "skip")
        short = self._purse.pays(delivery.cost, found.tick)
        if short:
            return Due(delivery.id, None, (Why(Reason.BUDGET, short), *why), "hold")
        self._post(found.tick, rhythm.distance)
        if found.key is not None:
            self._taken[found.key] = found
        return Due(delivery.id, from_ticks(found.tick), why, "due")

    def overtaken(self) -> set[_Slot]:
        """Slots whose post waits for an opening while a post that was placed later goes before it."""
        return {
            key
            for key, found in self._taken.items()
            if found.tick is not None and self._used(found.goes, found.tick - 1) > key[1]
        }

    # -- looking for a time -------------------------------------------------------------------------------------

    def _find(self, delivery: Waiting, start: int, limit: int, rhythm: _Rhythm, *, crowd: bool) -> _Found:
        """The first time from `start` to `limit`; without `crowd`, as if the account had no other posts and no caps."""
        if rhythm.slots is not None:
            return self._find_slot(delivery, start, limit, rhythm, rhythm.slots, crowd)
        ready = to_ticks(delivery.ready_at)
        base = start
        if rhythm.jitter and delivery.priority is not Priority.BREAKING and not self._shut(ready, rhythm):
            base = max(start, ready + self._shift(rhythm, ready, limit - ready, delivery.id))
        tick, moves = self._free(base, limit, rhythm, crowd)
        return _Found(tick, ((Obstacle(base, Reason.SPREAD),) if base > start else ()) + moves)

    def _find_slot(
        self, delivery: Waiting, start: int, limit: int, rhythm: _Rhythm, slots: Slots, crowd: bool
    ) -> _Found:
        ready = 0 if delivery.ready_why in _DELAYED else to_ticks(delivery.ready_at)
        index = slots.last_before(start)
        passed: tuple[Obstacle, ...] = ()
        while True:
            index = slots.open_from(index) if crowd else index
            if not slots.reaches(index) or slots.ticks[index] > limit:
                return _Found(None, passed)
            end = slots.end(index)
            goes = self._goes(rhythm, slots, index, end)
            if goes >= ready and end > start:
                base, last = max(goes, start), min(limit, end - 1)
                tick, moves = self._free(base, last, rhythm, crowd)
                key = slots.ticks[index], slots.rank(index), id(delivery.schedule)
                if tick is not None and self._slot_holds(key, goes, tick, moves, crowd):
                    return _Found(tick, passed + moves, slots.name(index), key, goes)
                passed = passed or tuple(move for move in moves if move.reason in _VOID)
                if crowd and base == goes and last == end - 1:
                    slots.close(index)
            index += 1

    def _slot_holds(self, key: _Slot, goes: int, tick: int, moves: tuple[Obstacle, ...], crowd: bool) -> bool:
        """Can a post that leaves at `tick` still count as this slot's? Not if another used it, or on another day."""
        if any(move.reason in _VOID for move in moves):
            return False
        if not crowd:
            return True
        return key not in self._taken and key not in self._lost and self._used(goes, tick) <= key[1]

    def _used(self, goes: int, tick: int) -> int:
        """How many posts leave from one instant to the other, both included."""
        return bisect_right(self._posts, tick) - bisect_left(self._posts, goes)

    def _goes(self, rhythm: _Rhythm, slots: Slots, index: int, end: int) -> int:
        """The instant of a slot, its jitter included.

        The same for all posts of a schedule, so that one of them uses the slot up for the others. (Not quite: where
        quiet hours that only one route has begin just after the slot, that route's post has less room.)
        """
        tick = slots.ticks[index]
        if not rhythm.jitter or self._shut(tick, rhythm):
            return tick
        return tick + self._shift(rhythm, tick, end - 1 - tick, self._timing.seed, tick)

    def _shift(self, rhythm: _Rhythm, tick: int, room: int, *marks: object) -> int:
        """The jitter of a time: within `room`, its date, and the hours that are open."""
        return _share(min(rhythm.jitter, room, *(shut.room(tick) - 1 for shut in rhythm.shut)), *marks)

    def _free(self, tick: int, last: int, rhythm: _Rhythm, crowd: bool) -> tuple[int | None, tuple[Obstacle, ...]]:
        """The first open instant from `tick` to `last`, and what stood in the way: each reason's last, in order."""
        moves: dict[Reason, Obstacle] = {}
        while tick <= last:
            obstacle = self._obstacle(tick, rhythm, crowd)
            if obstacle is None:
                return tick, tuple(moves.values())
            moves.pop(obstacle.reason, None)
            moves[obstacle.reason] = obstacle
            tick = obstacle.until
        return None, tuple(moves.values())

    def _shut(self, tick: int, rhythm: _Rhythm) -> Obstacle | None:
        for shut in rhythm.shut:
            obstacle = shut.obstacle(tick)
            if obstacle is not None:
                return obstacle
        return None

    def _obstacle(self, tick: int, rhythm: _Rhythm, crowd: bool) -> Obstacle | None:
        # Caps come first: full days follow each other without a break, so that a long way takes few steps.
        full = self._caps.obstacle(tick, hard_only=rhythm.hard_only) if crowd else None
        obstacle = full or self._shut(tick, rhythm)
        if obstacle is not None or not crowd:
            return obstacle
        end = self._near[rhythm.distance].end(tick)
        if end is None:
            return None
        return Obstacle(end, Reason.SPREAD if rhythm.distance > self._gap else Reason.GAP, rhythm.distance)

    def _post(self, tick: int, distance: int) -> None:
        """A post leaves at this instant; none may be placed less than `distance` before it."""
        insort(self._posts, tick)
        self._caps.count(tick)
        for after, stretches in self._near.items():
            if after or distance:
                stretches.add(min(tick, tick - distance + 1), tick + after)

    def _rhythm(self, delivery: Waiting) -> _Rhythm:
        schedule = delivery.schedule
        quiet = self._timing.quiet if delivery.quiet is None else delivery.quiet
        hard_only = delivery.over_cap and delivery.priority is Priority.BREAKING
        distance = _distance(delivery, self._timing)
        key = id(schedule), quiet, hard_only, distance
        if key not in self._rhythms:
            shut = [Shut(self._clock, quiet), self._house]
            slots = None
            if schedule is not None:
                clock = clock_of(schedule, self._timing.zone)
                shut.append(Shut(clock, dates=schedule.blackout))
                # A slot that was missed is at most a week old: there is one each week, or none.
                slots = None if schedule.asap else Slots(schedule, clock, self._now - 8 * DAY)
            self._rhythms[key] = _Rhythm(
                shut=tuple(shut),
                distance=distance,
                jitter=length_ticks(schedule.jitter) if schedule is not None else 0,
                hard_only=hard_only,
                slots=slots,
            )
        return self._rhythms[key]

    # -- saying why ---------------------------------------------------------------------------------------------

    def _why(self, delivery: Waiting, found: _Found, start: int) -> tuple[Why, ...]:
        why = [self._rule(delivery, found)]
        ready = to_ticks(delivery.ready_at)
        if ready > self._now and delivery.ready_why is not None:
            why.append(Why(delivery.ready_why, f"until {self._spell(ready)}"))
        if self._opens > max(self._now, ready) and self._timing.blocked_by is not None:
            why.append(Why(self._timing.blocked_by, f"until {self._spell(self._opens)}"))
        return (*why, *(Why(move.reason, self._detail(move)) for move in found.moves))

    def _rule(self, delivery: Waiting, found: _Found) -> Why:
        if delivery.pinned_at is not None:
            return Why(Reason.PINNED, self._spell(to_ticks(delivery.pinned_at)))
        if delivery.schedule is None or delivery.schedule.asap:
            return Why(Reason.AT_ONCE)
        return Why(Reason.SLOT, found.slot)

    def _refusal(self, delivery: Waiting, start: int, limit: int, rhythm: _Rhythm, found: _Found) -> Why:
        """Why nothing is due: the cap if it could go but for other posts, else its age."""
        fresh = f"fresh until {self._spell(limit)}" if limit < start + HORIZON else "no time within 400 days"
        if delivery.pinned_at is not None:
            return Why(Reason.STALE, fresh)
        alone = self._find(delivery, start, limit, rhythm, crowd=False)
        reason, moves = (Reason.STALE, alone.moves) if alone.tick is None else (Reason.CAP, found.moves)
        if not moves:
            return Why(reason, fresh)
        what = "" if moves[-1].reason in _EACH else f"{moves[-1].reason} "
        return Why(reason, f"{fresh}, {what}{self._detail(moves[-1])}")

    def _detail(self, move: Obstacle) -> str:
        if move.reason in _EACH:
            return f"{move.number} {_EACH[move.reason]}"
        if move.number:
            return f"{_length(move.number)} after {self._spell(move.until - move.number)}"
        return f"until {self._spell(move.until)}"

    def _spell(self, tick: int) -> str:
        """An instant on the account's clock: "06:00", with the date if that is neither today nor tomorrow."""
        reading = self._clock.reading(tick)
        day = reading // DAY
        clock = hour_minute(reading)
        return clock if self._today <= day <= self._today + 1 else f"{date_of(day).day} {date_of(day):%b} {clock}"


_EACH = {Reason.CAP_HOUR: "an hour", Reason.CAP_DAY: "a day", Reason.CAP_MONTH: "a month"}


def _length(ticks: int) -> str:
    """A distance in words: "4 min", "90 s", "2 h"."""
    for size, unit in ((HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if ticks % size == 0:
            return f"{ticks // size} {unit}"
    return f"{ticks / SECOND:g} s"
