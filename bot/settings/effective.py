"""Every value that holds, with who said it: what `wirepost settings show` prints. Secrets are only set or not set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from bot.settings.positions import KeyPath, spelled

if TYPE_CHECKING:
    from bot.settings import Settings

DEFAULT = "default"


def effective(settings: Settings) -> Iterator[tuple[str, Any, str]]:
    """Key, value and origin (file:line, a variable, a secret file, or "default"), table by table."""
    for path, value in _leaves(_tables(settings), ()):
        yield spelled(path), value, _origin(settings, path)


def _tables(settings: Settings) -> dict[str, Any]:
    editorial = settings.editorial.model_dump(mode="json", by_alias=True)
    sources, accounts = editorial.pop("sources"), editorial.pop("accounts")
    return {
        **editorial,
        "sources": {
            name: {"kind": source.kind, **sources[name], **_shown(source.options)}
            for name, source in settings.sources.items()
        },
        "accounts": {
            name: {**accounts[name], **_shown(account.options)} for name, account in settings.accounts.items()
        },
        "alerts": _shown(settings.alerts),
        "store": {"url": re.sub(r"(://[^:/@]*):[^/@]+@", r"\1:***@", settings.store_url)},
        "var": str(settings.var),
        "key": _set(settings.key),
        "log": settings.log,
        "listen": settings.listen,
        "workers": settings.workers,
    }


def _shown(options: BaseModel) -> dict[str, Any]:
    plain = options.model_dump(mode="json", by_alias=False)
    return {
        name: _set(said) if isinstance(said := getattr(options, name), SecretStr) else plain[name] for name in plain
    }


def _set(secret: SecretStr | None) -> str | None:
    return "(set)" if secret is not None and secret.get_secret_value() else None


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif path == ("routes",):
        for index, route in enumerate(value):
            yield from _leaves(route, (*path, index))
    elif value not in (None, [], {}):
        yield path, value


def _origin(settings: Settings, path: KeyPath) -> str:
    """Who said this very value; a gathered one (a schedule's slots) counts as said where its table has it."""
    path = tuple(part for part in path if not (part == "slots" and path[0] == "schedules"))
    node: Any = settings.layers.tree
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return DEFAULT
    origin = settings.origin(path)
    if origin is None:
        return DEFAULT
    place = settings.ledger.places.value(path)
    return origin.where or (f"{settings.ledger.file}:{place.line}" if place else settings.ledger.file)
