"""What happened to an article on each account, or will, and why: the page that ends arguments.

ARTICLE is the beginning of its id, its link, or words of its headline.

JSON (stable): {article, accounts: [{account, decision, reasons, deliveries: [{state, attempts, receipt}]}]}; more keys
may come.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation, phrasing, reading, telling
from bot.cli.render import json_option, moment, one_line, print_json
from bot.model import State

if TYPE_CHECKING:
    from bot.cli.telling import OnAccount, Story

section = "Look"


@click.command(help=__doc__)
@click.argument("article", metavar="ARTICLE")
@click.argument("account", metavar="[ACCOUNT]", required=False)
@json_option
@click.pass_context
def command(ctx: click.Context, article: str, account: str | None, as_json: bool) -> None:
    """Tell the story of one article."""
    call = invocation(ctx)
    settings = call.settings()
    with reading.opened(call) as store:
        with store.read() as tx:
            stored = reading.article_named(tx, article)
            story = telling.story_of(tx, stored, sorted(settings.accounts), account)
        if account is not None and not story.accounts:
            reading.account_named(settings, account)
        reading.warn(call, store)
    zone = settings.editorial.timezone
    if as_json:
        print_json(_object(story, zone))
        return
    for line in _page(story, zone):
        click.echo(line)


# -- for people ---------------------------------------------------------------------------------------------------


def _page(story: Story, zone: str) -> list[str]:
    stored, now = story.stored, story.now
    article = stored.article

    def said(at: datetime | None) -> str:
        return moment(at, zone, now) if at is not None else "never said"

    labels = [article.source, article.section or "", *(f"#{tag}" for tag in article.tags[:6])]
    lines = [
        f"{one_line(article.headline) or '(no headline)'}",
        f"  {stored.id} · {' · '.join(one_line(label) for label in labels if label)}",
        f"  {article.link or 'no link'}",
        f"  published {said(article.published_at)} · seen {said(stored.first_seen_at)} · rests until "
        f"{said(stored.settle_until)} · {stored.status}"
        + (f" · {phrasing.say(stored.hold, None, zone, now)}" if stored.hold else ""),
        "",
    ]
    for one in story.accounts:
        lines += _on_account(one, zone, now)
    lines += ["", "History:"]
    lines += [f"  {moment(event.at, zone, now)}  {one_line(event.words)}" for event in story.history]
    return [*lines, f"Times: {zone}"]


def _on_account(one: OnAccount, zone: str, now: datetime) -> list[str]:
    lines = []
    for delivery in one.deliveries:
        word = phrasing.state_word(delivery, one.parked.reason if one.parked else None)
        at = delivery.sent_at or delivery.due_at
        lines.append(f"{one.account}  {word.capitalize()}{' ' + moment(at, zone, now) if at else ''}  {delivery.id}")
        why = phrasing.why_of(delivery) + ((one.parked,) if one.parked and delivery.due_at is None else ())
        lines += [f"    {phrasing.say(reason, delivery, zone, now)}" for reason in why]
        if one.left and delivery.state is State.WAITING:
            lines.append(f"    {phrasing.left(one.account)}, or: wirepost skip {delivery.id}")
        lines += [f"    {delivery.url}"] if delivery.url else []
        for number, attempt in enumerate(one.attempts[delivery.id], 1):
            words = f": {one_line(attempt.words)}" if attempt.words else ""
            status = f" ({attempt.status})" if attempt.status else ""
            lines.append(f"    try {number}  {moment(attempt.started_at, zone, now)}  {attempt.outcome}{status}{words}")
    if not one.deliveries:
        lines.append(f"{one.account}  {'Not planned yet' if one.decision is None else 'Skipped'}")
        lines += [f"    {phrasing.say(why, None, zone, now)}" for why in one.reasons]
    if one.trace:
        lines.append(f"    tried: {' · '.join(one.trace)}")
    return lines


# -- for programs -------------------------------------------------------------------------------------------------


def _object(story: Story, zone: str) -> dict[str, Any]:
    stored = story.stored
    return {
        "article": {
            "id": stored.id,
            "headline": stored.article.headline,
            "link": stored.article.link,
            "source": stored.article.source,
            "status": str(stored.status),
            "revision": stored.revision,
            "published_at": stored.article.published_at,
            "first_seen_at": stored.first_seen_at,
        },
        "accounts": [telling.account_object(one, zone, story.now) for one in story.accounts],
        "history": [
            {"at": event.at, "who": event.who, "event": event.event, "words": event.words} for event in story.history
        ],
    }
