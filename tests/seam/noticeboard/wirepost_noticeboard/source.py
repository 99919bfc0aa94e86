"""Articles from a published spreadsheet: CSV with the columns id, headline, link and, if wanted, published."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import Field

from bot.errors import NotFeed, Unreachable
from bot.http import Http
from bot.model import Article
from bot.sources.base import Batch, Broken, Cursor, Source, SourceOptions

_COLUMNS = {"id", "headline", "link"}


class SpreadsheetOptions(SourceOptions):
    """One sheet."""

    url: str = Field(pattern=r"^https?://", description="The sheet's address, published as CSV.")


class Spreadsheet(Source):
    """See the module's text."""

    kind, title, docs = "spreadsheet", "Spreadsheet", "One row an article: id, headline, link, published (ISO 8601)."
    Options = SpreadsheetOptions

    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        answer = http.request("GET", self.options.url, safe=True, redirects=3)
        if answer.status != 200:
            raise Unreachable(f"the sheet's address answered {answer.status}", status=answer.status)
        articles: dict[str, Article] = {}
        broken = []
        for line, row in self._rows(answer.body):
            try:
                article = self._article(row)
            except ValueError as error:
                broken.append(Broken(f"line {line}", str(error)))
                continue
            articles.setdefault(article.guid, article)
        return Batch(articles=tuple(articles.values()), broken=tuple(broken), complete=True)

    def _rows(self, body: bytes) -> Iterator[tuple[int, dict[str, str]]]:
        rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig", "replace"), newline=""))
        try:
            if not set(rows.fieldnames or ()) >= _COLUMNS:
                raise NotFeed(f"the first line must name the columns {', '.join(sorted(_COLUMNS))}")
            yield from ((rows.line_num, {k: (v or "").strip() for k, v in row.items() if k}) for row in rows)
        except csv.Error as error:
            raise NotFeed(f"this is no CSV: {error}") from error

    def _article(self, row: dict[str, str]) -> Article:
        if not row["id"] or not row["headline"].isprintable() or not row["headline"]:
            raise ValueError("id and headline must not be empty or hold control characters")
        if not row["link"].startswith(("https://", "http://")):
            raise ValueError(f"the link {row['link'][:60]!r} begins with neither https:// nor http://")
        at = datetime.fromisoformat(row["published"]) if row.get("published") else None
        at = at.replace(tzinfo=self.zone) if at and at.tzinfo is None else at
        day = at.astimezone(UTC) if at else None
        return Article(source=self.name, guid=row["id"], headline=row["headline"], link=row["link"], published_at=day)
