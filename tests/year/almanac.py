"""What must happen in a year, reckoned anew: slots, quiet hours and pairings straight from zoneinfo, minute by minute.

Nothing of `bot.rules` is in here. An account's articles go one to a slot, oldest first: at each slot the oldest article
that is ready takes it. A slot in the hour that a clock skips comes at the first minute after it, one in the hour that
it shows twice at the first of both; one in quiet hours goes when the clock next shows their end; one that passes while
nobody works is made up for when somebody does, and of several that pass the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zlib import crc32
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: What every account keeps between two posts.
GAP = 4 * MINUTE
#: How long an article rests after it was first seen.
SETTLE = 2 * MINUTE
#: At both ends of a stretch nothing is to be posted for so long.
MARGIN = 3 * HOUR
ALL_WEEK = tuple(range(7))


@dataclass(frozen=True)
class Desk:
    """One account of the year: its clock, its slots by weekday (0 = Monday), its quiet hours."""

    name: str
    zone: ZoneInfo
    slots: Mapping[int, tuple[time, ...]]
    quiet: tuple[time, time] | None = None

    @property
    def sources(self) -> tuple[str, str]:
        """Its two article stores."""
        return f"{self.name}-east", f"{self.name}-west"


@dataclass(frozen=True)
class Slot:
    """`at`: when the clock first shows its time; `goes`: when quiet hours let a post go."""

    at: datetime
    goes: datetime


@dataclass(frozen=True)
class Piece:
    """An article: where and when it is published, and the instant at which its post must stand there."""

    desk: str
    source: str
    name: str
    published: datetime
    due: datetime


@dataclass(frozen=True)
class Absence:
    """A time in which nothing happens, its end included: the worker is down, or the wall clock leaps over it."""

    begins: datetime
    ends: datetime

    def holds(self, moment: datetime) -> bool:
        return self.begins < moment < self.ends


@dataclass
class Expected:
    """All that must be published and posted in a stretch of the year."""

    pieces: list[Piece] = field(default_factory=list)
    slots: int = 0
    empty: int = 0


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clock shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def first_showing(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock first shows this, or has just skipped it."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if shown(first, zone) == wall:
        return first
    return reached(wall, zone, wall.replace(tzinfo=zone, fold=1).astimezone(UTC))


def reached(wall: datetime, zone: ZoneInfo, since: datetime) -> datetime:
    """The first minute from an instant on at which the clock shows this or more."""
    while shown(since, zone) < wall:
        since += MINUTE
    return since


def opening(moment: datetime, desk: Desk) -> datetime:
    """When a post that is to go at an instant may: then, or when the clock next shows the end of the quiet hours."""
    if desk.quiet is None:
        return moment
    wall = shown(moment, desk.zone)
    begins, ends = (datetime.combine(wall.date(), at) for at in desk.quiet)
    if ends <= begins:  # over midnight: it began yesterday, or ends tomorrow
        begins, ends = (begins - DAY, ends) if wall < ends else (begins, ends + DAY)
    return reached(ends, desk.zone, moment) if begins <= wall < ends else moment


def slots_of(desk: Desk, begins: datetime, ends: datetime) -> list[Slot]:
    """A desk's slots from one instant (included) to another (not)."""
    day, last = shown(begins, desk.zone).date() - DAY, shown(ends, desk.zone).date()
    found = []
    while day <= last:
        for at in desk.slots.get(day.weekday(), ()):
            moment = first_showing(datetime.combine(day, at), desk.zone)
            if begins <= moment < ends:
                found.append(Slot(moment, opening(moment, desk)))
        day += DAY
    return sorted(found, key=lambda slot: (slot.at, slot.goes))


def changes(zone: ZoneInfo, begins: datetime, ends: datetime) -> Iterator[datetime]:
    """The instants at which a zone's clock is changed."""
    moment = begins
    while moment < ends:
        if (moment - MINUTE).astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
            yield moment
        moment += 30 * MINUTE


def set_back(moment: datetime, zone: ZoneInfo) -> bool:
    """Does the clock show an hour twice from here on (or, else, skip one)?"""
    return shown(moment, zone) < shown(moment - MINUTE, zone)


def expected(desks: Sequence[Desk], begins: datetime, ends: datetime, absences: Sequence[Absence]) -> Expected:
    """What is published between two instants, so that (nearly) every slot has its article, and where each must go."""
    found = Expected()
    for desk in desks:
        slots = slots_of(desk, begins + MARGIN, ends - MARGIN)
        earlier = [slot.at for slot in slots_of(desk, begins, begins + MARGIN)]
        pieces = _paired(desk, slots, _published(desk, slots, max([begins, *earlier])), absences)
        found.pieces.extend(pieces)
        found.slots += len(slots)
        found.empty += len(slots) - len(pieces)
    return found


#: How many articles come before each of two slots in a row: mostly one each; or none, or the next one's too.
_SUPPLY = ((1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (0, 1), (1, 0), (2, 0))


def _published(desk: Desk, slots: Sequence[Slot], begins: datetime) -> Iterator[datetime]:
    """When the desk's articles are published: between the slot before and their own."""
    before = begins
    for index, slot in enumerate(slots):
        chance = crc32(f"{desk.name} {slots[index - index % 2].at}".encode())
        room = min(slot.at - before, DAY) - 20 * MINUTE
        for place in range(_SUPPLY[chance % len(_SUPPLY)][index % 2]):
            share = (chance // 16 + place * 5) % 11 / 11
            # At seconds of its own: no article comes together with another, a slot or a restart.
            own = timedelta(seconds=7 + 2 * index - place)
            yield slot.at - 15 * MINUTE - max(room, 5 * MINUTE) * share / (place + 1) - own
        before = slot.at


def _paired(
    desk: Desk, slots: Sequence[Slot], published: Iterator[datetime], absences: Sequence[Absence]
) -> list[Piece]:
    """Each article with its slot; what finds no slot any more is not published at all."""
    waiting = [(moment, _seen(moment, absences) + SETTLE) for moment in sorted(published)]
    pieces: list[Piece] = []
    last = datetime.min.replace(tzinfo=UTC)
    for index, slot in enumerate(slots):
        if _passed_over(slots, index, absences):
            continue
        if waiting and waiting[0][1] <= slot.at:
            moment, _ = waiting.pop(0)
            last = max(_seen(slot.goes, absences), last + GAP)
            pieces.append(_piece(desk, moment, last))
    return pieces


def _piece(desk: Desk, published: datetime, due: datetime) -> Piece:
    name = f"{desk.name}-{published:%Y%m%d-%H%M%S}"
    return Piece(desk.name, desk.sources[crc32(name.encode()) % 2], name, published, due)


def _seen(moment: datetime, absences: Sequence[Absence]) -> datetime:
    """An instant, or the end of the absence that holds it."""
    return next((absence.ends for absence in absences if absence.holds(moment)), moment)


def _passed_over(slots: Sequence[Slot], index: int, absences: Sequence[Absence]) -> bool:
    """Did the slot pass in an absence in which a later one passed too?"""
    holding = next((absence for absence in absences if absence.holds(slots[index].at)), None)
    return holding is not None and any(
        holding.holds(later.at) and later.at > slots[index].at for later in slots[index + 1 :]
    )


def daily(*times: str) -> dict[int, tuple[time, ...]]:
    """The same slots on every day."""
    return {weekday: tuple(time.fromisoformat(at) for at in times) for weekday in ALL_WEEK}


def midnight(day: date) -> datetime:
    """The beginning of a date in UTC."""
    return datetime.combine(day, time(), UTC)
