"""What the acting commands share: which deliveries are meant, who acts, and how several acts end in one exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from bot.cli import Invocation
from bot.errors import NoMatch, WirepostError

if TYPE_CHECKING:
    from bot.app import App
    from bot.desk import Desk
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
        by_option,
    ):
        function = decorate(function)
    return function


def by_option(function: Command) -> Command:
    """Who acts: it stands in the audit log."""
    return click.option("--by", metavar="NAME", default=_login, show_default="your login", help="Who does it.")(
        function
    )


def desk_of(app: App, who: str) -> Desk:
    """A person at this newsroom."""
    from bot.desk import Desk

    return Desk(app.newsroom, who)


def meant(tx: Tx, words: str, account: str | None) -> list[Delivery]:
    """The deliveries that an id's beginning or an article names. Raises NoMatch, with the candidates if several fit."""
    from bot.cli.reading import article_named
    from bot.store import deliveries

    found = deliveries.by_prefix(tx, words) if words.isalnum() else []
    if len(found) > 1 and found[0].id != words:
        raise NoMatch(f"{words} begins several ids: {', '.join(one.id for one in found)}. Say more of it.")
    if not found:
        article = article_named(tx, words)
        found = deliveries.of_articles(tx, [article.id])[article.id]
    kept = [one for one in found if account in (None, one.account)]
    if not kept:
        raise NoMatch(f"{words}: nothing of it on {account or 'any account'}.")
    return kept


def act(call: Invocation, what: Sequence[str], account: str | None, do: Callable[[Delivery], str]) -> int:
    """Do it to each delivery that is meant; print what was done. 0 all, 3 some, else the first failure's code."""
    with call.app().store.read() as tx:
        found = [one for words in what for one in meant(tx, words, account)]
    done, codes = 0, []
    for one in dict.fromkeys(found):
        try:
            click.echo(do(one))
            done += 1
        except WirepostError as error:
            click.echo(str(error), err=True)
            codes.append(error.exit_code)
    if not codes:
        return 0
    return 3 if done else codes[0]
