"""Say that posts will not go out."""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, acting, desk_of

section = "Act"


@click.command(help=__doc__)
@acting
@click.pass_context
def command(ctx: click.Context, what: tuple[str, ...], account: str | None, by: str) -> int:
    call = invocation(ctx)
    return act(call, what, account, desk_of(call.app(), by).skip)
