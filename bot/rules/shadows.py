"""Routes in the shadow of earlier ones: what the settings' cross-check warns of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.rules.editorial import Editorial, Route, When
from bot.rules.names import name_key


def never_matches(editorial: Editorial) -> list[tuple[int, str]]:
    """Routes that can take nothing, since earlier ones take all they ask for: (index, what takes it), in order.

    Only simple cases are seen: each account of the route is taken by some earlier route whose every condition is
    implied by this route's own. A route that is not listed may still never match.
    """
    found = []
    for index, route in enumerate(editorial.routes):
        wider = [earlier for earlier in editorial.routes[:index] if _covers(earlier.when, route.when)]
        shadow = _shadow(route, wider, editorial)
        if shadow:
            takes = " and ".join(dict.fromkeys(f'"{earlier.name}" takes {_spell(earlier.when)}' for earlier in shadow))
            found.append((index, f"an earlier route takes it all: {takes}"))
    return found


def _shadow(route: Route, wider: Sequence[Route], editorial: Editorial) -> list[Route]:
    """The earlier routes that together take every account of this one; [] if one account is left."""
    closing = [earlier for earlier in wider if not earlier.to]
    if closing:
        return closing[:1]
    shadow = []
    for account in editorial.accounts:
        if route.to and not route.takes(account):
            continue
        taker = next((earlier for earlier in wider if earlier.takes(account)), None)
        if taker is None:
            return []
        shadow.append(taker)
    return shadow


def _spell(when: When) -> str:
    """A route's conditions in a few words, for a warning."""
    given = when.model_dump(exclude_defaults=True, by_alias=True, mode="json")
    parts = [
        f"{key} {' or '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in given.items()
        if key not in ("any", "all", "not")
    ]
    return ", ".join(parts).replace("sections ", "section ").replace("tags ", "tag ") or "every article"


_LISTS = ("sources", "sections", "tags", "authors", "languages", "keywords", "hours")
_SAME = ("headline", "link", "priority", "any", "all", "not_")
#: The condition's name, and whether a smaller number is the stricter one.
_BOUNDS = (("min_words", False), ("max_words", True), ("newer_than", True), ("older_than", False))


def _covers(wide: When, narrow: When) -> bool:
    """Does every article that fits `narrow` surely fit `wide`?"""
    return (
        all(_within(getattr(narrow, key), getattr(wide, key)) for key in _LISTS)
        and _barred(wide.not_tags, narrow.not_tags)
        and (_barred(wide.not_sections, narrow.not_sections) or _apart(narrow.sections, wide.not_sections))
        and all(getattr(wide, key) in ((), None, getattr(narrow, key)) for key in _SAME)
        and all(_bounded(getattr(narrow, key), getattr(wide, key), smaller) for key, smaller in _BOUNDS)
    )


def _forms(names: tuple[object, ...]) -> set[str]:
    return {name_key(str(name)) or str(name) for name in names}


def _within(narrow: tuple[object, ...], wide: tuple[object, ...]) -> bool:
    return not wide or (bool(narrow) and _forms(narrow) <= _forms(wide))


def _barred(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    return _forms(wide) <= _forms(narrow)


def _apart(asked: tuple[str, ...], barred: tuple[str, ...]) -> bool:
    """An article has one section: who asks for others than the barred ones can't meet those."""
    return bool(asked) and not _forms(asked) & _forms(barred)


def _bounded(narrow: int | timedelta | None, wide: int | timedelta | None, smaller_is_stricter: bool) -> bool:
    if wide is None or narrow is None:
        return wide is None
    return bool(narrow <= wide if smaller_is_stricter else narrow >= wide)  # type: ignore[operator]  # both are numbers or both lengths of time
