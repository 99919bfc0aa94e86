"""Dates as they are written (P70): forty forms, read in a source whose own zone is Rome's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sources.reading.dates import read_date, sane

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)

FORMS = {
    # RFC 822 and its habits
    "Tue, 24 Nov 2026 10:00:00 GMT": "2026-11-24T10:00:00",
    "Tue, 24 Nov 2026 10:00:00 +0100": "2026-11-24T09:00:00",
    "Tue, 24 Nov 2026 10:00:00 +01:00": "2026-11-24T09:00:00",
    "Mon, 24 Nov 2026 10:00:00 UT": "2026-11-24T10:00:00",  # the wrong weekday says nothing
    "Tuesday, 24 November 2026 10:00": "2026-11-24T09:00:00",
    "24 Nov 26 10:00 EST": "2026-11-24T15:00:00",
    "4 Nov 2026 1:05 PDT": "2026-11-04T08:05:00",
    "Tue, 24 Nov 2026 10:00:00 CEST": "2026-11-24T08:00:00",
    "Tue, 24 Nov 2026 10:00:00 BST": "2026-11-24T09:00:00",
    "Tue, 24 Nov 2026 10:00:00 JST": "2026-11-24T01:00:00",
    "Tue, 24 Nov 2026 10:00:00 GMT+1": "2026-11-24T09:00:00",
    "Tue, 24 Nov 2026 10:00:00 UTC-5": "2026-11-24T15:00:00",
    "Tue, 24 Nov 2026 10:00:00 +0100 (CET)": "2026-11-24T09:00:00",
    "Tue, 24 Nov 2026 10:00:00 (EST)": "2026-11-24T15:00:00",
    "Tue, 24 Nov 2026 10:00:00 XYZ": "2026-11-24T10:00:00",  # RFC 2822 4.3: an unknown name is UTC
    "Tue, 24 Nov 2026 24:00:00 GMT": "2026-11-25T00:00:00",
    "Tue, 24 Nov 2026 23:59:60 GMT": "2026-11-24T23:59:59",
    "Tue, 24 Nov 2026 10:00:00": "2026-11-24T09:00:00",  # naive: the source's own zone
    "24 Nov 2026": "2026-11-23T23:00:00",
    "Thu, 1 Jan 98 10:00:00 GMT": "1998-01-01T10:00:00",
    # month names of other languages
    "mer, 16 nov 2022 00:38:15 +0100": "2022-11-15T23:38:15",
    "24. März 2026 10:00": "2026-03-24T09:00:00",
    "mardi 24 août 2026 10:00:00 +0200": "2026-08-24T08:00:00",
    "24 de diciembre de 2026 10:00": "2026-12-24T09:00:00",
    "вт, 24 ноя 2026 10:00:00 +0300": "2026-11-24T07:00:00",
    "2026年11月24日 10:00": "2026-11-24T09:00:00",
    # ISO 8601 and RFC 3339
    "2026-11-24T10:00:00Z": "2026-11-24T10:00:00",
    "2026-11-24T10:00:00.123456789-00:00": "2026-11-24T10:00:00",
    "2026-11-24 10:00:00 +0200": "2026-11-24T08:00:00",
    "2026-11-24T10:00:00": "2026-11-24T09:00:00",
    "2026-07-24T10:00": "2026-07-24T08:00:00",
    "2026-11-24": "2026-11-23T23:00:00",
    "2026-11": "2026-10-31T23:00:00",
    "20261124T194821Z": "2026-11-24T19:48:21",
    "2026-11-24T24:00:00Z": "2026-11-25T00:00:00",
    # others
    "1700000000": "2023-11-14T22:13:20",
    "1700000000000": "2023-11-14T22:13:20",
    "Nov 24, 2026 7:48 PM": "2026-11-24T18:48:00",
    "Tue Nov 24 10:00:00 2026": "2026-11-24T09:00:00",
    "24.11.2026 10:00": "2026-11-24T09:00:00",
    "24/11/2026": "2026-11-23T23:00:00",
}
NONE = (
    "", "yesterday", "10:00", "Tue", "0000-00-00 00:00:00", "-0001-11-30T00:00:00", "Mon, 16 Jun 20081 21:47:17 +0000",
    "2026-02-30", "32 Nov 2026 10:00 GMT", "03/04/2026", "Nov", "next week, Tuesday 2026 or so", "9" * 40,
)  # fmt: skip


@pytest.mark.parametrize(("raw", "instant"), FORMS.items())
def test_p70_a_date_form_is_read(raw: str, instant: str) -> None:
    assert read_date(raw, ROME) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize("raw", NONE)
def test_p70_what_is_no_date_is_none_and_never_today(raw: str) -> None:
    assert read_date(raw, ROME) is None


def test_dates_of_toml_are_taken_as_they_are() -> None:
    assert read_date(date(2026, 11, 24), ROME) == datetime(2026, 11, 23, 23, tzinfo=UTC)
    assert read_date(datetime(2026, 11, 24, 10), ROME) == datetime(2026, 11, 24, 9, tzinfo=UTC)  # noqa: DTZ001 -- dates without a zone are what is read here
    assert read_date(datetime(2026, 11, 24, 10, tzinfo=UTC), ROME) == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert read_date(True, ROME) is None
    assert read_date(None, ROME) is None


def test_p70_a_date_beyond_reason_counts_as_none() -> None:
    assert sane(datetime(1970, 1, 1, tzinfo=UTC), NOW) is None
    assert sane(NOW + timedelta(days=400), NOW) is None
    assert sane(None, NOW) is None
    tomorrow = NOW + timedelta(days=1)
    assert sane(tomorrow, NOW) == tomorrow


@given(st.datetimes(datetime(1995, 1, 2), datetime(2030, 1, 1)), st.integers(-12, 14))  # noqa: DTZ001 -- dates without a zone are what is read here
def test_any_instant_is_read_back_from_either_form(naive: datetime, hours: int) -> None:
    moment = naive.replace(microsecond=0, tzinfo=UTC)
    local = moment + timedelta(hours=hours)
    sign = f"{'-' if hours < 0 else '+'}{abs(hours):02}00"
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    assert read_date(f"{local.day} {names[local.month - 1]} {local.year} {local:%H:%M:%S} {sign}", ROME) == moment
    assert read_date(f"{local:%Y-%m-%dT%H:%M:%S}{sign}", ROME) == moment


@given(st.text(max_size=40))
def test_any_text_gives_an_aware_date_or_none(raw: str) -> None:
    found = read_date(raw, ROME)
    assert found is None or found.utcoffset() == timedelta(0)
