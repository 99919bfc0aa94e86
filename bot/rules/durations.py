"""Lengths of time as a person writes them in the settings: "90s", "4m", "6h", "7d", "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_PART = re.compile(r"(\d+)\s*(ms|s|m|h|d|w)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_duration(value: Any) -> timedelta:
    """A timedelta from "4m", "1h30m" or a timedelta. Raises ValueError with the form that was expected."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip().lower() if isinstance(value, str) else ""
    if not text or _PART.sub("", text).strip():
        raise ValueError('a length of time such as "90s", "4m", "6h" or "7d" is expected')
    return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta(0))


def spell_duration(length: timedelta) -> str:
    """The shortest form that `parse_duration` reads back: "1h30m"."""
    rest = round(length / timedelta(milliseconds=1))
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(spell_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+\s*(ms|s|m|h|d|w)\s*)+$", "examples": ["90s", "4m", "6h"]}),
]
