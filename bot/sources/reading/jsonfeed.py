"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/), and plain JSON with one article or many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.model import Image
from bot.sources.reading.entry import Entry
from bot.sources.reading.metadata import LINK, TITLE, entry_of, listed, names, text

_LISTS = ("items", "articles", "entries", "posts", "stories", "data")


@dataclass(slots=True)
class Document:
    """What a whole document holds: its entries in order, the broken ones as (where, why), and its own words."""

    entries: list[Entry] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    title: str = ""
    language: str | None = None
    ttl: float | None = None
    notes: list[str] = field(default_factory=list)
    ended: bool = False


def is_json_feed(value: Any) -> bool:
    """Does the top level say that it is a JSON Feed? Some write only "1.0" for the version's address."""
    version = str(value.get("version", "")) if isinstance(value, Mapping) else ""
    return "jsonfeed.org/version/" in version or (
        version in ("1", "1.0", "1.1") and isinstance(value.get("items"), list)
    )


def read_feed(value: Mapping[str, Any], cap: int) -> Document:
    """A JSON Feed's items, at most `cap`. Items of a wrong shape are reported beside the others."""
    items = value.get("items")
    document = Document(title=text(value, ("title",)), language=text(value, ("language",)) or None)
    document.ended = value.get("expired") is True
    for number, item in enumerate(items if isinstance(items, list) else [], 1):
        if number > cap:
            document.notes.append(f"only the first {cap} of {len(items or [])} items were read")
            break
        _add(document, item, f"item {number}")
    for entry in document.entries:
        entry.authors = entry.authors or names(value.get("authors")) or names(value.get("author"))
        entry.language = entry.language or document.language
        entry.site = document.title or None
    return document


def read_articles(value: Any, cap: int) -> Document:
    """One article, a list of articles, or an object that holds such a list. Raises ValueError if it is neither."""
    if is_json_feed(value):
        return read_feed(value, cap)
    document = Document()
    found = value
    if isinstance(value, Mapping) and not any(key in value for key in TITLE):
        found = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
    if not isinstance(found, (list, Mapping)):
        raise ValueError('an article (an object with "title"), a list of them, or a JSON Feed is expected')
    for number, item in enumerate(found if isinstance(found, list) else [found], 1):
        if number > cap:
            document.notes.append(f"only the first {cap} of {len(found)} articles were read")
            break
        _add(document, item, f"article {number}")
    return document


def _add(document: Document, item: Any, where: str) -> None:
    try:
        document.entries.append(_entry(item, where))
    except ValueError as error:
        document.broken.append((where, str(error)))


def _entry(item: Any, where: str) -> Entry:
    if not isinstance(item, Mapping):
        raise ValueError("an object is expected")
    entry = entry_of(item, where)
    if not (entry.title or entry.summary or entry.body or entry.link or entry.guid):
        raise ValueError("it has neither a title, a text, an address nor an id")
    external = text(item, ("external_url",))
    if external:
        entry.aliases.append(external)
        entry.link = entry.link or external
    entry.guid = text(item, ("id", "guid")) or entry.guid or text(item, LINK)
    entry.image = entry.image or _attached(item)
    return entry


def _attached(item: Mapping[str, Any]) -> Image | None:
    for one in listed(item.get("attachments")):
        if isinstance(one, Mapping) and str(one.get("mime_type", "")).startswith("image/") and text(one, ("url",)):
            return Image(text(one, ("url",)), text(one, ("title",)))
    return None
