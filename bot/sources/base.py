"""The seam to the article stores: what one source file declares and implements.

A source is one file in this folder (or an outside package's entry point in the group `wirepost.sources`) with one
subclass of `Source`, and one folder `tests/sources/<kind>/` of input and expected pairs. It never decides what is new:
it yields articles and the flow decides by their keys. It never moves a cursor past what it did not hand on. A broken
entry is skipped and reported; a broken document is one named `SourceError`. Parsing is a pure function of bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from bot.errors import SourceError
from bot.http import Http
from bot.model import Article
from bot.rules.durations import Duration

#: What a source keeps between two fetches: JSON-able, stored beside the articles in one transaction.
Cursor = Mapping[str, Any]


class SourceOptions(BaseModel):
    """The keys that every source may have beside its kind's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: Duration = Field(timedelta(minutes=5), description="How often to look.")
    timezone: str | None = Field(None, description="Zone of dates without one; the house's if not given.")
    language: str | None = Field(None, description="Language of articles that don't say theirs (BCP 47).")
    link: str | None = Field(None, description='Address of articles that carry none: "https://…/{slug}".')
    allow_private: bool = Field(False, description="May the address resolve to a private network? Off: refused.")


@dataclass(frozen=True, slots=True)
class Broken:
    """One entry that could not be read: where it stands, and what is wrong with it."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Positive evidence that an article was withdrawn (never mere absence from a window)."""

    guid: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one fetch brought. `articles` are oldest first, as far as the source has an order.

    `complete`: the batch is all that the source has, so that absence means removal (a folder). `partial`: more is known
    to be there and will be handed on soon (files that are being written). `unchanged`: nothing
    new by the server's word (304) or by equal bytes. `retry_after` and `next_in` are seconds: the first is an order,
    the second a hint (Cache-Control, ttl). `moved_to` proposes an address.
    """

    articles: tuple[Article, ...] = ()
    cursor: Cursor = field(default_factory=dict)
    gone: tuple[Gone, ...] = ()
    broken: tuple[Broken, ...] = ()
    complete: bool = False
    partial: bool = False
    unchanged: bool = False
    retry_after: float | None = None
    next_in: float | None = None
    moved_to: str | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def by_guid(self) -> Mapping[str, Article]:
        """The articles by the source's own ids; of two with one id, the first."""
        return {article.guid: article for article in reversed(self.articles)}


class Source(ABC):
    """One article store that is watched."""

    kind: ClassVar[str]
    title: ClassVar[str]
    docs: ClassVar[str]
    Options: ClassVar[type[SourceOptions]]
    #: Default of `check_link` for stores with public pages.
    public_pages: ClassVar[bool] = False
    #: Does one fetch show the whole of what there is to see, so that it answers for every article for a while? False:
    #: `read` asks for the one article by itself, and gets no batch.
    whole: ClassVar[bool] = True

    def __init__(self, name: str, options: Any, zone: ZoneInfo) -> None:
        self.name = name
        self.options = options
        self.zone = zone

    @abstractmethod
    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        """What the store shows now. Raises SourceError. `cursor` is `{}` on the first look."""

    def read(
        self, article: Article, http: Http, now: datetime, *, fetched: Batch | None = None
    ) -> Article | Gone | None:
        """The article as its source has it now; None = can't tell (and that is no withdrawal).

        `fetched` is a batch at most 30 s old, if the caller has one; the default looks into it, and fetches only
        without one.
        """
        batch = fetched
        if batch is None:
            try:
                batch = self.fetch({}, http, now)
            except SourceError:
                return None
        if article.guid in batch.by_guid:
            return batch.by_guid[article.guid]
        for gone in batch.gone:
            if gone.guid == article.guid:
                return gone
        if batch.complete and not batch.unchanged:
            return Gone(article.guid, "no longer in the source")
        return None

    def door_limits(self) -> Mapping[str, Any]:
        """What the door has to allow this source beyond its defaults: keywords of `Door.reading`."""
        return {}

    def watch(self, changed: Callable[[], None]) -> Callable[[], None] | None:
        """Call `changed` (from any thread) when the store may have something; returns what stops the watching.

        None = this kind can't be watched and is polled.
        """
        return None
