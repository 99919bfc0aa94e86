"""Dates as publishers write them: ISO 8601, RFC 822 with all its habits, month names of a dozen languages.

`read_date` answers an aware instant in UTC or None. It never fills a missing part from today, never takes a guess at
"yesterday", and takes a date without zone as the source's own local time (P70).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

#: Older than any news feed, and where epoch zeros and database null dates fall: as good as no date.
EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
#: A date further ahead than this is a typing error, not a plan.
HORIZON = timedelta(days=366)

# Hours east of UTC. The first row is RFC 822 section 5; the others are what feeds of those places mean by them.
_ZONES: dict[str, float] = {
    "UT": 0,
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "AKST": -9,
    "AKDT": -8,
    "HST": -10,
    "AST": -4,
    "ADT": -3,
    "NST": -3.5,
    "NDT": -2.5,
    "WET": 0,
    "WEST": 1,
    "BST": 1,
    "CET": 1,
    "MEZ": 1,
    "CEST": 2,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "IST": 5.5,
    "PKT": 5,
    "SGT": 8,
    "HKT": 8,
    "AWST": 8,
    "JST": 9,
    "KST": 9,
    "ACST": 9.5,
    "AEST": 10,
    "AEDT": 11,
    "NZST": 12,
    "NZDT": 13,
    "SAST": 2,
    "BRT": -3,
    "ART": -3,
}

# The beginnings of month names, without accents and case, per month. Longer than three letters where three are shared.
_MONTHS: tuple[str, ...] = (
    "jan gen ene sty janv led янв січ",
    "feb fev febr fevr fevrier lut uno фев лют",
    "mar maer mrz mrt mars marz maart bre мар бер",
    "apr avr abr kwi dub апр кві",
    "may mai mag mei maj kve мая май тра",
    "jun giu juin czerw cze cerven июн чер",
    "jul lug juil lip cervenec июл лип",
    "aug ago aou aout sie srp авг сер",
    "sep set sept wrz zar сен вер",
    "oct okt ott out paz rij окт жов",
    "nov lis ноя лис",
    "dec dez dic pro gru des дек гру",
)

_ISO = re.compile(
    r"^(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(.*))?$",
    re.IGNORECASE,
)
_BASIC = re.compile(r"^(\d{4})(\d{2})(\d{2})(?:T(\d{2}):?(\d{2}):?(\d{2})?(?:[.,]\d+)?\s*(.*))?$", re.IGNORECASE)
_PARTIAL = re.compile(r"^(\d{4})(?:-(\d{2}))?$")
_EPOCH = re.compile(r"^(\d{10}|\d{13})$")
_RFC = re.compile(
    r"^(?:[^\W\d]+\.?,?\s+)?(\d{1,2})\.?[\s-]+(?:de\s+)?([^\W\d]+)\.?,?[\s-]+(?:de\s+)?(\d{2,5})"
    r"(?:(?:,|\s)+(?:um\s+|at\s+)?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*(.*))?$",
    re.IGNORECASE,
)
_UNCLEAR = re.compile(r"^-|^\d{1,2}/\d{1,2}/\d{4}\b", re.ASCII)  # not for dateutil, which guesses
_SLASHED = re.compile(r"^(\d{1,2})([/.])(\d{1,2})[/.](\d{4})(?:[,\s]+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(.*))?$")
_CJK = re.compile(r"^(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日(?:\s*(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(.*))?$")
_OFFSET = re.compile(r"^(?:GMT|UTC|UT)?\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?(?:\s*\(.*\))?$", re.IGNORECASE)
_NAMED = re.compile(r"^\(?([A-Za-z]{1,5})\)?(?:\s*\(.*\))?$")


def read_date(raw: object, zone: ZoneInfo) -> datetime | None:
    """The instant that `raw` (text, date or datetime) names, in UTC; a date without time is that local day's start."""
    if isinstance(raw, datetime):
        return _utc(raw if raw.tzinfo else raw.replace(tzinfo=zone))
    if isinstance(raw, date):
        return _utc(datetime.combine(raw, time(0), zone))
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        return None
    text = " ".join(unicodedata.normalize("NFKC", str(raw)).split())[:100]
    for reader in (_from_epoch, _from_numbers, _from_words):
        found = reader(text, zone)
        if found is not None:
            return found
    return None if _UNCLEAR.match(text) else _from_dateutil(text, zone)


def sane(moment: datetime | None, now: datetime) -> datetime | None:
    """The date if it can be a story's: not before 1995, not more than a year ahead; else None."""
    return moment if moment is not None and EARLIEST <= moment <= now + HORIZON else None


def _utc(moment: datetime) -> datetime | None:
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _from_epoch(text: str, zone: ZoneInfo) -> datetime | None:
    if not _EPOCH.match(text):
        return None
    return datetime.fromtimestamp(int(text) / (1000 if len(text) == 13 else 1), UTC)


def _from_numbers(text: str, zone: ZoneInfo) -> datetime | None:
    for pattern in (_ISO, _BASIC, _CJK):
        if match := pattern.match(text):
            return _built(int(match[1]), int(match[2]), int(match[3]), match.groups()[3:], zone)
    if match := _SLASHED.match(text):
        return _slashed(match, zone)
    if match := _PARTIAL.match(text):  # W3C-DTF allows year and year-month
        return _built(int(match[1]), int(match[2] or 1), 1, (None,) * 4, zone)
    return None


def _slashed(match: re.Match[str], zone: ZoneInfo) -> datetime | None:
    """Day first with full stops; with slashes only where one number can't be a month (03/04 is refused)."""
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    if match[2] == "/" and first <= 12 and second <= 12 and first != second:
        return None
    day, month = (first, second) if match[2] == "." or first > 12 else (second, first)
    return _built(year, month, day, match.groups()[4:], zone)


def _from_words(text: str, zone: ZoneInfo) -> datetime | None:
    match = _RFC.match(text)
    month = _month(match[2]) if match else None
    if match is None or month is None or len(match[3]) == 5:
        return None
    return _built(_year(match[3]), month, int(match[1]), match.groups()[3:], zone)


def _year(digits: str) -> int:
    """RFC 2822 section 4.3: two digits below 50 are 20xx, other two or three digits count from 1900."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if len(digits) == 2 and year < 50 else 1900)


def _month(name: str) -> int | None:
    word = "".join(c for c in unicodedata.normalize("NFD", name.casefold()) if not unicodedata.combining(c))
    word = unicodedata.normalize("NFC", word)
    best, length = None, 0
    for number, starts in enumerate(_MONTHS, 1):
        for start in starts.split():
            plain = "".join(c for c in unicodedata.normalize("NFD", start) if not unicodedata.combining(c))
            if word.startswith(plain) and len(plain) > length:
                best, length = number, len(plain)
    return best


def _built(year: int, month: int, day: int, clock: tuple[str | None, ...], zone: ZoneInfo) -> datetime | None:
    """One instant from numbers; `clock` is hour, minute, second, zone text. Hour 24 is the next day's midnight."""
    hour, minute, second = (int(part or 0) for part in clock[:3])
    late = hour == 24 and minute == 0 and second == 0
    place = _zone_of(clock[3] or "", zone)
    try:
        # second 60 is a leap second: the last one that datetime knows
        moment = datetime(year, month, day, 0 if late else hour, minute, min(second, 59), tzinfo=place)
        return _utc(moment + timedelta(days=1) if late else moment)
    except (ValueError, OverflowError):
        return None


def _zone_of(text: str, zone: ZoneInfo) -> ZoneInfo | timezone:
    """The zone a date ends with. Nothing: the source's own. A name that nobody knows: UTC (RFC 2822 section 4.3)."""
    text = text.strip()
    if not text:
        return zone
    if match := _OFFSET.match(text):
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours <= 14 and minutes < 60:
            length = timedelta(hours=hours, minutes=minutes)
            return timezone(length if match[1] == "+" else -length)
        return UTC
    if match := _NAMED.match(text):
        return timezone(timedelta(hours=_ZONES.get(match[1].upper(), 0)))
    return UTC


@cache
def _dateutil() -> Any:
    from dateutil import parser

    return parser


def _from_dateutil(text: str, zone: ZoneInfo) -> datetime | None:
    """What remains ("Jan 1, 2004 7:48 PM"). It fills gaps from a default: read twice, and refused if they differ."""
    if not re.search(r"\d{4}", text) or re.search(r"\d{5}", text):
        return None

    def zones(name: str | None, offset: int | None) -> timezone | None:
        if offset is not None:
            return timezone(timedelta(seconds=offset)) if abs(offset) < 86_400 else UTC
        return timezone(timedelta(hours=_ZONES.get((name or "").upper(), 0))) if name else None

    found = []
    for default in (datetime(2000, 1, 1), datetime(2011, 12, 31)):  # noqa: DTZ001 -- a filler that must not show
        try:
            found.append(_dateutil().parse(text, default=default, tzinfos=zones))
        except (ValueError, OverflowError, TypeError, AttributeError):
            return None
    if found[0] != found[1]:
        return None
    moment = found[0]
    return _utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))
