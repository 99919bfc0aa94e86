"""Stop everything, or one account, network, source, section, tag or article.

It holds before the next byte leaves, in every process, and survives restarts. What is on the wire already can't be
called back: it is listed.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import by_option
from bot.errors import UsageError

section = "Act"
SCOPES = ("account", "network", "source", "section", "tag", "article")


@click.command(help=__doc__)
@click.option("--all", "everything", is_flag=True, help="Everything (the default).")
@click.option("--account", metavar="NAME")
@click.option("--network", metavar="NAME")
@click.option("--source", metavar="NAME")
@click.option("--section", "section_", metavar="NAME")
@click.option("--tag", metavar="TAG")
@click.option("--article", metavar="ARTICLE")
@click.option("--until", metavar="TIME", help="Until when; without it, until somebody resumes.")
@click.option("--reason", metavar="TEXT", default="", help="Shown wherever something is stopped.")
@by_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    everything: bool,
    until: str | None,
    reason: str,
    by: str,
    section_: str | None,
    **named: str | None,
) -> int:
    from bot.cli import reading
    from bot.cli.render import moment, when
    from bot.store import attempts
    from bot.store.stops import Scope, Stop

    call = invocation(ctx)
    settings = call.settings()
    given = {name: value for name, value in {**named, "section": section_}.items() if value is not None}
    if len(given) + everything > 1:
        raise UsageError("Say one thing to stop: --all, or one of " + ", ".join(f"--{name}" for name in SCOPES) + ".")
    scope, value = next(iter(given.items()), ("all", ""))
    reading.account_named(settings, given.get("account"))
    app = call.app()
    now = app.store.now()
    end = when(until, settings.editorial.timezone, now) if until is not None else None
    if scope == "article":
        with app.store.read() as tx:
            value = reading.article_named(tx, value).id
    switch = Stop(
        id=app.newsroom.random.new_id(),
        scope=Scope(scope),
        value=value.casefold() if scope in ("section", "tag") else value,
        reason=reason,
        who=by,
        until=end,
    )
    open_now = app.store.commit(switch)
    what = "everything" if scope == "all" else f"{scope} {value}"
    said = f"{by}: {reason}" if reason else by
    zone = settings.editorial.timezone
    click.echo(f"STOPPED {what} at {moment(now, zone, now)} ({said}).")
    with app.store.read() as tx:
        wire = [found for number in open_now if (found := attempts.by_id(tx, number)) is not None]
    for attempt in wire:
        click.echo(
            f"On the wire now: {attempt.delivery} on {attempt.account}, since {attempt.started_at:%H:%M:%S} UTC."
        )
    if not wire:
        click.echo("On the wire now: none.")
    click.echo(f"Undo: wirepost resume {switch.id}")
    return 0
