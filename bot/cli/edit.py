"""Give a planned or held post another text.

Without --text the text is read from standard input, or, on a terminal, written in your $EDITOR. It must fit the
network; the article's link is added if you leave it out. On a sensitive story somebody else then has to release it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bot.cli import invocation
from bot.cli.acting import act, by_option, desk_of, dry_option, meant
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.model import Delivery

section = "Act"


@click.command(help=__doc__)
@click.argument("what", metavar="ID|ARTICLE")
@click.option("--account", metavar="NAME", help="On this account.")
@click.option("--text", metavar="TEXT", help='The text; "-" reads it from standard input.')
@click.option("--reset", is_flag=True, help="Back to the text that the template makes.")
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context, what: str, account: str | None, text: str | None, reset: bool, dry: bool, by: str
) -> int:
    from bot import desk
    from bot.wishes import composed_with

    call = invocation(ctx)
    if reset and text is not None:
        raise UsageError("Either --text or --reset.")
    app = call.app()
    with app.store.read() as tx:
        current = meant(tx, what, account)
    if len(current) > 1:
        raise UsageError(f"{what} is {len(current)} posts: say which, by its id or with --account.")
    wanted = None if reset else _text(text, current[0])

    def decide(case: desk.Case) -> desk.Act:
        post, limits = composed_with(app.newsroom, case, wanted)
        return desk.edit(case, wanted, post, limits.size)

    return act(call, desk_of(app, by, dry=dry), [current[0].id], None, decide)


def _text(said: str | None, current: Delivery) -> str:
    """The new text, from where it is to come. Raises UsageError if there is none."""
    if said == "-" or (said is None and not sys.stdin.isatty()):
        said = sys.stdin.read()
    elif said is None:
        said = click.edit(current.edited_text or current.text)
    if said is None or not said.strip():
        raise UsageError("There is no text: nothing was changed.")
    return said.strip()
