"""One file of an article store to entries, by its ending: Markdown, HTML, JSON or the text of a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from bot.rules.links import slug
from bot.sources.reading.encoding import Decoded, declared_in, decode
from bot.sources.reading.entry import Entry, lead_of
from bot.sources.reading.frontmatter import Unreadable, read_json, read_toml, read_yaml, split
from bot.sources.reading.html import first_image, read_page, text_of
from bot.sources.reading.jsonfeed import Document, read_articles
from bot.sources.reading.metadata import fill
from bot.sources.reading.pagetext import read_page_text

MARKDOWN, HTML, TEXT, JSON = (".md", ".markdown"), (".html", ".htm"), (".txt",), (".json",)
STORIES = (*MARKDOWN, *HTML, *TEXT, *JSON)
#: Endings of a side file that holds the metadata of a story with the same name.
_SIDES: Mapping[str, Callable[[str], Any]] = {
    ".json": read_json,
    ".toml": read_toml,
    ".yaml": read_yaml,
    ".yml": read_yaml,
}
SIDECARS = tuple(_SIDES)
MAX_ARTICLES = 2_000  # in one JSON file
_MAX_MARKDOWN = 200_000  # characters of a body that are rendered: more adds no headline and no lead
_DATED_NAME = re.compile(r"^(\d{4}-\d{2}-\d{2})-(.+)$")  # Jekyll


def read_file(data: bytes, path: str, sidecar: tuple[str, bytes] | None = None) -> Document:
    """The entries of a file; `path` is relative, with slashes. A pure function of its arguments.

    Raises Unreadable. Entries without an id of their own have guid "" where the file holds one story, and "#slug" where
    it holds several: the caller puts the file's identity before it.
    """
    pure = PurePosixPath(path)
    decoded = decode(data, (declared_in(data) if pure.suffix.lower() in HTML else None,))
    if not decoded.text.strip():
        raise Unreadable(0, "the file is empty")
    try:
        if pure.suffix.lower() in JSON:
            document = _json(decoded.text, path)
        else:
            document = Document(entries=[_story(decoded.text, path, pure)])
        if sidecar is not None:
            _add_sidecar(document, sidecar)
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(0, str(error)) from None
    for entry in document.entries:
        _from_name(entry, pure, decoded, single=len(document.entries) == 1)
    return document


def _story(text: str, path: str, pure: PurePosixPath) -> Entry:
    meta, rest = split(text)
    ending = pure.suffix.lower()
    if ending in MARKDOWN:
        entry = _markdown(rest, path)
    elif ending in HTML:
        entry = _page(rest, path, meta)
    else:
        entry = _page_text(rest, path, meta)
    return fill(entry, meta) if meta else entry


def _page(text: str, path: str, meta: dict[str, Any]) -> Entry:
    try:
        return read_page(text, where=path)
    except ValueError:
        if not meta:
            raise
        return Entry(where=path, body=text_of(text), image=first_image(text))


def _page_text(text: str, path: str, meta: dict[str, Any]) -> Entry:
    try:
        return read_page_text(text, path)
    except Unreadable:
        if not meta:
            raise
        lines = [" ".join(line.split()) for line in text.splitlines()]
        return Entry(where=path, body="\n".join(line for line in lines if line))


def _markdown(text: str, path: str) -> Entry:
    """Title from the first heading of level 1, which is then no part of the text."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark").enable("table")
    tokens = reader.parse(text[:_MAX_MARKDOWN])
    title = ""
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            title = text_of(reader.renderer.render(tokens[at + 1 : at + 2], reader.options, {}))
            tokens = tokens[:at] + tokens[at + 3 :]
            break
    markup = str(reader.renderer.render(tokens, reader.options, {}))
    body = text_of(markup)
    return Entry(where=path, title=title, summary=lead_of(body), body=body, image=first_image(markup))


def _json(text: str, path: str) -> Document:
    document = read_articles(read_json(text), MAX_ARTICLES)
    document.broken = [(f"{path}: {where}", why) for where, why in document.broken]
    for entry in document.entries:
        entry.where = path if len(document.entries) == 1 else f"{path}: {entry.where}"
        if not entry.guid and len(document.entries) > 1:
            entry.guid = "#" + (entry.slug or slug(entry.title or entry.summary))
    return document


def _add_sidecar(document: Document, sidecar: tuple[str, bytes]) -> None:
    """Metadata beside the file outranks what the file says. Errors name the side file."""
    name, data = sidecar
    if len(document.entries) != 1:
        raise Unreadable(0, f"{name} can only stand beside a file with one story")
    text = decode(data).text
    try:
        meta = _SIDES[PurePosixPath(name).suffix.lower()](text)
        if not isinstance(meta, dict):
            raise Unreadable(1, "keys and values are expected here")
        fill(document.entries[0], meta)
    except ValueError as error:
        raise Unreadable(0, f"{name}: {error}") from None


def _from_name(entry: Entry, pure: PurePosixPath, decoded: Decoded, *, single: bool) -> None:
    """What the file's name tells: slug, and with Jekyll's form the date."""
    entry.garbled = entry.garbled or not decoded.exact
    stem = pure.stem if pure.stem.lower() not in ("index", "_index") or not pure.parent.name else pure.parent.name
    if match := _DATED_NAME.match(stem):
        entry.published = entry.published or match[1]
        stem = match[2]
    if single:
        entry.slug = entry.slug or slug(stem)
