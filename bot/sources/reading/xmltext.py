"""A feed's bytes made safe and well-formed before a parser sees them: encoding, entities, size, depth.

Threads can't be killed, so nothing that could take long is begun: feedparser 6.0.14 took 31 s for 100,000 items, 5.4 s
for 50,000 nested tags and 3.8 s for one tag with 20,000 attributes.
"""

from __future__ import annotations

import html.entities
import re
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from bot.errors import NotFeed, TooLarge
from bot.sources.reading.encoding import charset_of, declared_in, decode

MAX_DEPTH = 200  # honest feeds stay below 30, XHTML content included
MAX_MARKS = 200_000  # opening and closing tags after the cap on items: some 8 s of feedparser
#: Tags that are begun and never ended; libxml2 takes 60 µs for each when it saves what it can.
MAX_UNENDED = 1_000
MAX_ATTRIBUTES = 200
#: What plain entities of an internal DTD may add to the document, in characters.
MAX_EXPANSION = 1_000_000

_PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_ROOT = re.compile(r"<((?:[\w.-]+:)?([A-Za-z][\w.-]*))")
_ENTITY = re.compile(
    r"""<!ENTITY\s+(%\s*)?([\w.:-]+)\s+(?:"([^"]*)"|'([^']*)'|(SYSTEM|PUBLIC)\b[^>]*)\s*>""", re.IGNORECASE
)
_REFERENCE = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&(?:([A-Za-z][\w.:-]*);|#([xX]?)([0-9A-Fa-f]+);|)",
    re.DOTALL,
)
_MARK = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<(/?)[A-Za-z_][^<>]*?(/?)>", re.DOTALL
)
_ITEM = re.compile(r"<(?:[\w.-]+:)?(item|entry)(?=[\s>/])", re.IGNORECASE)
_ID = re.compile(r"<((?:[\w.-]+:)?(?:id|guid))\b([^<>]*)>(?=\s*(?:<!\[CDATA\[)?\s*(https?://)?)", re.IGNORECASE)
_PERMALINK = re.compile(r"""\s+isPermaLink\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)
# HTML that stands unescaped in broken RSS, where an unclosed <b> would swallow the elements after it.
_MARKUP = re.compile(
    r"</?(?:a|b|i|u|s|p|em|strong|span|br|hr|img|small|sub|sup|mark|q|cite|code|pre|div|blockquote|ul|ol|li|h[1-6]|font|center)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_CDATA = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL)
_CDATA_OR_AMP = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)|&", re.DOTALL)
_STAND_IN = "\uf8fe"  # of the private use area: no text's own
_FIVE = frozenset({"amp", "lt", "gt", "quot", "apos"})
#: Prefixes that feeds use without declaring them, and what they stand for.
_PREFIXES = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "media": "http://search.yahoo.com/mrss/",
    "atom": "http://www.w3.org/2005/Atom",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "wfw": "http://wellformedweb.org/CommentAPI/",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "georss": "http://www.georss.org/georss",
    "thr": "http://purl.org/syndication/thread/1.0",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "at": "http://purl.org/atompub/tombstones/1.0",
    "xhtml": "http://www.w3.org/1999/xhtml",
}


@dataclass(frozen=True, slots=True)
class XmlText:
    """A document ready for the parser: well-formed, without DTD, and what was seen on the way."""

    text: str
    root: str
    exact: bool
    items: int
    notes: tuple[str, ...] = ()


def text_of_bytes(data: bytes, content_type: str) -> tuple[str, bool]:
    """The document's text by BOM, header and declaration, and whether each byte had a meaning."""
    decoded = decode(data, (charset_of(content_type), declared_in(data)))
    return decoded.text, decoded.exact


def prepare(text: str, exact: bool, max_items: int) -> XmlText:
    """Make `text` fit for the parser. Raises NotFeed (no feed, or entities that expand) or TooLarge."""
    start = _start(text)
    body, entities = _without_doctype(text[start:])
    match = _ROOT.search(body)
    if match is None:
        raise NotFeed("it holds no XML element: a feed begins with <rss>, <feed> or <rdf:RDF>")
    body = _references(body[match.start() :], entities)
    body, notes = _fewer_items(_ID.sub(_plain_id, body), max_items)
    _measure(body)
    body = _declared(body, match[1])
    items = len(_ITEM.findall(_CDATA.sub("", body)))
    if (fault := _fault(body)) is not None:
        body = _mended(body if match[2].lower() == "feed" else _MARKUP.sub(_as_text, body))
        notes = (*notes, f"the feed is not well-formed XML ({fault}); what could be read was read")
    return XmlText(body, match[2].lower(), exact, items, notes)


def _plain_id(match: re.Match[str]) -> str:
    """An id that is no address, and every Atom id, is marked as no link: feedparser would resolve it as one."""
    guid = match[1].lower().endswith("guid")
    if match[2].rstrip().endswith("/") or (guid and match[3]):
        return match[0]
    return f'<{match[1]}{_PERMALINK.sub("", match[2])} isPermaLink="false">'


def _start(text: str) -> int:
    """Blank lines and warnings of PHP may stand before the first element: up to 1,024 characters are skipped."""
    match = re.search(r"<(?:\?xml|!DOCTYPE|!--|[A-Za-z])", text[:65_536])
    if match is None:
        raise NotFeed("it holds no XML: a feed begins with <rss>, <feed> or <rdf:RDF>")
    xml = text.find("<?xml", 0, 1_024)
    return max(match.start(), xml)


def _without_doctype(text: str) -> tuple[str, dict[str, str]]:
    """The document without its DTD, and the plain entities that it declared.

    Refused: entities that name others or files; that is how "billion laughs" and XXE work. A plain one (RSS 0.91's
    habit) is a short text and stays usable.
    """
    prolog = _PROLOG.match(text)
    at = prolog.end() if prolog else 0
    if text[at : at + 9].upper() != "<!DOCTYPE":
        return text[at:], {}
    bracket, close = text.find("[", at), text.find(">", at)
    if close < 0:
        raise NotFeed("its DOCTYPE is never closed")
    if not at < bracket < close:
        return text[close + 1 :], {}
    subset_end = re.compile(r"\]\s*>").search(text, bracket)
    subset = text[bracket + 1 : subset_end.start() if subset_end else len(text)]
    if subset_end is None or len(subset) > 65_536:
        raise NotFeed("its DOCTYPE holds more than 64 KB of declarations")
    return text[subset_end.end() :], _plain_entities(subset)


def _plain_entities(subset: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ENTITY.finditer(subset):
        value = match[3] if match[3] is not None else match[4]
        if match[1] or match[5] or value is None or re.search(r"&(?!#)|%", value):
            raise NotFeed(
                f'its DTD declares the entity "{match[2][:40]}" by other entities or files: refused as an attack'
            )
        found[match[2]] = value
    if subset.count("<!ENTITY") != len(found):
        raise NotFeed("its DTD declares entities in a form that is not plain text: refused as an attack")
    return found


def _references(text: str, entities: dict[str, str]) -> str:
    """Entities that XML doesn't know become what they mean; an ampersand that begins none becomes `&amp;`."""
    room = [MAX_EXPANSION]

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if match[3] is not None:
            return _character(match[2], match[3])
        if name is None:
            return "&amp;" if match[0] == "&" else match[0]
        if name in _FIVE:
            return match[0]
        if name in entities:
            room[0] -= len(entities[name])
            if room[0] < 0:
                raise TooLarge(f"the entities of its DTD expand to more than {MAX_EXPANSION:,} characters")
            return entities[name]
        meaning = html.entities.html5.get(f"{name};")
        return meaning.replace("&", "&amp;").replace("<", "&lt;") if meaning else f"&amp;{name};"

    return _REFERENCE.sub(replace, text)


def _character(radix: str, digits: str) -> str:
    """A numeric reference as XML takes it; one to no character (0, a lone surrogate, beyond Unicode) is dropped."""
    try:
        code = int(digits, 16 if radix else 10) if len(digits) < 8 else 0
    except ValueError:
        return f"&amp;#{digits};"
    legal = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return f"&#{code};" if legal else ""


def _fewer_items(text: str, cap: int) -> tuple[str, tuple[str, ...]]:
    """At most `cap` items: the first ones, or the last where the feed is written oldest first (P22)."""
    places = [match.start() for match in _ITEM.finditer(text)]
    if len(places) <= cap:
        return text, ()
    name = _ITEM.match(text, places[0])
    last = text.rfind("</", 0, text.rfind(">") + 1) if name else -1
    closing = re.compile(rf"</(?:[\w.-]+:)?{name[1]}\s*>", re.IGNORECASE) if name else None
    ends = [match.end() for match in closing.finditer(text)] if closing else []
    if len(ends) != len(places) or last < 0:
        raise TooLarge(f"it lists {len(places):,} items and only {cap:,} are read (option max_items)")
    rising = _first_year(text[places[-1] : ends[-1]]) > _first_year(text[places[0] : ends[0]])
    kept = text[places[-cap] : ends[-1]] if rising else text[places[0] : ends[cap - 1]]
    which = "last" if rising else "first"
    return (
        text[: places[0]] + kept + text[ends[-1] :],
        (f"it lists {len(places):,} items; the {which} {cap:,} were read (option max_items)",),
    )


def _first_year(item: str) -> str:
    """A sortable form of the item's first date, "" without one: enough to tell which end of a feed is new."""
    from zoneinfo import ZoneInfo

    from bot.sources.reading.dates import read_date

    match = re.search(
        r"<(?:[\w.-]+:)?(?:pubDate|published|updated|date|issued)\b[^>]*>([^<]{4,60})<", item, re.IGNORECASE
    )
    moment = read_date(match[1], ZoneInfo("UTC")) if match else None
    return moment.isoformat() if moment else ""


def _measure(text: str) -> None:
    """Refuse what a parser would choke on: too many tags, too deep, too many attributes."""
    depth = marks = 0
    for match in _MARK.finditer(text):
        if match[1] is None:
            continue
        marks += 1
        if match[1]:
            depth -= 1
        elif not match[2]:
            depth += 1
        if depth > MAX_DEPTH:
            raise TooLarge(f"its elements are nested more than {MAX_DEPTH} deep")
        if match.end() - match.start() > 1_000 and match[0].count("=") > MAX_ATTRIBUTES:
            raise TooLarge(f"an element has more than {MAX_ATTRIBUTES} attributes")
    if text.count("<") - text.count(">") > MAX_UNENDED:
        raise NotFeed(f"more than {MAX_UNENDED:,} of its tags have no end: that is no XML")
    if marks > MAX_MARKS:
        raise TooLarge(f"it holds more than {MAX_MARKS:,} tags")


def _declared(text: str, root: str) -> str:
    """Well-known prefixes that are used without a declaration get one on the root element."""
    used = set(re.findall(r"</?([A-Za-z][\w.-]*):", text)) | set(re.findall(r"\s([A-Za-z][\w.-]*):[\w.-]+\s*=", text))
    known = set(re.findall(r"xmlns:([\w.-]+)\s*=", text)) | {"xml", "xmlns"}
    missing = sorted(prefix for prefix in used - known if prefix in _PREFIXES)
    if not missing:
        return text
    added = "".join(f' xmlns:{prefix}="{_PREFIXES[prefix]}"' for prefix in missing)
    return text[: len(root) + 1] + added + text[len(root) + 1 :]


def _as_text(match: re.Match[str]) -> str:
    return match[0].replace("<", "&lt;").replace(">", "&gt;")


def _fault(text: str) -> str | None:
    """What is wrong with it as XML, or None. expat stops at the first fault and fetches nothing."""
    parser = expat.ParserCreate("utf-8", " ")
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        return f"line {error.lineno}: {expat.ErrorString(error.code)}"
    return None


def _mended(text: str) -> str:
    """Broken XML as libxml2 can save it, written anew. A parser that guesses (sgmllib's kind) is never asked.

    libxml2 drops every reference after the first fault, so they pass under another sign.
    """
    from lxml import etree

    text = _CDATA_OR_AMP.sub(lambda match: _STAND_IN if match[0] == "&" else match[0], text.replace(_STAND_IN, ""))

    parser: Any = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8"
    )
    try:
        tree = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError):
        tree = None
    if tree is None:
        raise NotFeed("it is not well-formed XML, and nothing of it could be saved")
    return str(etree.tostring(tree, encoding="unicode")).replace(_STAND_IN, "&")
