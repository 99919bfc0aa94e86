"""One reading of each source through the door, for people: nothing is stored, no cursor moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.cli.render import one_line
from bot.errors import SourceError

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.model import Article
    from bot.sources.base import Batch, Source

#: Sources read side by side.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Taken:
    """What one reading of a source gave: its articles, or the error's sentence."""

    source: str
    batch: Batch | None
    error: str

    @property
    def articles(self) -> tuple[Article, ...]:
        """Oldest first, as far as the source has an order."""
        return self.batch.articles if self.batch is not None else ()

    @property
    def words(self) -> str:
        """ "20 articles, 1 broken; the last: "Rail strike off" by A. Reporter, image, 812 characters"."""
        if self.batch is None:
            return self.error
        broken = f", {len(self.batch.broken)} broken ({self.batch.broken[0].why})" if self.batch.broken else ""
        number = f"{len(self.articles)} article{'s' * (len(self.articles) != 1)}{broken}"
        return f"{number}; the last: {described(newest(self.articles)[0])}" if self.articles else number

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        last = newest(self.articles)[:1]
        return {
            "error": self.error or None,
            "articles": len(self.articles),
            "broken": [{"where": one.where, "why": one.why} for one in self.batch.broken] if self.batch else [],
            "notes": list(self.batch.notes) if self.batch else [],
            "last": [{"headline": one.headline, "link": one.link, "summary": one.summary} for one in last],
        }


def newest(articles: Iterable[Article]) -> list[Article]:
    """The newest first; those without a date stand as their source has them."""
    found = list(articles)[::-1]
    dates = [one.published_at for one in found if one.published_at is not None]
    last = max(dates, default=None)
    return sorted(found, key=lambda one: one.published_at or last, reverse=True) if last is not None else found


def described(article: Article) -> str:
    """What was taken from an article, in one line: a broken scrape is seen at a glance."""
    by = f" by {', '.join(article.authors)}" if article.authors else ""
    image = "image" if article.image is not None else "no image"
    link = article.link or "no link"
    return one_line(f'"{article.headline}"{by}, {link}, {image}, {len(article.body or article.summary)} characters')


def taken(call: Invocation, names: Iterable[str] | None = None) -> Mapping[str, Taken]:
    """Read these sources (all of the settings) once, side by side. Never raises for a source's own trouble."""
    from bot import __version__
    from bot.app import SITE, build_sources
    from bot.http import Door, user_agent

    wanted = {name: one for name, one in build_sources(call.settings()).items() if names is None or name in names}
    door = Door(call.clock, user_agent=user_agent(__version__, SITE))
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda source: _read(call, door, source), wanted.values())
            return dict(zip(wanted, found, strict=True))
    finally:
        door.close()


def _read(call: Invocation, door: Any, source: Source) -> Taken:
    http = door.reading(allow_private=source.options.allow_private, **source.door_limits())
    try:
        return Taken(source.name, source.fetch({}, http, call.clock.now()), "")
    except SourceError as error:
        return Taken(source.name, None, str(error))
