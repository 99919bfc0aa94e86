"""A feed document of any kind, by its content and never by its Content-Type."""

from __future__ import annotations

import re

from bot.errors import Blocked, NotFeed, TooLarge
from bot.sources.reading.frontmatter import Unreadable, read_json
from bot.sources.reading.html import feeds_named, page_title
from bot.sources.reading.jsonfeed import Document, is_json_feed, read_feed
from bot.sources.reading.xmltext import prepare, text_of_bytes

MAX_BYTES = 10 * 1024 * 1024
MAX_ITEMS = 2_000

_FEEDS = frozenset({"rss", "feed", "rdf", "entry", "channel"})
_OTHERS = {
    "urlset": "a sitemap",
    "sitemapindex": "an index of sitemaps",
    "opml": "a list of feeds (OPML)",
    "html": "an HTML page",
}
_HTML = re.compile(
    r"^\s*(?:<\?[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
# What Cloudflare, Imperva, DataDome, Akamai and captchas put on their pages.
_CHALLENGE = re.compile(
    r"challenge-platform|cf-chl|cf_chl|just a moment|attention required|enable javascript and cookies|captcha|"
    r"checking your browser|ddos protection|_incapsula_|datadome|access denied|are you a robot|unusual traffic",
    re.IGNORECASE,
)


def read_document(data: bytes, *, base: str, content_type: str = "", max_items: int = MAX_ITEMS) -> Document:
    """Everything in a feed document: a pure function of its bytes, address and Content-Type.

    Raises NotFeed (what it is instead), Blocked (a challenge page) or TooLarge. Broken entries are in `broken`.
    """
    if not data.strip():
        raise NotFeed("the document is empty")
    text, exact = text_of_bytes(data, content_type)
    head = text.lstrip()[:1]
    if head in ("{", "["):
        document = _json_document(text, max_items)
    elif _HTML.match(text[:4_096]):
        raise refusal(text, base)
    else:
        from bot.sources.reading.xmlfeed import read_xml  # feedparser and lxml: only where XML is read

        source = prepare(text, exact, max_items)
        if source.root not in _FEEDS:
            what = _OTHERS.get(source.root, f"XML with the root element <{source.root[:40]}>")
            raise refusal(text, base) if source.root == "html" else NotFeed(f"it is {what}, not a feed")
        document = read_xml(source, base)
    if not exact:
        document.notes.append("some bytes have no meaning in the document's encoding")
    return document


def _json_document(text: str, max_items: int) -> Document:
    try:
        value = read_json(text)
    except Unreadable as error:
        raise NotFeed(f"it begins like JSON but can't be read: {error}") from None
    if not is_json_feed(value):
        raise NotFeed('it is JSON but no JSON Feed: "version" must begin with "https://jsonfeed.org/version/"')
    return read_feed(value, max_items)


def refusal(text: str, base: str) -> NotFeed | Blocked:
    """The error for an HTML page where a feed was expected: a challenge, or a page that may name its feeds."""
    title = page_title(text)
    named = f" titled “{title}”" if title else ""
    if challenged(text):
        return Blocked(f"an HTML page{named} asks for proof that a person is there")
    feeds = feeds_named(text, base)
    hint = f"; its feed is {' or '.join(feeds[:3])}" if feeds else "; it names no feed of its own"
    return NotFeed(f"it is an HTML page{named}, not a feed{hint}")


def challenged(text: str) -> bool:
    """Is it the page of a bot guard?"""
    return _CHALLENGE.search(text[:50_000]) is not None


def check_size(data: bytes, cap: int) -> None:
    """Raises TooLarge over `cap` bytes."""
    if len(data) > cap:
        raise TooLarge(f"it has {len(data):,} bytes; at most {cap:,} are read (option max_bytes, up to 32 MB)")
