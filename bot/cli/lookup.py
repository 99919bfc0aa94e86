"""Ask the network whether an unclear post is out, or say that you saw it (or its absence) yourself."""

from __future__ import annotations

import sys

import click

from bot.cli import invocation
from bot.cli.acting import act, acting, desk_of, each
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
    dry: bool,
    there: str | None,
    not_there: bool,
    yes: bool,
) -> int:
    from bot import desk, looking
    from bot.cli.acting import meant

    call = invocation(ctx)
    app = call.app()
    person = desk_of(app, by, dry=dry)
    if there is not None and not_there:
        raise UsageError("Either --there or --not-there.")
    if there is not None:

        def seen(case: desk.Case) -> desk.Act:
            return desk.there(case, looking.receipt_at(app.newsroom, case, there))

        if len(what) > 1:
            raise UsageError("--there is the address of one post: name one.")
        return act(call, person, what, account, seen, one_each=True)
    if dry and not not_there:
        raise UsageError("A look-up writes down what it finds: --dry-run goes with --there or --not-there.")
    with app.store.read() as tx:
        ids = [one.id for words in what for one in meant(tx, words, account)]
    if not not_there:
        return each(ids, lambda one: looking.look_up(app.newsroom, person.case(one)))
    if not yes and not dry:
        if not sys.stdin.isatty():
            raise UsageError("If it is there after all, it will be there twice. Look, then say --yes.")
        click.confirm("If it is there after all, it will be there twice. Send it again?", abort=True, err=True)
    return each(ids, lambda one: looking.send_again(app.newsroom, person, one), dry=dry)
