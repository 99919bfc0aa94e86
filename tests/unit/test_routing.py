"""Routes: what fits, who is named, what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Article, Priority, Reason, Why
from bot.rules.editorial import Editorial
from bot.rules.names import count_words, has_word, name_key
from bot.rules.routing import Decision, decide, edit_needs_second, never_matches, priority_of, sensitive

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def article(**keys: Any) -> Article:
    given_keys: dict[str, Any] = {
        "source": "main",
        "guid": "1",
        "headline": "Rail strike off after late deal",
        "link": "https://example.com/rail",
        "section": "politics",
        "tags": ("rail", "Unions"),
        "published_at": NOW - HOUR,
    }
    return Article(**{**given_keys, **keys})


def editorial(
    *routes: dict[str, Any], accounts: Sequence[str] = ("desk-x", "desk-masto", "page"), **keys: Any
) -> Editorial:
    named = {name: {"network": "outbox"} for name in accounts}
    return Editorial.model_validate({"accounts": named, "routes": routes, **keys})


def decisions(story: Article, rules: Editorial, now: datetime = NOW) -> dict[str, Decision]:
    found = decide(story, rules, age_from=story.published_at or now, now=now, accounts=tuple(rules.accounts))
    return {decision.account: decision for decision in found}


def fits(when: dict[str, Any], story: Article, **keys: Any) -> bool:
    rules = editorial({"name": "r", "when": when}, accounts=["a"], **keys)
    return decisions(story, rules)["a"].yes


# -- conditions ---------------------------------------------------------------------------------------------------

TABLE: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, True),
    ({"sources": ["main"]}, {}, True),
    ({"sources": ["other"]}, {}, False),
    ({"sections": ["Politics"]}, {}, True),
    ({"sections": ["sport", "politics"]}, {}, True),
    ({"sections": ["sport"]}, {}, False),
    ({"sections": ["sport"]}, {"section": None}, False),
    ({"sections": ["world-news"]}, {"section": "World News"}, True),
    ({"sections": ["Côte d'Ivoire"]}, {"section": "cote-d-ivoire"}, True),
    ({"not_sections": ["sport"]}, {}, True),
    ({"not_sections": ["POLITICS"]}, {}, False),
    ({"not_sections": ["sport"]}, {"section": None}, True),
    ({"tags": ["unions", "nothing"]}, {}, True),
    ({"tags": ["live-blog"]}, {"tags": ("Live Blog",)}, True),
    ({"tags": ["C"]}, {"tags": ("C++",)}, False),
    ({"tags": ["!!"]}, {"tags": ("??",)}, False),
    ({"tags": ["rail"], "not_tags": ["unions"]}, {}, False),
    ({"tags": ["x"]}, {"tags": ()}, False),
    ({"authors": ["ana díaz"]}, {"authors": ("Ana Diaz", "B")}, True),
    ({"authors": ["C"]}, {"authors": ("Ana Díaz", "B")}, False),
    ({"languages": ["en"]}, {"language": "en-GB"}, True),
    ({"languages": ["en"]}, {"language": "en_US"}, True),
    ({"languages": ["en"]}, {"language": "EN"}, True),
    ({"languages": ["en-GB"]}, {"language": "en"}, False),
    ({"languages": ["en"]}, {"language": "eng"}, False),
    ({"languages": ["en"]}, {"language": None}, False),
    ({"keywords": ["STRIKE"]}, {}, True),
    ({"keywords": ["stri"]}, {}, False),
    ({"keywords": ["late  deal"]}, {}, True),
    ({"keywords": ["tube"]}, {"summary": "The Tube runs again."}, True),
    ({"keywords": ["straße"]}, {"headline": "STRASSE gesperrt"}, True),
    ({"keywords": ["罢工"]}, {"headline": "铁路罢工取消"}, True),
    ({"keywords": ["c++"]}, {"headline": "Why C++ stays"}, True),
    ({"keywords": ["rail(way)"]}, {"headline": "Railway"}, False),
    ({"headline": r"(?i)^RAIL\b"}, {}, True),
    ({"headline": r"^strike"}, {}, False),
    ({"link": r"/rail$"}, {}, True),
    ({"link": r"/rail$"}, {"link": None}, False),
    ({"min_words": 3}, {"body": "one two three"}, True),
    ({"min_words": 4}, {"body": "one two-two it’s"}, False),
    ({"max_words": 3}, {"body": "one two three four"}, False),
    ({"min_words": 3}, {"body": "", "summary": "one two three"}, True),
    ({"min_words": 6}, {"body": "铁路罢工取消"}, True),
    ({"newer_than": "1h"}, {}, True),
    ({"newer_than": "59m"}, {}, False),
    ({"older_than": "1h"}, {}, True),
    ({"older_than": "2h"}, {}, False),
    ({"hours": ["12:00-13:30"]}, {}, True),
    ({"hours": ["22:00-06:00", "14:00-15:00"]}, {}, False),
    ({"priority": "breaking"}, {"priority": Priority.BREAKING}, True),
    ({"priority": "breaking"}, {}, False),
    ({"any": [{"sections": ["sport"]}, {"tags": ["rail"]}]}, {}, True),
    ({"any": [{"sections": ["sport"]}, {"tags": ["x"]}]}, {}, False),
    ({"all": [{"sections": ["politics"]}, {"tags": ["rail"]}]}, {}, True),
    ({"all": [{"sections": ["politics"]}, {"tags": ["x"]}]}, {}, False),
    ({"not": {"tags": ["rail"], "sections": ["sport"]}}, {}, True),
    ({"not": {"tags": ["rail"], "sections": ["politics"]}}, {}, False),
    ({"any": [{"not": {"any": [{"tags": ["x"]}]}}], "sections": ["politics"]}, {}, True),
]


@pytest.mark.parametrize(("when", "story", "expected"), TABLE)
def test_conditions(when: dict[str, Any], story: dict[str, Any], expected: bool) -> None:
    assert fits(when, article(**story)) is expected


@given(st.sampled_from(TABLE))
def test_not_is_the_opposite(row: tuple[dict[str, Any], dict[str, Any], bool]) -> None:
    when, story, expected = row
    assert fits({"not": when}, article(**story)) is not expected
    assert fits({"not": {"not": when}}, article(**story)) is expected


def test_hours_are_the_house_clock() -> None:
    """13:00 UTC on 24 November is 22:00 in Tokyo."""
    assert fits({"hours": ["21:00-23:00"]}, article(), timezone="Asia/Tokyo")
    assert not fits({"hours": ["21:00-23:00"]}, article(), timezone="Europe/London")


def test_hours_of_an_undated_article_count_from_its_first_sight() -> None:
    rules = editorial({"name": "r", "when": {"hours": ["14:00-15:00"]}}, accounts=["a"])
    (found,) = decide(article(published_at=None), rules, age_from=NOW, now=NOW + 5 * HOUR, accounts=["a"])
    assert found.yes


# -- order, closing, names ----------------------------------------------------------------------------------------

NEWSROOM = (
    {
        "name": "never",
        "when": {"tags": ["sponsored"]},
        "to": [],
        "reason": "Commercial items stay off social accounts.",
    },
    {"name": "breaking", "when": {"tags": ["breaking"]}, "to": ["desk-*"], "priority": "breaking"},
    {"name": "sport", "when": {"sections": ["sport"]}, "to": ["page"]},
    {
        "name": "politics",
        "when": {"sections": ["politics"], "min_words": 2},
        "to": ["desk-*", "page"],
        "hold": ["page"],
    },
)


def test_p26_first_match_that_names_the_account_decides() -> None:
    found = decisions(article(body="many words here"), editorial(*NEWSROOM))
    desk = found["desk-x"]
    assert desk.yes
    assert desk.route is not None
    assert desk.route.name == "politics"
    assert desk.why == (Why(Reason.ROUTE, "politics"),)
    assert desk.hold is None
    assert desk.trace == (
        "never ✗ tags are rail, Unions",
        "breaking ✗ tags are rail, Unions",
        "politics ✓",  # sport, which neither fits nor names the desk, is not worth a word
    )
    assert found["page"].trace[1:] == ("sport ✗ section is politics", "politics ✓")
    assert found["page"].hold == Why(Reason.ROUTE_HOLD, "route politics")


def test_p26_a_no_names_what_failed() -> None:
    found = decisions(article(section="culture"), editorial(*NEWSROOM))
    page = found["page"]
    assert not page.yes
    assert page.route is None
    assert page.why == (
        Why(
            Reason.NO_ROUTE,
            'section is culture, route "sport" takes sport; section is culture, route "politics" takes politics',
        ),
    )
    assert page.trace[-1] == "politics ✗ section is culture"


def test_p26_a_route_that_fits_and_names_others_is_in_the_trace() -> None:
    found = decisions(article(section="sport"), editorial(*NEWSROOM))
    assert found["page"].yes
    assert found["desk-x"].trace[2] == "sport ✗ does not name desk-x"


def test_a_closing_route_closes_for_everybody_not_taken_before() -> None:
    story = article(tags=("Sponsored", "breaking"))
    assert {one.why[0] for one in decisions(story, editorial(*NEWSROOM)).values()} == {
        Why(Reason.ROUTE_CLOSED, "Commercial items stay off social accounts.")
    }
    late = editorial(NEWSROOM[1], NEWSROOM[0])
    found = decisions(story, late)
    assert found["desk-x"].yes
    assert found["page"].why[0].reason is Reason.ROUTE_CLOSED
    assert found["page"].trace == ("breaking ✗ does not name page", "never ✓")


def test_no_routes_and_no_name() -> None:
    assert decisions(article(), editorial())["page"].why == (Why(Reason.NO_ROUTE, "there are no routes"),)
    only = editorial({"name": "x", "to": ["desk-*"]})
    assert decisions(article(), only)["page"].why == (Why(Reason.NO_ROUTE, "no route names this account"),)


def test_decisions_come_in_the_order_of_the_accounts() -> None:
    rules = editorial(*NEWSROOM)
    found = decide(article(), rules, age_from=NOW, now=NOW, accounts=["page", "desk-x"])
    assert [one.account for one in found] == ["page", "desk-x"]


# -- holds and priority -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "route", "expected"),
    [
        ({}, {}, None),
        ({"link": None}, {}, Why(Reason.NO_LINK)),
        ({"link": None}, {"link": False}, None),
        ({"headline": "  "}, {}, Why(Reason.NO_HEADLINE)),
        ({"hold": Reason.LINT, "hold_note": "TK"}, {"hold": True}, Why(Reason.LINT, "TK")),
        ({}, {"hold": True}, Why(Reason.ROUTE_HOLD, "route r")),
        ({}, {"hold": ["desk-*"]}, Why(Reason.ROUTE_HOLD, "route r")),
        ({}, {"hold": ["page"]}, None),
    ],
)
def test_p67_what_holds_a_yes(story: dict[str, Any], route: dict[str, Any], expected: Why | None) -> None:
    found = decisions(article(**story), editorial({"name": "r", **route}))["desk-x"]
    assert found.yes
    assert found.hold == expected


def test_priority_is_the_routes_then_the_articles_then_the_sources() -> None:
    rules = editorial(*NEWSROOM, sources={"main": {"priority": "evergreen"}})
    breaking = decisions(article(tags=("breaking",)), rules)
    assert breaking["desk-x"].priority is Priority.BREAKING
    assert breaking["page"].priority is Priority.EVERGREEN
    assert priority_of(article(priority=Priority.BREAKING), rules, None) is Priority.BREAKING
    assert priority_of(article(source="other"), rules, None) is Priority.NORMAL


# -- sensitive stories --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ({}, None),
        ({"tags": ("Trial",)}, "tag Trial"),
        ({"tags": ("murder-trial",)}, "tag murder-trial"),
        ({"tags": ("Industrial",)}, None),
        ({"section": "Court"}, "tag Court"),
        ({"headline": "Two killed on motorway"}, "word killed"),
        ({"headline": "Skilled work wanted"}, None),
        ({"summary": "Nobody was KILLED."}, "word killed"),
    ],
)
def test_p58_an_edited_text_on_a_sensitive_story_needs_a_second_person(
    story: dict[str, Any], expected: str | None
) -> None:
    rules = editorial(sensitive={"words": ["killed"]})
    one = article(**story)
    assert sensitive(one, rules) is (expected is not None)
    assert edit_needs_second(one, rules, edited=True) == (Why(Reason.SENSITIVE, expected) if expected else None)
    assert edit_needs_second(one, rules, edited=False) is None


# -- words --------------------------------------------------------------------------------------------------------


def test_names_compared() -> None:
    assert name_key("Live Blog") == name_key("live-blog") == name_key("LIVE_blog") == "live-blog"
    assert name_key("العربية") == "العربية"
    assert name_key("中文") == "中文"
    assert name_key("!?") == ""
    assert name_key("C#") != name_key("C")


def test_words_of_no_list_are_nowhere() -> None:
    assert not has_word("anything", ())
    assert not has_word("anything", ("  ",))
    assert count_words("") == 0


@given(st.text(max_size=40), st.lists(st.text(max_size=8), max_size=3))
def test_any_keyword_is_only_a_word(text: str, words: list[str]) -> None:
    """No keyword breaks the search, and a keyword that stands alone is found."""
    has_word(text, tuple(words))
    for word in words:
        if word.split():
            assert has_word(f"x {word} y", (word,))


# -- shadows ------------------------------------------------------------------------------------------------------

SHADOWS: list[tuple[list[dict[str, Any]], list[int]]] = [
    ([{"name": "a"}, {"name": "b", "when": {"sections": ["sport"]}}], [1]),
    ([{"name": "a", "when": {"sections": ["sport"]}}, {"name": "b"}], []),
    (
        [{"name": "a", "when": {"sections": ["sport"]}}, {"name": "b", "when": {"sections": ["Sport"], "tags": ["x"]}}],
        [1],
    ),
    ([{"name": "a", "to": ["desk-*"]}, {"name": "b", "to": ["desk-x"]}], [1]),
    ([{"name": "a", "to": ["desk-x"]}, {"name": "b", "to": ["desk-*"]}], []),
    ([{"name": "a", "to": ["desk-*"]}, {"name": "b", "to": ["page"]}, {"name": "c"}], [2]),
    ([{"name": "a", "to": []}, {"name": "b"}], [1]),
    ([{"name": "a"}, {"name": "b", "to": []}], [1]),
    ([{"name": "a", "when": {"not_tags": ["x"]}}, {"name": "b", "when": {"tags": ["y"]}}], []),
    ([{"name": "a", "when": {"not_sections": ["x"]}}, {"name": "b", "when": {"sections": ["y"]}}], [1]),
    ([{"name": "a", "when": {"min_words": 100}}, {"name": "b", "when": {"min_words": 150}}], [1]),
    ([{"name": "a", "when": {"min_words": 150}}, {"name": "b", "when": {"min_words": 100}}], []),
    ([{"name": "a", "when": {"newer_than": "2h"}}, {"name": "b", "when": {"newer_than": "1h"}}], [1]),
    ([{"name": "a", "when": {"newer_than": "2h"}}, {"name": "b"}], []),
    ([{"name": "a", "when": {"any": [{"tags": ["x"]}]}}, {"name": "b", "when": {"any": [{"tags": ["x"]}]}}], [1]),
    ([{"name": "a", "when": {"not": {"tags": ["x"]}}}, {"name": "b", "when": {"tags": ["y"]}}], []),
    ([{"name": "a"}, {"name": "b", "to": ["nobody"]}], []),
]


@pytest.mark.parametrize(("routes", "expected"), SHADOWS)
def test_routes_that_never_match(routes: list[dict[str, Any]], expected: list[int]) -> None:
    assert [index for index, _ in never_matches(editorial(*routes))] == expected


def test_the_shadow_is_named() -> None:
    rules = editorial(
        {"name": "games", "when": {"sections": ["sport"]}}, {"name": "sport", "when": {"sections": ["sport"]}}
    )
    assert never_matches(rules) == [(1, 'an earlier route takes it all: "games" takes section sport')]


WHENS = st.fixed_dictionaries(
    {},
    optional={
        "sections": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2),
        "not_sections": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=1),
        "tags": st.lists(st.sampled_from(["t", "u"]), min_size=1, max_size=2),
        "min_words": st.integers(0, 2),
        "max_words": st.integers(0, 2),
        "older_than": st.sampled_from(["1h", "2h"]),
    },
)
STORIES = st.builds(
    article,
    section=st.sampled_from(["a", "b", "c", None]),
    tags=st.sampled_from([(), ("t",), ("u",), ("t", "u")]),
    body=st.sampled_from(["", "one", "one two"]),
    published_at=st.sampled_from([NOW, NOW - HOUR, NOW - 3 * HOUR]),
)


@given(st.lists(st.tuples(WHENS, st.sampled_from([[], ["desk-x"], ["*"]])), max_size=4), st.lists(STORIES, max_size=4))
def test_a_route_that_is_said_to_never_match_never_does(
    routes: list[tuple[dict[str, Any], list[str]]], stories: list[Article]
) -> None:
    rules = editorial(*({"name": str(index), "when": when, "to": to} for index, (when, to) in enumerate(routes)))
    dead = {str(index) for index, _ in never_matches(rules)}
    for story in stories:
        for decision in decisions(story, rules).values():
            decided_by = decision.trace[-1].split()[0] if decision.trace and decision.trace[-1].endswith("✓") else None
            assert decided_by not in dead
