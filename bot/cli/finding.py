"""Which article a person means by an id, a link, words, a file or a feed's entry, whether the store knows it or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.cli import reading
from bot.cli.render import one_line
from bot.errors import NoMatch, UsageError
from bot.model import Article, Priority, Status

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.settings import Settings, SourceSettings
    from bot.store import Tx
    from bot.store.articles import Stored

#: The source's name of a file that lies in no source's folder.
NO_SOURCE = "file"


def looks_like_file(words: str) -> bool:
    """Is a path meant? It exists, or is spelled like one; an address never is."""
    from bot.sources.reading.files import STORIES

    path = Path(words)
    spelled = words.startswith(("./", "../", "/", "~")) or (path.suffix.lower() in STORIES and " " not in path.name)
    return "://" not in words and (spelled or path.exists())


def named(call: Invocation, tx: Tx | None, words: str, now: datetime) -> list[Stored]:
    """What the words name; a file may hold several. Raises NoMatch, UsageError."""
    settings = call.settings()
    if looks_like_file(words):
        return [as_stored(settings, tx, one, now) for one in articles_in(settings, Path(words).expanduser(), now)]
    if "://" not in words:
        if tx is None:
            raise NoMatch(
                f'There is no store yet, so nothing is known of "{one_line(words)}": give a file or an address.'
            )
        return [reading.article_named(tx, words)]
    try:
        if tx is not None:
            return [reading.article_named(tx, words)]
    except NoMatch:
        pass
    return [as_stored(settings, tx, _entry(call, words), now)]


def articles_in(settings: Settings, path: Path, now: datetime) -> list[Article]:
    """The articles of one file, read as the folder source that holds it would. Raises UsageError."""
    from bot.sources.reading.entry import Setting, article_of
    from bot.sources.reading.files import STORIES, read_file
    from bot.sources.reading.frontmatter import Unreadable
    from bot.sources.reading.listing import bytes_of, sidecar

    if path.suffix.lower() not in STORIES:
        raise UsageError(f"{path}: a file of one of these kinds is expected: {' '.join(STORIES)}")
    home = _home(settings, path)
    root = Path(home.options.path).resolve() if home is not None else path.resolve().parent
    relative = path.resolve().relative_to(root).as_posix()
    try:
        beside = sidecar(root, relative)
        document = read_file(bytes_of(path), relative, (beside.name, bytes_of(beside)) if beside else None)
    except Unreadable as error:
        raise UsageError(f"{path}{f':{error.line}' if error.line else ''}: {error.why}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}") from None
    setting = Setting(
        home.name if home is not None else NO_SOURCE,
        home.zone if home is not None else ZoneInfo(settings.editorial.timezone),
        now,
        home.options.language if home is not None else None,
        home.options.link if home is not None else None,
    )
    entries = [entry for entry in document.entries if not entry.draft]
    if not entries:
        faults = "; ".join(f"{where}: {why}" for where, why in document.broken) or "it holds only drafts"
        raise UsageError(f"{path}: there is no article to show: {faults}")
    whole = [
        replace(entry, guid=relative + entry.guid if entry.guid.startswith("#") else entry.guid) for entry in entries
    ]
    return [article_of(replace(entry, guid=entry.guid or relative), setting) for entry in whole]


def _home(settings: Settings, path: Path) -> SourceSettings | None:
    """The folder source in whose folder the file lies."""
    for source in settings.sources.values():
        folder = getattr(source.options, "path", None) if source.kind == "folder" else None
        if folder is not None and path.resolve().is_relative_to(Path(folder).resolve()):
            return source
    return None


def _entry(call: Invocation, address: str) -> Article:
    """The entry with this address in one of the sources, read now."""
    from bot.cli.trying import taken
    from bot.rules.links import link_key

    wanted, found = link_key(address), taken(call)
    for one in found.values():
        for article in one.articles:
            if wanted in {link_key(link) for link in (article.link, *article.aliases) if link}:
                return article
    silent = [f"{name} ({one.error})" for name, one in found.items() if one.error]
    more = f" Could not be read: {'; '.join(silent)}." if silent else ""
    raise NoMatch(
        f"{one_line(address)}: no article has this address, in the store or in a source just read.{more} "
        "Pages themselves are not read: save the story as a file and preview that, or add its feed to the settings."
    )


def newest(call: Invocation, tx: Tx | None, number: int, now: datetime) -> list[Stored]:
    """The newest articles of the store; without one, of the sources, read now."""
    from bot.cli.trying import newest as by_date
    from bot.cli.trying import taken

    if tx is not None:
        from sqlalchemy import select

        from bot.store.articles import STORED, stored
        from bot.store.schema import articles

        when = (articles.c.first_seen_at.desc(), articles.c.published_at.desc(), articles.c.id)
        rows = tx.rows(select(*STORED).where(articles.c.status != Status.MERGED).order_by(*when).limit(number))
        if rows:
            return [stored(row) for row in rows]
    found = by_date(article for one in taken(call).values() for article in one.articles)[:number]
    return [as_stored(call.settings(), tx, one, now) for one in found]


def as_stored(settings: Settings, tx: Tx | None, article: Article, now: datetime) -> Stored:
    """The article as the store would hold it if it came now; if its link is known, under its own id and times."""
    from bot.rules.duplicates import digest
    from bot.store import articles
    from bot.store.articles import Stored

    known: Sequence[Stored] = articles.find(tx, article.link) if tx is not None and article.link else ()
    if known:
        return replace(known[0], article=replace(article, published_at=known[0].article.published_at))
    rules = settings.editorial.sources.get(article.source)
    settle = settings.editorial.defaults.settle if rules is None or rules.settle is None else rules.settle
    settle = timedelta(0) if article.priority is Priority.BREAKING else settle
    return Stored(
        id="new",
        article=article,
        digest=digest(article),
        revision=1,
        status=Status.LIVE,
        hold=None,
        first_seen_at=now,
        fresh_from=article.published_at or now,
        settle_until=now + settle,
    )
