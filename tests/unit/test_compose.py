"""The post of an article on each kind of network: form, fit, link, tags, card."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.model import Article, Card, Image, Limits, LinkPlace, Post, Reason, TagStyle, Unit
from bot.rules.compose import BadTemplate, CannotFit, check_template, compose
from bot.rules.editorial import Editorial, Route
from bot.rules.templates import FILTERS, VARIABLES
from bot.rules.text import fits, links_in, measure

AT = datetime(2026, 11, 24, 14, 10, tzinfo=UTC)

#: One network for each unit and each manner of taking links and tags.
NETWORKS: dict[str, Limits] = {
    "weighted": Limits(size=280, unit=Unit.WEIGHTED, link_cost=23, auto_links="bare"),
    "characters": Limits(size=500, unit=Unit.CHARACTERS, link_cost=23),
    "graphemes": Limits(
        size=300,
        unit=Unit.GRAPHEMES,
        max_bytes=3000,
        link_place=LinkPlace.CARD,
        card=True,
        auto_links="none",
    ),
    "utf16": Limits(size=1024, unit=Unit.UTF16, tag_style=TagStyle.NONE, auto_links="bare"),
    "bytes": Limits(size=600, unit=Unit.BYTES, tag_style=TagStyle.FIELD),
    "page": Limits(size=5000, unit=Unit.CHARACTERS, link_place=LinkPlace.CARD, card=True, max_tags=0),
}
EVERY = pytest.mark.parametrize("network", list(NETWORKS))


def article(**keys: Any) -> Article:
    base: dict[str, Any] = {
        "source": "main",
        "guid": "1",
        "headline": "Rail strike off after late deal",
        "link": "https://example.com/rail",
        "summary": "Trains run from Monday, both sides say.",
        "section": "Politics",
        "tags": ("Rail", "Trade unions"),
        "authors": ("Ana Díaz", "Ben Okri"),
        "language": "en",
        "image": Image("https://example.com/rail.jpg", alt="A train"),
    }
    return Article(**{**base, **keys})


def post(
    story: Article,
    network: str = "characters",
    *,
    limits: Limits | None = None,
    route: Route | None = None,
    text: str | None = None,
    **rules: Any,
) -> Post:
    return compose(
        story,
        editorial=Editorial.model_validate({"accounts": {"desk": {"network": network}}, **rules}),
        account="desk",
        network=network,
        limits=limits or NETWORKS[network],
        route=route,
        delivery="d7f3",
        created_at=AT,
        text=text,
    )


def with_template(template: str, story: Article | None = None, network: str = "characters", **rules: Any) -> Post:
    return post(story or article(), network, templates={"default": template}, **rules)


# -- the form -----------------------------------------------------------------------------------------------------

FORMS = {
    "weighted": "Rail strike off after late deal\n\nhttps://example.com/rail\n\n#Rail #TradeUnions",
    "characters": "Rail strike off after late deal\n\nhttps://example.com/rail\n\n#Rail #TradeUnions",
    "graphemes": "Rail strike off after late deal\n\n#Rail #TradeUnions",
    "utf16": "Rail strike off after late deal\n\nhttps://example.com/rail",
    "bytes": "Rail strike off after late deal\n\nhttps://example.com/rail",
    "page": "Rail strike off after late deal",
}


@EVERY
def test_the_default_form(network: str) -> None:
    made = post(article(), network)
    assert made.text == FORMS[network]
    assert made.link == "https://example.com/rail"
    assert made.length == measure(made.text, NETWORKS[network])
    assert made.dropped == ()
    assert (made.account, made.delivery, made.created_at, made.language) == ("desk", "d7f3", AT, "en")
    assert made.headline == "Rail strike off after late deal"


def test_tags_go_where_the_network_takes_them() -> None:
    assert post(article(), "characters").tags == ("Rail", "TradeUnions")
    assert len(post(article(), "bytes").tags) == 2
    assert post(article(), "utf16").tags == ()
    assert with_template("{{ headline }} {{ link }}").tags == ()


@pytest.mark.parametrize(
    ("templates", "route", "first"),
    [
        ({}, None, "Rail"),
        ({"default": "D {{ headline }}"}, None, "D"),
        ({"default": "D {{ headline }}", "characters": "N {{ headline }}"}, None, "N"),
        ({"default": "D", "characters": "N", "desk": "A {{ headline }}"}, None, "A"),
        ({"default": "D", "desk": "A", "x": "R {{ headline }}"}, Route(name="r", template="x"), "R"),
        ({"default": "D {{ headline }}"}, Route(name="r"), "D"),
    ],
)
def test_which_template(templates: dict[str, str], route: Route | None, first: str) -> None:
    assert post(article(), route=route, templates=templates).text.split()[0] == first


def test_a_route_to_a_template_that_is_not_there() -> None:
    with pytest.raises(BadTemplate) as caught:
        post(article(), route=Route(name="breaking", template="loud"))
    assert caught.value.why.reason is Reason.TEMPLATE
    assert '"loud"' in caught.value.why.detail


def test_every_variable_can_be_named() -> None:
    form = "\n".join(f"{name}={{{{ {name} }}}}" for name in VARIABLES if name not in ("tag_list", "authors"))
    form += "{% for tag in tag_list %}[{{ tag }}]{% endfor %}{{ authors|join(' & ') }}"
    lines = with_template(form, house="The Daily Example").text
    for expected in (
        "headline=Rail strike off after late deal",
        "link=https://example.com/rail",
        "tags=#Rail #TradeUnions",
        "summary=Trains run from Monday, both sides say.",
        "section=Politics",
        "author=Ana Díaz, Ben Okri",
        "house=The Daily Example",
        "source=main",
        "account=desk",
        "network=characters",
        "[Rail][TradeUnions]Ana Díaz & Ben Okri",
    ):
        assert expected in lines


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ headline }}\n{{ summary }}\n{{ link }}", "Strike off\nhttps://example.com/rail"),
        ("{{ headline }}\n\n{{ summary }}\n\n{{ link }}\n\n{{ tags }}\n", "Strike off\n\nhttps://example.com/rail"),
        ("{{ section }} {{ headline }} {{ tags }} {{ link }}", "Strike off https://example.com/rail"),
        ("{{ headline }}\n{{ section }} {{ author }}\n{{ link }}", "Strike off\nhttps://example.com/rail"),
        (
            "{% if summary %}\n{{ summary }}\n{% endif %}\n{{ headline }}\n{{ link }}",
            "Strike off\nhttps://example.com/rail",
        ),
        (
            "{{ headline }}{% if section %} ({{ section }}){% endif %}\n\n\n\n{{ link }}",
            "Strike off\n\nhttps://example.com/rail",
        ),
        ("{{ summary|default('More', true) }}: {{ link }} {{ headline }}", "More: https://example.com/rail Strike off"),
        ("{{ headline|upper }} {{ link }}", "STRIKE OFF https://example.com/rail"),
        ("{{ headline }}", "Strike off\n\nhttps://example.com/rail"),
        ("{{ headline }} {{ link|upper }}", "Strike off HTTPS://EXAMPLE.COM/RAIL\n\nhttps://example.com/rail"),
    ],
)
def test_empty_variables_leave_no_trace(template: str, expected: str) -> None:
    story = article(headline="Strike off", summary="", section=None, tags=(), authors=())
    assert with_template(template, story).text == expected


@EVERY
def test_an_article_without_a_link(network: str) -> None:
    made = post(article(link=None), network)
    assert made.link is None
    assert made.card is None
    assert "http" not in made.text
    assert not made.text.endswith("\n")


def test_p61_the_link_carries_the_accounts_campaign_and_is_the_string_to_look_for() -> None:
    campaign = {"utm_source": "{network}", "utm_medium": "social", "utm_campaign": "{account}"}
    made = post(article(link="https://example.com/rail?page=2#top"), defaults={"campaign": campaign})
    assert made.link is not None
    assert made.link.startswith("https://example.com/rail?page=2&utm_source=characters")
    assert "utm_campaign=desk" in made.link
    assert made.link.endswith("#top")
    assert [span.url for span in links_in(made.text, "scheme")] == [made.link]


# -- the fit ------------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=20)
HEADLINES = st.one_of(
    st.lists(
        st.sampled_from(["rail", "strike", "off", "after", "late-night", "Côte d’Ivoire", "“Q&A”", "1,000"]),
        min_size=1,
        max_size=90,
    ).map(" ".join),
    st.text("铁路罢工取消は昨夜の合意후파업。、", min_size=1, max_size=700),
    st.text("ab 👩🏽‍🚀🇨🇮é", min_size=1, max_size=400),
    st.lists(st.sampled_from(["إضراب", "القطارات", "BBC", "ينتهي"]), min_size=1, max_size=60).map(" ".join),
    WORDS,
)
STORIES = st.builds(
    article,
    headline=HEADLINES,
    summary=st.one_of(st.just(""), HEADLINES),
    tags=st.lists(st.sampled_from(["Rail", "Trade unions", "Côte d'Ivoire", "中文", "5G", "x" * 30]), max_size=6).map(
        tuple
    ),
    section=st.sampled_from([None, "Politics"]),
    link=st.integers(20, 2000).map(lambda size: "https://example.com/" + "a" * (size - 20)),
)
TEMPLATES = st.sampled_from(
    [
        "{{ headline }}\n\n{{ link }}\n\n{{ tags }}",
        "{{ section }}: {{ headline }}\n\n{{ summary }}\n\n{{ link }} {{ tags }}",
        "BREAKING {{ headline|upper }} {{ link }}",
        "{{ summary }} {{ link }}",
        "{{ tags }}\n{{ link }}\n{{ headline }}",
    ]
)
#: Where a link counts in full, one of 2,000 characters fits nowhere: that is held, not posted.
ROOMY = {name: limits for name, limits in NETWORKS.items() if limits.link_cost is not None or limits.card}


def whole_link(made: Post, limits: Limits) -> bool:
    """Is the link in a card, or whole in the text as the network itself would find it?"""
    if made.card is not None:
        return made.card.link == made.link
    return made.link in [span.url for span in links_in(made.text, limits.auto_links)]


@settings(max_examples=120, deadline=None)
@given(STORIES, TEMPLATES, st.sampled_from(sorted(ROOMY)))
def test_p47_p50_every_post_fits_and_keeps_its_link(story: Article, template: str, network: str) -> None:
    limits = ROOMY[network]
    try:
        made = with_template(template, story, network)
    except CannotFit as error:
        assert error.why.reason is Reason.NO_HEADLINE
        return
    assert fits(made.text, limits)
    assert made.length == measure(made.text, limits) <= limits.size
    assert whole_link(made, limits)
    assert made == with_template(template, story, network), "the same input gives the same bytes"
    assert "\n\n\n" not in made.text
    assert made.text == made.text.strip()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["utf16", "bytes"]), st.integers(20, 2000), HEADLINES)
def test_p47_a_link_too_long_for_the_network_is_held(network: str, size: int, headline: str) -> None:
    link = "https://example.com/" + "a" * (size - 20)
    limits = NETWORKS[network]
    try:
        made = post(article(link=link, headline=headline), network)
    except CannotFit as error:
        assert error.why.reason is Reason.NO_HEADLINE or size > limits.size - 10
        return
    assert fits(made.text, limits)
    assert whole_link(made, limits)


@pytest.mark.parametrize("size", [60, 61, 140, 299, 300])
@pytest.mark.parametrize("network", ["weighted", "characters", "graphemes", "utf16", "bytes"])
def test_p47_no_room_is_wasted_in_a_script_without_spaces(network: str, size: int) -> None:
    limits = replace(NETWORKS[network], size=size)
    made = post(article(headline="铁路罢工取消" * 60, tags=()), network, limits=limits)
    assert made.dropped[-1] == "part of the headline"
    assert size - measure("铁", limits) < made.length <= size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["rail", "strikes", "off", "a", "late-night"]), min_size=3, max_size=8))
def test_p47_the_next_word_would_not_have_fitted(some: list[str]) -> None:
    words = [f"{some[number % len(some)]}{number}" for number in range(160)]
    made = post(article(headline=" ".join(words), tags=()))
    kept = made.text.split("…")[0].split()
    assert kept == words[: len(kept)]
    assert made.length + 1 + len(words[len(kept)]) > NETWORKS["characters"].size


def test_p50_what_is_given_up_and_in_which_order() -> None:
    form = "{{ headline }}\n\n{{ summary }}\n\n{{ link }} {{ tags }}"
    story = article(summary="Word " * 30 + "end")

    def dropped(size: int) -> tuple[str, ...]:
        limits = replace(NETWORKS["characters"], size=size)
        made = post(story, limits=limits, templates={"default": form})
        assert made.length <= size
        assert made.link is not None
        assert made.link in made.text
        return made.dropped

    assert dropped(260) == ()
    full = with_template(form, story).length
    assert dropped(full) == ()
    assert dropped(full - 1) == ("#TradeUnions",)
    assert dropped(full - len(" #TradeUnions") - 1) == ("#TradeUnions", "#Rail")
    assert dropped(150) == ("#TradeUnions", "#Rail", "part of the summary")
    assert dropped(31 + 2 + 23) == ("#TradeUnions", "#Rail", "the summary")
    assert dropped(31 + 2 + 22) == ("#TradeUnions", "#Rail", "the summary", "part of the headline")


GENEROUS = [
    "{{ headline }} " * 320 + "{{ link }}",
    "{{ summary }}\n" * 250 + "{{ headline }} {{ link }} {{ tags }}",
    "{{ tags }} " * 520 + "{{ headline }} {{ link }}",
    "Read this. " * 900 + "{{ headline }} {{ link }}",
    "{{ link }} " * 400 + "{{ headline }}",
    "{{ headline }}\n" + "{{ author }} {{ section }} " * 400 + "{{ link }}",
]


@pytest.mark.parametrize("template", GENEROUS)
@EVERY
def test_p51_a_template_of_ten_thousand_characters_still_makes_a_post(template: str, network: str) -> None:
    assert check_template(template) is None
    made = with_template(template, article(tags=("Rail", "Unions", "Deal")), network)
    assert fits(made.text, NETWORKS[network])
    assert whole_link(made, NETWORKS[network])
    assert "R" in made.text


def test_p51_what_could_not_be_kept_is_named() -> None:
    made = with_template("Read this. " * 900 + "{{ headline }} {{ link }}")
    assert made.text == FORMS["characters"]
    assert made.dropped == ("the template's own words",)


def test_what_cannot_fit_says_by_how_much() -> None:
    with pytest.raises(CannotFit) as caught:
        post(article(link="https://example.com/" + "a" * 700), "bytes")
    assert caught.value.why.reason is Reason.CANNOT_FIT
    assert "over 600" in caught.value.why.detail
    with pytest.raises(CannotFit) as none:
        post(article(headline=" "))
    assert none.value.why.reason is Reason.NO_HEADLINE


@pytest.mark.parametrize("headline", ["x" * 3_000_000, "铁" * 100_000, "word " * 100_000])
def test_p50_a_page_taken_for_a_headline_still_makes_a_post(headline: str) -> None:
    made = post(article(headline=headline, summary=headline), "graphemes")
    assert fits(made.text, NETWORKS["graphemes"])
    assert made.card is not None
    assert len(made.card.title) <= 1000
    assert len(made.card.description) <= 1000


# -- what must not happen in a text -------------------------------------------------------------------------------

NETWORK_PINGS = re.compile(r"(?<![\w/@.])[@＠]\w")
NETWORK_TAGS = re.compile(r"(?<![\w/&])[#＃]\w")
WORDS_WITH_SIGNS = [
    "Why @nobody left @_@",
    "@first in the line",
    "Ask a@b and @c",
    "We’re #1, says #MeToo founder",
    "The #c0ffee question",
    "Mail desk@example.com or .@editor",
    "＠wide and ＃wide",
]


@pytest.mark.parametrize("words", WORDS_WITH_SIGNS)
@pytest.mark.parametrize("network", ["weighted", "characters"])
def test_p53_p54_no_mention_and_no_tag_that_nobody_meant(words: str, network: str) -> None:
    story = article(headline=words, summary=words, section=words, authors=(words,), tags=("Rail",))
    made = with_template("{{ headline }}\n{{ summary }}\n{{ author }}\n{{ link }}\n{{ tags }}", story, network)
    rest = made.text.replace("desk@example.com", "")
    assert NETWORK_PINGS.search(rest) is None
    assert [f"#{tag}" for tag in made.tags] == re.findall(r"(?<![\w/&])#\w+", rest)
    assert len(NETWORK_TAGS.findall(rest)) == len(made.tags)
    assert made.headline == words, "a card's title reads as the article's"


def test_p53_a_handle_that_may_stay_is_still_a_mention() -> None:
    made = post(article(headline="Why @example left @nobody"), tags={"mentions": ["@Example"]})
    assert "@example left" in made.text
    assert "@nobody" not in made.text


@pytest.mark.parametrize("headline", ["إضراب القطارات BBC ينتهي اليوم", "שביתת הרכבות BBC מסתיימת"])
@EVERY
def test_p60_link_and_tags_stand_in_isolates_in_texts_from_right_to_left(headline: str, network: str) -> None:
    limits = NETWORKS[network]
    made = post(article(headline=headline), network)
    assert made.length == measure(made.text, limits)
    assert made.text.count("\u2068") == made.text.count("\u2069")
    assert whole_link(made, limits)
    parts = [f"#{tag}" for tag in made.tags if limits.tag_style is TagStyle.INLINE]
    parts += [made.link] if made.card is None and made.link else []
    for part in parts:
        assert f"\u2068{part}" in made.text
    assert "\u2068" not in post(article(), network).text


# -- a person's words ---------------------------------------------------------------------------------------------


def test_a_persons_text_stands_above_the_template() -> None:
    texts = {"desk": "For the desk", "characters": "For the network"}
    story = article(texts=texts)
    link = "\n\nhttps://example.com/rail"
    assert post(story).text == "For the desk" + link
    assert post(replace(story, texts={"characters": "For the network", "other": "x"})).text == "For the network" + link
    assert post(story, text="  Edited\r\nby Ana \n").text == "Edited\nby Ana" + link
    assert post(story, text="  ").text == "For the desk" + link
    assert post(article(), text="Edited").tags == ()
    assert post(article(headline=""), text="Edited").text == "Edited" + link


def test_a_persons_mentions_and_tags_stay() -> None:
    assert post(article(), text="Thanks @example #Rail https://example.com/rail").text.startswith(
        "Thanks @example #Rail "
    )


def test_a_persons_text_on_a_network_with_a_card_needs_no_link() -> None:
    made = post(article(), "graphemes", text="Edited")
    assert made.text == "Edited"
    assert made.card is not None
    assert made.link == made.card.link


TRACKED = {"campaign": {"utm_source": "{network}"}}


@pytest.mark.parametrize(
    ("text", "expected", "link"),
    [
        (
            "See https://example.com/rail now",
            "See https://example.com/rail?utm_source=characters now",
            "https://example.com/rail?utm_source=characters",
        ),
        ("See https://example.com/railway", "See https://example.com/railway", "https://example.com/railway"),
        ("See http://www.example.com/rail/", "See http://www.example.com/rail/", "http://www.example.com/rail/"),
        (
            "https://example.com/a and https://example.com/rail?utm_source=x",
            "https://example.com/a and https://example.com/rail?utm_source=x",
            "https://example.com/rail?utm_source=x",
        ),
        (
            "No link",
            "No link\n\nhttps://example.com/rail?utm_source=characters",
            "https://example.com/rail?utm_source=characters",
        ),
    ],
)
def test_p58_the_link_in_a_persons_text(text: str, expected: str, link: str) -> None:
    """What the post says its link is stands in the text: a look-up must find the post by it."""
    made = post(article(), text=text, defaults=TRACKED)
    assert made.text == expected
    assert made.link == link


def test_a_longer_address_is_not_the_articles_link() -> None:
    made = post(article(), text="See https://example.com/railway")
    assert (made.text, made.link) == ("See https://example.com/railway", "https://example.com/railway")
    glued = with_template("{{ headline }} https://example.com/railway")
    assert glued.text.endswith("\n\nhttps://example.com/rail")
    assert glued.link == "https://example.com/rail"


def test_links_to_stand_ins_are_links_too() -> None:
    """Own servers and test benches have addresses that no network would find by itself."""
    story = article(link="http://127.0.0.1:8080/rail")
    assert post(story, text="See http://127.0.0.1:8080/rail").text == "See http://127.0.0.1:8080/rail"
    assert post(story, text="See http://127.0.0.1:8080/rail").link == story.link
    assert post(story).link == story.link


def test_a_persons_text_is_never_cut() -> None:
    room = 280 - 2 - 23
    assert post(article(), "weighted", text="x" * room).length == 280
    with pytest.raises(CannotFit) as caught:
        post(article(), "weighted", text="x" * (room + 1))
    assert caught.value.why.reason is Reason.CANNOT_FIT
    assert caught.value.why.detail == "the text written for it is 1 weighted characters over 280"


def test_p91_the_post_is_the_article_as_it_is_now() -> None:
    before = article()
    after = replace(
        before,
        headline="Rail strike on again",
        link="https://example.com/on",
        image=Image("https://example.com/on.jpg"),
    )
    made = post(after, "graphemes")
    assert made.text.startswith("Rail strike on again")
    assert made.card == Card("https://example.com/on", "Rail strike on again", before.summary, after.image)


# -- cards --------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(STORIES, st.booleans())
def test_p63_a_card_always(story: Article, picture: bool) -> None:
    assume(story.headline.strip())
    story = story if picture else replace(story, image=None)
    try:
        made = post(story, "graphemes")
    except CannotFit as error:
        assert error.why.reason is Reason.NO_HEADLINE
        return
    assert made.card is not None
    assert made.card.link == story.link
    assert made.card.title == made.headline != ""
    assert (made.card.image is not None) is picture


def test_a_card_is_only_where_the_network_has_one() -> None:
    assert post(article(), "characters").card is None


# -- templates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "{{ headline }}\n\n{{ link }}\n\n{{ tags }}",
        "{% for tag in tag_list %}#{{ tag }}{% if not loop.last %}, {% endif %}{% endfor %} {{ headline }} {{ link }}",
        "{{ headline if summary else house }} {# why #} ({{ link }})",
        "{% if network in ('x', 'page') and authors %}{{ authors|first }}: {% endif %}{{ headline[:40] }} {{ link }}",
        *(f"{{{{ tag_list|{name} }}}} {{{{ headline }}}}" for name in FILTERS if name in ("join", "length")),
    ],
)
def test_templates_that_are_taken(template: str) -> None:
    assert check_template(template) is None
    assert with_template(template).text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{headline} {link}", "line 1: write {{ headline }} with two braces"),
        ("a\n{{ headlin }}", 'line 2: there is no "headlin"; did you mean "headline"?'),
        ("{{ headline }}\n\n{{ nothing }}", 'line 3: there is no "nothing"; known: headline'),
        ("{{ headline", "line 1: unexpected end of template"),
        ("{{ headline }}\n{% if link %}", "line 2: "),
        ("{{ headline|truncate(9) }}", "line 1: No filter named 'truncate'"),
        ("a\n\n{% include '/etc/passwd' %}", "line 3: {% include %} can't"),
        ("{% extends 'x' %}", "line 1: {% extends %} can't"),
        ("{% set a = headline %}{{ a }}", "line 1: {% set %} can't"),
        ("{{ headline.upper() }}", "line 1: a call can't"),
        ("{{ ''.__class__.__mro__ }}", 'line 1: ".__mro__" can\'t'),
        ("{{ headline['__class__'] }}", "with these values"),
        ("{{ headline * 1000000000 }}", "line 1: a sum can't"),
        ("{{ range(9) }}", 'line 1: there is no "range"'),
        ("{{ self }} {{ headline }}", 'line 1: there is no "self"'),
        ("{% for a in headline %}\n{% for b in headline %}x{% endfor %}{% endfor %}", "line 2: a loop inside a loop"),
        ("{% for a in tag_list recursive %}x{% endfor %}", "line 1: a recursive loop"),
        ("{{ headline|join(headline)|join(headline) }}", "line 1: join is for"),
        ("{{ tag_list[0] }} {{ headline }}", "with these values"),
        ("{{ headline }} {{ link }}now", "the link needs a space"),
        ("now{{ link }} {{ headline }}", "the link needs a space"),
        ("{{ tags }}", "it gives an empty post"),
        ("", "it gives an empty post"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nested too deeply"),
    ],
)
def test_a_bad_template_is_refused_when_it_is_saved_with_line_and_cause(template: str, words: str) -> None:
    why = check_template(template)
    assert why is not None
    assert why.reason is Reason.TEMPLATE
    assert words in why.detail


def test_a_bad_template_that_was_saved_all_the_same_holds_the_post() -> None:
    with pytest.raises(BadTemplate) as caught:
        with_template("{{ headlin }}")
    assert caught.value.why.detail == 'line 1: there is no "headlin"; did you mean "headline"?'


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{%",
                "%}",
                "headline",
                " ",
                "link",
                "if",
                "endif",
                "for",
                "in",
                "|",
                "upper",
                ".",
                "(",
                ")",
                "[",
                "'",
                "\n",
                "{",
                "x",
                "*",
                "2",
            ]
        ),
        max_size=14,
    ).map("".join)
)
def test_no_template_breaks_the_check(template: str) -> None:
    """Whatever is typed is either taken, and then makes a post, or refused with a cause."""
    why = check_template(template)
    if why is None:
        assert fits(with_template(template).text, NETWORKS["characters"])
    else:
        assert why.detail
