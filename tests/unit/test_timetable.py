"""The timetable: caps, gaps, quiet hours, slots, pins, freshness, budget, and the reasons it gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.model import Pace, Priority, Reason, Why
from bot.rules.editorial import AccountRules, Caps, Defaults, Editorial, Money, Schedule, Span
from bot.rules.pacing import Limits, Stretches
from bot.rules.timetable import Due, Timing, Waiting, history_needed, limits_at, timetable, timing_for

NOW = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)  # a Tuesday
LONDON = ZoneInfo("Europe/London")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BREAKING, NORMAL, EVERGREEN = Priority.BREAKING, Priority.NORMAL, Priority.EVERGREEN


def timing(**keys: Any) -> Timing:
    plain: dict[str, Any] = {
        "zone": LONDON,
        "gap": 4 * MINUTE,
        "hour": None,
        "day": None,
        "month": None,
        "quiet": (),
        "blackout": (),
    }
    return Timing(**{**plain, **keys})


def waiting(number: int, **keys: Any) -> Waiting:
    plain: dict[str, Any] = {
        "id": f"d{number:04}",
        "article": f"a{number}",
        "priority": NORMAL,
        "ready_at": NOW,
        "fresh_until": None,
        "order": (number,),
    }
    return Waiting(**{**plain, **keys})


def many(count: int, **keys: Any) -> list[Waiting]:
    return [waiting(number, **keys) for number in range(count)]


def slots(*times: str, **keys: Any) -> Schedule:
    return Schedule.model_validate({"daily": list(times), **keys})


def spans(*texts: str) -> tuple[Span, ...]:
    return tuple(Span.model_validate(text) for text in texts)


def at(text: str, zone: ZoneInfo = LONDON, day: str = "2026-11-24") -> datetime:
    return datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=zone).astimezone(UTC)


def shown(dues: Iterable[Due], zone: ZoneInfo = LONDON) -> list[str]:
    """The due times as "24 14:07" of those that are due."""
    return [due.due_at.astimezone(zone).strftime("%d %H:%M") for due in dues if due.due_at is not None]


def of(dues: Iterable[Due], number: int) -> Due:
    return next(due for due in dues if due.id == f"d{number:04}")


def reasons(due: Due) -> list[Reason]:
    return [why.reason for why in due.why]


# -- at once: gaps and caps ---------------------------------------------------------------------------------------


def test_alone_it_goes_now() -> None:
    assert timetable(NOW, [waiting(1)], [], timing()) == [Due("d0001", NOW, (Why(Reason.AT_ONCE),), "due")]


def test_the_gap_counts_from_the_last_post_and_says_so() -> None:
    [due] = timetable(NOW, [waiting(1)], [at("14:06")], timing())
    assert due.due_at == at("14:10")
    assert due.why == (Why(Reason.AT_ONCE), Why(Reason.GAP, "4 min after 14:06"))


def test_p18_a_burst_of_20_keeps_cap_and_gap_and_each_has_a_time() -> None:
    """P18: 20 items in one poll, cap 5 an hour, gap 10 min."""
    dues = timetable(NOW, many(20), [], timing(gap=10 * MINUTE, hour=5))
    times = [due.due_at for due in dues]
    assert all(due.outcome == "due" and due.due_at is not None for due in dues)
    assert [due.id for due in dues] == [f"d{number:04}" for number in range(20)]
    assert min(later - sooner for sooner, later in pairwise(sorted(filter(None, times)))) == 10 * MINUTE
    hours = Counter(each.astimezone(LONDON).strftime("%d %H") for each in times if each)
    assert max(hours.values()) == 5
    assert shown(dues)[:7] == ["24 14:07", "24 14:17", "24 14:27", "24 14:37", "24 14:47", "24 15:00", "24 15:10"]
    assert reasons(of(dues, 5)) == [Reason.AT_ONCE, Reason.CAP_HOUR]
    assert of(dues, 5).why[-1].detail == "5 an hour"


def test_p19_after_nine_hours_down_the_old_are_skipped_and_the_rest_keep_the_pace() -> None:
    """P19: 40 queued posts, 9 h down: too old ones are stale, the rest go one per gap, those that can't are `cap`."""
    back = NOW + 9 * HOUR
    queue = [
        waiting(number, ready_at=ready, fresh_until=ready + 6 * HOUR)
        for number in range(40)
        for ready in [NOW + number * 15 * MINUTE]
    ]
    dues = timetable(back, queue, [NOW], timing(hour=6))
    stale = [due for due in dues if due.why[0].reason is Reason.STALE]
    assert [due.id for due in stale] == [f"d{number:04}" for number in range(12)]  # fresh until before 23:07
    sent = [due.due_at for due in dues if due.due_at is not None]
    assert sent[0] == back
    assert all(later - sooner >= 4 * MINUTE for sooner, later in pairwise(sent))
    assert max(Counter(each.replace(minute=0) for each in sent).values()) <= 6
    assert len(sent) + len(stale) + sum(due.why[0].reason is Reason.CAP for due in dues) == 40


def test_p20_a_new_account_warms_up_with_five_an_hour_even_for_breaking() -> None:
    """P20: 100 due posts, warm-up of 7 days: no hour has more than 5; later the newsroom's cap holds."""
    joined = NOW - timedelta(days=6, hours=20)
    rhythm = timing(gap=MINUTE, hour=20, warmup_until=joined + timedelta(days=7))
    for extra in ({}, {"priority": BREAKING, "over_cap": True}):
        dues = timetable(NOW, many(100, **extra), [], rhythm)
        hours = Counter(due.due_at.replace(minute=0) for due in dues if due.due_at is not None)
        assert sum(hours.values()) == 100
        warm = {hour: count for hour, count in hours.items() if hour + HOUR <= joined + timedelta(days=7)}
        assert set(warm.values()) == {5}
        assert max(hours.values()) > 5


def test_caps_of_day_and_month_send_to_the_next_ones_first_minute() -> None:
    night = timing(day=3, month=7, gap=MINUTE)
    dues = timetable(datetime(2026, 11, 29, 12, tzinfo=UTC), many(10), [], night)
    assert shown(dues) == [
        *["29 12:00", "29 12:01", "29 12:02"],
        *["30 00:00", "30 00:01", "30 00:02"],
        *["01 00:00", "01 00:01", "01 00:02", "02 00:00"],
    ]
    assert of(dues, 6).why[-1] == Why(Reason.CAP_DAY, "3 a day")
    dues = timetable(datetime(2026, 11, 28, 12, tzinfo=UTC), many(8), [], night)
    assert shown(dues)[6:] == ["30 00:00", "01 00:00"]
    assert of(dues, 7).why[-1] == Why(Reason.CAP_MONTH, "7 a month")


def test_history_counts_for_the_caps() -> None:
    history = [at("14:00"), at("14:05"), at("13:59"), at("09:00")]
    assert shown(timetable(NOW, [waiting(1)], history, timing(hour=2, gap=MINUTE))) == ["24 15:00"]
    assert shown(timetable(NOW, [waiting(1)], history, timing(hour=3, gap=MINUTE))) == ["24 14:07"]
    assert shown(timetable(NOW, [waiting(1)], history, timing(day=4, gap=MINUTE))) == ["25 00:00"]
    assert shown(timetable(NOW, [waiting(1)], history, timing(day=5, gap=MINUTE))) == ["24 14:07"]


def test_a_cap_of_nothing_lets_nothing_out() -> None:
    [due] = timetable(NOW, [waiting(1)], [], timing(day=0))
    assert (due.outcome, due.due_at, due.why[0].reason) == ("skip", None, Reason.CAP)


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        ("Europe/London", "2026-03-29", 23),
        ("Europe/London", "2026-10-25", 25),
        ("America/Santiago", "2026-04-04", 25),
        ("Africa/Cairo", "2026-04-24", 23),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_caps_follow_the_clock_on_days_of_23_and_25_hours(zone: str, day: str, length: float) -> None:
    """A local day is from midnight to midnight, however long; an hour that the clock shows twice counts once."""
    place = ZoneInfo(zone)
    start, following = at("00:00", place, day), at("00:00", place, (date.fromisoformat(day) + timedelta(1)).isoformat())
    assert following - start == length * HOUR or zone == "Africa/Cairo"
    dues = timetable(start, many(60, ready_at=start), [], timing(zone=place, hour=2, gap=5 * MINUTE))
    local = [due.due_at.astimezone(place) for due in dues if due.due_at is not None]
    assert max(Counter(each.strftime("%d %H") for each in local).values()) == 2
    assert len({each.hour for each in local if each.date().isoformat() == day}) == (23 if length == 23 else 24)
    per_day = timetable(start, many(60, ready_at=start), [], timing(zone=place, day=50, gap=MINUTE))
    assert sum(due.due_at < following for due in per_day if due.due_at is not None) == 50
    assert per_day[50].due_at == following


# -- priorities ---------------------------------------------------------------------------------------------------


def test_breaking_jumps_the_queue_but_not_the_caps() -> None:
    queue = [*many(3), waiting(9, priority=BREAKING), waiting(8, priority=EVERGREEN)]
    dues = timetable(NOW, queue, [], timing(hour=2))
    assert [due.id for due in dues] == ["d0009", "d0000", "d0001", "d0002", "d0008"]
    assert shown(dues) == ["24 14:07", "24 14:11", "24 15:00", "24 15:04", "24 16:00"]


def test_over_cap_is_for_breaking_news_and_stops_at_the_networks_own_limit() -> None:
    sent = [at("14:00"), at("14:02")]
    full = timing(hour=2, day=2, gap=MINUTE)
    breaking = waiting(1, priority=BREAKING, over_cap=True)
    assert shown(timetable(NOW, [breaking], sent, full)) == ["24 14:07"]
    assert shown(timetable(NOW, [waiting(1, over_cap=True)], sent, full)) == ["25 00:00"]
    documented = timing(hour=2, day=2, gap=MINUTE, hard_hour=2, hard_day=9)
    assert shown(timetable(NOW, [breaking], sent, documented)) == ["24 15:00"]


def test_over_cap_keeps_the_gap_and_counts_for_the_others() -> None:
    dues = timetable(NOW, [waiting(1, priority=BREAKING, over_cap=True), waiting(2)], [at("14:05")], timing(hour=2))
    assert shown(dues) == ["24 14:09", "24 15:00"]


# -- quiet hours and closed dates ---------------------------------------------------------------------------------


def test_p42_what_falls_into_quiet_hours_goes_from_their_end_in_order_of_priority() -> None:
    """P42: quiet 23:00 to 06:00, 12 items at night: from 06:00 on, by priority, a gap apart; never end + length."""
    night = at("04:30", day="2026-11-25")
    queue = [*many(11, ready_at=night), waiting(99, ready_at=night, priority=BREAKING)]
    dues = timetable(night, queue, [], timing(quiet=spans("23:00-06:00")))
    assert shown(dues) == [f"25 06:{4 * number:02}" for number in range(12)]
    assert dues[0].id == "d0099"
    assert dues[0].why == (Why(Reason.AT_ONCE), Why(Reason.QUIET, "until 06:00"))
    assert dues[1].why[-1] == Why(Reason.GAP, "4 min after 06:00")


@pytest.mark.parametrize(
    ("start", "quiet", "expected"),
    [
        ("23:30", ["23:00-06:00"], "25 06:00"),
        ("22:59", ["23:00-06:00"], "24 22:59"),
        ("06:00", ["23:00-06:00"], "24 06:00"),
        ("05:30", ["23:00-06:00", "06:00-07:00"], "24 07:00"),
        ("12:30", ["12:00-13:00"], "24 13:00"),
        ("23:30", ["22:00-24:00"], "25 00:00"),
        ("23:30", [], "24 23:30"),
    ],
)
def test_p42_the_end_of_quiet_hours(start: str, quiet: list[str], expected: str) -> None:
    now = at(start)
    assert shown(timetable(now, [waiting(1, ready_at=now)], [], timing(quiet=spans(*quiet)))) == [expected]


def test_quiet_hours_follow_the_clock_through_its_changes() -> None:
    """An end in the skipped hour is the first minute after it; in the repeated hour it is quiet both times."""
    skipped = timing(quiet=spans("23:00-01:30"))
    now = at("23:30", day="2026-03-28")
    [due] = timetable(now, [waiting(1, ready_at=now)], [], skipped)
    assert due.due_at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 BST
    # 25 October 2026: 01:00 to 02:00 comes twice. Open 01:30 to 02:00, quiet again 01:00 to 01:30, then open.
    first = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)
    [due] = timetable(first, [waiting(1, ready_at=first)], [], skipped)
    assert due.due_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)
    [due] = timetable(second, [waiting(1, ready_at=second)], [], skipped)
    assert due.due_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "quiet", "expected"),
    [
        # 4 April 2026: 23:00 to 24:00 comes twice. The night that began at 23:10 goes on at the second 23:06.
        ("America/Santiago", "2026-04-05T03:06", "23:10-00:30", "05 00:30"),
        # 25 October 2026: 01:00 to 02:00 comes twice. Begun at 01:20, it ends at the second 02:30, as it was forecast.
        ("Europe/London", "2026-10-25T01:10", "01:20-02:30", "25 02:30"),
        # It began and ended before the clock was set back; the second 01:10 is open.
        ("Europe/London", "2026-10-25T01:10", "01:20-01:40", "25 01:10"),
        # It has not begun yet: the first 01:10.
        ("Europe/London", "2026-10-25T00:10", "01:20-02:30", "25 01:10"),
    ],
)
def test_p35_quiet_hours_that_began_go_on_when_the_clock_is_set_back(
    zone: str, start: str, quiet: str, expected: str
) -> None:
    now = datetime.fromisoformat(start).replace(tzinfo=UTC)
    rhythm = timing(zone=ZoneInfo(zone), quiet=spans(quiet))
    assert shown(timetable(now, [waiting(1, ready_at=now)], [], rhythm), ZoneInfo(zone)) == [expected]


def test_a_routes_own_quiet_hours_replace_the_accounts() -> None:
    night = at("23:30")
    dues = timetable(
        night,
        [
            waiting(1, ready_at=night, quiet=()),
            waiting(2, ready_at=night, quiet=spans("23:00-23:50")),
            waiting(3, ready_at=night),
        ],
        [],
        timing(quiet=spans("22:00-07:00")),
    )
    assert shown(dues) == ["24 23:30", "24 23:50", "25 07:00"]


def test_blackout_dates_of_house_and_schedule() -> None:
    house = timing(blackout=(date(2026, 11, 24),), quiet=spans("23:00-06:00"))
    [due] = timetable(NOW, [waiting(1)], [], house)
    assert shown([due]) == ["25 06:00"]
    assert reasons(due) == [Reason.AT_ONCE, Reason.BLACKOUT, Reason.QUIET]
    closed = Schedule.model_validate({"asap": True, "blackout": ["2026-11-24"]})
    assert shown(timetable(NOW, [waiting(1, schedule=closed), waiting(2)], [], timing())) == ["24 14:07", "25 00:00"]
    shut = slots("09:00", "21:00", blackout=["2026-11-24"])
    assert shown(timetable(NOW, [waiting(1, schedule=shut)], [], timing())) == ["25 09:00"]
    daily = slots("09:00", "21:00")
    dues = timetable(NOW, [waiting(1, schedule=daily)], [], timing(blackout=(date(2026, 11, 24),)))
    assert shown(dues) == ["25 09:00"]  # not at midnight, which is no slot


# -- slots --------------------------------------------------------------------------------------------------------

DAILY = slots("09:00", "12:10", "15:00", "21:00")


def test_one_post_per_slot_by_priority_and_order() -> None:
    queue = [*many(4, schedule=DAILY), waiting(9, schedule=DAILY, priority=BREAKING)]
    dues = timetable(NOW, queue, [], timing())
    assert [due.id for due in dues] == ["d0009", "d0000", "d0001", "d0002", "d0003"]
    assert shown(dues) == ["24 15:00", "24 21:00", "25 09:00", "25 12:10", "25 15:00"]
    assert dues[3].why == (Why(Reason.SLOT, "12:10 London"),)


def test_only_slots_after_it_is_ready() -> None:
    ready = waiting(1, schedule=DAILY, ready_at=at("20:00"), ready_why=Reason.EMBARGO)
    [due] = timetable(NOW, [ready], [], timing())
    assert shown([due]) == ["24 21:00"]
    assert due.why == (Why(Reason.SLOT, "21:00 London"), Why(Reason.EMBARGO, "until 20:00"))
    exactly = waiting(1, schedule=DAILY, ready_at=at("21:00"))
    assert shown(timetable(NOW, [exactly], [], timing())) == ["24 21:00"]


def test_p37_a_slot_that_is_90_seconds_late_goes_at_once() -> None:
    """P37: the loop was blocked for 90 s at slot time."""
    now = at("15:01:30")
    dues = timetable(now, many(2, schedule=DAILY), [], timing())
    assert [due.due_at for due in dues] == [now, at("21:00")]


def test_p39_a_slot_missed_while_down_is_made_up_for_once_and_the_next_is_unchanged() -> None:
    """P39: stopped at 08:55, slot 09:00, started at 09:20."""
    now = at("09:20")
    queue = many(3, schedule=DAILY, ready_at=at("08:00"))
    dues = timetable(now, queue, [at("21:00", day="2026-11-23")], timing())
    assert shown(dues) == ["24 09:20", "24 12:10", "24 15:00"]
    assert dues[0].why == (Why(Reason.SLOT, "09:00 London"),)
    # once it is out, the rest stay where they were
    assert shown(timetable(now + MINUTE, queue[1:], [now], timing())) == ["24 12:10", "24 15:00"]
    # an article that came after the slot has no claim on it, and one that is stale by then neither
    assert shown(timetable(now, [waiting(1, schedule=DAILY, ready_at=at("09:10"))], [], timing())) == ["24 12:10"]
    late = waiting(1, schedule=DAILY, ready_at=at("08:00"), fresh_until=at("09:15"))
    assert timetable(now, [late], [], timing())[0].why[0].reason is Reason.STALE


def test_p39_of_several_missed_slots_only_the_last_is_made_up_for() -> None:
    now = at("14:00")
    assert shown(timetable(now, many(3, schedule=DAILY, ready_at=at("08:00")), [], timing())) == [
        "24 14:00",
        "24 15:00",
        "24 21:00",
    ]


def test_a_weekly_slot_is_made_up_for_days_later() -> None:
    weekly = Schedule.model_validate({"mon": ["16:00"]})
    queue = many(2, schedule=weekly, ready_at=at("12:00", day="2026-11-23"))
    assert shown(timetable(NOW, queue, [], timing())) == ["24 14:07", "30 16:00"]


def test_trouble_on_the_way_does_not_cost_a_delivery_its_slot() -> None:
    now = at("15:00:30")
    tried = waiting(1, schedule=DAILY, ready_at=at("15:01"), ready_why=Reason.BACKOFF)
    dues = timetable(now, [tried, waiting(2, schedule=DAILY, ready_at=at("15:01"))], [], timing())
    assert shown(dues) == ["24 15:01", "24 21:00"]
    # but the slot has one post all the same
    dues = timetable(now, [tried, waiting(2, schedule=DAILY)], [], timing())
    assert shown(dues) == ["24 15:01", "24 21:00"]
    assert shown(timetable(at("15:02"), [waiting(2, schedule=DAILY)], [at("15:01")], timing())) == ["24 21:00"]


def test_a_slot_waits_for_gap_and_quiet_hours_and_is_passed_over_for_a_full_day() -> None:
    [due] = timetable(NOW, [waiting(1, schedule=DAILY)], [], timing(quiet=spans("14:30-15:30")))
    assert shown([due]) == ["24 15:30"]
    assert due.why == (Why(Reason.SLOT, "15:00 London"), Why(Reason.QUIET, "until 15:30"))
    pinned = waiting(2, pinned_at=at("14:58"))
    dues = timetable(NOW, [waiting(1, schedule=DAILY), pinned], [], timing())
    assert shown(dues) == ["24 14:58", "24 15:02"]
    [due] = timetable(NOW, [waiting(1, schedule=DAILY)], [at("08:00"), at("10:00")], timing(day=2))
    assert shown([due]) == ["25 09:00"]
    assert due.why == (Why(Reason.SLOT, "09:00 London"), Why(Reason.CAP_DAY, "2 a day"))


def test_slots_in_quiet_hours_do_not_pile_up_at_their_end() -> None:
    night = slots("01:00", "03:00", "05:00", "08:00")
    dues = timetable(NOW, many(3, schedule=night), [], timing(quiet=spans("23:00-06:00")))
    assert shown(dues) == ["25 06:00", "25 08:00", "26 06:00"]


def test_a_post_in_quiet_hours_uses_the_slot_whose_own_post_waits_for_their_end_and_the_forecast_knows() -> None:
    early, rhythm = slots("05:30", "08:00"), timing(quiet=spans("23:00-06:00"))
    by_slot = waiting(1, schedule=early)
    assert shown(timetable(NOW, [by_slot], [], rhythm)) == ["25 06:00"]
    night = waiting(2, ready_at=at("05:40", day="2026-11-25"), quiet=())
    assert shown(timetable(NOW, [by_slot, night], [], rhythm)) == ["25 05:40", "25 08:00"]
    sent = at("05:40", day="2026-11-25")
    assert shown(timetable(sent, [by_slot], [sent], rhythm)) == ["25 08:00"]


def test_a_slot_comes_before_posts_that_go_at_once_when_of_equal_priority() -> None:
    queue = [waiting(1, ready_at=at("14:58")), waiting(2, schedule=DAILY)]
    assert shown(timetable(NOW, queue, [], timing())) == ["24 15:00", "24 15:04"]
    queue = [waiting(1, ready_at=at("14:58"), priority=BREAKING), waiting(2, schedule=DAILY)]
    assert shown(timetable(NOW, queue, [], timing())) == ["24 14:58", "24 15:02"]


def test_two_slots_at_the_end_of_a_skip_are_two_posts() -> None:
    """P34: 02:15 and 02:45 don't exist in New York on 8 March 2026: both posts go from 03:00, a gap apart."""
    place, day = ZoneInfo("America/New_York"), "2026-03-08"
    now = at("00:00", place, day)
    queue = many(3, schedule=slots("02:15", "02:45"), ready_at=now)
    dues = timetable(now, queue, [], timing(zone=place))
    assert shown(dues, place) == ["08 03:00", "08 03:04", "09 02:15"]
    first = at("03:00", place, day)
    rest = timetable(first + timedelta(seconds=2), queue[1:], [first], timing(zone=place))
    assert shown(rest, place) == ["08 03:04", "09 02:15"]


@pytest.mark.parametrize(
    ("zone", "gap_day", "twice_day"),
    [
        ("Europe/London", "2026-03-29", "2026-10-25"),
        ("America/New_York", "2026-03-08", "2026-11-01"),
        ("America/Santiago", "2026-09-06", "2026-04-04"),
        ("Africa/Cairo", "2026-04-24", "2026-10-29"),
        ("Australia/Lord_Howe", "2026-10-04", "2026-04-05"),
        ("America/Nuuk", "2026-03-28", "2026-10-24"),
        ("Africa/Casablanca", "2026-03-22", "2026-02-15"),
        ("Pacific/Auckland", "2026-09-27", "2026-04-05"),
    ],
)
def test_p34_p35_every_slot_of_the_days_around_a_change_is_used_once(zone: str, gap_day: str, twice_day: str) -> None:
    """P34, P35: half-hourly slots over three days: one post each, none lost and none twice, in 8 zones."""
    place = ZoneInfo(zone)
    half_hours = slots(*[f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 30)])
    for day in (gap_day, twice_day):
        start = at("00:00", place, day) - timedelta(days=1)
        dues = timetable(start, many(144, schedule=half_hours, ready_at=start), [], timing(zone=place, gap=MINUTE))
        wanted = Counter(due.why[0].detail for due in dues)
        assert set(wanted.values()) == {3}
        assert all(due.outcome == "due" for due in dues)
        times = [due.due_at for due in dues if due.due_at is not None]
        assert all(later - sooner >= MINUTE for sooner, later in pairwise(times))


def test_p41_nothing_bursts_when_the_clock_was_set_back() -> None:
    """P41: the last post lies an hour ahead of a clock that was set back: gaps hold on both sides of it."""
    dues = timetable(NOW, many(3), [NOW + 5 * MINUTE], timing())
    assert shown(dues) == ["24 14:07", "24 14:16", "24 14:20"]


# -- jitter and spread --------------------------------------------------------------------------------------------


def test_jitter_is_the_same_each_time_and_stays_before_the_next_slot_midnight_and_quiet_hours() -> None:
    restless = slots("10:00", "10:02", "22:58", "23:50", jitter="30m")
    rhythm = timing(quiet=spans("23:00-23:40"), seed="desk", gap=timedelta(0))
    start = at("00:00", day="2026-11-25")
    queue = many(40, schedule=restless, ready_at=start)
    dues = timetable(start, queue, [], rhythm)
    assert dues == timetable(start, queue[::-1], [], rhythm)
    shifts = set()
    for due in dues:
        assert due.due_at is not None
        local = due.due_at.astimezone(LONDON)
        hour, minute = map(int, due.why[0].detail.split()[0].split(":"))
        slot = local.replace(hour=hour, minute=minute, second=0)
        room = {"10:00": 2, "10:02": 30, "22:58": 2, "23:50": 10}[f"{hour:02}:{minute:02}"]
        assert timedelta(0) <= local - slot < room * MINUTE
        shifts.add(local - slot)
    assert len(shifts) > 10
    assert [due.due_at for due in dues] != [due.due_at for due in timetable(start, queue, [], timing(seed="other"))]


def test_jitter_of_posts_that_go_at_once_counts_from_when_they_are_ready() -> None:
    easy = Schedule.model_validate({"asap": True, "jitter": "10m"})
    [due] = timetable(NOW, [waiting(1, schedule=easy)], [], timing())
    assert due.due_at is not None and NOW <= due.due_at <= NOW + 10 * MINUTE
    assert reasons(due) == [Reason.AT_ONCE, Reason.SPREAD]
    [same] = timetable(NOW + MINUTE, [waiting(1, schedule=easy)], [], timing())
    assert same.due_at == due.due_at
    [now] = timetable(NOW, [waiting(1, schedule=easy, priority=BREAKING)], [], timing())
    assert now.due_at == NOW
    [fresh] = timetable(NOW, [waiting(1, schedule=easy, fresh_until=NOW)], [], timing())
    assert fresh.due_at == NOW


def test_spread_keeps_posts_that_go_at_once_apart_but_not_breaking_news() -> None:
    calm = Schedule.model_validate({"asap": True, "spread": "20m"})
    queue = [*many(2, schedule=calm), waiting(7), waiting(8, schedule=calm, priority=BREAKING)]
    dues = timetable(NOW, queue, [at("14:04")], timing())
    assert [due.id for due in dues] == ["d0008", "d0000", "d0001", "d0007"]
    assert shown(dues) == ["24 14:08", "24 14:28", "24 14:48", "24 14:52"]
    assert of(dues, 1).why[-1] == Why(Reason.SPREAD, "20 min after 14:28")


# -- pins ---------------------------------------------------------------------------------------------------------


def test_a_pin_outranks_quiet_hours_slots_gaps_and_caps_and_counts_for_the_others() -> None:
    rhythm = timing(hour=1, quiet=spans("15:00-18:00"), blackout=(date(2026, 11, 24),))
    pin = waiting(1, pinned_at=at("15:30"), schedule=DAILY)
    [due] = timetable(NOW, [pin], [at("14:05"), at("15:29")], rhythm)
    assert (due.due_at, due.why) == (at("15:30"), (Why(Reason.PINNED, "15:30"),))
    dues = timetable(NOW, [waiting(1), waiting(2, pinned_at=at("14:08"))], [], timing(hour=2))
    assert shown(dues) == ["24 14:08", "24 14:12"]


def test_a_pin_does_not_outrank_embargo_stop_or_age() -> None:
    pin = {"pinned_at": at("15:00")}
    [due] = timetable(NOW, [waiting(1, **pin, ready_at=at("16:00"), ready_why=Reason.EMBARGO)], [], timing())
    assert due.due_at == at("16:00")
    assert due.why[-1] == Why(Reason.EMBARGO, "until 16:00")
    stopped = timing(blocked_until=at("15:20"), blocked_by=Reason.STOPPED)
    [due] = timetable(NOW, [waiting(1, **pin)], [], stopped)
    assert due.due_at == at("15:20")
    assert due.why[-1] == Why(Reason.STOPPED, "until 15:20")
    old = waiting(1, **pin, fresh_until=at("12:00"))  # freshness is over before the pin: the pin gives it an hour
    assert timetable(at("15:59"), [old], [], timing())[0].due_at == at("15:59")
    assert timetable(at("16:01"), [old], [], timing())[0].why[0].reason is Reason.STALE


# -- freshness ----------------------------------------------------------------------------------------------------


def test_too_old_is_stale_with_the_time_it_was_fresh_until() -> None:
    [due] = timetable(NOW, [waiting(1, fresh_until=at("14:05"))], [], timing())
    assert due == Due("d0001", None, (Why(Reason.STALE, "fresh until 14:05"), Why(Reason.AT_ONCE)), "skip")


def test_no_place_while_fresh_is_cap_if_other_posts_are_in_the_way_and_stale_if_not() -> None:
    fresh = at("15:00")
    assert shown(timetable(NOW, many(3, fresh_until=fresh), [], timing(hour=2)))[-1] == "24 15:00"
    dues = timetable(NOW, many(3, fresh_until=fresh - MINUTE), [], timing(hour=2))
    assert of(dues, 2).why[0] == Why(Reason.CAP, "fresh until 14:59, 2 an hour")
    [quiet] = timetable(NOW, [waiting(1, fresh_until=fresh)], [], timing(quiet=spans("14:00-18:00")))
    assert quiet.why[0] == Why(Reason.STALE, "fresh until 15:00, quiet until 18:00")
    dues = timetable(NOW, many(2, fresh_until=at("16:00"), schedule=DAILY), [], timing())
    assert (of(dues, 0).due_at, of(dues, 1).why[0].reason) == (at("15:00"), Reason.CAP)
    [none] = timetable(NOW, [waiting(1, fresh_until=at("14:59"), schedule=DAILY)], [], timing())
    assert none.why[0].reason is Reason.STALE
    [held_up] = timetable(
        NOW,
        [waiting(1, fresh_until=fresh)],
        [],
        timing(blocked_until=at("15:01"), blocked_by=Reason.NETWORK_LIMIT),
    )
    assert held_up.why[0].reason is Reason.STALE
    assert held_up.why[-1] == Why(Reason.NETWORK_LIMIT, "until 15:01")


def test_resuming_never_bursts() -> None:
    """After a stop that ends at 15:00 the queue goes by gap and cap, and slots that passed bring one post."""
    stopped = timing(blocked_until=at("15:30"), blocked_by=Reason.STOPPED, hour=3)
    assert shown(timetable(NOW, many(5), [], stopped)) == ["24 15:30", "24 15:34", "24 15:38", "24 16:00", "24 16:04"]
    assert shown(timetable(NOW, many(3, schedule=DAILY), [], stopped)) == ["24 15:30", "24 21:00", "25 09:00"]


# -- money --------------------------------------------------------------------------------------------------------


def test_p86_the_251st_post_of_the_month_is_held() -> None:
    """P86: budget $50, $0.20 a post."""
    start = datetime(2026, 11, 2, tzinfo=UTC)
    queue = many(251, cost=Decimal("0.20"), ready_at=start)
    dues = timetable(start, queue, [], timing(gap=MINUTE, budget=Decimal(50)))
    assert [due.outcome for due in dues] == ["due"] * 250 + ["hold"]
    assert dues[-1].id == "d0250"
    assert dues[-1].why[0] == Why(Reason.BUDGET, "50.00 of 50.00, 0.20 more needed")
    spent = timing(gap=MINUTE, budget=Decimal(50), spent=Decimal("49.70"))
    assert [due.outcome for due in timetable(start, queue[:3], [], spent)] == ["due", "hold", "hold"]


def test_the_budget_is_a_months_and_what_is_held_takes_nobodys_place() -> None:
    start = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
    rhythm = timing(gap=6 * MINUTE, budget=Decimal(1), spent=Decimal("0.95"))
    queue = [
        waiting(1, cost=Decimal("0.20"), ready_at=start),
        waiting(2, cost=Decimal("0.05"), ready_at=start),
        waiting(3, cost=Decimal("0.05"), ready_at=start),
        waiting(4, ready_at=start),
        waiting(5, cost=Decimal("0.90"), ready_at=datetime(2026, 12, 1, 0, 30, tzinfo=UTC)),
    ]
    dues = timetable(start, queue, [], rhythm)
    assert {due.id: due.outcome for due in dues} == {
        "d0001": "hold",
        "d0002": "due",
        "d0003": "hold",
        "d0004": "due",
        "d0005": "due",
    }
    assert of(dues, 2).due_at == start
    assert of(dues, 4).due_at == start + 6 * MINUTE


# -- the rhythm of an account -------------------------------------------------------------------------------------


def editorial(**account: Any) -> Editorial:
    return Editorial(
        timezone="Europe/London",
        defaults=Defaults(quiet=spans("23:00-06:00"), blackout=(date(2026, 12, 25),)),
        accounts={"desk": AccountRules(network="x", **account)},
    )


def test_timing_takes_the_stricter_of_newsroom_and_network() -> None:
    pace = Pace(gap=10 * MINUTE, hour=10, day=50)
    found = timing_for(editorial(caps=Caps(cost_month=Money(amount=Decimal(10)))), "desk", pace, spent=Decimal(3))
    assert (found.gap, found.hour, found.day, found.month) == (10 * MINUTE, 6, 50, None)
    assert (found.hard_hour, found.hard_day) == (10, 50)
    assert (found.zone.key, found.quiet, found.blackout) == (
        "Europe/London",
        spans("23:00-06:00"),
        (date(2026, 12, 25),),
    )
    assert (found.budget, found.spent, found.seed) == (Decimal(10), Decimal(3), "desk")
    server = timing_for(editorial(pace="server"), "desk", pace)
    assert (server.gap, server.hour, server.day, server.hard_hour) == (4 * MINUTE, 6, 60, None)
    free = Editorial(defaults=Defaults(caps=Caps()), accounts={"desk": AccountRules(network="x", pace="server")})
    bare = timing_for(free, "desk", pace)
    assert (bare.gap, bare.hour, bare.day, bare.month) == (timedelta(0), None, None, None)
    own = timing_for(editorial(quiet=(), timezone="Asia/Tokyo", warmup="7d"), "desk", pace, joined_at=NOW)
    assert (own.quiet, own.zone.key, own.warmup_until) == ((), "Asia/Tokyo", NOW + timedelta(days=7))


def test_limits_at_an_instant() -> None:
    rhythm = timing(hour=20, day=60, month=900, hard_hour=30, hard_day=100, warmup_until=NOW)
    assert limits_at(rhythm, NOW) == Limits(20, 60, 900)
    assert limits_at(rhythm, NOW - MINUTE) == Limits(5, 60, 900)
    assert limits_at(rhythm, NOW, hard_only=True) == Limits(30, 100, None)
    assert limits_at(timing(warmup_until=NOW), NOW - MINUTE, hard_only=True) == Limits(5, None, None)


# -- properties ---------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12))))
def test_stretches_are_the_set_of_their_instants(pieces: list[tuple[int, int]]) -> None:
    stretches, plain = Stretches(), set()
    for start, length in pieces:
        stretches.add(start, start + length)
        plain |= set(range(start, start + length))
    for tick in range(80):
        end = stretches.end(tick)
        expected = next(each for each in range(tick, 99) if each not in plain)
        assert end == (None if tick not in plain else expected)


#: Around these instants the clocks change: London, New York, Lord Howe, Cairo, Santiago; and one plain day.
_MOMENTS = (
    ("Europe/London", datetime(2026, 10, 24, 20, tzinfo=UTC)),
    ("Europe/London", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 10, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, 15, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 5, 20, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 11, 30, 12, tzinfo=UTC)),
)
_QUIET = (spans("23:00-06:00"), spans("01:30-02:30", "12:00-13:00"), (), spans("00:00-01:15"))
_SCHEDULES = (
    None,
    Schedule.model_validate({"asap": True, "spread": "17m"}),
    Schedule.model_validate({"asap": True, "jitter": "9m"}),
    slots("00:30", "02:30", "07:00", "07:10", "12:00", "18:00", "23:45"),
    slots("01:15", "09:00", "21:30", jitter="25m", timezone="Europe/London"),
)


@st.composite
def cases(draw: st.DrawFn, schedules: Sequence[Schedule | None] = _SCHEDULES, *, pins: bool = False) -> tuple[Any, ...]:
    """now, waiting, history, timing: all on whole minutes."""
    zone, now = draw(st.sampled_from(_MOMENTS))
    minutes = st.integers(-300, 900).map(lambda number: now + number * MINUTE)
    gap = draw(st.integers(0, 30)) * MINUTE
    rhythm = timing(
        zone=ZoneInfo(zone),
        gap=gap,
        hour=draw(st.none() | st.integers(1, 5)),
        day=draw(st.none() | st.integers(2, 12)),
        month=draw(st.none() | st.integers(5, 20)),
        quiet=draw(st.sampled_from(_QUIET)),
        blackout=draw(st.sampled_from([(), ((now + timedelta(days=1)).date(),)])),
        warmup_until=draw(st.none() | minutes),
        blocked_until=draw(st.none() | minutes),
        blocked_by=Reason.STOPPED,
    )
    queue = []
    for number in range(draw(st.integers(1, 9))):
        ready = draw(minutes)
        schedule = draw(st.sampled_from(schedules))
        queue.append(
            waiting(
                number,
                ready_at=ready,
                priority=draw(st.sampled_from((NORMAL, NORMAL, BREAKING, EVERGREEN))),
                fresh_until=draw(st.none() | st.integers(30, 900).map(lambda length, r=ready: r + length * MINUTE)),
                schedule=schedule,
                quiet=None if schedule is _SCHEDULES[4] else draw(st.sampled_from((None, None, ()))),
                over_cap=draw(st.booleans()),
                pinned_at=draw(st.none() | minutes) if pins else None,
                order=(draw(st.integers(0, 3)),),
            )
        )
    history = [now - draw(st.integers(0, 1500)) * MINUTE for _ in range(draw(st.integers(0, 6)))]
    return now, queue, history, rhythm


def windows(moment: datetime, zone: ZoneInfo) -> dict[str, str]:
    local = moment.astimezone(zone)
    return {"hour": f"{local:%Y-%m-%d %H}", "day": f"{local:%Y-%m-%d}", "month": f"{local:%Y-%m}"}


def counted(moments: Iterable[datetime], zone: ZoneInfo) -> Counter[tuple[str, str]]:
    return Counter((name, label) for moment in moments for name, label in windows(moment, zone).items())


@settings(max_examples=250, deadline=None)
@given(cases())
def test_every_promise_holds_for_every_post(case: tuple[Any, ...]) -> None:
    """P18, P20, P42: gap, caps, quiet hours, dates, readiness, freshness; nothing is lost and each has a reason."""
    now, queue, history, rhythm = case
    dues = timetable(now, queue, history, rhythm)
    assert sorted(due.id for due in dues) == sorted(each.id for each in queue)
    by_id = {each.id: each for each in queue}
    posts = [(due.due_at, by_id[due.id]) for due in dues if due.due_at is not None]
    opens = max(now, rhythm.blocked_until or now)
    for moment, each in posts:
        local = moment.astimezone(rhythm.zone)
        quiet = rhythm.quiet if each.quiet is None else each.quiet
        assert moment >= max(opens, each.ready_at)
        assert each.fresh_until is None or moment <= each.fresh_until
        assert not any(span.holds(local.time()) for span in quiet)
        assert local.date() not in rhythm.blackout
    everything = sorted([*(moment for moment, _ in posts), *history])
    assert all(
        later - sooner >= rhythm.gap for sooner, later in pairwise(everything) if later >= now and later not in history
    )
    total = counted(everything, rhythm.zone)
    for moment, each in posts:
        hard = each.over_cap and each.priority is BREAKING
        caps = limits_at(rhythm, moment, hard_only=hard)._asdict()
        over = any(other.over_cap and other.priority is BREAKING for _, other in posts)
        for name, label in windows(moment, rhythm.zone).items():
            cap = caps[name]
            assert cap is None or over or total[name, label] <= cap
    assert all(due.why for due in dues)
    assert all(due.why[0].reason in (Reason.STALE, Reason.CAP) for due in dues if due.outcome == "skip")


@settings(max_examples=100, deadline=None)
@given(cases(pins=True), st.randoms(use_true_random=False))
def test_the_order_of_what_waits_does_not_matter(case: tuple[Any, ...], random: Any) -> None:
    now, queue, history, rhythm = case
    shuffled, past = list(queue), list(history)
    random.shuffle(shuffled)
    random.shuffle(past)
    assert timetable(now, shuffled, past, rhythm) == timetable(now, queue, history, rhythm)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_only_the_newest_of_history_are_needed(case: tuple[Any, ...]) -> None:
    now, queue, history, rhythm = case
    older = [now - timedelta(days=1, hours=hours) for hours in range(60)]
    everything = sorted([*history, *older])
    newest = everything[-history_needed(rhythm) :]
    assert timetable(now, queue, newest, rhythm) == timetable(now, queue, everything, rhythm)


@settings(max_examples=150, deadline=None)
@given(cases(pins=True))
def test_what_the_forecast_shows_is_what_the_worker_does(case: tuple[Any, ...]) -> None:
    """As long as posts leave when they are due, planning again gives the rest the same times. Nothing reorders."""
    now, queue, history, rhythm = case
    rest = list(queue)
    forecast = {due.id: due.due_at for due in timetable(now, rest, history, rhythm)}
    done = list(history)
    rest = [each for each in rest if forecast[each.id] is not None]
    while rest:
        dues = timetable(now, rest, done, rhythm)
        assert {due.id: due.due_at for due in dues} == {each.id: forecast[each.id] for each in rest}
        now = dues[0].due_at or now
        done.append(now)
        rest = [each for each in rest if each.id != dues[0].id]


def plain_times(case: tuple[Any, ...]) -> dict[str, datetime | None]:
    """The same rules for posts that go at once, by trying minute after minute."""
    now, queue, history, rhythm = case
    posts = list(history)
    found: dict[str, datetime | None] = {}
    opens = max(now, rhythm.blocked_until or now)
    ranks = (BREAKING, NORMAL, EVERGREEN)

    def free(moment: datetime, each: Waiting) -> bool:
        local = moment.astimezone(rhythm.zone)
        quiet = rhythm.quiet if each.quiet is None else each.quiet
        if any(span.holds(local.time()) for span in quiet) or local.date() in rhythm.blackout:
            return False
        total = counted(posts, rhythm.zone)
        caps = limits_at(rhythm, moment, hard_only=each.over_cap and each.priority is BREAKING)._asdict()
        if any(
            caps[name] is not None and total[key] >= caps[name]
            for key in total
            for name in [key[0]]
            if windows(moment, rhythm.zone)[name] == key[1]
        ):
            return False
        return all(abs(moment - post) >= rhythm.gap for post in posts)

    for each in sorted(queue, key=lambda one: (ranks.index(one.priority), one.order, one.id)):
        moment = max(opens, each.ready_at)
        limit = each.fresh_until or moment + 20 * HOUR
        while moment <= limit and not free(moment, each):
            moment += MINUTE
        found[each.id] = moment if moment <= limit else None
        if moment <= limit:
            posts.append(moment)
    return found


@settings(max_examples=40, deadline=None)
@given(cases(schedules=(None,)))
def test_the_times_are_those_of_trying_minute_after_minute(case: tuple[Any, ...]) -> None:
    now, queue, history, rhythm = case
    queue = [each for each in queue if each.fresh_until is not None]
    # Minute after minute, quiet hours would end and begin again when the clock goes back inside them; the timetable
    # keeps them in one piece.
    offsets = [(now + hours * HOUR).astimezone(rhythm.zone).utcoffset() for hours in range(72)]
    assume(offsets == sorted(offsets))
    expected = plain_times((now, queue, history, rhythm))
    assert {due.id: due.due_at for due in timetable(now, queue, history, rhythm)} == expected


@settings(max_examples=100, deadline=None)
@given(cases(schedules=(_SCHEDULES[3],)))
def test_a_slot_has_one_post(case: tuple[Any, ...]) -> None:
    """No two posts of a run belong to the same slot of the same date."""
    now, queue, history, rhythm = case
    dues = [due for due in timetable(now, queue, history, rhythm) if due.due_at is not None]
    slot_times = [time(*map(int, due.why[0].detail.split()[0].split(":"))) for due in dues]
    used: Counter[tuple[date, time]] = Counter()
    for due, slot in zip(dues, slot_times, strict=True):
        assert due.due_at is not None
        local = due.due_at.astimezone(rhythm.zone)
        day = local.date() if local.time() >= slot or local.utcoffset() is None else local.date() - timedelta(days=1)
        used[day, slot] += 1
    assert not used or max(used.values()) == 1


def test_a_year_of_slots_in_eight_zones_is_planned_whole() -> None:
    """P34, P35, P36: 400 days of three slots a day in 8 zones, each used exactly once, at its own local time."""
    three = slots("00:00", "02:30", "16:00")
    for zone in (
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "America/Santiago",
        "Europe/London",
        "America/New_York",
        "Asia/Kolkata",
        "Africa/Casablanca",
        "Pacific/Auckland",
    ):
        place = ZoneInfo(zone)
        start = datetime(2026, 1, 1, tzinfo=place)
        dues = timetable(start, many(1100, schedule=three, ready_at=start), [], timing(zone=place))
        assert {due.outcome for due in dues} == {"due"}
        names = Counter(due.why[0].detail.split()[0] for due in dues)
        assert max(names.values()) - min(names.values()) <= 1
        afternoons = [due.due_at for due in dues if due.why[0].detail.startswith("16:00") and due.due_at]
        assert {each.astimezone(place).strftime("%H:%M") for each in afternoons} == {"16:00"}
        assert len({each.astimezone(place).date() for each in afternoons}) == len(afternoons)
