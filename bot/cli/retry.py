"""Send after all what was refused or skipped, or try at once what waits for its next try.

With --account and --cause login, everything on the account that waits behind its login or its bill is tried again.
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
@click.option("--cause", type=click.Choice(["login", "billing"]), help="With --account: ask the network again now.")
@by_option
@click.pass_context
def command(ctx: click.Context, what: tuple[str, ...], account: str | None, cause: str | None, by: str) -> int:
    from bot.cli.reading import account_named

    call = invocation(ctx)
    account_named(call.settings(), account)
    if cause is not None:
        if account is None:
            raise UsageError("--cause goes with --account NAME.")
        return _again(call, account)
    if not what:
        raise UsageError("Say which: an id or an article; or --account NAME --cause login.")
    return act(call, what, account, desk_of(call.app(), by).retry)


def _again(call: object, account: str) -> int:
    from bot.cli import Invocation
    from bot.flow.check import confirm_identity

    assert isinstance(call, Invocation)
    if confirm_identity(call.app().newsroom, account):
        click.echo(f"{account} answers again: what is still fresh goes out in order.")
        return 0
    click.echo(f"{account} still refuses: wirepost accounts", err=True)
    return 4
