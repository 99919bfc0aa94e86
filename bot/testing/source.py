"""A source for tests: it shows what it is told to show."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.errors import SourceError
from bot.http import Http
from bot.model import Article
from bot.sources.base import Batch, Cursor, Gone, Source, SourceOptions


class Scripted(Source):
    """Shows `articles` at every look, or raises `error`; what `show` left out is gone if the source is `complete`."""

    kind = "scripted"
    title = "Scripted"
    docs = "https://www.example.com/"
    Options = SourceOptions

    def __init__(self, name: str, options: Any = None, zone: ZoneInfo = ZoneInfo("UTC")) -> None:
        super().__init__(name, options or SourceOptions(), zone)
        self.articles: tuple[Article, ...] = ()
        self.error: SourceError | None = None
        self.complete = False
        self.gone: tuple[Gone, ...] = ()
        self.looks = 0

    def show(self, *articles: Article) -> None:
        """From now on the source shows these."""
        self.articles = articles

    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return Batch(articles=self.articles, cursor={"looks": self.looks}, complete=self.complete, gone=self.gone)
