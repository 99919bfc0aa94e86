"""Ask the network whether an unclear post is out, or say that you saw it (or its absence) yourself."""

from __future__ import annotations

import click

from bot.cli import invocation
from bot.cli.acting import act, acting, desk_of
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@acting
@click.option("--there", metavar="URL", help="It is there, at this address.")
@click.option("--not-there", is_flag=True, help="It is not there: send it again.")
@click.option("--yes", is_flag=True, help="With --not-there: don't ask back.")
@click.pass_context
def command(
    ctx: click.Context,
    what: tuple[str, ...],
    account: str | None,
    by: str,
    there: str | None,
    not_there: bool,
    yes: bool,
) -> int:
    call = invocation(ctx)
    desk = desk_of(call.app(), by)
    if there is not None and not_there:
        raise UsageError("Either --there or --not-there.")
    if there is not None:
        return act(call, what, account, lambda one: desk.there(one, there))
    if not_there:
        if not yes:
            click.confirm("If it is there after all, it will be there twice. Send it again?", abort=True, err=True)
        return act(call, what, account, desk.not_there)
    return act(call, what, account, desk.look_up)
