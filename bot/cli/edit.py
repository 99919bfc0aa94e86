"""Give a planned or held post another text.

Without --text the text is read from standard input, or, on a terminal, written in your $EDITOR. It must fit the
network; the article's link is added if you leave it out.
"""

from __future__ import annotations

import sys

import click

from bot.cli import invocation
from bot.cli.acting import act, by_option, desk_of
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@click.argument("delivery", metavar="ID")
@click.option("--text", metavar="TEXT", help='The text; "-" reads it from standard input.')
@by_option
@click.pass_context
def command(ctx: click.Context, delivery: str, text: str | None, by: str) -> int:
    from bot.cli.acting import meant

    call = invocation(ctx)
    app = call.app()
    with app.store.read() as tx:
        current = meant(tx, delivery, None)
    if len(current) > 1:
        raise UsageError(f"{delivery} names {len(current)} posts: {', '.join(one.id for one in current)}. Say which.")
    if text == "-" or (text is None and not sys.stdin.isatty()):
        text = sys.stdin.read()
    elif text is None:
        text = click.edit(current[0].edited_text or current[0].text)
    if text is None or not text.strip():
        raise UsageError("There is no text: nothing was changed.")
    wanted = text.strip()
    desk = desk_of(app, by)
    return act(call, [current[0].id], None, lambda one: desk.edit(one, wanted))
