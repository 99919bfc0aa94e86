"""The look at the source just before a send: is the article still there, and does it say what we are about to say?

One fetch, at most 30 s old, answers for all deliveries of a source; who comes while it is under way waits for it.
"""

from __future__ import annotations

from datetime import datetime

from bot.errors import SourceError
from bot.flow.newsroom import Newsroom
from bot.model import Article
from bot.rules.duplicates import digest, keys_of
from bot.sources.base import Batch, Gone, Source
from bot.store.articles import AddArticle, ChangedArticle, Stored, Withdraw


def at_hand(newsroom: Newsroom, stored: Stored) -> bool:
    """Can the article be looked at without asking anybody now?"""
    source = newsroom.sources.get(stored.article.source)
    return source is None or (source.whole and newsroom.looks.known(source.name))


def moved_on(newsroom: Newsroom, stored: Stored, now: datetime) -> bool:
    """True if the article changed or was taken back at its source: that is in the store now, and plan goes first.

    A source that can't be read, or doesn't show the article any more, says nothing.
    """
    source = newsroom.sources.get(stored.article.source)
    if source is None:
        return False
    fetched = newsroom.looks.answer(source.name, lambda: _fetched(newsroom, source, now)) if source.whole else None
    if source.whole and fetched is None:
        return False
    found = source.read(stored.article, newsroom.reading(source), now, fetched=fetched)
    if fetched is not None and not _as_stored(found, stored):
        # Another worker may have stored what is newer than our batch: the source itself decides.
        found = source.read(stored.article, newsroom.reading(source), now)
    newsroom.crash("deliver after preflight")
    if found is None or _as_stored(found, stored):
        return False
    if isinstance(found, Gone):
        return bool(newsroom.store.commit(Withdraw(stored.id, found.evidence)))
    keys = keys_of(found, seen_on=now.date())
    newsroom.store.commit(AddArticle(ChangedArticle(id=stored.id, article=found, digest=digest(found), keys=keys)))
    return True


def _as_stored(found: Article | Gone | None, stored: Stored) -> bool:
    """Does the source say what the store says, or nothing?"""
    return found is None or (isinstance(found, Article) and (found == stored.article or digest(found) == stored.digest))


def _fetched(newsroom: Newsroom, source: Source, now: datetime) -> Batch | None:
    try:
        return source.fetch({}, newsroom.reading(source), now)
    except SourceError:
        return None
