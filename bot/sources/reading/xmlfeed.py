"""RSS 0.9x, 1.0, 2.0 and Atom 0.3, 1.0 by feedparser, whose faults are mended around it.

It is handed prepared UTF-8 bytes and never an address. Dates are read by our own chain, titles keep their last level of
escaping for `rules.headline`, and an id is never taken for a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

from bot.errors import NotFeed
from bot.model import Image
from bot.sources.reading.dates import read_date
from bot.sources.reading.entry import Entry, fingerprint
from bot.sources.reading.html import first_image, text_of
from bot.sources.reading.jsonfeed import Document
from bot.sources.reading.xmltext import XmlText

_NEVER = datetime.min.replace(tzinfo=ZoneInfo("UTC"))
_PERIODS = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000, "yearly": 31_536_000}
#: A picture narrower than this is taken only if nothing better is there.
_WIDE = 600
_TOMBSTONE = re.compile(r"<(?:[\w.-]+:)?deleted-entry\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(ref|when)\s*=\s*["']([^"']*)["']""")


def read_xml(source: XmlText, base: str, language: str = "") -> Document:
    """All entries of a feed. Raises NotFeed where the parser finds none of its kinds."""
    parsed = _parsed(source.text, base, language)
    version = parsed.get("version") or ""
    if not version and not parsed["entries"]:
        raise NotFeed(f"its root element <{source.root}> is no feed's: <rss>, <feed> or <rdf:RDF> is expected")
    head = dict(parsed.get("feed", {}))
    document = Document(title=_plain(head.get("title")), language=head.get("language"), notes=list(source.notes))
    document.ttl = _ttl(head)
    for number, raw in enumerate(parsed["entries"], 1):
        try:
            document.entries.append(_entry(dict(raw), head, version, base, f"item {number}"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # one odd entry must not lose its neighbours
            document.broken.append((f"item {number}", f"{type(error).__name__}: {error}"))
    if (lost := source.items - len(parsed["entries"])) > 0:
        document.broken.append(
            ("feed", f"{lost} of {source.items} items are lost in broken XML ({'; '.join(source.notes)})")
        )
    document.entries = _told_apart(document.entries, atom=version.startswith("atom"))
    document.gone = _tombstones(source.text, document.entries)
    return document


def _parsed(text: str, base: str, language: str) -> Any:
    import feedparser

    headers = {"content-type": "application/xml; charset=utf-8", "content-location": base, "content-language": language}
    try:
        # Texts are made plain by us, so its sanitizer is off: it costs most of its time.
        return feedparser.parse(
            b'<?xml version="1.0" encoding="utf-8"?>' + text.encode("utf-8", "replace"),
            response_headers=headers,
            sanitize_html=False,
            resolve_relative_uris=True,
        )
    except Exception as error:
        raise NotFeed(f"the feed parser gave up on it: {type(error).__name__}: {str(error)[:200]}") from error


def _entry(raw: Mapping[str, Any], head: Mapping[str, Any], version: str, base: str, where: str) -> Entry:
    rss = not version.startswith("atom")
    title = raw.get("title") or ""
    kind = (raw.get("title_detail") or {}).get("type", "text/plain")
    content = next((one.get("value") for one in raw.get("content", ()) if one.get("value")), "")
    summary = raw.get("summary") or ""
    link = _link(raw, version)
    guid = (raw.get("id") or "").strip()
    plain_summary, body = text_of(summary), text_of(content)
    return Entry(
        where=where,
        guid=guid or link or fingerprint(title, plain_summary, "" if title or plain_summary else repr(sorted(raw))),
        title=title,
        title_html=rss or kind != "text/plain",
        site=_plain(head.get("title")) or None,
        link=link,
        aliases=[found for found in (raw.get("link"), guid) if found and found.startswith("http")],
        summary=plain_summary if plain_summary != body else "",
        body=body or plain_summary,
        authors=_authors(raw) or _authors(raw.get("source") or {}) or _authors(head),
        section=None,
        tags=[label for tag in raw.get("tags", ()) if (label := tag.get("label") or tag.get("term"))],
        language=(raw.get("title_detail") or {}).get("language") or head.get("language"),
        image=_image(raw, content or summary, base),
        draft=raw.get("wp_status", "publish") != "publish" or raw.get("wp_post_type", "post") != "post",
        published=_readable(raw, ("published", "created")),
        updated=_readable(raw, ("updated",)),
    )


def _plain(value: Any) -> str:
    return " ".join(text_of(value).split()) if isinstance(value, str) else ""


def _readable(raw: Mapping[str, Any], keys: Iterable[str]) -> object:
    return next((raw[key] for key in keys if raw.get(key)), None)


def _link(raw: Mapping[str, Any], version: str) -> str | None:
    """The page of an entry: FeedBurner's original, an alternate (HTML first), a permalink guid, an enclosed file."""
    links = [one for one in raw.get("links", ()) if _web(one.get("href"))]
    pages = [one for one in links if one.get("rel", "alternate") == "alternate"]
    pages.sort(key=lambda one: one.get("type", "text/html") not in ("text/html", "application/xhtml+xml"))
    found = [raw.get("feedburner_origlink"), raw.get("pheedo_origlink"), *(one["href"] for one in pages)]
    if version.startswith("rss") and (raw.get("guidislink") or version in ("rss10", "rss090")):
        found.append(raw.get("id"))
    enclosed = [one for one in links if one.get("rel") == "enclosure"]
    found += [one["href"] for one in enclosed if not str(one.get("type", "")).startswith("image/")]
    return next(("".join(one.split()) for one in found if _web(one)), None)


def _web(address: object) -> bool:
    return isinstance(address, str) and address.strip().lower().startswith(("http://", "https://"))


def _authors(raw: Mapping[str, Any]) -> list[str]:
    """Names; a lone RSS author ("mail@host (Name)") as it was written: feedparser cuts long mail addresses wrongly."""
    people = [one.get("name") for one in raw.get("authors", ()) if one.get("name")]
    whole = raw.get("author") or ""
    return [whole] if len(people) < 2 and re.match(r"\S+@\S+\s*\(", whole) else people


def _image(raw: Mapping[str, Any], markup: str, base: str) -> Image | None:
    """The best picture: a wide media:content, a thumbnail, an enclosed image, the itunes one, the first in the text."""
    media = [one for one in raw.get("media_content", ()) if one.get("url") and _is_picture(one)]
    media.sort(key=lambda one: -(_pixels(one.get("width")) or 0))
    thumbs = [one for one in raw.get("media_thumbnail", ()) if one.get("url")]
    enclosed = [one for one in raw.get("links", ()) if one.get("rel") == "enclosure" and _is_picture(one)]
    wide = [one for one in media if (_pixels(one.get("width")) or 0) >= _WIDE]
    alt = _plain(raw.get("media_description")) if isinstance(raw.get("media_description"), str) else ""
    itunes = raw.get("image") or {}
    for one in (*wide, *thumbs, *enclosed, *media, *([itunes] if itunes.get("href") else [])):
        address = urljoin(base, str(one.get("url") or one.get("href")).strip())
        if _web(address):
            return Image(address, alt, _pixels(one.get("width")), _pixels(one.get("height")), one.get("type"))
    return first_image(markup, base)


def _is_picture(one: Mapping[str, Any]) -> bool:
    kind = str(one.get("type", ""))
    named = re.search(r"\.(?:jpe?g|png|webp|gif)(?:\?|$)", str(one.get("url") or one.get("href") or ""), re.IGNORECASE)
    return one.get("medium") == "image" or kind.startswith("image/") or (not kind and named is not None)


def _pixels(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 7 else None


def _ttl(head: Mapping[str, Any]) -> float | None:
    """Seconds that the feed itself asks for between two looks: `ttl` minutes or the syndication module's period."""
    ttl = str(head.get("ttl", "")).strip()
    wishes = [float(ttl) * 60] if ttl.isdecimal() and len(ttl) < 8 else []
    period = str(head.get("sy_updateperiod", "")).strip().lower()
    if period in _PERIODS:
        often = str(head.get("sy_updatefrequency", "1")).strip()
        wishes.append(_PERIODS[period] / max(1, int(often) if often.isdecimal() and len(often) < 6 else 1))
    return max(wishes) if wishes else None


def _told_apart(entries: list[Entry], *, atom: bool) -> list[Entry]:
    """One entry per id. Versions of one entry: the newest. One id on several stories: the link joins the id."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.guid, []).append(entry)
    kept: dict[int, Entry] = {}
    for group in groups.values():
        links = {entry.link for entry in group}
        if len(links) > 1 or (len({entry.title for entry in group}) > 1 and not atom and None in links):
            for entry in group:
                entry.guid = f"{entry.guid}#{entry.link or fingerprint(entry.title)}"
        for newest in _newest(group):
            kept[id(newest)] = newest
    return [entry for entry in entries if id(entry) in kept]


def _newest(group: list[Entry]) -> list[Entry]:
    best: dict[str, Entry] = {}
    for entry in group:
        if entry.guid not in best or _when(entry) > _when(best[entry.guid]):
            best[entry.guid] = entry
    return list(best.values())


def _when(entry: Entry) -> datetime:
    return read_date(entry.updated or entry.published, ZoneInfo("UTC")) or _NEVER


def _tombstones(text: str, entries: list[Entry]) -> list[tuple[str, str]]:
    """Atom's deleted entries (RFC 6721); one that was updated after its deletion lives again."""
    zone = ZoneInfo("UTC")
    alive = {entry.guid: _when(entry) for entry in entries}
    found = []
    for match in _TOMBSTONE.finditer(text):
        given = dict(_ATTRIBUTE.findall(match[1]))
        when = read_date(given.get("when"), zone)
        if given.get("ref") and (given["ref"] not in alive or (when is not None and when >= alive[given["ref"]])):
            found.append((given["ref"], f"the feed says it was deleted on {given.get('when', 'an unknown day')}"))
    return found
