"""What the acting commands share: which deliveries are meant, who acts, and how several acts end in one exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from bot.cli import Invocation
from bot.errors import NoMatch, UsageError, WirepostError

if TYPE_CHECKING:
    from bot.app import App
    from bot.desk import Act, Case, Desk
    from bot.model import Delivery
    from bot.store import Tx

Command = Callable[..., Any]


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def acting(function: Command) -> Command:
    """The arguments of a command that acts on deliveries."""
    for decorate in (
        click.argument("what", nargs=-1, required=True, metavar="ID|ARTICLE…"),
        click.option("--account", metavar="NAME", help="Only on this account."),
        dry_option,
        by_option,
    ):
        function = decorate(function)
    return function


def by_option(function: Command) -> Command:
    """Who acts: it stands in the audit log."""
    option = click.option(
        "--by", metavar="NAME", default=_login, show_default="your login", callback=_named, help="Who does it."
    )
    return option(function)


def dry_option(function: Command) -> Command:
    """Only say what would be done."""
    return click.option("-n", "--dry-run", "dry", is_flag=True, help="Only say what would be done.")(function)


def second_option(function: Command) -> Command:
    """The second person, for what one alone may not let go."""
    return click.option("--second", metavar="NAME", help="The second person, where two are needed.")(function)


def _named(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("a name is expected")
    return value.strip()


def desk_of(app: App, who: str, *, dry: bool = False) -> Desk:
    """A person at this newsroom, who reads and says ids as the queue shows them."""
    from bot.cli.reading import short_ids
    from bot.desk import Desk
    from bot.store.schema import deliveries

    def spell(tx: Tx, one: str) -> str:
        return short_ids(tx, deliveries, [one])[one]

    file = app.settings.ledger.file
    return Desk(store=app.store, editorial=app.newsroom.editorial, who=who, dry=dry, file=file, spell=spell)


def meant(tx: Tx, words: str, account: str | None) -> list[Delivery]:
    """The deliveries that an id's beginning or an article names. Raises NoMatch, with the candidates if several fit."""
    from bot.cli.reading import SHORTEST, article_named, headlines
    from bot.store import deliveries

    found = deliveries.by_prefix(tx, words) if words.isalnum() and len(words) >= SHORTEST else []
    if len(found) > 1:
        titles = headlines(tx, [one.article for one in found])
        listed = "\n".join(f"  {one.id}  {one.account}  {one.state}  {titles[one.article]}" for one in found)
        raise NoMatch(f"{words} begins several ids. Say more of it:\n{listed}")
    if not found:
        article = article_named(tx, words)
        found = deliveries.of_articles(tx, [article.id])[article.id]
    kept = [one for one in found if account in (None, one.account)]
    if not kept:
        raise NoMatch(f"{words}: there is no post of it on {account or 'any account'}.")
    return kept


def act(
    call: Invocation,
    desk: Desk,
    what: Sequence[str],
    account: str | None,
    decide: Callable[[Case], Act],
    *,
    one_each: bool = False,
) -> int:
    """Do it to each delivery that is meant; say what was done. 0 all, 3 some, else the first failure's code.

    `one_each`: where an article is on several accounts, say which is meant.
    """
    from bot.cli.reading import account_named

    account_named(call.settings(), account)
    with desk.store.read() as tx:
        groups = {words: meant(tx, words, account) for words in what}
    for words, found in groups.items():
        if one_each and len(found) > 1:
            on = ", ".join(f"{desk.case(one.id).shown} on {one.account}" for one in found)
            raise UsageError(f"{words} is {on}: say which, by its id or with --account.")
    return each([one.id for found in groups.values() for one in found], lambda one: desk.do(one, decide), dry=desk.dry)


def each(ids: Sequence[str], do: Callable[[str], str], *, dry: bool = False) -> int:
    """Do it to each id and print its line; what fails is said and the rest goes on."""
    from bot.cli.render import DRY_RUN

    done, codes = 0, []
    for one in dict.fromkeys(ids):
        try:
            click.echo(do(one))
            done += 1
        except WirepostError as error:
            click.echo(f"wirepost: {error}", err=True)
            codes.append(error.exit_code)
    if dry:
        click.echo(DRY_RUN)
    return 0 if not codes else 3 if done else codes[0]
