"""The exact posts that an article becomes on each account, with lengths, times and routes. Sends nothing.

Takes an article of the store (the beginning of its id, its link, words of its headline), a file, or the address of an
entry in a feed; without any, the newest. Works without a store: times are then those of an empty queue.

JSON (stable): a list of {account, network, text, length, limit, unit, link, tags, due_at, reasons}; more keys may come.
"""

from __future__ import annotations

from contextlib import ExitStack

import click

from bot.cli import invocation, reading
from bot.cli.render import DRY_RUN, json_option, one_line, print_json

section = "Look"


@click.command(help=__doc__)
@click.argument("article", metavar="[ARTICLE|FILE|URL]", required=False)
@click.option("--last", type=click.IntRange(1, 1_000), metavar="N", help="The newest N articles.")
@click.option("--account", metavar="NAME", help="Only on this account.")
@json_option
@click.pass_context
def command(ctx: click.Context, article: str | None, last: int | None, account: str | None, as_json: bool) -> None:
    """Show posts."""
    if article is not None and last is not None:
        raise click.UsageError("Give an article or --last N, not both.")
    from bot.cli import drafting, finding, sheets

    call = invocation(ctx)
    settings = call.settings()
    reading.account_named(settings, account)
    with ExitStack() as stack:
        store = stack.enter_context(reading.opened(call)) if reading.there_is_a_store(settings) else None
        tx = stack.enter_context(store.read()) if store is not None else None
        bench = drafting.bench(settings, call.clock, store, tx)
        if article is not None:
            found = finding.named(call, tx, article, bench.now)
        else:
            found = finding.newest(call, tx, last or 1, bench.now)
        shown = [draft for one in found for draft in drafting.drafts(bench, one, account)]
        objects = [sheets.as_object(settings, draft, bench.now) for draft in shown]
        pages = [sheets.page(settings, draft, bench.now) for draft in shown]
    if as_json:
        print_json(objects)
        return
    if store is None:
        call.say("There is no store yet: the times are those of an empty queue.")
    if not shown:
        call.say("There is no article to show." if settings.accounts else "The settings have no account.")
    heading = None
    for draft, page in zip(shown, pages, strict=True):
        if draft.article is not heading:
            heading = draft.article
            click.echo(f"{one_line(heading.article.headline) or '(no headline)'}  [{heading.article.source}]")
        click.echo("\n".join(page))
    click.echo(DRY_RUN)
