"""A folder of files: Markdown, HTML, JSON, and plain text scraped from news pages.

The way of a fetch: `listed` (what is there) → `_settled` (which files are whole) → read those that are new → `_batch`.
A file is whole when inotify saw it closed or moved into place, when it is at least 2 s old, or when two looks 2 s apart
found it the same. The cursor holds per file its size and time, the hash of its bytes and its identity, so that a rename
is the same article, a removed file is gone, and a file that is being written is neither.
"""

from __future__ import annotations

import hashlib
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from bot.errors import SourceError, Unreachable
from bot.http import Http
from bot.model import Article
from bot.sources.base import Batch, Broken, Cursor, Gone, Source, SourceOptions
from bot.sources.reading.entry import Setting, article_of, check_template
from bot.sources.reading.files import read_file
from bot.sources.reading.frontmatter import Unreadable
from bot.sources.reading.jsonfeed import Document
from bot.sources.reading.listing import Sign, bytes_of, listed, sidecar, sign_of

#: A writer that pauses longer than this between two writes is not waited for.
QUIET = timedelta(seconds=2)
#: A folder that lost everything at once is probably not mounted: it must stay empty this long before that is believed.
_EMPTY_FOR = timedelta(minutes=10)
_EMPTY_FROM = 3  # files; fewer are removed by hand every day


class FolderOptions(SourceOptions):
    """Where the files are."""

    path: Path = Field(description="The folder. Files in folders below it are read too.")

    @field_validator("link")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        return check_template(value)


@dataclass(slots=True)
class _File:
    """What is remembered of a file: `identity` is the path it was first seen under, `bad`: it could not be read."""

    sign: Sign
    digest: str
    identity: str
    guids: list[str] = field(default_factory=list)
    bad: bool = False

    def spell(self, path: str) -> dict[str, Any]:
        """As the cursor keeps it: what goes without saying is left out."""
        spelled: dict[str, Any] = {"sign": list(self.sign), "hash": self.digest}
        if self.identity != path:
            spelled["as"] = self.identity
        if self.guids != [self.identity]:
            spelled["guids"] = self.guids
        return {**spelled, "bad": True} if self.bad else spelled


@dataclass(slots=True)
class _Memory:
    """The cursor, unpacked."""

    files: dict[str, _File] = field(default_factory=dict)
    pending: dict[str, tuple[Sign, datetime]] = field(default_factory=dict)
    emptied_at: datetime | None = None

    @classmethod
    def of(cls, cursor: Cursor, root: str) -> _Memory:
        """From a cursor; one of another folder tells nothing."""
        if cursor.get("path") != root:
            return cls()
        files = {
            path: _File(tuple(one["sign"]), one["hash"], as_, list(one.get("guids", [as_])), bool(one.get("bad")))
            for path, one in cursor.get("files", {}).items()
            for as_ in [one.get("as", path)]
        }
        pending = {
            path: (tuple(sign), datetime.fromisoformat(at)) for path, (sign, at) in cursor.get("pending", {}).items()
        }
        emptied = cursor.get("emptied_at")
        return cls(files, pending, datetime.fromisoformat(emptied) if emptied else None)

    def cursor(self, root: str) -> dict[str, Any]:
        """As JSON-able values."""
        made: dict[str, Any] = {"path": root, "files": {path: one.spell(path) for path, one in self.files.items()}}
        if self.pending:
            made["pending"] = {path: [list(sign), at.isoformat()] for path, (sign, at) in self.pending.items()}
        if self.emptied_at:
            made["emptied_at"] = self.emptied_at.isoformat()
        return made


class Folder(Source):
    """One folder and what lies below it."""

    kind: ClassVar[str] = "folder"
    title: ClassVar[str] = "Folder of files"
    docs: ClassVar[str] = (
        "Reads Markdown with front matter (YAML, TOML, JSON), HTML, JSON (one article, many, JSON Feed) and plain text "
        "scraped from a news page. NAME.json, NAME.toml or NAME.yaml beside a story holds its metadata. The address is "
        'in the metadata or made by link = "https://…/{slug}". Drafts are not read; removed files are withdrawn.'
    )
    Options: ClassVar[type[SourceOptions]] = FolderOptions
    public_pages: ClassVar[bool] = False

    def __init__(self, name: str, options: Any, zone: Any) -> None:
        super().__init__(name, options, zone)
        self._lock = threading.Lock()
        self._closed: dict[str, Sign] = {}  # files that were seen closed, as they were then
        self._cache: dict[str, tuple[Sign, str, Document | Unreadable]] = {}
        self._places: dict[str, str] = {}  # ids to the paths they were last read from

    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        """All whole stories (`complete`), or `unchanged`. Raises SourceError if the folder can't be read."""
        root = self._root()
        before = _Memory.of(cursor, str(root))
        there = listed(root)
        if not there and len(before.files) >= _EMPTY_FROM and not _long_empty(before, now):
            before.emptied_at = before.emptied_at or now
            note = f"all {len(before.files)} files are gone at once: is the folder mounted? Believed after 10 minutes"
            return Batch(cursor=before.cursor(str(root)), unchanged=True, notes=(note,))
        whole, pending = self._settled(there, before, now)
        same = all(path in before.files and before.files[path].sign == sign for path, sign in whole.items())
        if cursor and same and not before.files.keys() - there.keys():
            memory = replace(before, pending=pending, emptied_at=None)
            return Batch(cursor=memory.cursor(str(root)), unchanged=True, partial=bool(pending), next_in=_soon(pending))
        return self._batch(root, before, whole, pending, now)

    def read(
        self, article: Article, http: Http, now: datetime, *, fetched: Batch | None = None
    ) -> Article | Gone | None:
        """The article as its file says now; Gone if removed or a draft now; None while it is written."""
        batch = fetched
        if batch is None or batch.unchanged:
            try:
                batch = self.fetch({}, http, now)
            except SourceError:
                return None
        if article.guid in batch.by_guid:
            return batch.by_guid[article.guid]
        for found in batch.articles:  # renamed since: the same words under another path
            if (found.headline, found.link, found.body) == (article.headline, article.link, article.body):
                return replace(found, guid=article.guid)
        if self._uncertain(article.guid, batch):
            return None
        return Gone(article.guid, "its file was removed, or is a draft now")

    def _uncertain(self, guid: str, batch: Batch) -> bool:
        """May the story be in a file that is just being written, or can't be read at the moment?"""
        memory = _Memory.of(batch.cursor, batch.cursor.get("path", ""))
        unread = memory.pending.keys() | {path for path, one in memory.files.items() if one.bad}
        return self._places.get(guid, guid) in unread or (
            guid not in self._places and bool(unread - memory.files.keys())
        )

    def watch(self, changed: Callable[[], None]) -> Callable[[], None] | None:
        """Watch the folder with watchdog. On Linux inotify says which files are whole; elsewhere only "look"."""
        from bot.sources.reading.watching import Watch  # watchdog: only where something is watched

        try:
            root = self._root()
        except SourceError:
            return None
        return Watch(root, partial(self._closed_now, root), self._opened, changed).started()

    def _closed_now(self, root: Path, path: str) -> None:
        try:
            sign = sign_of(root, path, sidecar(root, path))
        except OSError:
            return  # gone again
        with self._lock:
            self._closed[path] = sign

    def _opened(self, path: str) -> None:
        with self._lock:
            self._closed.pop(path, None)

    def _root(self) -> Path:
        path = Path(self.options.path)
        if not path.is_dir():
            raise Unreachable(f"{path}: there is no such folder; check path in the settings, and that it is mounted")
        return path.resolve()

    def _settled(
        self, there: dict[str, Sign], before: _Memory, now: datetime
    ) -> tuple[dict[str, Sign], dict[str, tuple[Sign, datetime]]]:
        """The files that are whole, and those that may still be written, with the time they were first seen so."""
        with self._lock:
            self._closed = {path: sign for path, sign in self._closed.items() if path in there}
            closed = dict(self._closed)
        whole, pending = {}, {}
        for path, sign in there.items():
            known, waited = before.files.get(path), before.pending.get(path)
            since = waited[1] if waited and waited[0] == sign else now
            if (known and known.sign == sign) or closed.get(path) == sign or _is_old(sign, now) or now - since >= QUIET:
                whole[path] = sign
            else:
                pending[path] = (sign, since)
        return whole, pending

    def _batch(
        self,
        root: Path,
        before: _Memory,
        whole: dict[str, Sign],
        pending: dict[str, tuple[Sign, datetime]],
        now: datetime,
    ) -> Batch:
        read = {}
        for path, sign in whole.items():
            found = self._read(root, path, sign)
            if found is None:  # it changed under our hands
                pending[path] = (sign, now)
            else:
                read[path] = found
        after = _Memory(pending=pending)
        _identify(read, before, after)
        setting = Setting(self.name, self.zone, now, self.options.language, self.options.link)
        articles, broken, drafts = _collect(read, before, after, setting)
        self._cache = {path: one for path, one in self._cache.items() if path in read or path in pending}
        self._places |= {guid: path for path, one in after.files.items() for guid in one.guids}
        for path in pending:  # what was known of a file that is being written stays known
            if path in before.files:
                after.files[path] = before.files[path]
        lost = [path for path, one in after.files.items() if (one.bad or path in pending) and one.guids]
        return Batch(
            articles=tuple(articles),
            cursor=after.cursor(str(root)),
            gone=tuple(_gone(before, after, drafts)),
            broken=tuple(broken),
            complete=not lost,
            partial=bool(pending),
            next_in=_soon(pending),
        )

    def _read(self, root: Path, path: str, sign: Sign) -> tuple[Sign, str, Document | Unreadable] | None:
        """The file's document and the hash of its bytes, from memory if it is the same; None if it is being written."""
        cached = self._cache.get(path)
        if cached is not None and cached[0] == sign:
            return cached
        try:
            data = bytes_of(root / path)
            beside = sidecar(root, path)
            side = (beside.name, bytes_of(beside)) if beside else None
            if sign_of(root, path, beside) != sign:
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            return sign, "", Unreadable(0, f"it can't be opened: {error.strerror}")
        digest = hashlib.sha256(data + (side[1] if side else b"")).hexdigest()[:24]
        try:
            found: Document | Unreadable = read_file(data, path, side)
        except Unreadable as error:
            found = error
        self._cache[path] = (sign, digest, found)
        return self._cache[path]


# -- whole or not ---------------------------------------------------------------------------------------------------


def _is_old(sign: Sign, now: datetime) -> bool:
    newest = max(sign[1::2]) / 1e9
    return datetime.fromtimestamp(newest, UTC) <= now - QUIET


def _long_empty(memory: _Memory, now: datetime) -> bool:
    return memory.emptied_at is not None and now - memory.emptied_at >= _EMPTY_FOR


def _soon(pending: Iterable[str]) -> float | None:
    return QUIET.total_seconds() if pending else None


# -- who is who ---------------------------------------------------------------------------------------------------

_Read = dict[str, tuple[Sign, str, Document | Unreadable]]


def _identify(read: _Read, before: _Memory, after: _Memory) -> None:
    """Give each file its identity: its own from before, that of a vanished file with the same bytes, else its path."""
    missing = {
        one.digest: path
        for path, one in before.files.items()
        if path not in read and path not in after.pending and one.digest
    }
    taken = {before.files[path].identity for path in (*read, *after.pending) if path in before.files}
    for path, (sign, digest, _) in read.items():
        known = before.files.get(path)
        if known is None and digest in missing:
            known = before.files[missing.pop(digest)]
            taken.add(known.identity)
        plain = unicodedata.normalize("NFC", path)
        identity = known.identity if known else f"{plain}@{digest[:8]}" if plain in taken else plain
        after.files[path] = _File(sign, digest, identity)


def _collect(
    read: _Read, before: _Memory, after: _Memory, setting: Setting
) -> tuple[list[Article], list[Broken], set[str]]:
    """Articles, what is broken (said once per content), and the ids of drafts."""
    articles: dict[str, Article] = {}
    broken: list[Broken] = []
    drafts: set[str] = set()
    for path, (_, digest, document) in read.items():
        file, known = after.files[path], before.files.get(path)
        if isinstance(document, Unreadable):
            file.bad, file.guids = True, known.guids if known else []
            faults = [Broken(f"{path}:{document.line}" if document.line else path, document.why)]
        else:
            faults = [Broken(where, why) for where, why in document.broken]
            faults += _add(document, file, path, setting, articles, drafts)
        if known is None or known.digest != digest:
            broken += faults
    return list(articles.values()), broken, drafts


def _add(
    document: Document, file: _File, path: str, setting: Setting, articles: dict[str, Article], drafts: set[str]
) -> list[Broken]:
    faults = []
    for entry in document.entries:
        guid = file.identity + entry.guid if entry.guid.startswith("#") else entry.guid or file.identity
        if entry.draft:
            drafts.add(guid)
            continue
        if guid in articles:
            faults.append(
                Broken(entry.where, f'it has the same id, "{guid}", as another story; only the first is read')
            )
            continue
        article = article_of(replace(entry, guid=guid), setting)
        articles[guid] = article
        file.guids.append(guid)
    return faults


def _gone(before: _Memory, after: _Memory, drafts: set[str]) -> Iterator[Gone]:
    """Stories that were there and are not: their file was removed, dropped them, or made them drafts."""
    here = {guid for one in after.files.values() for guid in one.guids}
    told: set[str] = set()
    for path, file in before.files.items():
        for guid in file.guids:
            if guid not in here and guid not in told:
                told.add(guid)
                evidence = "it is a draft now" if guid in drafts else f"{path} was removed or no longer holds it"
                yield Gone(guid, evidence)
