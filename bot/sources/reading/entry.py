"""What every reader yields before it is an article: the store's own words, and the one way from there to `Article`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.model import Article, Image, Priority, Reason
from bot.rules.headline import clean_headline, clean_text, embargo_note, parse_embargo
from bot.rules.links import link_from, slug, valid_link
from bot.sources.reading.dates import read_date, sane
from bot.sources.reading.encoding import garbled

#: Longer strings than these are no headline, name or tag; they are cut, and never the reason to lose a story.
MAX_TITLE, MAX_TEXT, MAX_TAGS = 1_000, 200_000, 100


@dataclass(slots=True, kw_only=True)
class Entry:
    """One story as a store shows it. Texts are plain but for `title`, which is HTML where `title_html` says so."""

    where: str
    guid: str = ""
    title: str = ""
    title_html: bool = False
    site: str | None = None
    link: str | None = None
    aliases: list[str] = field(default_factory=list)
    slug: str = ""
    summary: str = ""
    body: str = ""
    authors: list[str] = field(default_factory=list)
    section: str | None = None
    tags: list[str] = field(default_factory=list)
    language: str | None = None
    image: Image | None = None
    published: object = None
    updated: object = None
    embargo: object = None
    texts: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    draft: bool = False
    garbled: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """What a reader must be told to make articles: the source's name, zone and options, and the present."""

    source: str
    zone: ZoneInfo
    now: datetime
    language: str | None = None
    link: str | None = None


def article_of(entry: Entry, setting: Setting) -> Article:
    """The article of an entry: cleaned, dated, with an absolute link or none, and with the hold it asks for."""
    body = _plain(entry.body)
    summary = _plain(entry.summary) or lead_of(body)
    raw = entry.title[:MAX_TITLE]
    headline = clean_headline(raw, site=entry.site, html=entry.title_html) if raw.strip() else ""
    headline = headline or first_sentence(summary or body)
    base = setting.link.split("{", 1)[0] if setting.link else None
    link = valid_link(entry.link, base) if entry.link else None
    if link is None and setting.link:
        link = _made_link(setting.link, entry)
    aliases = [found for alias in entry.aliases if (found := valid_link(alias, base)) and found != link]
    published, updated = (sane(read_date(raw, setting.zone), setting.now) for raw in (entry.published, entry.updated))
    embargo, unclear = _embargo(entry, setting, summary, published)
    hold, note = _hold(entry, headline, summary, unclear)
    return Article(
        source=setting.source,
        guid=entry.guid or fingerprint(headline, summary),
        headline=headline,
        link=link,
        aliases=tuple(dict.fromkeys(aliases)),
        summary=summary,
        body=body,
        authors=people(entry.authors, entry.site),
        section=clean_text(entry.section, html=False) or None if entry.section else None,
        tags=labels(entry.tags),
        language=entry.language or setting.language,
        image=_picture(entry.image, link),
        published_at=published or updated,
        updated_at=updated,
        embargo_until=embargo,
        priority=entry.priority,
        texts=dict(entry.texts),
        hold=hold,
        hold_note=note,
    )


def _made_link(template: str, entry: Entry) -> str | None:
    """The link by the source's template; None where the article lacks what it asks for (it is held then, not lost)."""
    given = {"id": entry.guid, "section": slug(entry.section or ""), "language": entry.language}
    try:
        return link_from(template, entry.slug or slug(entry.title), **given)
    except ValueError:
        return None


def check_template(template: str | None) -> str | None:
    """The template of the option `link`, if it can be used. Raises ValueError with what it may hold."""
    if template is not None:
        try:
            link_from(template, "slug", id="id", section="section", language="en")
        except ValueError as error:
            raise ValueError(f"{error}; {{slug}}, {{id}}, {{section}} and {{language}} may stand in it") from None
    return template


def fingerprint(*parts: str) -> str:
    """An id for a story that has none: made of its words, so that it stays while they do."""
    return "text:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def lead_of(body: str) -> str:
    """The first paragraph of a plain text."""
    return next((line for line in body.split("\n") if line.strip()), "").strip()


def first_sentence(text: str, size: int = 200) -> str:
    """The first sentence, cut at a word if it is longer than `size` characters."""
    line = lead_of(text)
    match = re.match(r"(.{15,}?[.!?…])(?=\s+[\W\d]*[^\W\d_a-z]|$)", line)
    sentence = (match[1] if match else line).strip()
    if len(sentence) <= size:
        return sentence.removesuffix(".") if not sentence.endswith("..") else sentence
    return sentence[: size - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


_MAIL = re.compile(r"\S+@\S+\.\w+")
_BY = re.compile(r"^(?:by|von|par|por|di|da|door|av|af)\s+(?=[^\W\d_])", re.IGNORECASE)
_NOBODY = frozenset(
    {"admin", "administrator", "staff", "editor", "redaktion", "webmaster", "unknown", "noreply", "root"}
)


def people(names: Iterable[str], site: str | None = None) -> tuple[str, ...]:
    """Names without mail addresses, "by", accounts of machines and the site's own name; joined ones are split."""
    found: dict[str, str] = {}
    for raw in names:
        plain = clean_text(raw[:MAX_TITLE], html=True)
        inside = re.match(r"^\S+@\S+\s*\(([^)]+)\)$", plain)
        plain = _BY.sub("", _MAIL.sub("", inside[1] if inside else plain)).strip(" ()<>,;")
        for name in _split_names(plain):
            key = name.casefold()
            if (
                name
                and key not in _NOBODY
                and key != (site or "").casefold()
                and not key.startswith(("http:", "https:"))
            ):
                found.setdefault(key, name)
    return tuple(found.values())[:MAX_TAGS]


def _split_names(text: str) -> list[str]:
    parts = [part.strip() for part in re.split(r"\s+(?:and|und|et|y|&)\s+|;|,\s*(?:and\s+)?", text)]
    # "Mustermann, Max" is one person: a comma or "and" parts people only where each part is a full name
    return parts if all(" " in part for part in parts if part) else [text]


def labels(raw: Iterable[str]) -> tuple[str, ...]:
    """Categories as tags: entities read, slash paths by their leaf, lists in one string split, each once."""
    found: dict[str, str] = {}
    for text in raw:
        plain = clean_text(text[:MAX_TITLE], html=True)
        parts = plain.split(",") if plain.count(",") > 1 else [plain]
        for part in parts:
            label = part.strip().strip("#").strip()
            if re.fullmatch(r"[^/\s][^/]*(?:/[^/]+)+", label) and "://" not in label:
                label = label.rsplit("/", 1)[1].strip()
            if label:
                found.setdefault(label.casefold(), label)
    return tuple(found.values())[:MAX_TAGS]


def _plain(text: str) -> str:
    """Each line cleaned; empty ones dropped."""
    lines = (clean_text(line, html=False) for line in text[:MAX_TEXT].split("\n"))
    return "\n".join(line for line in lines if line)


def _picture(image: Image | None, base: str | None) -> Image | None:
    url = valid_link(image.url, base) if image else None
    if image is None or url is None:
        return None
    return Image(url, clean_text(image.alt, html=True), image.width, image.height, image.mime)


def _embargo(entry: Entry, setting: Setting, summary: str, published: datetime | None) -> tuple[datetime | None, str]:
    """Until when the story may not go out, and words that say so but name no time."""
    note: object = entry.embargo
    if note in (None, "", False):
        note = embargo_note("\n".join((entry.title, summary, entry.body[:2_000])))
    if not note:
        return None, ""
    moment = read_date(note, setting.zone) or parse_embargo(str(note), setting.zone.key, published)
    return (moment, "") if moment else (None, str(note))


def _hold(entry: Entry, headline: str, summary: str, unclear: str) -> tuple[Reason | None, str]:
    if unclear:
        return Reason.EMBARGO_UNCLEAR, f"it says “{unclear[:200]}”, and no date and time can be read from that"
    if entry.garbled or garbled(headline) or garbled(summary):
        return Reason.ENCODING, f"{entry.where}: characters were lost or mixed up; save it as UTF-8"
    if not headline:
        return Reason.NO_HEADLINE, f"{entry.where}: neither a title nor a first sentence"
    return None, ""
