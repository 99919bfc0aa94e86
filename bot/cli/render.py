"""What all commands share on paper: tables, JSON, times in and out. Rich is loaded only for a person's terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from bot.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

DRY_RUN = "Dry run: nothing was sent, nothing was stored."


def json_option(function: Command) -> Command:
    """The option --json, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")(function)


def print_json(value: Any) -> None:
    """One document on stdout: instants as ISO 8601 with their offset, everything unknown by its own text."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_jsonl(values: Iterable[Any]) -> None:
    """One JSON value a line on stdout, for streams."""
    for value in values:
        click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


# -- tables -------------------------------------------------------------------------------------------------------


def listing(head: Sequence[str], rows: Iterable[Sequence[str]], *, footer: str = "", no_color: bool = False) -> None:
    """A table on a terminal; elsewhere rows with tabs between the cells, without head and footer: for other programs.

    Cells are text, never markup: what an article says can't colour the screen or move its cursor.
    """
    clean = [[one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in clean:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in clean:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(no_color=no_color or None, highlight=False, emoji=False)
    console.print(table)
    if footer:
        console.print(Text(footer))


def alarm(lines: Iterable[str], *, no_color: bool = False) -> None:
    """What needs a human, above a listing: on stderr, red on a terminal, and always with "! " (colour is no word)."""
    for line in lines:
        text = f"! {one_line(line)}"
        plain = no_color or not sys.stderr.isatty()
        click.echo(text if plain else click.style(text, fg="red"), err=True, color=False if plain else None)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def one_line(text: object) -> str:
    """Text for one cell: line breaks and control characters (a terminal would obey them) become spaces."""
    return _CONTROL.sub(" ", str(text)).strip()


# -- times out ----------------------------------------------------------------------------------------------------


def moment(at: datetime, zone: str, now: datetime) -> str:
    """A time as a person of that zone says it: "14:10" today, "tomorrow 14:10", else "Wed 25 Nov 14:10"."""
    local, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    away = (local.date() - today).days
    clock = f"{local:%H:%M}"
    if away in (-1, 0, 1):
        return f"{('yesterday ', '', 'tomorrow ')[away + 1]}{clock}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {clock}"


def distance(at: datetime, now: datetime) -> str:
    """How far: "in 3m", "2h ago", "now" (less than half a minute)."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < 30:
        return "now"
    minutes = round(abs(seconds) / 60)
    if minutes < 90:
        size = f"{max(1, minutes)}m"
    elif minutes < 48 * 60:
        size = f"{round(minutes / 60)}h"
    else:
        size = f"{round(minutes / 1440)}d"
    return f"in {size}" if seconds > 0 else f"{size} ago"


# -- times in -----------------------------------------------------------------------------------------------------

_RELATIVE = re.compile(r"^(?:\+|in )\s*(.+)$")
_CLOCK = re.compile(r"^(?:(?P<day>today|tomorrow|mon|tue|wed|thu|fri|sat|sun)\s+)?(?P<hour>\d{1,2}):(?P<minute>\d\d)$")
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORMS = '"14:30", "tomorrow 9:00", "fri 9:00", "+20m" or "2026-11-24T14:30"'


def when(text: str, zone: str, now: datetime) -> datetime:
    """The instant (UTC) that a person of that zone means. Always the given `now`, never the machine's zone (P40).

    Takes now, 14:30, today or tomorrow or a weekday with a time, +20m, and ISO 8601 with or without offset. An hour
    that a clock change leaves out gives the first minute after it; one that it repeats gives the first of the two.
    Raises UsageError for anything else and for what has passed.
    """
    said = text.strip().lower()
    if said == "now":
        return now
    relative = _RELATIVE.match(said)
    if relative is not None:
        return now + _length(relative[1], text)
    clock = _CLOCK.match(said)
    at = _by_clock(clock, text, zone, now) if clock is not None else _by_date(text.strip(), zone)
    if at < now - timedelta(minutes=1):  # the minute that is running counts as now
        raise UsageError(
            f"{text} has passed: it is {moment(now, zone, now)} in {zone}. Say tomorrow {at:%H:%M}, or now."
            if clock is not None and clock["day"] is None
            else f"{text} has passed: it is {moment(now, zone, now)} in {zone}."
        )
    return max(at, now)


def past(text: str, zone: str, now: datetime) -> datetime:
    """The instant (UTC) since when: a date (its midnight in that zone), ISO 8601 with a time, or a length such as 7d.

    Raises UsageError for anything else and for what is yet to come.
    """
    said = text.strip()
    if re.fullmatch(r"\d+\s*[a-z]+", said.lower()):
        return now - _length(said.lower(), text)
    try:
        local = datetime.combine(date.fromisoformat(said), time(0))
    except ValueError:
        at = _by_date(said, zone)
    else:
        at = _instant(local, zone)
    if at > now:
        raise UsageError(f"{text} is yet to come: it is {moment(now, zone, now)} in {zone}.")
    return at


def _length(said: str, text: str) -> timedelta:
    from bot.rules.durations import parse_duration

    try:
        return parse_duration(said)
    except ValueError:
        raise _not_a_time(text) from None


def _by_clock(clock: re.Match[str], text: str, zone: str, now: datetime) -> datetime:
    try:
        at = time(int(clock["hour"]), int(clock["minute"]))
    except ValueError:
        raise _not_a_time(text) from None
    today = now.astimezone(ZoneInfo(zone)).date()
    day = clock["day"]
    ahead = (_WEEK.index(day) - today.weekday()) % 7 if day in _WEEK else int(day == "tomorrow")
    found = _instant(datetime.combine(today + timedelta(days=ahead), at), zone)
    passed = day in _WEEK and found < now
    return _instant(datetime.combine(today + timedelta(days=7), at), zone) if passed else found


def _by_date(text: str, zone: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace("z", "Z"))
    except ValueError:
        raise _not_a_time(text) from None
    if ":" not in text:
        raise UsageError(f"{text}: the time of day is missing: {text}T09:00")
    return at.astimezone(ZoneInfo("UTC")) if at.tzinfo is not None else _instant(at, zone)


def _instant(local: datetime, zone: str) -> datetime:
    """A wall time as an instant in UTC; one inside a gap becomes the gap's end."""
    utc = ZoneInfo("UTC")
    before = local.replace(tzinfo=ZoneInfo(zone), fold=0)
    after = before.replace(fold=1)
    if before.astimezone(utc).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local:
        return before.astimezone(utc)
    low, high = after.astimezone(utc), before.astimezone(utc)  # in a gap, fold=1 is the earlier instant
    offset = low.astimezone(ZoneInfo(zone)).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(ZoneInfo(zone)).utcoffset() == offset else (low, middle)
    return high.replace(microsecond=0)


def _not_a_time(text: str) -> UsageError:
    return UsageError(f'"{text}" is no time: {FORMS} is expected.')
