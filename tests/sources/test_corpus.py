"""`make corpus DIR=…`: it says ok where all is right, and fails where a story, a title or a date is lost."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEED = (
    "<rss version='2.0'><channel><item><title>Harbour &amp;amp; town</title><link>https://example.com/a/</link>"
    "<guid isPermaLink='false'>a1</guid><pubDate>Tue, 24 Nov 2026 10:00:00 GMT</pubDate><category>Port</category>"
    "</item></channel></rss>"
)
ENTRY = {
    "title": "Harbour & town",
    "link": "https://example.com/a",
    "id": "a1",
    "published": "2026-11-24T11:00:00+01:00",
}


def put(folder: Path, expected: object, feed: str = FEED) -> Path:
    (folder / "one.xml").write_text(feed)
    (folder / "one.xml.expected.json").write_text(json.dumps({"file": "one.xml", "expected": expected}))
    return folder / "one.xml"


def losses(folder: Path, expected: object, feed: str = FEED) -> list[str]:
    """What the tool calls lost, asked in this process."""
    compare = runpy.run_path(str(ROOT / "bench" / "corpus.py"))["compare"]
    return list(compare(put(folder, expected, feed)).lost)


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / "corpus.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_all_right_is_ok(tmp_path: Path) -> None:
    put(tmp_path, {"entries": [{**ENTRY, "categories": ["Port"]}]})
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 files, 1 entries, 0 named errors, 0 files with a loss" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Other"},
        {"link": "https://example.com/b"},
        {"id": "a2"},
        {"published": "2026-11-24T10:00:02Z"},
        {"categories": ["X"]},
    ],
)
def test_a_lost_field_is_a_loss(tmp_path: Path, change: dict[str, object]) -> None:
    assert losses(tmp_path, {"entries": [{**ENTRY, **change}]})[0].startswith("entry 1: " + next(iter(change)))


def test_a_lost_entry_and_a_refused_feed_are_losses_and_an_error_where_none_is_expected_is_not(tmp_path: Path) -> None:
    assert losses(tmp_path, {"entries": [ENTRY, ENTRY | {"id": "a9"}]})
    assert not losses(tmp_path, None, "<html></html>")
    assert losses(tmp_path, {"entries": [ENTRY]}, "<html></html>")
    assert run(tmp_path).returncode == 1
