"""Held articles (a breaker tripped, an id was used again): which are meant, and one decision about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bot.errors import NoMatch

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.store import Store
    from bot.store.articles import Admit, MarkSeen


def held_named(
    call: Invocation, store: Store, what: Sequence[str], source: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of held articles that are meant, and the words that must mean posts. Raises NoMatch."""
    from bot.cli.reading import article_named, source_named
    from bot.model import Status
    from bot.store import articles, deliveries

    with store.read() as tx:
        if source is not None:
            known = [one for one in articles.held(tx) if one.article.source == source]
            if not known:
                source_named(call.settings(), source)
                raise NoMatch(f"No article of {source} is held.")
            return tuple(one.id for one in known), ()
        chosen: list[str] = []
        rest: list[str] = []
        for words in what:
            try:
                found = None if deliveries.by_prefix(tx, words) else article_named(tx, words)
            except NoMatch:
                found = None
            if found is not None and found.status is Status.HELD:
                chosen.append(found.id)
            else:
                rest.append(words)
    return tuple(chosen), tuple(rest)


def decide_articles(store: Store, write: Admit | MarkSeen, would: str, done: str, what: str, *, dry: bool) -> None:
    """Write the decision about the articles, and say so."""
    from bot.cli.phrasing import plural
    from bot.cli.render import DRY_RUN

    if dry:
        click.echo(f"would {would} {plural(len(write.ids), 'article')}: {what}\n{DRY_RUN}")
        return
    click.echo(f"{done} {plural(store.commit(write), 'article')}: {what}.")
