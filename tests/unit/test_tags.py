"""Which tags an article gets, how they are spelled, and that no sign works by accident (P52–P54, P122)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import Article, Limits, TagStyle, Unit
from bot.rules.editorial import TagRules
from bot.rules.tags import BREAKER, in_place, neutralise, spell_tag, tags_for
from bot.rules.text import links_in

NEUTRAL = json.loads((Path(__file__).parent / "data" / "x_neutral.json").read_text("utf-8"))["vectors"]

X = Limits(size=280, unit=Unit.WEIGHTED, link_cost=23, auto_links="bare")
MASTODON = Limits(size=500, unit=Unit.GRAPHEMES, link_cost=23)
WEBHOOK = Limits(size=5000, unit=Unit.CHARACTERS, auto_links="none", mentions=False, tag_style=TagStyle.FIELD)

#: What Mastodon's models/account.rb (MENTION_RE) and models/tag.rb (HASHTAG_RE) look for.
MASTODON_MENTION = regex.compile(r"(?<![=/\p{L}\p{M}\p{Nd}\p{Pc}])@[a-z0-9_]+([.-]+[a-z0-9_]+)*", regex.IGNORECASE)
MASTODON_TAG = regex.compile(r"(?<![=/)\p{L}\p{Nd}])[#＃][\p{L}\p{M}\p{Nd}\p{Pc}]*[\p{L}\p{M}\p{Pc}·・\u200c]")
#: One whole tag to X (letters, marks, digits, underscore, a letter among them) and to Mastodon.
ONE_TAG = regex.compile(r"(?=.*\p{L})[\p{L}\p{M}\p{Nd}_]+")

CATEGORIES = [
    ("auto-hébergement", "AutoHébergement"), ("schema.org", "SchemaOrg"), ("U.S.", "US"), ("C++", "Cpp"),
    ("C#", "CSharp"), ("5G", "5G"), ("Côte d'Ivoire", "CôteDIvoire"), ("الشرق الأوسط", "الشرق_الأوسط"),
    ("人工智能", "人工智能"), ("debian 8", "Debian8"), ("maven-bundle", "MavenBundle"),
    ("women’s rights", "WomensRights"), ("iPhone 15", "iPhone15"), ("Ελλάδα σήμερα", "ΕλλάδαΣήμερα"),
    ("भारत समाचार", "भारत_समाचार"), ("한국 경제", "한국_경제"), ("AT&T", "ATT"), ("#MeToo", "MeToo"),
    ("новости спорта", "НовостиСпорта"), ("COVID-19", "COVID19"), ("日本 経済", "日本経済"),
    ("politics", "Politics"), ("Foreign Affairs", "ForeignAffairs"), ("Science & Tech", "ScienceTech"),
    ("G20", "G20"), (".NET", "DotNet"), ("Node.js", "NodeJs"), ("L'Équipe", "LÉquipe"),
    ("Rock'n'Roll", "RockNRoll"), ("Hip-Hop", "HipHop"), ("São Paulo", "SãoPaulo"),
    ("Österreich", "Österreich"), ("straße", "Straße"), ("Đà Nẵng", "ĐàNẵng"), ("İstanbul", "İstanbul"),
    ("תל אביב", "תל_אביב"), ("ไทย รัฐ", "ไทยรัฐ"), ("ქართული ენა", "ქართული_ენა"), ("ＡＩ", "AI"),
    ("may_day", "MayDay"), ("e\u0301lection", "Élection"), ("Black Lives Matter", "BlackLivesMatter"),
    ("2024 election", "2024Election"), ("World Cup 2026", "WorldCup2026"), ("Formula 1", "Formula1"),
    ("9/11", None), ("2024", None), ("1.5", None), ("", None), ("🎉", None), ("!!!", None), ("#", None),
    ("٢٠٢٤", None), ("x" * 65, None), ("می‌شود", "میشود"), ("Disney+", "Disney"), ("R&B", "RB"), ("Q&A", "QA"),
    ("TV/Radio", "TVRadio"), ("  spaced  out ", "SpacedOut"), ("Wales’s", "Waless"), ("AC/DC", "ACDC"),
]  # fmt: skip


@pytest.mark.parametrize(("category", "tag"), CATEGORIES)
def test_p52_each_category_is_one_valid_tag_or_none(category: str, tag: str | None) -> None:
    """P52: CamelCase, one token to X's and Mastodon's patterns, no pure digits."""
    assert spell_tag(category) == tag
    if tag is not None:
        assert ONE_TAG.fullmatch(tag)
        assert spell_tag(tag) == tag
        found = MASTODON_TAG.search(f"#{tag}")
        assert found is not None and (found[0] == f"#{tag}" or found[0] == f"#{tag}".rstrip("0123456789"))


def test_p52_there_are_sixty_categories() -> None:
    assert len(CATEGORIES) >= 60


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40))
def test_p52_any_text_is_one_valid_tag_or_none(text: str) -> None:
    tag = spell_tag(text)
    assert tag is None or (ONE_TAG.fullmatch(tag) and len(tag) <= 64)


def article(**values: object) -> Article:
    """An article with the given fields."""
    fields = {"source": "s", "guid": "g", "headline": "Minister visits Paris", **values}
    return Article(**fields)


def tags(rules: TagRules, limits: Limits = X, **values: object) -> tuple[str, ...]:
    """The article's tags on account `main` of network `x`."""
    return tags_for(article(**values), rules, account="main", network="x", limits=limits)


def test_tags_come_in_order_of_worth_each_once() -> None:
    rules = TagRules(
        max={"default": 9},
        always={"main": ("Newsroom",)},
        rename={"World news": "World", "eu": "EuropeanUnion"},
        names={"Paris": "Paris", "European Central Bank": "ECB", "Pari": "Wrong"},
    )
    got = tags(
        rules,
        Limits(size=280, unit=Unit.WEIGHTED, max_tags=9),
        tags=("economy", "EU", "Economy", "world-news"),
        section="Politics",
        summary="The european central bank waits.",
    )
    assert got == ("Newsroom", "EuropeanUnion", "World", "Economy", "Politics", "Paris", "ECB")


def test_p54_the_stop_list_and_the_newsrooms_own_never_become_tags() -> None:
    """P54: "Uncategorized" and its like in several languages, in any spelling, before and after mapping."""
    rules = TagRules(
        max={"default": 9}, block=("Sponsored Post", "Secret"), rename={"desk": "Secret", "featured": "Editors"}
    )
    limits = Limits(size=280, unit=Unit.WEIGHTED, max_tags=9)
    categories = (
        "Uncategorized",
        "ALLGEMEIN",
        "Blog",
        "News",
        "Featured",
        "Non classé",
        "sponsored-post",
        "Desk",
        "Sin categoría",
        "2024",
        "Art",
    )
    assert tags(rules, limits, tags=categories, section="Home Page") == ("Editors", "Art")


@pytest.mark.parametrize(
    ("most", "limit", "count"),
    [
        ({}, 3, 2),
        ({"default": 3}, 3, 3),
        ({"default": 3}, 1, 1),
        ({"x": 1, "default": 3}, 3, 1),
        ({"main": 0, "x": 1}, 3, 0),
        ({"main": 5}, 3, 3),
    ],
)
def test_p52_never_more_than_network_and_newsroom_allow(most: dict[str, int], limit: int, count: int) -> None:
    limits = Limits(size=280, unit=Unit.WEIGHTED, max_tags=limit)
    assert len(tags(TagRules(max=most), limits, tags=("a", "b", "c", "d", "A", "B"))) == count


def test_a_network_without_tags_gets_none() -> None:
    assert tags(TagRules(), Limits(size=9, unit=Unit.CHARACTERS, tag_style=TagStyle.NONE), tags=("a",)) == ()


def test_names_are_whole_words_but_in_scripts_without_spaces() -> None:
    rules = TagRules(names={"ard": "ARD", "東京": "東京", "U.S.": "US", "C++": "Cpp"}, max={"default": 5})
    limits = Limits(size=280, unit=Unit.WEIGHTED, max_tags=5)
    assert tags(rules, limits, headline="Hard times for the hardware trade") == ()
    assert tags(rules, limits, headline="ARD wins, the U.S. loses") == ("ARD", "US")
    assert tags(rules, limits, headline="今日の東京で地震") == ("東京",)
    assert tags(rules, limits, headline="Learn C++ now") == ("Cpp",)


def test_tags_that_the_headline_says_already_are_told_apart() -> None:
    headline = "Women's rights in the European Union: Paris decides"
    assert in_place(headline, ("WomensRights", "EuropeanUnion", "Paris", "Politics", "Par")) == ("Politics", "Par")


# -- signs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", NEUTRAL, ids=lambda vector: vector["headline"].encode("unicode_escape").decode())
def test_p53_p54_p122_nothing_in_a_headline_works_by_accident(vector: dict[str, object]) -> None:
    """P53 (50 headlines with @), P54 (20 with #), P122 (30 with bare domains): read the same, do nothing.

    What twitter-text finds in the neutral form was recorded: no mention, no tag, no link but those with a scheme.
    """
    headline, neutral = str(vector["headline"]), str(vector["neutral"])
    assert neutralise(headline, limits=X) == neutral
    assert neutral.replace(BREAKER, "") == headline
    assert vector["mentions"] == vector["tags"] == []
    assert vector["links"] == [span.url for span in links_in(headline, "bare") if "://" in span.url]
    on_mastodon = neutralise(headline, limits=MASTODON)
    links = [(span.start, span.end) for span in links_in(on_mastodon, "scheme")]
    for pattern in (MASTODON_MENTION, MASTODON_TAG):
        found = [match for match in pattern.finditer(on_mastodon) if not any(a <= match.start() < b for a, b in links)]
        assert found == []


def test_p53_p54_p122_there_are_enough_of_each_kind() -> None:
    kinds = [vector["kind"] for vector in NEUTRAL]
    assert kinds.count("mention") >= 50
    assert kinds.count("tag") >= 20
    assert kinds.count("domain") >= 30


def test_p53_allow_listed_handles_stay_and_mail_and_links_are_unbroken() -> None:
    text = "@BBCNews and @bbcnews@example.social ask anna@example.com, see https://example.com/@bbcnews/1#x or @other"
    got = neutralise(text, limits=X, keep=("@bbcnews",))
    assert got == text.replace("@bbcnews@example.social", f"@{BREAKER}bbcnews@example.social").replace(
        "@other", f"@{BREAKER}other"
    )
    assert MASTODON_MENTION.match(got) is not None


def test_p122_the_editor_may_keep_domains_and_other_networks_never_break_them() -> None:
    assert neutralise("Booking.com wins", limits=X) == f"Booking{BREAKER}.com wins"
    assert neutralise("Booking.com wins", limits=X, bare_domains="keep") == "Booking.com wins"
    assert neutralise("Booking.com wins", limits=MASTODON) == "Booking.com wins"
    assert neutralise("@a #b c.com", limits=WEBHOOK) == "@a #b c.com"


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(["@a", "#b", "foo.com", "x.co.uk/y,z.py", " ", "@", "#", ".", "é", "日", "1", "a@b.org", "/"]),
        max_size=12,
    ).map("".join)
)
def test_p53_p54_p122_whatever_is_mixed_stays_the_same_to_the_eye_and_settles(text: str) -> None:
    got = neutralise(text, limits=X)
    assert got.replace(BREAKER, "") == text
    assert [span for span in links_in(got, "bare") if "://" not in span.url] == []
