"""pydantic's errors as problems that an editor can mend: the place, what was expected, the nearest known name.

Nothing here quotes a secret: where the path is one, at most the last four characters are named.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from bot.errors import Problem
from bot.settings.layers import Layers
from bot.settings.positions import UNKNOWN_KEY, KeyPath, Places, ending, looks_secret, spelled

# What a type wants, in words. Anything not listed keeps pydantic's own sentence, without its first capital.
_EXPECTED: Mapping[str, str] = {
    "string_type": "text in quotes is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "decimal_parsing": "a number is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "tuple_type": 'a list such as ["a", "b"] is expected',
    "list_type": 'a list such as ["a", "b"] is expected',
    "dict_type": "a table is expected",
    "model_type": "a table is expected",
    "model_attributes_type": "a table is expected",
    "path_type": "a path in quotes is expected",
    "date_type": "a date such as 2026-12-25 is expected",
    "date_parsing": "a date such as 2026-12-25 is expected",
    "date_from_datetime_parsing": "a date such as 2026-12-25 is expected",
    "url_parsing": "a web address is expected",
    "url_type": "a web address is expected",
}
_BOUNDS: Mapping[str, str] = {
    "greater_than_equal": "at least {ge} is expected",
    "greater_than": "more than {gt} is expected",
    "less_than_equal": "at most {le} is expected",
    "less_than": "less than {lt} is expected",
    "string_too_short": "at least {min_length} characters are expected",
    "string_too_long": "at most {max_length} characters are expected",
    "string_pattern_mismatch": "text of the form {pattern} is expected",
}
_IS_EXPECTED = " is expected"
_CHOICE = ("literal_error", "enum")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is needed to place a problem: the file's display name, its places, the merged layers, the secret paths."""

    file: str
    places: Places
    layers: Layers
    is_secret: Callable[[KeyPath], bool]
    neighbours: Callable[[KeyPath], Sequence[str]]
    homes: Callable[[str], Sequence[str]]

    def problem(
        self, path: KeyPath, message: str, *, fix: str = "", at_key: bool = False, level: str = "error"
    ) -> Problem:
        """A problem with the value at the path (or, `at_key`, with the key itself), in the layer that said it."""
        origin = self.layers.origin(path)
        key = spelled(path)
        if origin is not None and origin.kind != "file":
            return Problem(key=key, message=message, file=origin.where, level=level, fix=fix)
        place = self.places.key(path) if at_key else self.places.value(path)
        if place is None:
            return Problem(key=key, message=message, file=self.file, level=level, fix=fix)
        return Problem(key, message, self.file, place.line, place.column, place.length, level, fix)

    def told(self, error: ValidationError, base: KeyPath = ()) -> list[Problem]:
        """All errors of one validation, each path once: what the members of a union expect is joined by "or"."""
        by_path: dict[KeyPath, list[ErrorDetails]] = {}
        for details in error.errors(include_url=False):
            path = self._path((*base, *details["loc"]), details["type"])
            by_path.setdefault(path, []).append(details)
        return [self._problem(path, found) for path, found in by_path.items()]

    def _path(self, loc: KeyPath, kind: str) -> KeyPath:
        """pydantic's path as the file has it: without names of union members and of keys that were gathered."""
        path: list[str | int] = []
        node: Any = self.layers.tree
        for part in loc:
            if isinstance(node, list):
                inside = isinstance(part, int) and part < len(node)
            else:
                inside = isinstance(node, Mapping) and part in node
            if inside:
                node = node[part]
                path.append(part)
        if kind == "missing" and loc:
            path.append(loc[-1])
        return tuple(path)

    def _problem(self, path: KeyPath, found: Sequence[ErrorDetails]) -> Problem:
        first = found[0]
        if first["type"] == "extra_forbidden":
            return self.unknown_key(path)
        if first["type"] == "missing":
            return self.problem(path, "is required", at_key=True)
        said = first["input"] if isinstance(first["input"], (str, int, float)) else None
        if self.is_secret(path):
            return self.problem(path, _without_secret(_message(first), str(said or "")))
        if first["type"] in _CHOICE:
            return self.no_choice(path, said, _choices(first))
        return self.problem(path, _with_value(_joined(found), said), fix=_near_zone(path, said))

    def no_choice(
        self, path: KeyPath, said: Any, known: Sequence[str], *, noun: str = "", meant: str | None = None
    ) -> Problem:
        """The value is none of the known ones; the nearest (or the `meant`) one is proposed."""
        near = meant if meant in known else nearest(str(said), known)
        verdict = f"not {noun}" if noun else f"none of {', '.join(known)}"
        message = f"{spelled_value(said)} is {verdict}"
        proposal = f'did you mean "{near}"? ' if near else ""
        if not noun:
            return self.problem(path, message, fix=proposal.strip())
        return self.problem(path, message, fix=f"{proposal}Known: {' '.join(known)}" if known else "there is none yet")

    def unknown_key(self, path: KeyPath) -> Problem:
        """A key that nobody reads, here: misspelt, misplaced, or neither (pain.md P38)."""
        name, table = str(path[-1]), path[:-1]
        known = sorted(self.neighbours(table))
        near, homes = nearest(name, known), self.homes(name)
        if homes:
            fix = f"{name} belongs in {' or '.join(homes)}"
        elif near:
            fix = f"did you mean {spelled((*table, near))}?"
        else:
            fix = f"known here: {' '.join(known)}" if known else ""
        where = f"[{spelled(table)}]" if table else "the top of the file"
        message = f"is no key of {where}" if homes else f"{UNKNOWN_KEY} {where}"
        return self.problem(path, message, fix=fix, at_key=True)


def _message(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    message = re.sub(r"^(Value error|Assertion failed), ", "", details["msg"])
    return message[:1].lower() + message[1:] if details["msg"] == message else message


def _joined(found: Sequence[ErrorDetails]) -> str:
    """One message; of a union's members, what each expects."""
    messages = list(dict.fromkeys(_message(details) for details in found))
    wanted = [message.removesuffix(_IS_EXPECTED) for message in messages if message.endswith(_IS_EXPECTED)]
    return " or ".join(wanted) + _IS_EXPECTED if len(wanted) == len(messages) else messages[0]


def _with_value(message: str, said: Any) -> str:
    spelt = spelled_value(said)
    if said is None or spelt in message:
        return message
    return f"{message}, not {spelt}" if message.endswith("expected") else f"{message} ({spelt})"


def _without_secret(message: str, secret: str) -> str:
    """The message, with the secret cut to its ending wherever a validator repeated it."""
    shown = ending(secret)
    plain = message.replace(secret, shown) if secret else message
    return f"{plain} (this one ends in {shown})" if len(shown) > 1 else plain


def _near_zone(path: KeyPath, said: Any) -> str:
    if path[-1] != "timezone":
        return ""
    near = nearest(str(said), sorted(available_timezones()))
    return f'did you mean "{near}"?' if near else ""


def _choices(details: ErrorDetails) -> list[str]:
    return re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))


def spelled_value(value: Any) -> str:
    """A value as TOML spells it, cut to 60 characters."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return f'"{text}"' if isinstance(value, str) else text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: by letters, without regard to case, hyphens and underscores."""
    flat = {entry.lower().replace("-", "_"): entry for entry in known}
    wanted = name.lower().replace("-", "_")
    found = difflib.get_close_matches(wanted, list(flat), 1, cutoff=0.65)
    return flat[found[0]] if found else None


# -- what models say of themselves --------------------------------------------------------------------------------


def holds(annotation: Any, wanted: type | tuple[type, ...]) -> bool:
    """Does the annotation name one of these types, itself or inside a union or list?"""
    if isinstance(annotation, type) and issubclass(annotation, wanted):
        return True
    return any(holds(part, wanted) for part in typing.get_args(annotation))


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a table of this model may have."""
    return [field.alias or name for name, field in model.model_fields.items()]


def secret_keys(model: type[BaseModel]) -> list[str]:
    """Those of the keys that hold a secret."""
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if holds(field.annotation, (SecretStr, SecretBytes))
    ]


def sounds_secret(path: KeyPath) -> bool:
    """Would a person take the last key of the path for a secret?"""
    names = [part for part in path if isinstance(part, str)]
    return bool(names) and looks_secret(names[-1])


__all__ = ["Ledger", "holds", "keys_of", "nearest", "secret_keys", "sounds_secret", "spelled_value"]
