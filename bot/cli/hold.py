"""Keep planned posts back until they are released.

An article, named by its link or headline, means all of its posts, or with --account the one there.
"""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, acting, desk_of

section = "Act"


@click.command(help=__doc__)
@acting
@click.pass_context
def command(ctx: click.Context, what: tuple[str, ...], account: str | None, by: str, dry: bool) -> int:
    from bot import desk

    call = invocation(ctx)
    return act(call, desk_of(call.app(), by, dry=dry), what, account, desk.hold)
