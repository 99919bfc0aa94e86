"""Put one article on one account by hand: an article of the store (by id, link or headline), or a file.

The route doesn't matter then, and it never gets too old; gaps, caps, quiet hours and stops hold, unless --at pins it to
a time. The same link is not sent to an account twice within the settings' same_link, but with --again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.cli import Invocation, invocation
from bot.cli.acting import by_option, desk_of, dry_option
from bot.errors import UsageError, WirepostError

if TYPE_CHECKING:
    from bot.app import App
    from bot.desk import Desk
    from bot.model import Delivery
    from bot.store.articles import Stored
    from bot.wishes import Wish

section = "Act"


@click.command(help=__doc__)
@click.argument("article", metavar="FILE|URL|ARTICLE")
@click.option("--account", required=True, metavar="NAME", help="To which account.")
@click.option("--at", metavar="TIME", help="At this very time; without it, as soon as the account's pace allows.")
@click.option("--now", "at_once", is_flag=True, help="Now, whatever the account's pace.")
@click.option("--again", is_flag=True, help="Though the same link went out there already.")
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context, article: str, account: str, at: str | None, at_once: bool, again: bool, dry: bool, by: str
) -> int:
    from bot.cli import reading
    from bot.cli.render import DRY_RUN, moment, one_line, when
    from bot.wishes import Wish, occasion_for, story_on, too_early

    call = invocation(ctx)
    zone = call.settings().editorial.timezone
    reading.account_named(call.settings(), account)
    if at is not None and at_once:
        raise UsageError("Either --at or --now.")
    app = call.app()
    now = app.store.now()
    time = now if at_once else when(at, zone, now) if at is not None else None
    stored = _stored(call, app, article, dry=dry)
    early = too_early(stored, time, app.newsroom.editorial)
    if early is not None:
        until = moment(early.ready_at, zone, now)
        raise UsageError(f"{stored.id} waits for its {early.because} until {until}: no earlier time can be given.")
    person = desk_of(app, by, dry=dry)
    mine, out = story_on(app.newsroom, stored, account)
    occasion = occasion_for([person.case(one) for one in mine], out, again=again)
    if dry:
        place = f"for {moment(time, zone, now)}" if time is not None else "as soon as its pace allows"
        click.echo(f'would plan "{one_line(stored.article.headline)}" on {account} {place}')
        click.echo(f"See its text: wirepost preview {article} --account {account}\n{DRY_RUN}")
        return 0
    return _carry_out(call, app, person, Wish(stored.id, account, by, occasion, time))


def _carry_out(call: Invocation, app: App, person: Desk, wish: Wish) -> int:
    from bot.wishes import carry_out

    made = carry_out(app.newsroom, wish)
    if made is None:
        raise WirepostError(f"{wish.article} can't be posted: see wirepost why {wish.article} {wish.account}")
    shown = person.case(made.id).shown
    code, line = _said(call, made, shown, app.store.now())
    click.echo(line)
    if not call.settings().accounts[wish.account].live:
        call.say(f"{wish.account} is not live: it rehearses, and nothing leaves.")
    return code


def _said(call: Invocation, made: Delivery, shown: str, now: datetime) -> tuple[int, str]:
    """What became of the wish: planned for when and why, or held or skipped and why (exit 3)."""
    from bot.cli.phrasing import state_word, why_words
    from bot.cli.render import moment
    from bot.model import State

    zone = call.settings().editorial.timezone
    why = why_words(made, zone, now)
    if made.state is not State.WAITING:
        return 3, f"{shown} on {made.account} is {state_word(made)}: {why}"
    time = f"for {moment(made.due_at, zone, now)}" if made.due_at is not None else "without a time yet"
    return 0, f"Planned {shown} on {made.account} {time} ({why.rstrip('.')}). Undo: wirepost skip {shown}"


def _stored(call: Invocation, app: App, words: str, *, dry: bool) -> Stored:
    """The article in the store; one that comes from a file or an unread feed is added to it, under all its keys."""
    from bot.cli import finding
    from bot.store import articles
    from bot.wishes import add

    with app.store.read() as tx:
        found = finding.named(call, tx, words, tx.now)
        known = articles.by_id(tx, found[0].id)
    if len(found) > 1:
        raise UsageError(f"{words} holds {len(found)} articles: say the link of one of them.")
    return known or (found[0] if dry else add(app.newsroom, found[0].article))
