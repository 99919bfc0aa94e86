"""`wirepost preview`: what it shows is what goes out, from the store, a file, a feed or nothing at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from house import STORY, House, house

Read = Callable[..., Any]


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Read:
    """A preview's JSON."""

    def read(made: House, *words: str) -> Any:
        capsys.readouterr()
        assert made.call("preview", *words, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return read


@pytest.fixture
def made(tmp_path: Path) -> House:
    return house(tmp_path)


def test_a_file_is_previewed_without_a_store(made: House, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    """All stable keys; no file is made; the route that decided is named with its line."""
    path = made.story("Mayor opens harbour bridge", tags="Harbour, Bridges")
    before = made.everything()
    (one,) = read(made, str(path))
    keys = {"account", "network", "text", "length", "limit", "unit", "link", "tags", "due_at", "reasons"}
    assert keys <= one.keys()
    assert one["text"].startswith("Mayor opens harbour bridge\n\nhttps://www.example.com/mayor-opens-harbour-bridge")
    assert (one["length"], one["limit"], one["unit"]) == (len(one["text"]), 500, "graphemes")
    assert one["due_at"] is not None
    assert [reason["reason"] for reason in one["reasons"]] == ["route", "at_once"]
    line = next(n for n, text in enumerate(made.config.read_text("utf-8").split("\n"), 1) if 'name = "all"' in text) - 1
    assert one["route_at"] == f"{made.config}:{line}"
    assert made.everything() == before
    assert made.call("preview", str(path)) == 0
    shown = capsys.readouterr()
    assert "the times are those of an empty queue" in shown.err
    assert shown.out.endswith("Dry run: nothing was sent, nothing was stored.\n")
    assert "│ Mayor opens harbour bridge " in shown.out


def test_preview_is_what_goes_out(made: House, read: Read) -> None:
    """The same text, byte for byte, in a preview before and in the post after."""
    path = made.story("Mayor opens harbour bridge")
    made.story("Ferry sails again on Sunday")
    before = {one["headline"]: one["text"] for one in (*read(made, str(path)), *read(made, "--last", "2"))}
    assert len(before) == 2
    assert made.one_pass() == 0
    assert {post["headline"]: post["text"] for post in made.posts()} == before
    after = read(made, "mayor opens")
    assert (after[0]["state"], after[0]["text"]) == ("sent", before["Mayor opens harbour bridge"])


def test_a_post_that_is_out_shows_what_went_out(made: House, read: Read) -> None:
    """Later changes of the file don't rewrite history; its new text is not claimed for the sent post."""
    path = made.story("Mayor opens harbour bridge")
    made.one_pass()
    path.write_text(
        STORY.format(
            title="Mayor closes harbour bridge", slug="mayor-opens-harbour-bridge", section="city", tags="Harbour"
        ),
        encoding="utf-8",
    )
    (one,) = read(made, str(path))
    assert one["state"] == "sent"
    assert one["text"] == made.posts()[0]["text"]
    assert one["goes"] is False


@pytest.mark.parametrize(
    ("section", "reason", "line"),
    [
        ("internal", "route_closed", "would not go: Internal notes stay inside."),
        ("weather", "no_route", "would not go: no route takes it"),
        ("sport", "route_hold", "would be held: the route wants a person to release it (route sport)."),
    ],
)
def test_what_would_not_go_says_why(
    made: House, read: Read, capsys: pytest.CaptureFixture[str], section: str, reason: str, line: str
) -> None:
    """Before anything is stored, in the words that `why` uses afterwards."""
    path = made.story("Canteen menu of the week", section)
    (one,) = read(made, str(path))
    assert (one["goes"], one["due_at"]) == (False, None)
    assert reason in [told["reason"] for told in one["reasons"]]
    made.call("preview", str(path))
    assert line in capsys.readouterr().out


def test_the_time_counts_what_waits_already(made: House, read: Read) -> None:
    """A preview stands behind the queue: with a gap of an hour the second article goes an hour after the first."""
    text = made.config.read_text("utf-8").replace('gap = "0s"', 'gap = "1h"')
    made.config.write_text(text, encoding="utf-8")
    made.story("Mayor opens harbour bridge")
    made.one_pass()
    later = made.story("Ferry sails again on Sunday")
    (one,) = read(made, str(later))
    assert [told["reason"] for told in one["reasons"]] == ["route", "at_once", "gap"]
    assert one["due_at"][:13] > made.posts()[0]["at"][:13]


def test_the_baseline_can_be_looked_at(made: House, read: Read) -> None:
    """An article of the first look has its text, and the reason why it goes nowhere by itself."""
    made.config.write_text(made.config.read_text("utf-8").replace('"all"\nsettle', '"nothing"\nsettle'), "utf-8")
    made.story("Mayor opens harbour bridge")
    made.one_pass()
    assert made.posts() == []
    (one,) = read(made)
    assert one["text"].startswith("Mayor opens harbour bridge")
    assert (one["goes"], one["reasons"][0]["reason"]) == (False, "baseline")


def test_a_rehearsing_account_is_timed_and_says_so(tmp_path: Path, read: Read) -> None:
    """live = false: made and timed, not sent."""
    made = house(tmp_path, more="live = false\n")
    path = made.story("Mayor opens harbour bridge")
    (one,) = read(made, str(path))
    assert one["live"] is False
    assert one["due_at"] is not None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.md", "", "the file is empty"),
        ("broken.json", '{"title": ', "broken.json"),
        ("story.pdf", "%PDF", "a file of one of these kinds is expected: .md"),
        ("bad.md", "---\ntitle: [\n---\nText", "bad.md:3"),
        ("draft.md", "---\ntitle: Not yet\ndraft: true\n---\nText", "it holds only drafts"),
    ],
)
def test_bad_files_are_named(
    made: House, capsys: pytest.CaptureFixture[str], name: str, content: str, said: str
) -> None:
    """Exit 2 with the file, where there is one the line, and what is wrong."""
    path = made.folder / "in" / name
    path.write_text(content, encoding="utf-8")
    assert made.call("preview", str(path)) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_a_file_that_is_not_there_and_words_without_a_store(made: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what can be given instead."""
    assert made.call("preview", "./nowhere.md") == 2
    assert "nowhere.md: can't be read: No such file" in capsys.readouterr().err
    assert made.call("preview", "harbour bridge") == 5
    assert 'There is no store yet, so nothing is known of "harbour bridge"' in capsys.readouterr().err


def test_several_stories_of_one_file(made: House, read: Read) -> None:
    """Each on its own."""
    stories = [{"title": f"Story number {n} of the day", "link": f"https://www.example.com/{n}"} for n in (1, 2)]
    path = made.folder / "in" / "day.json"
    path.write_text(json.dumps(stories), encoding="utf-8")
    assert [one["headline"] for one in read(made, str(path))] == [story["title"] for story in stories]


def test_a_text_too_long_for_the_network_is_said(made: House, read: Read) -> None:
    """An editor's text is never cut: the preview says by how much it is over."""
    path = made.folder / "in" / "long.md"
    head = (
        "---\ntitle: A story\nlink: https://www.example.com/a\ntexts:\n  paper: "
        + "word " * 150
        + "\n---\nText of it.\n"
    )
    path.write_text(head, encoding="utf-8")
    (one,) = read(made, str(path))
    assert (one["text"], one["goes"]) == ("", False)
    assert "over 500" in " ".join(told["detail"] for told in one["reasons"])


# -- a feed -------------------------------------------------------------------------------------------------------

FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>T</title>
<item><title>Mayor opens harbour bridge</title><link>https://www.example.com/bridge?utm_source=rss</link>
<guid>b-1</guid></item></channel></rss>"""


@pytest.fixture
def feed() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = FEED.encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/feed.xml"
        server.shutdown()
        thread.join()


def test_an_address_is_looked_for_in_the_feeds(
    tmp_path: Path, read: Read, feed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An entry of a feed by its link; a page that nobody lists is refused with what can be done."""
    made = house(tmp_path, more=f'\n[sources.wire]\nkind = "feed"\nurl = "{feed}"\nallow_private = true\n')
    (one,) = read(made, "https://example.com/bridge")
    assert one["text"].startswith("Mayor opens harbour bridge")
    assert made.call("preview", "https://www.example.com/elsewhere") == 5
    said = capsys.readouterr().err
    assert "no article has this address" in said
    assert "add its feed to the settings" in said


def test_hostile_text_moves_no_cursor(made: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters of a headline reach no terminal."""
    path = made.story("Mayor opens")
    path.write_text(path.read_text("utf-8").replace("title: Mayor", 'title: "Mayor \\e[31m" #'), encoding="utf-8")
    made.call("preview", str(path))
    assert "\x1b" not in capsys.readouterr().out
