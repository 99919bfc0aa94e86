"""P69: feeds that lost or doubled any part of themselves. Only SourceErrors are raised; no item is lost unsaid."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import SourceError
from bot.sources.reading.entry import Setting, article_of
from bot.sources.reading.feeds import read_document
from bot.testing.clock import START

FEEDS = [
    path
    for path in sorted((Path(__file__).parent / "feed").iterdir())
    if path.suffix in (".xml", ".json") and ".expected" not in path.name
]
PIECES = re.compile(rb"<!\[CDATA\[|\]\]>|</?[\w:.-]+[^<>]*>|&[#\w]+;|\"[^\"]*\"|[{}\[\]:,]|[^<>&\"{}\[\]:,]+")
SETTING = Setting("mutated", ZoneInfo("Europe/Rome"), START)
# where (a share of the document), how many pieces, and what happens to them
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(1, 6), st.sampled_from(["drop", "double", "swap", "noise", "cut"])),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, changes: list[tuple[float, int, str]]) -> bytes:
    pieces = PIECES.findall(data)
    for share, size, how in changes:
        at = int(share * len(pieces))
        part = pieces[at : at + size]
        if how == "drop":
            pieces[at : at + size] = []
        elif how == "double":
            pieces[at:at] = part
        elif how == "swap":
            pieces[at : at + size] = part[::-1]
        elif how == "noise":
            pieces[at:at] = [b"\xfe<&\x00\xc3"]
        elif at:
            del pieces[at:]
    return b"".join(pieces)


def tried(path: Path, changes: list[tuple[float, int, str]]) -> None:
    data = mutated(path.read_bytes(), changes)
    try:
        document = read_document(data, base="https://example.com/feed")
    except SourceError as error:
        assert str(error).strip()
        return
    for entry in document.entries:
        article = article_of(entry, SETTING)
        assert article.guid
        assert article.headline.strip() or article.hold is not None
        assert article.link is None or article.link.startswith(("http://", "https://"))
    assert all(where and why for where, why in document.broken)
    guids = [entry.guid for entry in document.entries]
    assert len(guids) == len(set(guids))


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FEEDS), CHANGES)
def test_p69_mutated_feeds_raise_nothing_and_lose_no_item_silently(
    path: Path, changes: list[tuple[float, int, str]]
) -> None:
    tried(path, changes)


@pytest.mark.soak
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FEEDS), CHANGES)
def test_p69_five_thousand_mutated_feeds(path: Path, changes: list[tuple[float, int, str]]) -> None:
    tried(path, changes)


ELEMENTS = ("title", "link", "guid", "pubDate", "description", "category", "author")
ITEM = {
    "title": "<title>Harbour crane sold</title>",
    "link": "<link>https://example.com/crane</link>",
    "guid": "<guid isPermaLink='false'>c1</guid>",
    "pubDate": "<pubDate>Tue, 24 Nov 2026 10:00:00 GMT</pubDate>",
    "description": "<description>The old crane was sold to a museum.</description>",
    "category": "<category>Port</category>",
    "author": "<author>x@example.com (Ana Ruiz)</author>",
}


@pytest.mark.parametrize("keep", range(128))
def test_p69_an_item_without_any_of_its_elements_is_normalised_or_held(keep: int) -> None:
    """All 128 ways to leave elements out: the item stays one item, and its neighbour is not touched."""
    parts = [ITEM[name] for bit, name in enumerate(ELEMENTS) if keep >> bit & 1]
    neighbour = "<item><title>Neighbour</title><link>https://example.com/n</link></item>"
    feed = f"<rss version='2.0'><channel><item>{''.join(parts)}</item>{neighbour}</channel></rss>"
    document = read_document(feed.encode(), base="https://example.com/feed")
    first, second = (article_of(entry, SETTING) for entry in document.entries)
    assert second.link == "https://example.com/n"
    assert first.guid
    has = {name for bit, name in enumerate(ELEMENTS) if keep >> bit & 1}
    assert (first.link is not None) == ("link" in has)
    assert (first.hold is not None) == (not has & {"title", "description"})
    assert (first.published_at is not None) == ("pubDate" in has)
