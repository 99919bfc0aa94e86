"""Backoff: how long deliveries, busy networks, sources and safe reads wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import SeededRandom
from bot.errors import AuthFailed, Blocked, Busy, Expired, NotFeed, NotSent, Unknown, Unreachable
from bot.rules.backoff import LONGEST_REST, Rest, busy_until, next_try, poll_interval, safe_calls

NOW = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def least(low: float, high: float) -> float:
    return low


def most(low: float, high: float) -> float:
    return high


def middle(low: float, high: float) -> float:
    return (low + high) / 2


# -- deliveries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 30), (1, 30), (2, 60), (3, 120), (6, 960), (7, 1800), (8, 1800), (10_000, 1800)]
)
def test_retries_double_from_half_a_minute_to_half_an_hour(tries: int, seconds: int) -> None:
    assert next_try(tries, uniform=middle) == seconds * SECOND
    assert next_try(tries, uniform=least) == 0.8 * seconds * SECOND
    assert next_try(tries, uniform=most) == 1.2 * seconds * SECOND


def test_the_same_seed_gives_the_same_waits() -> None:
    waits = [[next_try(tries, uniform=SeededRandom(seed).uniform) for tries in range(9)] for seed in (7, 7, 8)]
    assert waits[0] == waits[1] != waits[2]


# -- busy networks ------------------------------------------------------------------------------------------------


def test_p83_a_short_limit_is_kept_with_ten_seconds_of_grace() -> None:
    """P83: 429 with 38 s: the next try is after 38 to 48 s."""
    assert busy_until(NOW + 38 * SECOND, NOW, 0, least) == Rest(NOW + 38 * SECOND)
    assert busy_until(NOW + 38 * SECOND, NOW, 0, most) == Rest(NOW + 48 * SECOND)


def test_p83_a_limit_of_half_a_day_is_obeyed_without_alarm() -> None:
    """P83: 43,837 s."""
    found = busy_until(NOW + 43_837 * SECOND, NOW, 3, most)
    assert found == Rest(NOW + 43_847 * SECOND, alarming=False)


def test_p84_no_wait_is_longer_than_26_hours_and_such_a_one_alarms() -> None:
    """P84: an epoch read as seconds asks for 55 years."""
    assert busy_until(NOW + timedelta(days=55 * 365), NOW, 0, most) == Rest(NOW + LONGEST_REST, alarming=True)
    assert busy_until(NOW + LONGEST_REST, NOW, 0, least) == Rest(NOW + 26 * HOUR, alarming=False)


@pytest.mark.parametrize("until", [None, NOW, NOW - HOUR])
def test_without_a_word_for_when_the_own_backoff_decides(until: datetime | None) -> None:
    assert busy_until(until, NOW, 2, middle) == Rest(NOW + MINUTE)


@given(st.floats(0.001, 1e8), st.integers(0, 50), st.integers(0, 2**32))
def test_p83_p84_never_sooner_than_told_never_later_than_26_hours_and_a_bit(wait: float, tries: int, seed: int) -> None:
    until = NOW + wait * SECOND
    found = busy_until(until, NOW, tries, SeededRandom(seed).uniform)
    assert found.alarming == (until - NOW > 26 * HOUR)
    assert min(until, NOW + 26 * HOUR) <= found.at <= min(until, NOW + 26 * HOUR) + 10 * SECOND


# -- sources ------------------------------------------------------------------------------------------------------


def interval(**keys: Any) -> timedelta:
    return poll_interval(keys.pop("every", 5 * MINUTE), **{"uniform": most, **keys})


def test_a_source_is_looked_at_within_its_interval() -> None:
    assert interval() == 5 * MINUTE
    assert interval(uniform=least) == 4.5 * MINUTE


@pytest.mark.parametrize(
    ("next_in", "expected"),
    [(2.0, 2 * SECOND), (60.0, MINUTE), (300.0, 5 * MINUTE), (420.0, 7 * MINUTE), (3600.0, 10 * MINUTE)],
)
def test_a_hint_brings_the_next_look_forward_or_doubles_the_interval_at_most(
    next_in: float, expected: timedelta
) -> None:
    assert interval(next_in=next_in) == expected
    if expected < 5 * MINUTE:
        assert interval(next_in=next_in, uniform=least) == expected


@pytest.mark.parametrize(("errors", "minutes"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (50, 60), (100_000, 60)])
def test_a_failing_source_is_asked_less_often_but_once_an_hour_at_least(errors: int, minutes: int) -> None:
    assert interval(errors=errors) == minutes * MINUTE
    assert interval(errors=errors, next_in=2.0, uniform=least) == 0.9 * minutes * MINUTE


def test_a_source_that_is_looked_at_seldom_is_not_asked_more_often_when_it_fails() -> None:
    assert interval(every=6 * HOUR, errors=9) == 6 * HOUR
    assert interval(every=timedelta(0), errors=1) == SECOND


@pytest.mark.parametrize(
    ("retry_after", "expected"), [(60, 5 * MINUTE), (900, 15 * MINUTE), (86_400, 24 * HOUR), (1e7, 24 * HOUR)]
)
def test_retry_after_is_an_order_of_up_to_a_day(retry_after: float, expected: timedelta) -> None:
    assert interval(retry_after=retry_after) == expected
    assert interval(retry_after=retry_after, next_in=2.0) == max(2 * SECOND, min(retry_after * SECOND, 24 * HOUR))


@given(st.integers(1, 30), st.none() | st.floats(0, 1e6), st.integers(0, 2**32))
def test_p72_a_server_that_refuses_us_is_asked_twice_an_hour_at_most(
    errors: int, retry_after: float | None, seed: int
) -> None:
    uniform = SeededRandom(seed).uniform
    found = interval(every=MINUTE, errors=errors, blocked=True, retry_after=retry_after, uniform=uniform)
    assert found >= 30 * MINUTE
    assert found >= min((retry_after or 0) * SECOND, 24 * HOUR)
    assert found <= max(HOUR, min((retry_after or 0) * SECOND, 24 * HOUR))


# -- safe calls ---------------------------------------------------------------------------------------------------


class Peer:
    """Fails as told, then answers; counts how often it was asked."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    def read(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "here"


def test_a_safe_read_is_repeated_after_trouble_on_the_way() -> None:
    slept: list[float] = []
    peer = Peer(Unreachable("no route"), NotSent("refused before a byte"))
    assert safe_calls(sleep=slept.append, uniform=middle)(peer.read) == "here"
    assert (peer.asked, slept) == (3, [0.5, 1.0])


def test_the_third_failure_is_the_callers_own_error() -> None:
    peer = Peer(*[Unreachable(f"down {number}") for number in range(5)])
    with pytest.raises(Unreachable, match="down 2"):
        safe_calls(sleep=lambda _: None, uniform=middle)(peer.read)
    assert peer.asked == 3


@pytest.mark.parametrize(
    "error",
    [Busy("later"), Expired("token"), AuthFailed("login"), Unknown("?"), Blocked("403"), NotFeed("html"), ValueError()],
    ids=lambda error: type(error).__name__,
)
def test_what_the_other_side_decided_is_not_asked_again(error: Exception) -> None:
    peer = Peer(error, error)
    with pytest.raises(type(error)):
        safe_calls(sleep=lambda _: None, uniform=middle)(peer.read)
    assert peer.asked == 1


def test_a_stop_ends_the_repeating() -> None:
    peer = Peer(Unreachable("down"), Unreachable("down"))
    with pytest.raises(Unreachable):
        safe_calls(sleep=lambda _: None, uniform=middle, stopping=lambda: True)(peer.read)
    assert peer.asked == 1
