"""The networks: one file each. This page finds them and knows none.

A network is a module of this folder, or an outside package's entry point in the group `wirepost.networks` (its name is
the network's, its value `package.module:Class`). A module is imported only when its network is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.networks.base import Network

GROUP = "wirepost.networks"
_SEAM = "base"


def names() -> tuple[str, ...]:
    """Every network that can be used here, sorted. Imports none of them."""
    return tuple(sorted({*_inside(), *_outside()}))


def network(name: str) -> type[Network]:
    """The adapter class of a network.

    Raises `UsageError` if there is none of that name (with the nearest one), or if an outside package's is no adapter.
    """
    if name in _inside():
        return _adapter(importlib.import_module(f"{__name__}.{name}"), name, f"bot/networks/{name}.py")
    point = _outside().get(name)
    if point is None:
        near = get_close_matches(name, names(), 1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise UsageError(f'There is no network "{name}".{hint} Known: {" ".join(names())}.')
    return _checked(point.load(), name, f"entry point {point.value}")


def _inside() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if module.name != _SEAM]


def _outside() -> dict[str, EntryPoint]:
    """Outside packages' networks; our own names can't be taken over."""
    own = set(_inside())
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in own}


def _adapter(module: object, name: str, where: str) -> type[Network]:
    """The one adapter class that a module defines under its own name."""
    for value in vars(module).values():
        if isinstance(value, type) and getattr(value, "name", None) == name:
            return _checked(value, name, where)
    raise UsageError(f'{where} defines no network named "{name}".')


def _checked(value: object, name: str, where: str) -> type[Network]:
    from bot.networks.base import Network

    if isinstance(value, type) and issubclass(value, Network) and getattr(value, "name", None) == name:
        return value
    raise UsageError(f'{where} is no Network named "{name}": a subclass of bot.networks.base.Network is expected.')
