"""What a stop is about, as options: everything, or one account, network, source, section, tag or article."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bot.errors import NoMatch, UsageError

if TYPE_CHECKING:
    from bot.app import App
    from bot.cli import Invocation
    from bot.store import Tx
    from bot.store.stops import Scope, StopSwitch

Command = Callable[..., Any]
NAMES = ("account", "network", "source", "section", "tag", "article")


def scope_options(function: Command) -> Command:
    """--all, --account …, as the parameters `everything` and `scope_*`."""
    for name in reversed(NAMES):
        function = click.option(f"--{name}", f"scope_{name}", metavar=name.upper())(function)
    return click.option("--all", "everything", is_flag=True, help="Everything.")(function)


def scope_said(call: Invocation, tx: Tx, everything: bool, said: dict[str, str | None]) -> tuple[Scope, str] | None:
    """The one scope that was named, its value as switches keep it; None if none was. Raises UsageError, NoMatch."""
    from bot.cli import reading
    from bot.store.stops import Scope

    given = {name.removeprefix("scope_"): value for name, value in said.items() if value is not None}
    if len(given) + everything > 1:
        raise UsageError(f"Say one thing: --all, or one of {', '.join(f'--{name}' for name in NAMES)}.")
    if not given:
        return (Scope.ALL, "") if everything else None
    name, value = next(iter(given.items()))
    if not value.strip():
        raise UsageError(f"--{name}: a name is expected.")
    settings = call.settings()
    if name == "account":
        reading.account_named(settings, value)
    if name == "source":
        reading.source_named(settings, value)
    if name == "network":
        known = sorted({account.network for account in settings.accounts.values()})
        if value not in known:
            raise NoMatch(f"No account is on {value}. Known: {', '.join(known) or 'none'}.")
    if name == "article":
        value = reading.article_named(tx, value).id
    return Scope(name), value.strip().casefold() if name in ("section", "tag") else value


def spelled(scope: Scope, value: str) -> str:
    """A scope in words."""
    return f"{scope} {value}" if value else "everything"


def switches_meant(
    call: Invocation, app: App, switch: str | None, everything: bool, said: dict[str, str | None]
) -> list[StopSwitch]:
    """The switches that are meant. Raises NoMatch if none of those that are on is."""
    from bot.store.stops import switches

    with app.store.read() as tx:
        scope = scope_said(call, tx, everything, said)
        on = switches(tx)
    if switch is not None and scope is not None:
        raise UsageError("Either an ID or a scope.")
    found = [
        one for one in on if (switch is None or one.id.startswith(switch)) and scope in (None, (one.scope, one.value))
    ]
    if not found and (switch is not None or scope is not None):
        what = f"with the id {switch}" if switch is not None else f"of {spelled(*scope)}" if scope else ""
        listed = "".join(f"\n  {one.id}  {one}" for one in on) or " Nothing is stopped."
        raise NoMatch(f"There is no stop {what}." + (f" On are:{listed}" if on else listed))
    if switch is not None and len(found) > 1:
        raise NoMatch(f"{switch} begins several ids: {', '.join(one.id for one in found)}. Say more of it.")
    return found
