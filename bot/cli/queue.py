"""What is planned, held, on the wire or unclear, soonest first.

JSON (stable): a list of {delivery, article, account, state, reason, due_at, text}; more keys may come. With --jsonl,
one such object a line; --watch prints the list again whenever it changed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from bot.cli import invocation, phrasing, reading
from bot.cli.render import json_option, listing, print_json, print_jsonl

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.cli.lineup import Lineup

section = "Look"
HEAD = ("ID", "WHEN", "ACCOUNT", "STATE", "POST", "WHY")
# How often --watch looks at the store, in seconds.
LOOK_AGAIN = 1.0


@click.command(help=__doc__)
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--state", "states", multiple=True, metavar="STATE", help="Only this state; the screen's or JSON's word.")
@click.option("--watch", is_flag=True, help="Print it again whenever it changed, until Ctrl-C.")
@click.option("--jsonl", is_flag=True, help="One JSON object a line.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=500, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    account: str | None,
    states: tuple[str, ...],
    watch: bool,
    jsonl: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries."""
    from bot.cli import lineup

    call = invocation(ctx)
    wanted = phrasing.states_of(states)
    reading.account_named(call.settings(), account)
    shown: list[dict[str, Any]] | None = None
    with reading.opened(call) as store:
        while True:
            seen = lineup.read(call, store, wanted, account, limit)
            if seen.objects != shown:
                reading.warn(call, store)
                _print(call, seen, jsonl=jsonl, as_json=as_json)
                shown = seen.objects
            if not watch or call.clock.wait(threading.Event(), LOOK_AGAIN):
                return


def _print(call: Invocation, seen: Lineup, *, jsonl: bool, as_json: bool) -> None:
    if jsonl:
        print_jsonl(seen.objects)
    elif as_json:
        print_json(seen.objects)
    else:
        listing(HEAD, seen.rows, footer=seen.footer, no_color=call.no_color)
        if not seen.rows:
            call.say("Nothing planned.")
