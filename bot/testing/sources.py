"""The contract that every kind of source must pass, and the pairs of input and expectation it is tried on.

    class TestFeed(SourceContract):
        source = Feed
        pairs = Path(__file__).parent / "feed"
        options = {"url": "{url}"}

That is all a test file needs (pytest must be installed). An outside package does the same for its own kind.

**A pair** is `NAME.expected.json` with its input beside it: a file `NAME.<ending>` or a folder `NAME/`. The suite puts
a copy into an empty folder and also serves it on 127.0.0.1; in the texts of `options`, `{folder}` is that folder,
`{file}` the copy, `{url}` its address. `NAME.expected.json` holds

    {"articles": [{"headline": "…", "link": null, …}],  // in order; only the fields named are compared (texts as they
                                                         // are, dates as ISO in UTC, image as its address, hold as its
                                                         // code); the number must be right
     "broken": ["a part of its place or reason"],        // one for each broken entry
     "gone": ["guid"], "notes": ["a part of a note"],    // optional
     "error": "NotFeed", "words": "a part of its message",            // instead of articles
     "options": {}, "headers": {}, "status": 200}        // laid over the suite's; what the server answers
Mandatory: at least one pair with articles, one with a broken entry beside good ones, and one that ends in an error (a
kind that can't fail as a whole says why in `never_fails`).
"""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from bot import errors
from bot.clock import SystemClock
from bot.errors import SourceError
from bot.http import Door, Http
from bot.model import Article
from bot.sources.base import Batch, Gone, Source, SourceOptions

#: The present of all pairs. Files are dated an hour before it.
NOW = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)
#: The zone of dates without one.
ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Pair:
    """One input (a file or a folder) and what is expected of it."""

    name: str
    input: Path
    expected: Mapping[str, Any]


def pairs_in(folder: Path) -> list[Pair]:
    """All pairs of a folder, by name. An expectation without input is an error of the fixture."""
    found = []
    for told in sorted(folder.glob("*.expected.json")):
        name = told.name.removesuffix(".expected.json")
        inputs = [one for one in folder.glob(f"{name}*") if one != told and one.name in (name, f"{name}{one.suffix}")]
        assert len(inputs) == 1, (
            f"{told}: exactly one {name}.<ending> or {name}/ must stand beside it, not {len(inputs)}"
        )
        found.append(Pair(name, inputs[0], json.loads(told.read_bytes())))
    return found


class Stand:
    """A store to read: a folder, and the same files over HTTP. `files` may be changed while it stands."""

    def __init__(self, folder: Path, server: ThreadingHTTPServer) -> None:
        self.folder = folder
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.file = folder
        self._server = server

    @property
    def base(self) -> str:
        """The server's address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, name: str, data: bytes, *, at: datetime = NOW - timedelta(hours=1)) -> Path:
        """Write a file, dated `at`, and make it the one that `{file}` and `{url}` mean."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        _date(path, at)
        self.file = path
        return path

    def copy(self, source: Path) -> None:
        """Put a pair's input in."""
        if source.is_file():
            self.put(source.name, source.read_bytes())
            return
        for path in sorted(source.rglob("*")):
            if path.is_file():
                self.put(path.relative_to(source).as_posix(), path.read_bytes())
        self.file = self.folder

    def filled(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options with the placeholders replaced."""
        url = f"{self.base}/{self.file.relative_to(self.folder).as_posix()}" if self.file != self.folder else self.base
        names = {"{folder}": str(self.folder), "{file}": str(self.file), "{url}": url}
        made = {}
        for key, value in options.items():
            for name, text in names.items():
                value = value.replace(name, text) if isinstance(value, str) else value
            made[key] = value
        return made


def _date(path: Path, at: datetime) -> None:
    import os

    os.utime(path, (at.timestamp(), at.timestamp()))


@contextmanager
def standing() -> Iterator[Stand]:
    """A store on an empty folder and a loopback server; both go at the end."""

    class Handler(BaseHTTPRequestHandler):
        """Serves the stand's files with its headers, whatever their ending."""

        def do_GET(self) -> None:
            stand.asked.append({name.lower(): value for name, value in self.headers.items()})
            path = stand.folder / self.path.lstrip("/").split("?")[0]
            data = path.read_bytes() if path.is_file() else b""
            status = stand.status if path.is_file() or stand.status != 200 else 404
            self.send_response(status)
            for name, value in stand.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if status != 304:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Silence: tests read what they need from `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    folder = Path(tempfile.mkdtemp(prefix="wirepost-stand-"))
    stand = Stand(folder.resolve(), server)
    try:
        yield stand
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reading_http(*, max_bytes: int = 32 * 1024 * 1024) -> Iterator[Http]:
    """The real door, for reading, with loopback allowed."""
    door = Door(SystemClock(), user_agent="Wirepost/test (+https://example.com/bot)")
    try:
        yield door.reading(allow_private=True, max_bytes=max_bytes)
    finally:
        door.close()


#: Bytes that are no article store of any kind, or a hostile one. Each must end in a SourceError or a Batch.
HOSTILE: Mapping[str, bytes] = {
    "nothing": b"",
    "zeros": b"\x00" * 4_096,
    "noise": bytes((i * 73 + i // 7) % 256 for i in range(8_192)),
    "half a mark": b"\xff\xfe<\x00r",
    "cut": b'<?xml version="1.0"?><rss version="2.0"><channel><item><title>Half a st',
    "deep": b"<rss><channel><item><title>" + b"<b>" * 20_000,
    "brackets": b"[" * 50_000,
    "braces": b'{"items":' * 20_000,
    "laughs": (
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
        b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><rss><channel><item><title>&c;</title></item></channel></rss>'
    ),
    "outside": b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><rss><channel><title>&f;</title></channel></rss>',
    "open fence": b"---\ntitle: [unclosed\n",
    "yaml of itself": b"---\na: &a [*a, *a]\ntitle: *a\n---\nText\n",
    "attributes": b"<rss " + b" ".join(b'a%d="1"' % i for i in range(5_000)) + b"></rss>",
    "amps": b"<rss><channel><item><title>" + b"&" * 50_000 + b"</title></item></channel></rss>",
    "less-thans": b"<rss>" + b"<" * 50_000,
    "surrogates": (
        b'{"title": "\\ud800", "id": "1", "version": "https://jsonfeed.org/version/1", "items": [{"id": "\\udfff"}]}'
    ),
    "numbers": b'{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": '
    + b"9" * 5_000
    + b"}, 1, null, [], {}]}",
}


class SourceContract:
    """What every kind promises. Subclass it, name `source`, `pairs` and `options`."""

    source: ClassVar[type[Source]]
    pairs: ClassVar[Path]
    options: ClassVar[Mapping[str, Any]] = {}
    #: Why this kind never fails as a whole; then no pair needs to end in an error.
    never_fails: ClassVar[str] = ""

    def built(self, stand: Stand, more: Mapping[str, Any] | None = None) -> Source:
        """The source on that store."""
        options = {"allow_private": True, **self.options, **(more or {})}
        return self.source("contract", self.source.Options(**stand.filled(options)), ZONE)

    def test_it_declares_all_that_is_asked(self) -> None:
        """kind, title and docs in words; Options with a description for every key; nothing abstract."""
        assert self.source.kind.isidentifier()
        assert self.source.kind == self.source.kind.lower()
        assert self.source.title.strip()
        assert len(self.source.docs) >= 40, "docs says in a sentence what is read, and how"
        assert not inspect.isabstract(self.source)
        assert issubclass(self.source.Options, SourceOptions)
        bare = [name for name, one in self.source.Options.model_fields.items() if not one.description]
        assert not bare, f"options without a description: {bare}"

    def test_options_are_checked(self) -> None:
        """The suite's own hold; an unknown key is refused."""
        with standing() as stand:
            stand.copy(pairs_in(self.pairs)[0].input)
            options = stand.filled(self.options)
            self.source.Options(**options)
            try:
                self.source.Options(**{**options, "no_such_key": 1})
            except ValidationError as error:
                assert "no_such_key" in str(error)
            else:
                raise AssertionError("an unknown key was taken")

    def test_the_mandatory_pairs_are_there(self) -> None:
        """Good ones, broken entries beside good ones, and an error."""
        told = [pair.expected for pair in pairs_in(self.pairs)]
        assert any(one.get("articles") for one in told), "no pair yields articles"
        assert any(one.get("articles") and one.get("broken") for one in told), (
            "no pair has a broken entry beside good ones"
        )
        assert self.never_fails or any(one.get("error") for one in told), "no pair ends in an error"

    def test_pairs_match(self) -> None:
        """Each input gives what is expected of it, twice the same, from fresh objects."""
        faults = []
        for pair in pairs_in(self.pairs):
            faults += [f"{pair.name}: {fault}" for fault in self._tried(pair)]
        assert not faults, "\n".join(faults)

    def test_what_is_handed_on_is_sound(self) -> None:
        """Ids unique and not empty, links absolute or None, dates aware, the source's name, texts without controls."""
        for pair, batch in self._batches():
            ids = [one.guid for one in batch.articles]
            assert all(ids), f"{pair.name}: an empty id"
            assert len(set(ids)) == len(ids), f"{pair.name}: an id twice"
            for article in batch.articles:
                faults = list(_unsound(article))
                assert not faults, f"{pair.name}: {article.guid}: {faults}"

    def test_a_cursor_is_json_and_loses_nothing(self) -> None:
        """It survives JSON; the same store again brings nothing new; an old cursor brings everything again."""
        for pair in pairs_in(self.pairs):
            if pair.expected.get("error"):
                continue
            with standing() as stand, reading_http() as http:
                source = self._on(stand, pair)
                first = source.fetch({}, http, NOW)
                cursor = json.loads(json.dumps(first.cursor))
                assert cursor == first.cursor, f"{pair.name}: the cursor changes on its way through JSON"
                again = self.built(stand, pair.expected.get("options")).fetch(cursor, http, NOW + timedelta(minutes=5))
                assert again.unchanged or again.articles == first.articles, (
                    f"{pair.name}: other articles from the same store"
                )
                assert not again.gone or again.gone == first.gone, f"{pair.name}: {again.gone} are said to be gone"
                lost = source.fetch({}, http, NOW)  # as if the first batch was never stored
                assert lost.articles == first.articles, f"{pair.name}: what was not stored was not handed on again"

    def test_read_finds_what_fetch_gave(self) -> None:
        """`read` gives the article of a batch; one that nobody knows is None or Gone, never another."""
        for pair in pairs_in(self.pairs):
            if not pair.expected.get("articles"):
                continue
            with standing() as stand, reading_http() as http:
                source = self._on(stand, pair)
                batch = source.fetch({}, http, NOW)
                for article in batch.articles:
                    assert source.read(article, http, NOW, fetched=batch) == article, pair.name
                for article in batch.articles[:3]:
                    assert source.read(article, http, NOW) == article, pair.name
                stranger = Article(source="contract", guid="urn:nobody", headline="A story that never was there")
                assert source.read(stranger, http, NOW, fetched=batch) in (None, *_gone(stranger, source, batch, http))

    def test_hostile_bytes_end_in_an_error_with_a_name(self) -> None:
        """Whatever comes, it is a SourceError or a batch of sound articles; nothing else is ever raised."""
        ending = next(pair.input.suffix for pair in pairs_in(self.pairs) if pair.input.is_file())
        for name, data in HOSTILE.items():
            with standing() as stand, reading_http() as http:
                stand.put(f"hostile{ending}", data)
                try:
                    batch = self.built(stand).fetch({}, http, NOW)
                except SourceError as error:
                    assert str(error).strip(), f"{name}: an error without words"
                    continue
                assert not [fault for one in batch.articles for fault in _unsound(one)], name

    def _on(self, stand: Stand, pair: Pair) -> Source:
        stand.copy(pair.input)
        stand.status = int(pair.expected.get("status", 200))
        stand.headers = dict(pair.expected.get("headers", {}))
        return self.built(stand, pair.expected.get("options"))

    def _batches(self) -> Iterator[tuple[Pair, Batch]]:
        for pair in pairs_in(self.pairs):
            if not pair.expected.get("error"):
                with standing() as stand, reading_http() as http:
                    yield pair, self._on(stand, pair).fetch({}, http, NOW)

    def _tried(self, pair: Pair) -> list[str]:
        with standing() as stand, reading_http() as http:
            try:
                batch = self._on(stand, pair).fetch({}, http, NOW)
                twin = self._on(stand, pair).fetch({}, http, NOW)
            except SourceError as error:
                return _wrong_error(pair.expected, error)
            if pair.expected.get("error"):
                return [f"{pair.expected['error']} is expected, not {len(batch.articles)} articles"]
            faults = [] if batch == twin else ["two readings of the same bytes differ"]
            return faults + _wrong_batch(pair.expected, batch)


def _wrong_error(expected: Mapping[str, Any], error: SourceError) -> list[str]:
    wanted = expected.get("error")
    if wanted is None or not isinstance(error, getattr(errors, wanted)):
        return [f"{wanted or 'a batch'} is expected, not {type(error).__name__}: {error}"]
    words = expected.get("words", "")
    return [] if words in str(error) else [f'"{words}" is not in the error\'s words: {error}']


def _wrong_batch(expected: Mapping[str, Any], batch: Batch) -> list[str]:
    faults = []
    wanted = expected.get("articles", [])
    if len(wanted) != len(batch.articles):
        faults.append(f"{len(batch.articles)} articles, {len(wanted)} expected: {[a.headline for a in batch.articles]}")
    for number, (want, article) in enumerate(zip(wanted, batch.articles, strict=False), 1):
        told = spelled(article)
        faults += [
            f"{number}: {key} is {told[key]!r}, not {value!r}" for key, value in want.items() if told[key] != value
        ]
    lists = {
        "broken": [f"{one.where}: {one.why}" for one in batch.broken],
        "notes": list(batch.notes),
        "gone": [one.guid for one in batch.gone],
    }
    for name, found in lists.items():
        parts = expected.get(name, [] if name != "notes" else None)
        if parts is None:
            continue
        if len(parts) != len(found) or not all(part in text for part, text in zip(parts, found, strict=False)):
            faults.append(f"{name}: {found}, not {parts}")
    return faults


def spelled(article: Article) -> dict[str, Any]:
    """An article as plain values, as expectations write it."""
    told: dict[str, Any] = {one.name: getattr(article, one.name) for one in fields(article)}
    for name, value in told.items():
        if isinstance(value, tuple):
            told[name] = list(value)
        elif isinstance(value, datetime):
            told[name] = value.isoformat()
    alt = article.image.alt if article.image else None
    return {**told, "image": article.image.url if article.image else None, "alt": alt, "texts": dict(article.texts)}


def _unsound(article: Article) -> Iterator[str]:
    if article.source != "contract":
        yield f"source is {article.source!r}, not the name it was built with"
    if not article.headline.strip() and article.hold is None:
        yield "no headline, and no hold that says so"
    for link in (article.link, *article.aliases, article.image.url if article.image else None):
        if link is not None and not link.startswith(("http://", "https://")):
            yield f"{link!r} is no absolute address"
    for moment in (article.published_at, article.updated_at, article.embargo_until):
        if moment is not None and moment.utcoffset() is None:
            yield f"{moment} has no zone"
    for text in (article.headline, article.summary, *article.authors, *article.tags):
        if any(ord(c) < 32 and c not in "\n\t" for c in text):
            yield f"a control character in {text[:60]!r}"


def _gone(article: Article, source: Source, batch: Batch, http: Http) -> tuple[Gone, ...]:
    found = source.read(article, http, NOW, fetched=batch)
    return (found,) if isinstance(found, Gone) and found.guid == article.guid else ()
