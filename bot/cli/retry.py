"""Send after all what was refused or skipped, or try at once what waits for its next try.

With --account and --cause login, the account's login is tried again now, and all that waits for it goes on.
"""

from __future__ import annotations

import click

from bot.cli import Invocation, invocation
from bot.cli.acting import act, by_option, desk_of, dry_option, second_option
from bot.errors import UsageError

section = "Act"


@click.command(help=__doc__)
@click.argument("what", nargs=-1, metavar="ID|ARTICLE…")
@click.option("--account", metavar="NAME", help="Only on this account.")
@click.option("--cause", type=click.Choice(["login", "billing"]), help="With --account: ask the network again now.")
@second_option
@dry_option
@by_option
@click.pass_context
def command(
    ctx: click.Context,
    what: tuple[str, ...],
    account: str | None,
    cause: str | None,
    second: str | None,
    dry: bool,
    by: str,
) -> int:
    from bot import desk

    call = invocation(ctx)
    if cause is not None:
        if account is None or what:
            raise UsageError("--cause goes with --account NAME alone.")
        return _again(call, account, cause, dry=dry)
    if not what:
        raise UsageError("Say which: an id or an article; or --account NAME --cause login.")
    person = desk_of(call.app(), by, dry=dry)
    return act(call, person, what, account, lambda case: desk.retry(case, second), one_each=True)


def _again(call: Invocation, account: str, cause: str, *, dry: bool) -> int:
    """Ask the network who we are. 4: it still wants a login."""
    from bot.cli.reading import account_named
    from bot.cli.render import DRY_RUN
    from bot.flow.check import confirm_identity
    from bot.store import deliveries

    account_named(call.settings(), account)
    app = call.app()
    with app.store.read() as tx:
        waiting = deliveries.waiting(tx, account)
        fresh = [one for one in waiting if one.fresh_until is None or one.fresh_until > tx.now]
    posts = f"{len(fresh)} posts are still fresh and go out in order; {len(waiting) - len(fresh)} are too old."
    if dry:
        click.echo(f"would ask {account} again. {posts}\n{DRY_RUN}")
        return 0
    if confirm_identity(app.newsroom, account, by_hand=True):
        click.echo(f"{account} answers again: {posts}")
        return 0
    click.echo(f"wirepost: {account} still refuses the {cause}. See: wirepost accounts", err=True)
    return 4
