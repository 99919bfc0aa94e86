"""The publisher of a week: articles that change, and sources that show them badly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b

from bot.errors import Unreachable
from bot.http import Http
from bot.model import Article, Priority
from bot.sources.base import Batch, Cursor, Gone, SourceOptions
from bot.testing.source import Scripted
from tests.simulation.adversary import ArticlePlan

WHO = (
    "Harbour",
    "Mayor",
    "Rail union",
    "Glacier",
    "Library",
    "Court",
    "Ferry",
    "Orchestra",
    "Museum",
    "Census",
    "Port",
)
DOES = ("opens", "loses", "rebuilds", "counts", "defends", "doubles", "sells", "paints", "cancels", "hides", "finds",
        "mends", "buries")  # fmt: skip
WHAT = ("bridge", "levy", "telescope", "strike", "oak", "sketch", "archive", "stadium", "vaccine", "canal", "tower",
        "budget", "whale", "printer", "tunnel", "market", "festival")  # fmt: skip
#: So many of its newest articles a source shows.
WINDOW = 5


class Piece:
    """One article as its publisher has it just now. `number` is in its address, whatever else changes."""

    def __init__(self, plan: ArticlePlan, start: datetime) -> None:
        self.plan = plan
        self.number = plan.number
        self.published = start + timedelta(seconds=plan.at)
        self.headline = headline(plan.number)
        self.edits = 0
        self.imposed: datetime | None = None
        self.imposed_shown: float | None = None
        self.withdrawn = False

    def retitle(self, wholly: bool) -> None:
        """Another headline: a few words more, or not a word of the old one."""
        self.edits += 1
        self.headline = (
            headline(self.number + 487 * self.edits) if wholly else f"{headline(self.number)}, edit {self.edits}"
        )

    @property
    def dated(self) -> datetime | None:
        """The date that it bears."""
        return None if self.plan.dated is None else self.published + self.plan.dated

    @property
    def embargo(self) -> datetime | None:
        """Until when it is under embargo: by its plan, or imposed since."""
        if self.imposed is not None:
            return self.imposed
        return None if self.plan.embargo is None else self.published + self.plan.embargo

    @property
    def tags(self) -> tuple[str, ...]:
        return ("news",) if self.number % 3 == 0 else ()

    def shown(self, source: str, ids: int) -> Article:
        """As a source shows it, under its so-manieth set of ids."""
        extra = "?utm_source=feed" if ids % 2 else ""
        return Article(
            source=source,
            guid=f"{source}-{self.number}" + (f"-{ids}" if ids else ""),
            headline=self.headline,
            link=f"https://www.example.com/news/{self.number}{extra}",
            section=self.plan.section,
            tags=self.tags,
            published_at=self.dated,
            embargo_until=self.embargo,
            priority=Priority.BREAKING if self.plan.breaking else Priority.NORMAL,
        )


def headline(number: int) -> str:
    """A headline that no other number has: the words' numbers have no common divisor."""
    return f"{WHO[number % len(WHO)]} {DOES[number % len(DOES)]} {WHAT[number % len(WHAT)]}"


def number_in(link: str | None) -> int | None:
    """Which article an address leads to."""
    tail = (link or "").partition("?")[0].rpartition("/news/")[2]
    return int(tail) if tail.isdigit() else None


class Feed(Scripted):
    """A source of the week. `pieces`: what it has, oldest first; `extra`: old ones that it shows too for once."""

    def __init__(self, name: str) -> None:
        super().__init__(name, SourceOptions(every=timedelta(hours=12)))
        self.pieces: list[Piece] = []
        self.extra: list[Piece] = []
        self.ids = 0
        self.fails_until = 0.0
        self.failing: Callable[[], bool] = lambda: False
        self.monotonic: Callable[[], float] = lambda: 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def listed(self) -> list[Piece]:
        """What it shows just now, the withdrawn ones included."""
        return [*self.extra, *self.pieces[-WINDOW:]]

    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        self.meanwhile()
        if self.failing():
            raise Unreachable("the source can't be reached")
        listed = self.listed()
        for piece in listed:
            if piece.imposed is not None and piece.imposed_shown is None and piece.plan.source == self.name:
                piece.imposed_shown = self.monotonic()
        self.show(*(piece.shown(self.name, self.ids) for piece in listed if not piece.withdrawn))
        self.gone = tuple(
            Gone(piece.shown(self.name, self.ids).guid, "410 Gone") for piece in listed if piece.withdrawn
        )
        version = blake2b(repr((self.articles, self.gone)).encode(), digest_size=8).hexdigest()
        if cursor.get("version") == version:
            return Batch(cursor=cursor, unchanged=True)
        return replace(super().fetch(cursor, http, now), cursor={"version": version})
