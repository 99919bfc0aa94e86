"""The readers below the sources: page text, metadata blocks, HTML, names and labels."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Image
from bot.sources.reading.entry import Entry, Setting, article_of, first_sentence, labels, people
from bot.sources.reading.files import read_file
from bot.sources.reading.frontmatter import Unreadable, read_toml, read_yaml, split
from bot.sources.reading.html import first_image, read_page, text_of
from bot.sources.reading.pagetext import read_page_text
from bot.testing.clock import START

STAYS = "“It stays,” she said."
PARAGRAPH = (
    "The council of the harbour town decided on Monday night that the old crane will stay where it has always stood."
)

# -- page text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        (f"The crane stays\nBy Ana Ruiz\n{PARAGRAPH}", "authors", ["Ana Ruiz"]),
        (f"The crane stays\nBy Ana Ruiz and Tom de Berg\n{PARAGRAPH}", "authors", ["Ana Ruiz and Tom de Berg"]),
        (f"The crane stays\nPosted by Ana Ruiz on November 20, 2026\n{PARAGRAPH}", "authors", ["Ana Ruiz"]),
        (f"The crane stays\nAna Ruiz | 20 November 2026\n{PARAGRAPH}", "published", "20 November 2026"),
        (f"The crane stays\nPublished on 20 Nov 2026 10:00\n{PARAGRAPH}", "published", "20 Nov 2026 10:00"),
        (f"The crane stays\nLast updated: 21 Nov 2026\n{PARAGRAPH}", "updated", "21 Nov 2026"),
        (f"Home > News > Harbour\nThe crane stays\n{PARAGRAPH}", "section", "Harbour"),
        (f"The crane stays\n{PARAGRAPH}\nMore in Harbour", "section", "Harbour"),
        (f"EMBARGOED UNTIL 25 Nov 2026\nThe crane stays\n{PARAGRAPH}", "embargo", "EMBARGOED UNTIL 25 Nov 2026"),
        (f"Menü\nDer Kran bleibt\nDer Kran bleibt\n{PARAGRAPH}\nMehr zum Thema", "title", "Der Kran bleibt"),
        (f"Partager\nLa grue reste\nLa grue reste\n{PARAGRAPH}\nLire aussi : Autre chose", "body", PARAGRAPH),
        (f"The crane stays\n{PARAGRAPH}\n{STAYS}\nRelated Articles\n{PARAGRAPH}", "body", f"{PARAGRAPH}\n{STAYS}"),
        (f"The crane stays\n{PARAGRAPH}\nAbout the author\nSomebody.", "body", PARAGRAPH),
        (f"Photo: Getty Images\nThe crane stays\n{PARAGRAPH}", "title", "The crane stays"),
    ],
)  # fmt: skip
def test_p59_what_stands_around_a_story_is_read_and_not_taken_for_it(text: str, field: str, value: object) -> None:
    assert getattr(read_page_text(text, "page.txt"), field) == value


def test_a_bio_needs_a_name_that_begins_the_next_paragraph() -> None:
    text = f"The crane stays\n{PARAGRAPH}\nAbout Half Moon\n{PARAGRAPH}"
    assert read_page_text(text, "x").authors == []


@given(st.text(max_size=300))
def test_any_text_is_a_story_or_refused_with_words(text: str) -> None:
    try:
        entry = read_page_text(text, "x.txt")
    except Unreadable as error:
        assert "no story" in error.why
        return
    assert entry.title


# -- metadata -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("---\ntitle: One: two\n---\n", 2, "in quotes"),
        ("---\ntitle: x\n\tdate: y\n---\n", 3, "YAML"),
        ("---\na: b\n", 1, "never closed"),
        ("---\n- a\n- b\n---\n", 2, "keys and values"),
        ("---\na: &x b\nc: *x\n---\n", 3, "aliases"),
        ("---\na: " + "[" * 5_000 + "\n---\n", None, "YAML"),
        ("+++\ntitle = One\n+++\n", 2, "TOML"),
        ("+++\na = 1\na = 2\n+++\n", 3, "TOML"),
        ('{"title": "x",\n "a" 1}\nText', 2, "JSON"),
        ("{" * 5, 1, "JSON"),
    ],
)
def test_a_broken_block_names_its_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(Unreadable, match=words) as caught:
        split(text)
    assert line is None or caught.value.line == line


def test_words_of_yaml_stay_words() -> None:
    assert read_yaml("a: no\nb: 12:30\nc: 1e3\nd: 2024-01-01\ne: null") == {
        "a": "no", "b": "12:30", "c": "1e3", "d": "2024-01-01", "e": "null",
    }  # fmt: skip
    assert read_toml('a = "no"') == {"a": "no"}


def test_a_rule_at_the_start_of_a_text_is_no_block() -> None:
    assert split("---\nJust a line below a rule\n") == ({}, "---\nJust a line below a rule\n")


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.txt", "a.json"])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_entries_or_unreadable(name: str, data: bytes) -> None:
    try:
        document = read_file(data, name)
    except Unreadable as error:
        assert error.why
        return
    for entry in document.entries:
        article_of(entry, Setting("s", ZoneInfo("UTC"), START))


def test_a_side_file_that_is_broken_is_named() -> None:
    with pytest.raises(Unreadable, match=r"a\.yaml: line [12]"):
        read_file(b"# Title\n\nText.\n", "a.md", ("a.yaml", b"x: [\n"))
    with pytest.raises(Unreadable, match="one story"):
        read_file(b'[{"title": "a"}, {"title": "b"}]', "a.json", ("a.toml", b"x = 1"))


# -- HTML ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain words", "plain words"),
        ("a &amp; b", "a & b"),
        ("<p>One<br>two</p><p>Three</p>", "One\ntwo\nThree"),
        ("<p>Keep</p><script>drop()</script><style>p{}</style><figcaption>no</figcaption><p>this</p>", "Keep\nthis"),
        ("a<!-- no -->b <b>c</b>", "ab c"),
        ("<ul><li>x</li><li>y</li></ul>", "x\ny"),
        ("<p>un<b>closed", "unclosed"),
        ("<<<>>>", "<<<>>>"),
    ],
)
def test_html_becomes_lines(markup: str, text: str) -> None:
    assert text_of(markup) == text


def test_the_first_real_picture_is_taken() -> None:
    markup = (
        '<img src="data:image/gif;base64,xx"><img src="/t.gif" width="1"><img src="https://gravatar.com/a">'
        '<img src="small.jpg" srcset="a.jpg 300w, b.jpg 1200w" alt=" The crane ">'
    )
    assert first_image(markup, "https://example.com/news/") == Image("https://example.com/news/b.jpg", "The crane")
    assert first_image("<p>none</p>") is None


def test_a_page_is_read_by_its_json_ld_and_a_broken_block_loses_only_itself() -> None:
    page = """<html><head><title>x | Post</title><script type="application/ld+json">{"@type": "NewsArticle", </script>
    <script type="application/ld+json">{"@graph": [{"@type": "WebSite"}, {"@type": ["NewsArticle"],
    "headline": "The crane stays", "author": [{"name": "Ana Ruiz"}, {"name": ["Tom Hale"]}],
    "datePublished": "2026-11-20T10:00:00", "image": {"url": "/c.jpg"}, "keywords": "Harbour, Cranes",
    "articleSection": ["Town"]}]}</script></head><body><h1>Other</h1><p>Text</p></body></html>"""
    entry = read_page(page, where="p.html", base="https://example.com/p")
    assert (entry.title, entry.authors, entry.section) == ("The crane stays", ["Ana Ruiz", "Tom Hale"], "Town")
    assert (entry.published, [tag.strip() for tag in entry.tags]) == ("2026-11-20T10:00:00", ["Harbour", "Cranes"])
    assert entry.image == Image("https://example.com/c.jpg")


# -- names, labels, sentences -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (["desk@example.com (Ana Ruiz)"], ("Ana Ruiz",)),
        (["desk@example.com"], ()),
        (["By Ana Ruiz and Tom Hale"], ("Ana Ruiz", "Tom Hale")),
        (["von Max Muster und Lea Sommer"], ("Max Muster", "Lea Sommer")),
        (["Ana Ruiz, Tom Hale, and Kim Novak"], ("Ana Ruiz", "Tom Hale", "Kim Novak")),
        (["Mustermann, Max"], ("Mustermann, Max",)),
        (["admin", "Staff", "The Post"], ()),
        (["O&#8217;Neil &amp; Sons"], ("O’Neil & Sons",)),
        (["https://example.com/ana"], ()),
        (["Ana Ruiz", "ana ruiz"], ("Ana Ruiz",)),
    ],
)
def test_authors_are_people(raw: list[str], names: tuple[str, ...]) -> None:
    assert people(raw, site="The Post") == names


@pytest.mark.parametrize(
    ("raw", "tags"),
    [
        (["News/Politics", "politics"], ("Politics",)),
        (["Rock &amp; Roll"], ("Rock & Roll",)),
        (["a, b, c"], ("a", "b", "c")),
        (["Washington, D.C."], ("Washington, D.C.",)),
        (["#Harbour", " ", ""], ("Harbour",)),
        (["https://example.com/tag/x"], ("https://example.com/tag/x",)),
    ],
)
def test_categories_become_labels(raw: list[str], tags: tuple[str, ...]) -> None:
    assert labels(raw) == tags


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("The lights are back on. Thanks to all.", "The lights are back on"),
        ("What happened there? Nobody knows.", "What happened there?"),
        ("word " * 60, ("word " * 39).strip() + "…"),
        ("", ""),
    ],
)
def test_a_titleless_entry_gets_its_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence
    entry = Entry(where="x", guid="1", body=text)
    article = article_of(entry, Setting("s", ZoneInfo("UTC"), START))
    assert article.headline == sentence
    assert (article.hold is None) == bool(text)
