"""Slots: each once on each local date, whatever the clocks of its zone do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.rules.editorial import Schedule
from bot.rules.slots import DAY, Slots, WallClock, from_ticks, longest_gap, next_slots, to_ticks

ZONES = (
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Europe/London",
    "America/New_York",
    "America/Nuuk",
    "Africa/Casablanca",
    "Asia/Kolkata",
)
MINUTE = timedelta(minutes=1)


def schedule(**keys: object) -> Schedule:
    return Schedule.model_validate(keys)


def first_showing(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first UTC minute at which the zone's clock shows this time or has just skipped it. Slow, and plain."""
    wall = datetime.combine(day, at)
    moment = (wall - timedelta(hours=16)).replace(tzinfo=UTC)
    while moment.astimezone(zone).replace(tzinfo=None) < wall:
        moment += MINUTE
    return moment


def changes(zone: ZoneInfo, year: int) -> set[date]:
    """The local dates of a year on which the zone's offset changes."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=each) for each in range(367)]
    found = {a for a, b in pairwise(days) if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()}
    return {(each + timedelta(days=shift)).date() for each in found for shift in (-1, 0, 1)}


@pytest.mark.parametrize("name", ZONES)
def test_p34_p35_each_slot_fires_once_on_each_local_date_for_400_days(name: str) -> None:
    """P34, P35: 00:00 and 02:30 over 400 days: one firing per slot and date, at the time the clock first shows it."""
    zone = ZoneInfo(name)
    start = date(2026, 1, 1)
    slots = schedule(daily=["00:00", "01:30", "02:30"])
    after = datetime.combine(start, time(), zone)
    found = list(next_slots(slots, zone, after, after + timedelta(days=400)))
    expected = [(start + timedelta(days=each), at) for each in range(400) for at in slots.times(0)]
    assert len(found) == len(expected)
    assert found == sorted(found)
    odd = changes(zone, 2026) | changes(zone, 2027)
    for (day, at), moment in zip(expected, found, strict=True):
        if day in odd:
            assert moment == first_showing(day, at, zone)
        else:
            assert moment.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at)


@pytest.mark.parametrize(
    ("name", "day", "at", "expected"),
    [
        # skipped: the first minute after
        ("Europe/London", "2026-03-29", "01:30", "2026-03-29T02:00:00+01:00"),
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08T03:00:00-04:00"),
        ("Africa/Cairo", "2026-04-24", "00:00", "2026-04-24T01:00:00+03:00"),
        ("America/Santiago", "2026-09-06", "00:00", "2026-09-06T01:00:00-03:00"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-04T02:30:00+11:00"),
        # twice: the first
        ("Europe/London", "2026-10-25", "01:30", "2026-10-25T01:30:00+01:00"),
        ("Africa/Cairo", "2026-10-29", "23:30", "2026-10-29T23:30:00+03:00"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+11:00"),
        ("America/Santiago", "2026-04-04", "23:30", "2026-04-04T23:30:00-03:00"),
    ],
)
def test_p34_p35_the_odd_hours_by_name(name: str, day: str, at: str, expected: str) -> None:
    zone = ZoneInfo(name)
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    found = list(next_slots(schedule(daily=[at]), zone, begin - timedelta(hours=2), begin + timedelta(hours=36)))
    dated = [each.astimezone(zone) for each in found if each.astimezone(zone).date().isoformat() == day]
    assert [each.isoformat() for each in dated] == [expected]


def test_p36_a_weekly_slot_keeps_its_local_time_for_two_years() -> None:
    """P36: Tuesday 16:00 in Brussels is 16:00 there on all 104 Tuesdays of two years."""
    zone = ZoneInfo("Europe/Brussels")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = list(next_slots(schedule(tue=["16:00"]), zone, start, datetime(2027, 12, 30, tzinfo=UTC)))
    assert len(found) == 104
    assert {(each.astimezone(zone).weekday(), each.astimezone(zone).time()) for each in found} == {(1, time(16))}
    assert len({each.time() for each in found}) == 2  # and is not the same in UTC


def test_a_date_that_does_not_exist_has_no_slots() -> None:
    """Samoa skipped 30 December 2011: its slots neither fire nor pile up at the next midnight."""
    zone = ZoneInfo("Pacific/Apia")
    found = list(
        next_slots(
            schedule(daily=["00:00", "12:00"]),
            zone,
            datetime(2011, 12, 29, tzinfo=zone),
            datetime(2012, 1, 1, tzinfo=zone),
        )
    )
    assert [each.astimezone(zone).strftime("%d %H:%M") for each in found] == [
        "29 00:00",
        "29 12:00",
        "31 00:00",
        "31 12:00",
    ]


def test_slots_that_share_the_end_of_a_skip_are_both_there() -> None:
    zone = ZoneInfo("America/Nuuk")  # 28 March 2026: 23:00 becomes 00:00 of the 29th
    begin = datetime(2026, 3, 28, 12, tzinfo=zone)
    found = list(next_slots(schedule(daily=["23:30", "00:00"]), zone, begin, begin + timedelta(days=1)))
    assert [each.astimezone(zone).strftime("%d %H:%M") for each in found[:2]] == ["29 00:00", "29 00:00"]


def test_p40_the_schedules_own_zone_outranks_the_accounts() -> None:
    after = datetime(2026, 7, 1, tzinfo=UTC)
    until = after + timedelta(days=1)
    own = schedule(daily=["07:15"], timezone="Asia/Kolkata")
    assert list(next_slots(own, ZoneInfo("Europe/London"), after, until)) == [datetime(2026, 7, 1, 1, 45, tzinfo=UTC)]
    plain = schedule(daily=["07:15"])
    assert list(next_slots(plain, ZoneInfo("Europe/London"), after, until)) == [datetime(2026, 7, 1, 6, 15, tzinfo=UTC)]


def test_the_first_instant_belongs_to_the_range_and_the_last_does_not() -> None:
    nine, ten = datetime(2026, 7, 1, 9, tzinfo=UTC), datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert list(next_slots(schedule(daily=["09:00", "10:00"]), ZoneInfo("UTC"), nine, ten)) == [nine]


def test_weekdays_blackout_and_asap() -> None:
    zone, after = ZoneInfo("Europe/London"), datetime(2026, 12, 21, tzinfo=UTC)  # a Monday
    until = after + timedelta(days=7)
    working = schedule(**{"mon-fri": ["09:00"], "sat": ["11:00"], "blackout": ["2026-12-25"]})
    found = [each.strftime("%a %H") for each in next_slots(working, zone, after, until)]
    assert found == ["Mon 09", "Tue 09", "Wed 09", "Thu 09", "Sat 11"]
    assert list(next_slots(schedule(asap=True), zone, after, until)) == []
    assert list(next_slots(schedule(mon=[]), zone, after, until)) == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"daily": ["07:15", "12:10", "21:00"]}, timedelta(hours=10, minutes=15)),
        ({"daily": ["12:00"]}, timedelta(hours=24)),
        ({"mon-fri": ["08:00", "20:00"]}, timedelta(hours=60)),
        ({"tue": ["16:00"]}, timedelta(days=7)),
        ({"asap": True}, timedelta(0)),
        ({"mon": []}, timedelta.max),
    ],
)
def test_longest_gap(keys: dict[str, object], expected: timedelta) -> None:
    assert longest_gap(schedule(**keys)) == expected


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from((*ZONES, "Pacific/Apia", "America/St_Johns", "Antarctica/Troll")),
    minute=st.integers(0, 60 * 24 * 365 * 3),
    ahead=st.integers(1, 60 * 30),
)
def test_first_after_is_the_first_instant_that_shows_or_has_passed_a_reading(
    zone: str, minute: int, ahead: int
) -> None:
    clock = WallClock(ZoneInfo(zone))
    start = datetime(2010, 11, 1, tzinfo=UTC) + minute * MINUTE
    reading = clock.reading(to_ticks(start)) + ahead * 60_000_000
    found = from_ticks(clock.first_after(to_ticks(start), reading))
    assert found > start
    assert clock.reading(to_ticks(found)) >= reading
    before = found - MINUTE
    while before > start:  # at every earlier minute the clock had not got there
        assert clock.reading(to_ticks(before)) < reading
        before -= MINUTE


@given(second=st.integers(63_158_400, 2_840_140_800), zone=st.sampled_from(ZONES))  # 1972 to 2060
def test_a_reading_is_what_zoneinfo_shows(second: int, zone: str) -> None:
    instant = from_ticks(second * 1_000_000)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    assert WallClock(ZoneInfo(zone)).reading(to_ticks(instant)) == to_ticks(shown)


def test_closed_slots_are_stepped_over_and_only_they() -> None:
    begin = to_ticks(datetime(2026, 1, 1, tzinfo=UTC))
    slots = Slots(schedule(daily=["06:00", "12:00", "18:00"]), WallClock(ZoneInfo("UTC")), begin)
    assert slots.last_before(begin + DAY // 2) == 1
    assert slots.last_before(begin) == 0
    assert slots.reaches(3)
    for index in (1, 2, 4):
        slots.close(index)
    assert [slots.open_from(index) for index in range(6)] == [0, 3, 3, 3, 5, 5]
    assert slots.name(3) == "06:00 UTC"


def test_a_schedule_without_slots_ends_the_search() -> None:
    slots = Slots(schedule(mon=[]), WallClock(ZoneInfo("UTC")), 0)
    assert not slots.reaches(0)
    assert slots.last_before(DAY) == 0
