"""Let held posts, or articles that a breaker holds, go on.

With --source, all articles that the source's mass-change breaker holds go on to planning; those too old are skipped.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, by_option, desk_of
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@click.argument("what", nargs=-1, metavar="ID|ARTICLE…")
@click.option("--account", metavar="NAME", help="Only on this account.")
@click.option("--source", metavar="NAME", help="All articles of this source that are held.")
@click.option("--second", metavar="NAME", help="The second person, where two are needed.")
@by_option
@click.pass_context
def command(
    ctx: click.Context, what: tuple[str, ...], account: str | None, source: str | None, second: str | None, by: str
) -> int:
    from bot.store import articles
    from bot.store.articles import Admit

    call = invocation(ctx)
    if source is None and not what:
        raise UsageError("Say which: an id, an article, or --source NAME.")
    app = call.app()
    with app.store.read() as tx:
        held = {one.id: one for one in articles.held(tx)}
    ids = [one.id for one in held.values() if source is not None and one.article.source == source]
    chosen = [words for words in what if words in held]
    ids += chosen
    if ids or source is not None:
        number = app.store.commit(Admit(tuple(dict.fromkeys(ids)), by))
        click.echo(f"Released {number} article{'s' if number != 1 else ''}: what is fresh is planned now.")
    rest = [words for words in what if words not in chosen]
    if not rest:
        return 0
    desk = desk_of(app, by)
    return act(call, rest, account, lambda one: desk.release(one, second))
