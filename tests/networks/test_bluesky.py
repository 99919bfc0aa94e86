"""Bluesky's records: keys, byte ranges, cards."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import Card, Image
from bot.networks.bluesky import Bluesky, BlueskyOptions
from bot.rules.atproto import facets_of, receipt_of, record_key, tid
from bot.testing.networks import Nowhere
from bot.testing.samples import sample_post

_MADE = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)


def _adapter(**options: Any) -> Bluesky:
    return Bluesky(BlueskyOptions(handle="desk.example.com", password="secret-app", **options), {}, {}, Nowhere())


def _record(**changes: Any) -> dict[str, Any]:
    adapter = _adapter()
    record: dict[str, Any] = json.loads(adapter.render(sample_post(adapter.bounds(), **changes)).body)["record"]
    return record


# -- byte ranges --------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *("🇬🇧", "👩‍👩‍👧‍👦", "e\u0301", "क्षि", "ไทย", "עברית ", "العربية", "\u200f", "\u2066", "ﷺ", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        *("#", "#Storm", "#Río ", "#北京", " ", "\n", ".", "’", "example.com"),
        *("https://www.example.com/a?b=ü", "https://例え.jp/日本 ", "(https://www.example.com/x)"),
    ]
)
_TEXT = st.lists(st.one_of(_PIECES, st.text(max_size=8)), max_size=25).map("".join)


@pytest.mark.parametrize("examples", [500, pytest.param(5_000, marks=pytest.mark.soak)])
def test_p49_each_byte_range_decodes_to_exactly_its_text(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None)
    @given(_TEXT)
    def holds(text: str) -> None:
        data, end = text.encode(), 0
        for facet in facets_of(text, ("Storm", "Río", "#北京", "A" * 641)):
            start, stop = facet["index"]["byteStart"], facet["index"]["byteEnd"]
            assert end <= start < stop <= len(data)
            shown, feature = data[start:stop].decode(), facet["features"][0]
            assert shown == (feature["uri"] if "uri" in feature else f"#{feature['tag']}")
            end = stop

    holds()


def test_p49_links_and_tags_are_found_behind_wide_characters() -> None:
    text = "👩‍👩‍👧‍👦 Ünïcode https://www.example.com/a?b=1 #Storm, #Stormy #Río"
    found = [facet["features"][0] for facet in facets_of(text, ("Storm", "Río"))]
    assert [feature.get("uri") or feature["tag"] for feature in found] == [
        "https://www.example.com/a?b=1",
        "Storm",
        "Río",
    ]


def test_p54_only_our_own_tags_become_tags() -> None:
    """A hash sign in a headline, or in a link, is text."""
    text = "Win #1 for #MeToo at https://www.example.com/#Storm"
    assert [facet["features"][0]["$type"] for facet in facets_of(text, ("Storm",))] == ["app.bsky.richtext.facet#link"]


# -- keys ---------------------------------------------------------------------------------------------------------


def test_a_key_is_spelled_as_the_specification_says() -> None:
    """The vector is what npm @atproto/common gives for these microseconds and this clock id."""
    assert tid(datetime.fromtimestamp(1_795_503_600, UTC), 517) == "3n32336er22k7"


def test_many_deliveries_of_one_microsecond_get_keys_of_their_own() -> None:
    keys = [record_key(_MADE, f"delivery{number}") for number in range(2_000)]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[2-7a-j][2-7a-z]{12}", key) for key in keys)
    assert keys == [record_key(_MADE, f"delivery{number}") for number in range(2_000)]


def test_keys_rise_with_the_seconds() -> None:
    keys = [record_key(_MADE + timedelta(seconds=number), "d") for number in range(50)]
    assert keys == sorted(keys)


# -- the record ---------------------------------------------------------------------------------------------------


def test_p63_every_article_gets_its_card() -> None:
    """100 articles with and without card, picture and description: title, description and link are always there."""
    for number in range(100):
        link, title = f"https://www.example.com/{number}", f"Story {number}"
        image = Image(f"https://www.example.com/{number}.jpg") if number % 3 else None
        card = Card(link, title if number % 5 else "", "Words" if number % 2 else "", image) if number % 4 else None
        record = _record(headline=title, link=link, card=card)
        assert record["embed"]["$type"] == "app.bsky.embed.external"
        card_there = record["embed"]["external"]
        assert (card_there["uri"], card_there["title"]) == (link, title)
        assert isinstance(card_there["description"], str)


def test_a_post_without_link_has_no_card() -> None:
    assert "embed" not in _record(link=None, card=None)


def test_languages_are_the_article_s_else_the_account_s() -> None:
    adapter = _adapter(languages=("de", "fr", "it", "en"))
    post = sample_post(adapter.bounds(), language=None)
    assert json.loads(adapter.render(post).body)["record"]["langs"] == ["de", "fr", "it"]
    assert _record(language="en")["langs"] == ["en"]
    assert "langs" not in _record(language=None)


def test_the_guard_against_overwriting_is_written_out() -> None:
    """`swapRecord` must stand there as null: left out, an existing post would be overwritten."""
    adapter = _adapter()
    assert b'"swapRecord":null' in adapter.render(sample_post(adapter.bounds())).body


def test_the_address_of_a_post_tells_its_id() -> None:
    wanted = "at://did:plc:desk/app.bsky.feed.post/3m7abc"
    options = BlueskyOptions(handle="desk.example.com", password="secret-app")
    adapter = Bluesky(options, {}, {"did": "did:plc:desk"}, Nowhere())
    assert adapter.id_at("https://bsky.app/profile/desk.example.com/post/3m7abc") == wanted
    assert adapter.id_at(receipt_of(wanted).url or "") == wanted
    assert adapter.id_at("https://bsky.app/profile/desk.example.com") is None
