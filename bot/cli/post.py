"""Put one article on one account by hand: an article of the store (by id, link or headline), or a file.

The route doesn't matter then, and it never gets too old; gaps, caps, quiet hours and stops hold, unless --at pins it to
a time. The same story is not sent to an account twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation
from bot.cli.acting import by_option
from bot.errors import NoMatch, UsageError, WirepostError

if TYPE_CHECKING:
    from bot.app import App
    from bot.store.articles import Stored

section = "Act"


@click.command(help=__doc__)
@click.argument("article", metavar="FILE|URL|ARTICLE")
@click.option("--account", required=True, metavar="NAME", help="To which account.")
@click.option("--at", metavar="TIME", help="At this very time; without it, as soon as the account's pace allows.")
@by_option
@click.pass_context
def command(ctx: click.Context, article: str, account: str, at: str | None, by: str) -> int:
    from bot.cli import reading
    from bot.cli.render import when
    from bot.flow import plan, schedule
    from bot.store import deliveries
    from bot.store.articles import Admit
    from bot.store.deliveries import FIRST

    call = invocation(ctx)
    settings = call.settings()
    reading.account_named(settings, account)
    app = call.app()
    now = app.store.now()
    time = when(at, settings.editorial.timezone, now) if at is not None else None
    if time is not None and time < now:
        raise UsageError(f"{at} is over. Say a time to come, or leave --at out.")
    stored = _stored(call, app, article)
    with app.store.read() as tx:
        earlier = [one for one in deliveries.of_articles(tx, [stored.id])[stored.id] if one.account == account]
    first = next((one for one in earlier if one.occasion == FIRST), None)
    if first is not None and (first.tries or first.state not in ("skipped", "rejected")):
        raise WirepostError(
            f"{account} has this article already: {first.id} is {first.state} ({first.url or 'no address yet'}). "
            f"Look: wirepost why {stored.id} {account}"
        )
    wish: dict[str, Any] = {"who": by, **({"at": time.isoformat()} if time is not None else {})}
    app.store.commit(Admit((stored.id,), by, {account: wish}))
    plan.run(app.newsroom)
    schedule.run(app.newsroom)
    with app.store.read() as tx:
        made = [one for one in deliveries.of_articles(tx, [stored.id])[stored.id] if one.account == account]
    for one in made:
        due = f"for {one.due_at:%d %b %H:%M} UTC" if one.due_at else f"({one.state}: {one.reason.reason})"
        click.echo(f"Planned {one.id} on {account} {due}. Undo: wirepost skip {one.id}")
    return 0 if made else 1


def _stored(call: Any, app: App, words: str) -> Stored:
    """The article in the store; one that comes from a file or an unread feed is added to it, under all its keys."""
    from datetime import timedelta

    from bot.cli import finding
    from bot.model import Status
    from bot.rules.duplicates import digest, keys_of
    from bot.store import articles
    from bot.store.articles import AddArticle, NewArticle

    with app.store.read() as tx:
        found = finding.named(call, tx, words, tx.now)
        known = articles.by_id(tx, found[0].id)
        now = tx.now
    if len(found) > 1:
        raise UsageError(f"{words} holds {len(found)} articles: say the link of one of them.")
    if known is not None:
        return known
    article = found[0].article
    added = app.store.commit(
        AddArticle(
            NewArticle(
                id=app.newsroom.random.new_id(),
                article=article,
                digest=digest(article),
                keys=keys_of(article, seen_on=now.date()),
                status=Status.BASELINE,
                settle=timedelta(0),
            )
        )
    )
    with app.store.read() as tx:
        stored = articles.by_id(tx, added)
    if stored is None:
        raise NoMatch(f"{words}: the article could not be stored.")
    return stored
