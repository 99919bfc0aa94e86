"""The keys that site generators and JSON exports use (Hugo, Jekyll, Eleventy, Astro, JSON Feed), as one table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from bot.model import Image, Priority
from bot.sources.reading.entry import Entry
from bot.sources.reading.html import first_image, text_of

_NO = frozenset({"", "null", "none", "~", "false", "no", "off", "0"})
_HIDDEN = frozenset({"draft", "private", "pending", "trash", "unpublished", "auto-draft"})

TITLE = ("title", "headline")
LINK = ("link", "url", "canonical_url", "canonical", "permalink")
GUID = ("id", "guid", "uid", "slug")
PUBLISHED = (
    "date",
    "published_at",
    "date_published",
    "datePublished",
    "pubDate",
    "pub_date",
    "published",
    "created_at",
)
UPDATED = ("lastmod", "updated", "updated_at", "date_modified", "dateModified", "modified", "last_modified_at")
EMBARGO = ("embargo", "embargo_until", "embargoUntil", "embargoed_until", "publishDate", "publish_date")
SUMMARY = ("summary", "description", "excerpt", "standfirst", "lead", "dek")
AUTHORS = ("authors", "author", "byline", "creator")
TAGS = ("tags", "keywords", "categories", "category", "topics")
SECTION = ("section", "category")
LANGUAGE = ("language", "lang", "locale", "inLanguage")
IMAGE = ("image", "banner_image", "cover", "featured_image", "feature_image", "thumbnail", "hero")
TEXTS = ("posts", "texts")


def entry_of(meta: Mapping[str, Any], where: str) -> Entry:
    """An entry from metadata alone. Raises ValueError naming a key whose value has the wrong shape."""
    markup = text(meta, ("content_html", "html"))
    body = text(meta, ("content_text", "body", "text", "content")) or (text_of(markup) if markup else "")
    entry = Entry(where=where, title=text(meta, TITLE), summary=text_of(text(meta, SUMMARY)), body=body)
    entry.image = first_image(markup) if markup else None
    return fill(entry, meta)


def fill(entry: Entry, meta: Mapping[str, Any]) -> Entry:
    """Let metadata outrank what was read from the text itself."""
    entry.title, entry.title_html = (text(meta, TITLE), False) if text(meta, TITLE) else (entry.title, entry.title_html)
    entry.guid = text(meta, GUID) or entry.guid
    entry.slug = text(meta, ("slug",)) or entry.slug
    entry.link = address(meta) or entry.link
    entry.aliases += [str(one) for one in listed(meta.get("aliases")) if "/" in str(one)]
    entry.summary = text_of(text(meta, SUMMARY)) or entry.summary
    entry.published = dated(meta, PUBLISHED) or dated(meta, EMBARGO[-2:]) or entry.published
    entry.updated = dated(meta, UPDATED) or entry.updated
    entry.embargo = dated(meta, EMBARGO) or entry.embargo
    entry.authors = [name for key in AUTHORS for name in names(meta.get(key))] or entry.authors
    entry.tags = [tag for key in TAGS for tag in tags_in(meta.get(key))] or entry.tags
    entry.section = text(meta, SECTION) or entry.section
    entry.language = text(meta, LANGUAGE) or entry.language
    entry.image = picture(meta) or entry.image
    entry.texts = texts(meta) or entry.texts
    entry.priority = priority(meta) or entry.priority
    entry.draft = hidden(meta) or entry.draft
    return entry


def text(meta: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The first of the keys that holds words or a number."""
    for key in keys:
        value = meta.get(key)
        if (
            isinstance(value, (str, int, float))
            and not isinstance(value, bool)
            and str(value).strip() not in ("", "null", "~")
        ):
            return str(value).strip()
    return ""


def address(meta: Mapping[str, Any]) -> str | None:
    """The story's address: absolute, or a path from the root. A site generator's pattern (`/:year/:title`) is none."""
    for key in LINK:
        value = text(meta, (key,))
        if value.startswith(("http://", "https://", "/")) and "/:" not in value.split("://", 1)[-1]:
            return value
    return None


def dated(meta: Mapping[str, Any], keys: tuple[str, ...]) -> object:
    """The first of the keys that holds a date or words for one (not yes or no)."""
    for key in keys:
        value = meta.get(key)
        if isinstance(value, (date, int, float)) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().casefold() not in (*_NO, "true", "yes", "on"):
            return value.strip()
    return None


def listed(value: Any) -> list[Any]:
    """A list as it is, one value as a list of one."""
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def names(value: Any) -> list[str]:
    """Authors given as text, as a list, or as maps with a name."""
    found = [one.get("name") if isinstance(one, Mapping) else one for one in listed(value)]
    return [name for name in found if isinstance(name, str) and name.strip()]


def tags_in(value: Any) -> list[str]:
    """Tags given as a list, or as one text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [one for one in listed(value) if isinstance(one, str)]


def picture(meta: Mapping[str, Any]) -> Image | None:
    """The story's image: an address, or a map with one and its alternative text."""
    for key in IMAGE:
        value = meta.get(key)
        alt = text(meta, (f"{key}_alt", "image_alt", "alt"))
        if isinstance(value, Mapping):
            alt = text(value, ("alt", "description", "title")) or alt
            value = text(value, ("url", "src", "image", "path"))
        if isinstance(value, str) and value.strip():
            return Image(value.strip(), alt)
    return None


def texts(meta: Mapping[str, Any]) -> dict[str, str]:
    """Editorial text per account or network. Raises ValueError if it is no map of names to texts."""
    for key in TEXTS:
        value = meta.get(key)
        if value in (None, "", [], {}):
            continue
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
            raise ValueError(f'{key}: a text per account or network is expected, such as "{key}: {{ x: … }}"')
        return {str(name): one.strip() for name, one in value.items() if one.strip()}
    return {}


def priority(meta: Mapping[str, Any]) -> Priority | None:
    """The priority that the story itself asks for. Raises ValueError for an unknown word."""
    value = text(meta, ("priority",)).lower()
    if not value:
        return None
    if value not in tuple(Priority):
        raise ValueError(f'priority: one of {", ".join(Priority)} is expected, not "{value}"')
    return Priority(value)


def hidden(meta: Mapping[str, Any]) -> bool:
    """draft: true, published: false (Jekyll) or a status that is not published."""
    draft = str(meta.get("draft", "")).strip().casefold()
    published = str(meta.get("published", "true")).strip().casefold()
    return draft not in _NO or published in ("false", "no", "off") or text(meta, ("status",)).lower() in _HIDDEN
