"""The folder source on real files: who is who, what is whole, what is gone."""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bot.clock import SystemClock
from bot.errors import TooLarge, Unreachable
from bot.http import Http
from bot.model import Reason
from bot.sources.base import Batch, Gone
from bot.sources.folder import Folder, FolderOptions
from bot.sources.reading.listing import MAX_BYTES, MAX_FILES, listed
from bot.testing.clock import START

ZONE = ZoneInfo("Europe/Berlin")
HOUR_AGO = START - timedelta(hours=1)


class NoHttp:
    """A folder never asks the network."""

    def request(self, method: str, url: str, **_: Any) -> Any:
        raise AssertionError(f"a folder asked for {url}")


HTTP: Http = NoHttp()


def put(path: Path, text: str | bytes, at: datetime = HOUR_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def story(title: str, **meta: object) -> str:
    lines = [f"title: {title}", *(f"{key}: {json.dumps(value)}" for key, value in meta.items())]
    return "---\n" + "\n".join(lines) + f"\n---\nThe story of {title} in a sentence.\n"


def folder(path: Path, **options: Any) -> Folder:
    return Folder("desk", FolderOptions(path=path, **options), ZONE)


def stored(batch: Batch) -> dict[str, Any]:
    """The cursor as the store gives it back."""
    return dict(json.loads(json.dumps(batch.cursor)))


def guids(batch: Batch) -> list[str]:
    return [one.guid for one in batch.articles]


# -- P59: a scraped page ------------------------------------------------------------------------------------------


def test_p59_a_scraped_page_gives_its_story_and_none_of_its_furniture(tmp_path: Path) -> None:
    page = (Path(__file__).parent / "folder" / "scraped.txt").read_text()
    put(tmp_path / "page.txt", page)
    article = folder(tmp_path).fetch({}, HTTP, START).articles[0]
    headline = "Wetland Birds Return To The Delta After Twenty Years Of Work"
    assert page.count(headline) == 3
    assert article.headline == headline
    assert article.section == "Environment"
    assert article.tags == ()
    assert article.authors == ("Precious Valdez",)
    everything = "\n".join((article.headline, article.summary, article.body)).casefold()
    furniture = (
        "connect|menu|share|tweet|also read|liked this|subscribe|follow us|more in|good news|to top|advertisement"
    )
    for phrase in (*furniture.split("|"), "flickr", "about precious", "more than a decade"):
        assert phrase not in everything
    assert headline not in article.body
    assert article.link is None
    assert article.hold is None


@pytest.mark.parametrize("text", ["Menu\nHome\nSearch\nTo Top\n", "just a word", "short line\nanother short line\n"])
def test_text_that_holds_no_story_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    put(tmp_path / "a.txt", text)
    put(tmp_path / "b.md", story("A good one"))
    batch = folder(tmp_path).fetch({}, HTTP, START)
    assert guids(batch) == ["b.md"]
    assert batch.broken[0].where == "a.txt"
    assert "no story" in batch.broken[0].why


# -- identity -----------------------------------------------------------------------------------------------------


def test_a_renamed_file_is_the_same_article_and_stays_so_when_it_changes(tmp_path: Path) -> None:
    put(tmp_path / "old.md", story("Bridge"))
    source = folder(tmp_path)
    first = source.fetch({}, HTTP, START)
    (tmp_path / "new").mkdir()
    (tmp_path / "old.md").rename(tmp_path / "new" / "name.md")
    second = folder(tmp_path).fetch(stored(first), HTTP, START)
    assert (guids(second), second.gone) == (["old.md"], ())
    put(tmp_path / "new" / "name.md", story("Bridge, corrected"))
    third = folder(tmp_path).fetch(stored(second), HTTP, START)
    assert (guids(third), third.articles[0].headline) == (["old.md"], "Bridge, corrected")
    put(tmp_path / "old.md", story("Something else altogether"))
    fourth = folder(tmp_path).fetch(stored(third), HTTP, START)
    assert "old.md" in guids(fourth)
    assert len(set(guids(fourth))) == 2
    assert fourth.gone == ()


def test_names_are_one_form_of_unicode_whatever_the_disk_says(tmp_path: Path) -> None:
    put(tmp_path / "Ko\u0308ln.md", story("Köln"))
    assert guids(folder(tmp_path).fetch({}, HTTP, START)) == ["K\u00f6ln.md"]


def test_an_id_twice_is_said_and_the_first_file_counts(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("First", id="same"))
    put(tmp_path / "b.md", story("Second", id="same"))
    batch = folder(tmp_path).fetch({}, HTTP, START)
    assert [one.headline for one in batch.articles] == ["First"]
    assert "same id" in batch.broken[0].why


# -- gone and changed ---------------------------------------------------------------------------------------------


def test_a_removed_file_is_gone_once(tmp_path: Path) -> None:
    source = folder(tmp_path)
    for name in "abc":
        put(tmp_path / f"{name}.md", story(name))
    first = source.fetch({}, HTTP, START)
    (tmp_path / "b.md").unlink()
    second = source.fetch(stored(first), HTTP, START)
    assert second.complete
    assert [one.guid for one in second.gone] == ["b.md"]
    assert guids(second) == ["a.md", "c.md"]
    third = source.fetch(stored(second), HTTP, START)
    assert (third.unchanged, third.gone) == (True, ())


def test_a_story_that_becomes_a_draft_is_gone_and_comes_back_as_itself(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("Bridge"))
    source = folder(tmp_path)
    first = source.fetch({}, HTTP, START)
    put(tmp_path / "a.md", story("Bridge", draft=True), START - timedelta(minutes=9))
    second = source.fetch(stored(first), HTTP, START)
    assert second.articles == ()
    assert second.gone == (Gone("a.md", "it is a draft now"),)
    put(tmp_path / "a.md", story("Bridge", draft=False), START - timedelta(minutes=8))
    assert guids(source.fetch(stored(second), HTTP, START)) == ["a.md"]


def test_a_story_that_was_always_a_draft_is_nothing(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("Bridge", published=False))
    batch = folder(tmp_path).fetch({}, HTTP, START)
    assert (batch.articles, batch.gone, batch.broken) == ((), (), ())


def test_changed_text_is_the_same_article_with_new_words(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("Bridge"))
    source = folder(tmp_path)
    first = source.fetch({}, HTTP, START)
    put(tmp_path / "a.json", '{"link": "https://example.com/bridge"}', START - timedelta(minutes=5))
    second = source.fetch(stored(first), HTTP, START)
    assert [(one.guid, one.link) for one in second.articles] == [("a.md", "https://example.com/bridge")]
    assert second.gone == ()


def test_a_folder_that_is_empty_at_once_is_believed_after_ten_minutes(tmp_path: Path) -> None:
    source = folder(tmp_path)
    for name in "abc":
        put(tmp_path / f"{name}.md", story(name))
    batch = source.fetch({}, HTTP, START)
    for path in tmp_path.iterdir():
        path.unlink()
    said = []
    for minutes in (1, 5, 12):
        batch = source.fetch(stored(batch), HTTP, START + timedelta(minutes=minutes))
        said.append((len(batch.gone), batch.complete, bool(batch.notes)))
    assert said == [(0, False, True), (0, False, True), (3, True, False)]


def test_a_missing_folder_is_an_error_and_withdraws_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no such folder"):
        folder(tmp_path / "nowhere").fetch({}, HTTP, START)


# -- broken files -------------------------------------------------------------------------------------------------


def test_a_broken_file_names_its_line_once_and_keeps_its_article(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("Bridge"))
    put(tmp_path / "b.md", story("Ferry"))
    source = folder(tmp_path)
    first = source.fetch({}, HTTP, START)
    put(tmp_path / "a.md", "---\ntitle: Bridge\ntags: [a, b\n---\nx\n", START - timedelta(minutes=9))
    second = source.fetch(stored(first), HTTP, START)
    assert guids(second) == ["b.md"]
    assert (second.gone, second.complete) == ((), False)
    assert second.broken[0].where.startswith("a.md:")
    assert int(second.broken[0].where.split(":")[1]) in (3, 4)
    put(tmp_path / "c.md", story("Third"), START - timedelta(minutes=8))
    third = source.fetch(stored(second), HTTP, START)
    assert (guids(third), third.broken, third.gone) == (["b.md", "c.md"], (), ())
    put(tmp_path / "a.md", "---\ntitle: {still\n---\nx\n", START - timedelta(minutes=7))
    assert len(source.fetch(stored(third), HTTP, START).broken) == 1
    article = first.articles[0]
    assert source.read(article, HTTP, START) is None
    assert folder(tmp_path).read(article, HTTP, START) is None


def test_a_file_over_two_megabytes_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    put(tmp_path / "big.md", b"# Big\n\n" + b"x" * MAX_BYTES)
    put(tmp_path / "small.md", story("Small"))
    batch = folder(tmp_path).fetch({}, HTTP, START)
    assert guids(batch) == ["small.md"]
    assert "larger than 2 MB" in batch.broken[0].why


def test_more_than_so_many_files_are_refused(tmp_path: Path) -> None:
    assert MAX_FILES == 10_000
    for number in range(21):
        (tmp_path / f"{number}.md").touch()
    assert len(listed(tmp_path, 21)) == 21
    with pytest.raises(TooLarge, match="more than 20 files"):
        listed(tmp_path, 20)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_files_in_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "a.md", "# Größe und Käse\n\nEin Satz – mehr nicht.\n".encode(encoding))
    article = folder(tmp_path).fetch({}, HTTP, START).articles[0]
    assert (article.headline, article.hold) == ("Größe und Käse", None)


def test_p55_bytes_without_a_meaning_are_held(tmp_path: Path) -> None:
    put(tmp_path / "a.md", b"# Gr\x81\x8d\x8fe und K\x90se\n\nEin Satz.\n")
    assert folder(tmp_path).fetch({}, HTTP, START).articles[0].hold is Reason.ENCODING


def test_names_that_are_no_stories_and_links_that_lead_out_are_left_alone(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    put(outside / "secret.md", story("Secret"))
    put(inside / "good.md", story("Good"))
    for name in (
        ".hidden.md",
        "a.md~",
        "b.md.swp",
        "c.tmp.md",
        "d.part",
        "README.md",
        "_drafts/e.md",
        ".git/f.md",
        "g.docx",
    ):
        put(inside / name, story("No"))
    (inside / "link.md").symlink_to(outside / "secret.md")
    (inside / "folder").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    (inside / "dangling.md").symlink_to(inside / "nothing")
    assert guids(folder(inside).fetch({}, HTTP, START)) == ["good.md"]


# -- links, texts, embargo ----------------------------------------------------------------------------------------


def test_p67_links_come_from_metadata_side_files_and_the_template_or_are_missing(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("A", canonical_url="https://example.com/own"))
    put(tmp_path / "b.md", story("B"))
    put(tmp_path / "b.toml", 'link = "https://example.com/side"')
    put(tmp_path / "c.md", story("C", permalink="/:year/:title.html"))
    put(tmp_path / "d.md", story("D", url="javascript:alert(1)"))
    put(tmp_path / "e.md", story("E", permalink="/deep/e/"))
    made = folder(tmp_path, link="https://example.com/news/{slug}").fetch({}, HTTP, START)
    assert [one.link for one in made.articles] == [
        "https://example.com/own", "https://example.com/side", "https://example.com/news/c",
        "https://example.com/news/d", "https://example.com/deep/e/",
    ]  # fmt: skip
    bare = folder(tmp_path).fetch({}, HTTP, START)
    assert [one.link for one in bare.articles][2:] == [None, None, None]


def test_options_refuse_a_template_that_can_never_make_a_link(tmp_path: Path) -> None:
    for wrong in ("https://example.com/{title}", "/news/{slug}", "ftp://example.com/{slug}"):
        with pytest.raises(ValidationError):
            FolderOptions(path=tmp_path, link=wrong)


@pytest.mark.parametrize(
    ("meta", "until", "hold"),
    [
        ({"embargo": "2026-11-25 06:00"}, "2026-11-25T05:00:00+00:00", None),
        ({"embargo_until": "2026-11-25T06:00:00Z"}, "2026-11-25T06:00:00+00:00", None),
        ({"publishDate": "2026-12-01"}, "2026-11-30T23:00:00+00:00", None),
        ({"embargo": "when the minister has spoken"}, None, Reason.EMBARGO_UNCLEAR),
        ({"embargo": False}, None, None),
        ({}, None, None),
    ],
)
def test_an_embargo_is_a_time_or_a_question(
    tmp_path: Path, meta: dict[str, object], until: str | None, hold: Reason | None
) -> None:
    put(tmp_path / "a.md", story("Results", **meta))
    article = folder(tmp_path).fetch({}, HTTP, START).articles[0]
    assert article.embargo_until == (datetime.fromisoformat(until) if until else None)
    assert article.hold is hold


# -- which files are whole ----------------------------------------------------------------------------------------


def test_a_fresh_file_is_read_when_two_looks_two_seconds_apart_find_it_the_same(tmp_path: Path) -> None:
    source, now = folder(tmp_path), START
    path = put(tmp_path / "a.md", "---\ntitle: Ha", at=now)
    looks = []
    cursor: dict[str, Any] = {}
    for text in ("---\ntitle: Half", story("Whole"), story("Whole"), story("Whole"), story("Whole")):
        if path.read_text() != text:
            put(path, text, at=now)
        batch = source.fetch(cursor, HTTP, now)
        cursor = stored(batch)
        looks.append((guids(batch), batch.broken, batch.next_in))
        now += timedelta(seconds=1)
    assert looks[0] == ([], (), 2.0)
    assert looks[1] == ([], (), 2.0)
    assert looks[3][0] == ["a.md"]


def test_a_first_start_reads_files_that_are_older_than_two_seconds_at_once(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("A"), at=START - timedelta(seconds=3))
    put(tmp_path / "b.md", story("B"), at=START - timedelta(seconds=1))
    assert guids(folder(tmp_path).fetch({}, HTTP, START)) == ["a.md"]


def test_a_story_that_is_being_written_again_is_not_taken_for_removed(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("A"))
    put(tmp_path / "b.md", story("B"))
    source = folder(tmp_path)
    first = source.fetch({}, HTTP, START)
    put(tmp_path / "a.md", "---\ntitle: A ne", at=START)
    (tmp_path / "b.md").unlink()
    second = source.fetch(stored(first), HTTP, START)
    assert [one.guid for one in second.gone] == ["b.md"]
    assert not second.complete
    assert source.read(first.articles[0], HTTP, START) is None
    assert folder(tmp_path).read(first.articles[0], HTTP, START) is None


def test_read_gives_the_file_as_it_is_now(tmp_path: Path) -> None:
    put(tmp_path / "a.md", story("A"))
    source = folder(tmp_path)
    batch = source.fetch({}, HTTP, START)
    article = batch.articles[0]
    put(tmp_path / "a.md", story("A better headline"), START - timedelta(minutes=3))
    found = source.read(article, HTTP, START)
    assert not isinstance(found, Gone)
    assert found is not None
    assert (found.guid, found.headline) == ("a.md", "A better headline")
    (tmp_path / "a.md").rename(tmp_path / "z.md")
    again = folder(tmp_path).read(found, HTTP, START)
    assert again == found
    (tmp_path / "z.md").unlink()
    put(tmp_path / "other.md", story("Another"))
    assert isinstance(source.read(article, HTTP, START), Gone)
    assert isinstance(folder(tmp_path).read(article, HTTP, START), Gone)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's: other systems poll")
def test_inotify_says_when_a_file_is_whole_and_half_of_it_is_never_read(tmp_path: Path) -> None:
    clock, event = SystemClock(), threading.Event()
    source = folder(tmp_path)
    stop = source.watch(event.set)
    assert stop is not None
    try:
        cursor = stored(source.fetch({}, HTTP, clock.now()))
        with (tmp_path / "a.md").open("w") as file:
            file.write("---\ntitle: Ha")
            file.flush()
            assert event.wait(10)
            assert guids(source.fetch(cursor, HTTP, clock.now())) == []
            file.write("lf and whole\n---\nText.\n")
        assert _awaited(source, cursor, clock, event) == ["Half and whole"]
        other = tmp_path.parent / f"{tmp_path.name}-b.md"
        other.write_text(story("Moved into place"))
        other.rename(tmp_path / "b.md")
        assert "Moved into place" in _awaited(source, cursor, clock, event, count=2)
    finally:
        stop()


def _awaited(
    source: Folder, cursor: dict[str, Any], clock: SystemClock, event: threading.Event, count: int = 1
) -> list[str]:
    """Headlines, as soon as events made so many readable; far below the 2 s that polling would take."""
    while True:
        found = [one.headline for one in source.fetch(cursor, HTTP, clock.now()).articles]
        if len(found) == count:
            return found
        assert event.wait(10), "no event came"
        event.clear()


def test_a_folder_that_is_not_there_can_not_be_watched(tmp_path: Path) -> None:
    assert folder(tmp_path / "nowhere").watch(lambda: None) is None
