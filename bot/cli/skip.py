"""Say that posts will not go out, or that held articles are old news.

With --source, all articles of it that a breaker holds are marked as seen: nothing of them goes out by itself.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, by_option, desk_of, dry_option
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@click.argument("what", nargs=-1, metavar="ID|ARTICLE…")
@click.option("--account", metavar="NAME", help="Only on this account.")
@click.option("--source", metavar="NAME", help="All articles of this source that are held.")
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context, what: tuple[str, ...], account: str | None, source: str | None, dry: bool, by: str
) -> int:
    from bot import desk
    from bot.cli.deciding import decide_articles, held_named
    from bot.store.articles import MarkSeen

    call = invocation(ctx)
    if (source is None) == (not what):
        raise UsageError("Say which: an id or an article, or --source NAME.")
    app = call.app()
    chosen, rest = held_named(call, app.store, what, source)
    if chosen:
        decide_articles(app.store, MarkSeen(chosen, by), "mark", "Marked", "as seen: nothing goes out", dry=dry)
    return act(call, desk_of(app, by, dry=dry), rest, account, desk.skip) if rest else 0
