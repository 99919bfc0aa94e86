"""Which links are valid, when two are one article, and what tracking does to them (P61, P59 keys)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.rules.links import campaign, clean_link, link_from, link_key, slug, tracked, valid_link

UTM = {"utm_source": "mastodon", "utm_medium": "social", "utm_campaign": "käse & brot"}

URLS = [
    "https://example.com",
    "https://example.com/",
    "https://example.com/a",
    "https://example.com/a/",
    "https://example.com/a?",
    "https://example.com/a?#",
    "https://example.com/a#top",
    "https://example.com/a?#top",
    "https://example.com/a?b=c",
    "https://example.com/a?b=c#top",
    "https://example.com/a?b=c&d=e&b=f",
    "https://example.com/a?b",
    "https://example.com/a?b&c=",
    "https://example.com/a?b=c&",
    "https://example.com/a?&b=c",
    "https://example.com/a?b=c&&d=e",
    "https://example.com/a?b=1?c=2",
    "https://example.com/a?q=100%25",
    "https://example.com/a?q=%C3%A9",
    "https://example.com/a?q=%c3%a9+x",
    "https://example.com/a?q=a%20b",
    "https://example.com/a?q=a%2Bb",
    "https://example.com/a?u=https%3A%2F%2Fexample.org%2F%3Fx%3D1",
    "https://example.com/a?u=https://example.org/",
    "https://example.com/caf%C3%A9/x",
    "https://example.com/café/x?y=é",
    "https://example.com/日本?見=出",
    "https://例え.jp/日本?x=1",
    "https://xn--r8jz45g.jp/a",
    "https://example.com/a;v=1?b=c;d=e",
    "https://example.com/?p=123",
    "https://example.com/?p=123#comments",
    "https://example.com/#!/story/1",
    "https://example.com/app#/story?id=1",
    "https://example.com/a?utm_source=rss",
    "https://example.com/a?b=c&utm_source=rss&utm_medium=feed&d=e",
    "https://example.com/a?UTM_SOURCE=rss&b=c",
    "https://example.com/a?utm_term=x&utm_term=y",
    "https://example.com:8443/a?b=c",
    "https://example.com/a?b=c&amp;d=e",
    "https://example.com/a?array[]=1&array[]=2",
    "https://example.com/a%2Fb?c=d%26e",
]


@pytest.mark.parametrize("url", URLS)
def test_p61_old_parameters_in_order_each_utm_once_fragment_last(url: str) -> None:
    """P61: parsing gives all old parameters in order, then ours, each UTM once; address and fragment are untouched."""
    got = tracked(url, UTM)
    plain = url.replace("&amp;", "&")
    before, after = urlsplit(plain), urlsplit(got)
    assert (after.scheme, after.netloc, after.path, after.fragment) == (
        before.scheme,
        before.netloc,
        before.path,
        before.fragment,
    )
    old, seen = [], set()
    for name, value in parse_qsl(before.query, keep_blank_values=True):
        if name.lower() in UTM or (name.startswith("utm_") and name in seen):
            continue
        seen.add(name)
        old.append((name, value))
    assert parse_qsl(after.query, keep_blank_values=True) == [*old, *UTM.items()]
    assert tracked(got, UTM) == got, "never twice, never encoded twice"


@pytest.mark.parametrize("url", URLS)
def test_p61_utm_never_enters_the_key(url: str) -> None:
    assert link_key(tracked(url, UTM)) == link_key(url) is not None


def test_p61_no_parameters_change_nothing_and_spelling_is_kept() -> None:
    assert all(tracked(url, {}) == url for url in URLS)
    assert (
        tracked("https://例え.jp/é?x=%c3%a9#z", {"utm_source": "x y"})
        == "https://例え.jp/é?x=%c3%a9&utm_source=x%20y#z"
    )


PIECES = st.text("abcXYZ019%=+&;é日", max_size=12)


@settings(max_examples=200, deadline=None)
@given(query=PIECES, fragment=PIECES)
def test_p61_any_query_and_fragment_survive(query: str, fragment: str) -> None:
    url = f"https://example.com/a?{query}" + (f"#{fragment}" if fragment else "")
    got = tracked(url, {"utm_source": "x"})
    assert got.partition("#")[2] == fragment.replace("&amp;", "&")
    assert [piece for piece in query.split("&") if piece] + ["utm_source=x"] == got.partition("#")[0].partition("?")[
        2
    ].split("&")
    assert link_key(got) == link_key(url)


SAME = [
    [
        "https://example.com/a",
        "http://example.com/a",
        "https://www.example.com/a/",
        "HTTPS://EXAMPLE.com:443/a",
        "https://example.com./a",
    ],
    [
        "https://example.com/",
        "http://example.com",
        "https://www.example.com/index.html",
        "https://user:pw@example.com/#top",
    ],
    [
        "https://example.com/b/c",
        "https://example.com/a/../b/./c",
        "https://example.com//b//c/index.php",
        "http://example.com:80/b/c",
    ],
    ["https://example.com/~user", "https://example.com/%7Euser", "https://example.com/%7euser/"],
    ["https://example.com/é", "https://example.com/%C3%A9", "https://example.com/%c3%a9"],
    ["https://例え.jp/a", "https://xn--r8jz45g.jp/a"],
    ["https://MÜLLER.de/a", "https://müller.de/a", "https://xn--mller-kva.de/a"],
    ["https://example.com/a?x=1&y=2", "https://example.com/a?y=2&x=1", "https://example.com/a?x=1&amp;y=2&fbclid=Ab"],
    [
        "https://example.com/a?p=1",
        "https://example.com/a?p=1&utm_source=x&gclid=2&mc_cid=3&_hsenc=4",
        "https://example.com/a?p=1#x",
    ],
    [
        "https://example.com/a",
        "  https://example.com/a\n",
        "https://example.com/a?",
        "https://example.com/a#",
        "https://example.com/\na",
    ],
]


@pytest.mark.parametrize("group", SAME)
def test_one_article_has_one_key(group: list[str]) -> None:
    assert len({link_key(url) for url in group}) == 1
    assert link_key(group[0]) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/a", "https://example.com/A"),
        ("https://example.com/a", "https://example.org/a"),
        ("https://example.com/?p=1", "https://example.com/?p=2"),
        ("https://example.com/a?ref=1", "https://example.com/a?ref=2"),
        ("https://example.com/a?source=x", "https://example.com/a"),
        ("https://example.com/a%2Fb", "https://example.com/a/b"),
        ("https://example.com/#!/a", "https://example.com/#!/b"),
        ("https://m.example.com/a", "https://example.com/a"),
        ("https://example.com:8080/a", "https://example.com/a"),
        ("https://www.com/a", "https://com/a"),
    ],
)
def test_two_articles_have_two_keys(one: str, other: str) -> None:
    assert link_key(one) != link_key(other)


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "javascript:alert(1)", "urn:uuid:1", "tag:example.com,2026:1", "mailto:a@example.com",
        "ftp://example.com/a", "/a", "a.html", "//example.com/a", "https://", "https:///a",
        "http:/example.com", "https://exa mple.com/a", "https://example.com:99999/a", "https://.com/",
        "data:text/html,x", "https://example.com\\@evil.example.com/", "https://a..b/", "https://[::1/",
        "https://\u202eexample.com/",
    ],
)  # fmt: skip
def test_what_is_no_link_is_none(url: str) -> None:
    assert valid_link(url) is None
    assert link_key(url) is None


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        (" https://example.com/a\n", None, "https://example.com/a"),
        ("https://example.com/\n  a", None, "https://example.com/%20%20a"),
        ("https://example.com/a b", None, "https://example.com/a%20b"),
        ("/a?b=c", "https://example.com/x/y", "https://example.com/a?b=c"),
        ("../z", "https://example.com/x/y/", "https://example.com/x/z"),
        ("//example.org/a", "https://example.com/", "https://example.org/a"),
        ("javascript:x", "https://example.com/", None),
        ("https://例え.jp/日本", None, "https://例え.jp/日本"),
        ("http://localhost:8000/a", None, "http://localhost:8000/a"),
        ("http://[::1]:8000/a", None, "http://[::1]:8000/a"),
    ],
)
def test_valid_links_are_absolute_and_keep_their_spelling(url: str, base: str | None, expected: str | None) -> None:
    assert valid_link(url, base) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a?utm_source=rss&id=7&fbclid=x#top", "https://example.com/a?id=7#top"),
        ("https://example.com/a?utm_source=rss", "https://example.com/a"),
        ("https://example.com/a#utm_source=rss", "https://example.com/a"),
        ("https://example.com/a#xtor=RSS-1", "https://example.com/a"),
        ("https://example.com/a?b=1?c=2&&d", "https://example.com/a?b=1?c=2&&d"),
        ("https://example.com/a?x=%c3%a9&amp;y=+", "https://example.com/a?x=%c3%a9&y=+"),
        ("https://example.com/a?ref=1&source=2&s=3", "https://example.com/a?ref=1&source=2&s=3"),
    ],
)
def test_the_posted_link_loses_others_tracking_only(url: str, expected: str) -> None:
    assert clean_link(url) == expected
    assert clean_link(expected) == expected


def test_campaign_fills_slugs_and_leaves_out_what_is_empty() -> None:
    templates = {
        "utm_source": "{network}",
        "utm_medium": "social",
        "utm_campaign": "{section}-{account}",
        "utm_term": "{tag}",
    }
    got = campaign(templates, network="mastodon", section="Politik & Wirtschaft", account="Main Desk", tag=None)
    assert got == {"utm_source": "mastodon", "utm_medium": "social", "utm_campaign": "politik-wirtschaft-main-desk"}
    with pytest.raises(ValueError, match=r"utm_source: unknown name \{netwrok\}; known: account, network"):
        campaign({"utm_source": "{netwrok}"}, network="x", account="a")


def test_link_from_a_template_is_percent_encoded_or_says_what_is_missing() -> None:
    assert (
        link_from("https://example.com/{section}/{slug}", "über/uns?", section="a b")
        == "https://example.com/a%20b/%C3%BCber%2Funs%3F"
    )
    with pytest.raises(ValueError, match="no section"):
        link_from("https://example.com/{section}/{slug}", "a", section=None)
    with pytest.raises(ValueError, match=r"unknown name \{year\}; known: section, slug"):
        link_from("https://example.com/{year}/{slug}", "a", section="b")
    with pytest.raises(ValueError, match=r"not an http\(s\) address"):
        link_from("{slug}", "a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("China, Russia Vow Alliance!", "china-russia-vow-alliance"),
        ("Côte d'Ivoire: Größe", "cote-divoire-grosse"),
        ("Łódź – Ærø", "lodz-aero"),
        ("北京 2026", "北京-2026"),
        ("Ελλάδα σήμερα", "ελλάδα-σήμερα"),
        ("भारत समाचार", "भारत-समाचार"),
        ("  --  ", ""),
    ],
)
def test_slugs(text: str, expected: str) -> None:
    assert slug(text) == expected
    assert slug(expected) == expected
