"""Sources: the article stores that are watched. A file here, or an entry point of an outside package, is a kind.

`kinds()` lists them without importing any; `kind(name)` imports the one that is asked for.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract

from bot.errors import UsageError
from bot.sources.base import Source

#: Outside packages announce their kinds under this group: `name = "package.module:Class"`.
GROUP = "wirepost.sources"


class _Kinds(Mapping[str, type[Source]]):
    """Names to classes; a class is imported when it is asked for."""

    def __init__(self) -> None:
        inside = {found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg} - {"base"}
        outside = {point.name: point for point in entry_points(group=GROUP)}
        self._places: dict[str, str | EntryPoint] = {**outside, **{name: f"{__name__}.{name}" for name in inside}}

    def __getitem__(self, name: str) -> type[Source]:
        place = self._places[name]
        if isinstance(place, EntryPoint):
            return _checked(name, place.load(), place.value)
        module = import_module(place)
        own = [one for one in vars(module).values() if _is_kind(one) and one.__module__ == module.__name__]
        if len(own) != 1:
            raise TypeError(f"{place} must hold exactly one subclass of Source, not {len(own)}")
        return _checked(name, own[0], place)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._places))

    def __len__(self) -> int:
        return len(self._places)


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Source) and not isabstract(value)


def _checked(name: str, value: object, place: str) -> type[Source]:
    if not isinstance(value, type) or not issubclass(value, Source):
        raise TypeError(f"{place} is no subclass of bot.sources.base.Source")
    if value.kind != name:
        raise TypeError(f'{place} calls itself "{value.kind}", but it is announced as "{name}"')
    return value


def kinds() -> Mapping[str, type[Source]]:
    """All kinds by name, sorted. Listing imports nothing; reading a value imports that kind's module."""
    return _Kinds()


def kind(name: str) -> type[Source]:
    """The class of one kind. Raises UsageError naming those that exist."""
    found = kinds()
    if name not in found:
        raise UsageError(f'no source of kind "{name}": known are {", ".join(found)}')
    return found[name]
