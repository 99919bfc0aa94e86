"""Embargo lines in a text: the sentence, and the instant it names (P93). What can't be read is left to a human."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from types import MappingProxyType
from zoneinfo import ZoneInfo

# -- finding ------------------------------------------------------------------------------------------------------

#: How press embargoes are worded. "EU extends arms embargo until March" is news, so the bare noun counts at the start.
_UNTIL = r"(?:until|till?|before|prior to)\b"
_SIGNS = re.compile(
    "|".join(
        (
            rf"\bembargoed\b\s*(?:{_UNTIL}|for\b|to\b|:|–|-|\d)",
            rf"\bunder (?:a |an |strict )?embargo\b\s*(?:{_UNTIL}|to\b|:|–)",
            rf"^\W*(?:strict(?:ly)? |press )?embargo(?:ed)?\s*(?:\W*$|[:–—|]|-\s|{_UNTIL}|to\b|date\b|lifts?\b|\d)",
            r"\bembargo (?:lifts|ends|expires|breaks)\b\s*(?:at|on|:|\d)",
            rf"\bnot (?:for|to be) (?:released?|publish(?:ed)?|publication|broadcast|used?|distribution) {_UNTIL}",
            rf"\b(?:do not|don['’]t) (?:publish|release|run|use|post) {_UNTIL}",
            r"\bhold for release\b|^\W*hold until\b",
            r"^\W*(?:not )?for release(?!\s+immediately)\s*(?::|at\b|on\b|after\b|until\b|not before\b|\d)",
            r"\bsperrfrist\b|\bgesperrt bis\b|\bsous embargo\b|^\W*embargo jusqu",
            r"\bbajo embargo\b|\bembargad[oa] hasta\b|^\W*embargo hasta|\bsotto embargo\b|^\W*embargo fino",
            r"\bonder embargo\b|^\W*embargo tot\b",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST_NOTE = 240


def embargo_note(text: str) -> str | None:
    """The line that looks like an embargo ("embargoed until …"), at most 240 characters from its sign on, or None."""
    found = _SIGNS.search(text)
    if found is None:
        return None
    start = found.start() + len(found[0]) - len(found[0].lstrip())
    return text[start : start + _LONGEST_NOTE].split("\n", 1)[0].strip()


# -- reading ------------------------------------------------------------------------------------------------------

_MONTHS: Mapping[str, int] = MappingProxyType(
    {
        name: number
        for number, names in enumerate(
            (
                "january jan januar jänner janvier enero ene gennaio gen januari",
                "february feb februar février fevrier fév febrero febbraio februari",
                "march mar märz maerz mär mars marzo maart mrt",
                "april apr avril avr abril abr aprile",
                "may mai mayo maggio mag mei",
                "june jun juni juin junio giugno giu",
                "july jul juli juillet juil julio luglio lug",
                "august aug août aout agosto ago augustus",
                "september sep sept septembre septiembre settembre set",
                "october oct oktober okt octobre octubre ottobre ott",
                "november nov novembre noviembre",
                "december dec dezember dez décembre decembre déc diciembre dic dicembre",
            ),
            1,
        )
        for name in names.split()
    }
)
_WEEKDAYS: Mapping[str, int] = MappingProxyType(
    {
        name: number
        for number, names in enumerate(
            (
                "monday mon montag lundi lunes lunedì maandag",
                "tuesday tue tues dienstag mardi martes martedì dinsdag",
                "wednesday wed mittwoch mercredi miércoles mercoledì woensdag",
                "thursday thu thur thurs donnerstag jeudi jueves giovedì donderdag",
                "friday fri freitag vendredi viernes venerdì vrijdag",
                "saturday sat samstag samedi sábado sabato zaterdag",
                "sunday sun sonntag dimanche domingo domenica zondag",
            )
        )
        for name in names.split()
    }
)
#: Zone words as newsrooms mean them. IST, AST, CST in Asia and the like say too little: a human decides.
_ZONES: Mapping[str, str] = MappingProxyType(
    {
        word: zone
        for zone, words in {
            "UTC": "gmt utc z zulu",
            "Europe/London": "bst uk london",
            "Europe/Berlin": "cet cest mez mesz berlin",
            "Europe/Paris": "paris",
            "Europe/Madrid": "madrid",
            "Europe/Rome": "rome",
            "Europe/Brussels": "brussels",
            "America/New_York": "et est edt eastern",
            "America/Chicago": "ct cdt central",
            "America/Denver": "mt mst mdt mountain",
            "America/Los_Angeles": "pt pst pdt pacific",
            "Asia/Tokyo": "jst tokyo",
            "Australia/Sydney": "aest aedt sydney",
        }.items()
        for word in words.split()
    }
)
#: Words in capitals behind a time that are no zone.
_NO_ZONE = frozenset(
    {"local", "uhr", "heures", "horas", "ore", "uur", "h", "on", "am", "pm", "the", "of", "le", "el", "il", "op", "den"}
)

_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?:[T ]+(\d{2}):(\d{2})(?::\d{2})?)?\s*(Z\b|[+-]\d{2}:?\d{2}\b)?")
_DAY_MONTH = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+|di\s+)?([^\W\d_]{3,10})\.?(?:,?\s+(?:de\s+|del\s+)?(\d{4}))?\b"
)
_MONTH_DAY = re.compile(r"\b([^\W\d_]{3,10})\.?\s+(\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(\d{4}))?\b(?![:.]\d)")
_GERMAN_DATE = re.compile(r"\b(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})\b")
_SLASHED = re.compile(r"\b\d{1,4}/\d{1,2}(?:/\d{2,4})?\b")
_TIME = re.compile(
    r"""\b(?:
    (?P<hour12>\d{1,2})(?:[:.h](?P<minute12>\d{2}))?\s*(?P<half>[ap])\.?m\b\.?
    |(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?!\d|\.\d)
    |(?P<military>[01]\d|2[0-3])(?P<and_minute>[0-5]\d)(?=\s*(?:h(?:rs|ours)?|gmt|utc|bst|ces?t|e[sd]?t|p[sd]?t|c[sd]t)\b)
    |(?P<hour_only>\d{1,2})\s*(?:uhr|heures|h|uur)\b
    |(?P<noon>noon|midday|mittag|midi)\b
    |(?P<midnight>midnight|mitternacht|minuit)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_OFFSET = re.compile(r"\W*?(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?(\d{2}))?\b", re.IGNORECASE)
_ZONE_WORD = re.compile(r"\W*(?:(?:hrs|hours)\b\W*)?([A-Za-z]{1,9})\b", re.IGNORECASE)


def parse_embargo(note: str, zone: str, published: datetime | None) -> datetime | None:
    """The UTC instant an embargo line names, or None if it can't be read for certain (then a human is asked).

    `zone` (IANA) is meant where the line names none; `published` (aware) resolves a weekday, "tomorrow", a time or a
    date without its year to the first such moment from then on. A date without a time is its midnight at the start.
    """
    own = ZoneInfo(zone)
    base = published.astimezone(own) if published is not None else None
    iso = _ISO.search(note)
    if iso is not None and iso[4] is not None and iso[6] is not None:
        return datetime.fromisoformat(f"{iso[1]}-{iso[2]}-{iso[3]}T{iso[4]}:{iso[5]}{iso[6].upper()}").astimezone(UTC)
    try:
        return _moment(note, own, base)
    except ValueError:  # 31 February, 25:00
        return None


def _moment(note: str, own: ZoneInfo, base: datetime | None) -> datetime | None:
    if _SLASHED.search(note):  # 05/04 is in April or in May
        return None
    found = _TIME.search(_GERMAN_DATE.sub(lambda match: " " * len(match[0]), note))
    clock = _clock(found) if found is not None else time(0)
    where = _zone_after(note[found.end() :], own) if found is not None else own
    if where is None:
        return None
    base = base.astimezone(where) if base is not None else None
    rest = note if found is None else f"{note[: found.start()]} {note[found.end() :]}"
    day = _day(rest, base.date() if base is not None else None)
    if day is not None:
        return datetime.combine(day, clock, where).astimezone(UTC)
    if found is None or base is None or _UNREAD_DAY.search(note):
        return None
    today = datetime.combine(base.date(), clock, where)
    tomorrow = datetime.combine(base.date() + timedelta(days=1), clock, where)
    return (today if today >= base else tomorrow).astimezone(UTC)


#: A day that was meant but could not be read.
_UNREAD_DAY = re.compile(
    r"\b(?:\d{1,2}(?:st|nd|rd|th)|next|week|month|after the|following|tomorrow|today|tonight)\b", re.IGNORECASE
)


def _clock(found: re.Match[str]) -> time:
    """The time of day. Raises ValueError if there is no such time, or if it leaves the day open (midnight)."""
    if found["midnight"]:
        raise ValueError("which end of the day?")
    if found["noon"]:
        return time(12)
    if found["half"]:
        hour = int(found["hour12"])
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} {found['half']}m")
        return time(hour % 12 + (12 if found["half"].lower() == "p" else 0), int(found["minute12"] or 0))
    hour = int(found["hour"] or found["military"] or found["hour_only"])
    return time(hour, int(found["minute"] or found["and_minute"] or 0))


def _zone_after(rest: str, own: ZoneInfo) -> tzinfo | None:
    """The zone named right after a time; ours if there is none; None if it is a word in capitals that we don't know."""
    if offset := _OFFSET.match(rest):
        length = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-length if offset[1] == "-" else length)
    found = _ZONE_WORD.match(rest)
    word = found[1].lower() if found is not None else ""
    if word in _ZONES:
        return ZoneInfo(_ZONES[word])
    known = found is None or not found[1].isupper() or word in _NO_ZONE or word in _MONTHS or word in _WEEKDAYS
    return own if known else None


def _day(note: str, today: date | None) -> date | None:
    """The one day that is named. Raises ValueError if there are several, or if its weekday is another."""
    if iso := _ISO.search(note):
        return date(int(iso[1]), int(iso[2]), int(iso[3]))
    if german := _GERMAN_DATE.search(note):
        return date(int(german[3]), int(german[2]), int(german[1]))
    dates = {
        (int(found[day]), month, found[3])
        for pattern, day, name in ((_DAY_MONTH, 1, 2), (_MONTH_DAY, 2, 1))
        for found in pattern.finditer(note)
        if (month := _MONTHS.get(found[name].lower())) is not None
    }
    if len(dates) > 1:
        raise ValueError("several dates: which one?")
    if not dates:
        return _named_day(note, today)
    dated, weekday = _dated(*dates.pop(), today), _named_weekday(note)
    if dated is not None and weekday is not None and dated.weekday() != weekday:
        raise ValueError("the weekday and the date differ")
    return dated


def _dated(day: int, month: int, year: str | None, today: date | None) -> date | None:
    if year is not None:
        return date(int(year), month, day)
    if today is None:
        return None
    this_year = date(today.year, month, day)
    return this_year if this_year >= today else date(today.year + 1, month, day)


def _named_day(note: str, today: date | None) -> date | None:
    words = set(re.findall(r"[^\W\d_]+", note.lower()))
    if today is None or "next" in words:
        return None
    if words & {"tomorrow", "morgen", "demain", "mañana", "domani"}:
        return today + timedelta(days=1)
    if words & {"today", "tonight", "heute", "hoy", "oggi", "vandaag"}:
        return today
    weekday = _named_weekday(note)
    return None if weekday is None else today + timedelta(days=(weekday - today.weekday()) % 7)


def _named_weekday(note: str) -> int | None:
    """0 = Monday; short names only with a capital (a "set" of "sun" and "sat" are words)."""
    for word in re.findall(r"[^\W\d_]+", note):
        if word.lower() in _WEEKDAYS and (len(word) > 4 or not word.islower()):
            return _WEEKDAYS[word.lower()]
    return None
