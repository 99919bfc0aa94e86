"""Reads a folder of feeds that others wrote, each beside its NAME.expected.json, and compares: `make corpus DIR=…`.

What is compared, and how, follows the folder's README: number of entries; per entry, in order, title (tags stripped,
entities decoded, white space folded), link (a trailing slash doesn't count), id (not the made-up 32 hex digits), date
to the second, authors and categories as sets (more categories than expected are media keywords). A file whose
expectation is null, or that only names a validator's message, must be read or refused by one named error.
Exits 1 if anything is lost.
"""

from __future__ import annotations

import ast
import html
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.errors import SourceError
from bot.sources.reading.dates import read_date
from bot.sources.reading.entry import Entry, Setting, article_of
from bot.sources.reading.feeds import read_document

ZONE = ZoneInfo("UTC")
BASE = "http://base.invalid/feed"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
#: Names under which the collections give a field; the first that is there is compared.
FIELDS = {
    "title": ("title",),
    "link": ("link",),
    "id": ("id", "guid"),
    "published": ("publishedParsed", "published", "pubDate", "updatedParsed", "updated"),
    "authors": ("authors",),
    "categories": ("categories", "tags"),
}


@dataclass
class Report:
    """What one file gave."""

    name: str
    entries: int = 0
    error: str = ""
    checked: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


def main(folder: Path) -> int:
    """Print the table; 1 if something was lost, 2 if there is nothing to read."""
    names = sorted(path for path in folder.iterdir() if (folder / f"{path.name}.expected.json").is_file())
    if not names:
        print(f"{folder}: no NAME with a NAME.expected.json beside it", file=sys.stderr)
        return 2
    reports = [compare(path) for path in names]
    for report in reports:
        state = "LOSS" if report.lost else "error" if report.error else "ok"
        checks = " ".join(f"{name} {count}" for name, count in sorted(report.checked.items()))
        print(f"{state:<6}{report.name:<66}{report.entries:>4}  {report.error or checks}")
        for line in report.lost:
            print(f"        {line}")
    losing = sum(bool(report.lost) for report in reports)
    total = sum((report.checked for report in reports), Counter())
    errors = sum(bool(report.error) for report in reports)
    entries = sum(report.entries for report in reports)
    print(f"\n{len(reports)} files, {entries} entries, {errors} named errors, {losing} files with a loss")
    print("compared: " + ", ".join(f"{name} {count}" for name, count in sorted(total.items())))
    return 1 if losing else 0


def compare(path: Path) -> Report:
    """Read one file and hold it against its expectation."""
    told = json.loads(path.with_name(f"{path.name}.expected.json").read_bytes())
    expected = told.get("expected") or {}
    report = Report(path.name)
    header = next(
        (h.split(":", 1)[1] for h in expected.get("http_headers") or [] if h.lower().startswith("content-type")), ""
    )
    try:
        document = read_document(path.read_bytes(), base=BASE, content_type=header.strip())
    except SourceError as error:
        report.error = f"{type(error).__name__}: {error}"
        if any(expected.get(key) for key in ("entries", "items")):
            report.lost.append("refused, though it holds entries")
        return report
    report.entries = len(document.entries)
    for entry in document.entries:
        article_of(entry, Setting("corpus", ZONE, NOW))  # must not raise
    wanted = _wanted(expected)
    if wanted is not None:
        report.lost += [f"{where}: {why}" for where, why in document.broken]
        wanted = _versions_once(wanted)
        _count(report, len(wanted), len(document.entries))
        for number, (want, got) in enumerate(zip(wanted, document.entries, strict=False), 1):
            _entry(report, number, want, got)
    if "feedparser_assertion" in expected:
        _assertion(report, str(expected["feedparser_assertion"]), document.entries)
    return report


def _wanted(expected: dict[str, Any]) -> list[dict[str, Any]] | None:
    found = expected.get("entries", expected.get("items"))
    return found if isinstance(found, list) else None


def _versions_once(wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries with one id and one address are versions of one story: the first stands for all."""
    found: dict[Any, dict[str, Any]] = {}
    for number, want in enumerate(wanted):
        address = str(want.get("link") or want.get("links"))
        found.setdefault((want["id"], address) if want.get("id") else number, want)
    return list(found.values())


def _count(report: Report, wanted: int, got: int) -> None:
    report.checked["number"] += 1
    if wanted != got:
        report.lost.append(f"{got} entries where {wanted} are expected")


def _entry(report: Report, number: int, want: dict[str, Any], got: Entry) -> None:
    ours = {
        "title": fold(got.title),
        "link": (got.link or "").rstrip("/"),
        "id": got.guid,
        "published": [date for raw in (got.published, got.updated) if (date := read_date(raw, ZONE))],
        "authors": {fold(name) for name in got.authors},
        "categories": {fold(tag) for tag in got.tags},
    }
    for name, keys in FIELDS.items():
        theirs = _theirs(name, next((want[key] for key in keys if want.get(key)), None), want)
        if not theirs:
            continue
        if name == "id" and got.guid.startswith("text:"):
            continue  # the feed has none; both sides made one up
        report.checked[name] += 1
        if name == "link" and theirs in (alias.rstrip("/") for alias in got.aliases):
            continue  # FeedBurner's redirect is an alias here, the original the link
        if not _same(name, theirs, ours[name]):
            report.lost.append(f"entry {number}: {name} {ours[name]!r} where {theirs!r} is expected")


def _theirs(name: str, value: Any, want: dict[str, Any]) -> Any:
    """The expected value in the form in which ours is compared; None: nothing to compare."""
    if isinstance(value, dict):
        value = value.get("value") or value.get("text")
    if name == "link":
        value = value or next((one.get("href") for one in want.get("links", []) if isinstance(one, dict)), None)
        return value.rstrip("/") if isinstance(value, str) and value.startswith("http") else None
    if name == "id":
        return value if isinstance(value, str) and not re.fullmatch(r"[0-9a-f]{32}", value) else None
    if name == "published":
        return read_date(value, ZONE) if value else None
    if name in ("authors", "categories"):
        # "author" is what feed-rs calls everybody whom an RSS <author> names
        return {fold(text) for one in value or [] if (text := _label(one)) and (name, text) != ("authors", "author")}
    return fold(value) if isinstance(value, str) else None


def _label(one: Any) -> str:
    if isinstance(one, dict):
        return str(one.get("label") or one.get("term") or one.get("name") or one.get("value") or "")
    return str(one or "")


def _same(name: str, theirs: Any, ours: Any) -> bool:
    if name == "published":
        return any(abs(theirs - moment) <= timedelta(seconds=1) for moment in ours)
    if name == "id":
        return theirs == ours or ours.startswith(theirs + "#")  # one id on two stories: told apart by the link
    if name == "categories":  # media:keywords are tags here, and none of feed-rs' categories
        return {one.casefold() for one in theirs} <= {one.casefold() for one in ours}
    if name == "authors":
        return {part for one in theirs for part in _parts(one)} == {part for one in ours for part in _parts(one)}
    return bool(theirs == ours)


def _parts(text: str) -> Iterator[str]:
    """ "mail@host (Name)" and a bare name are one person."""
    match = re.fullmatch(r"\S+@\S+ \((.*)\)", text)
    yield (match[1] if match else text).casefold()


def fold(text: str) -> str:
    """Tags stripped, entities decoded, white space folded."""
    return " ".join(html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", "", html.unescape(text))).split())


def _assertion(report: Report, source: str, entries: list[Entry]) -> None:
    """The facts of a feedparser assertion that are about an entry: title, link, guid, author, description."""
    for index, key, value in re.findall(r"entries\[(\d+)\](.*?)\s*==\s*('[^']*'|\d+)", source):
        report.checked["fact"] += 1
        if int(index) >= len(entries):
            report.lost.append(f"entry {index} is missing: {source}")
            continue
        entry, want = entries[int(index)], ast.literal_eval(value)
        ours = {
            "title": entry.title,
            "link": entry.link,
            "guid": entry.guid,
            "description": entry.summary or entry.body,
        }
        names = [*entry.authors, "", ""]
        name = next((one for one in ours if one in key), "")
        got = ours[name] if name else names[int(re.findall(r"\d+", key)[0])] if "authors" in key else None
        if isinstance(want, int):
            got = ord(got) if isinstance(got, str) and len(got) == 1 else got
        if got is not None and fold(str(got)) != fold(str(want)):
            report.lost.append(f"{source}: got {got!r}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m bench.corpus DIR", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
