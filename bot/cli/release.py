"""Let held posts go on, or articles that a breaker holds.

With --source, all articles of it that are held go on to planning; those too old are skipped. An unclear embargo and a
sensitive story that was edited need two people: --by and --second.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, by_option, desk_of, dry_option, second_option
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@click.argument("what", nargs=-1, metavar="ID|ARTICLE…")
@click.option("--account", metavar="NAME", help="Only on this account.")
@click.option("--source", metavar="NAME", help="All articles of this source that are held.")
@second_option
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context,
    what: tuple[str, ...],
    account: str | None,
    source: str | None,
    second: str | None,
    dry: bool,
    by: str,
) -> int:
    from bot import desk
    from bot.cli.deciding import decide_articles, held_named
    from bot.store.articles import Admit

    call = invocation(ctx)
    if (source is None) == (not what):
        raise UsageError("Say which: an id or an article, or --source NAME.")
    app = call.app()
    chosen, rest = held_named(call, app.store, what, source)
    if chosen:
        decide_articles(app.store, Admit(chosen, by), "release", "Released", "what is fresh is planned now", dry=dry)
    if not rest:
        return 0
    return act(call, desk_of(app, by, dry=dry), rest, account, lambda case: desk.release(case, second))
