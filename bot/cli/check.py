"""Look whether all is well: settings, store, data folder, key, clock, logins, sources, worker, backup. Sends nothing.

Mistakes in the settings are shown with line and caret (exit 2), other trouble as FAIL (exit 7); "warn" is worth a look.
--online also asks each network who we are and reads each source once. --quick only asks whether the worker lives: for a
container's health check. JSON: a list of {level, subject, words, fix}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli import invocation
from bot.cli.render import json_option, one_line, print_json

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.cli.ground import Finding

section = "Start"


@click.command(help=__doc__)
@click.option("--online", is_flag=True, help="Ask the networks and read the sources (changes nothing there).")
@click.option("--quick", is_flag=True, help="Only: does the worker live? Cheap enough for each half minute.")
@json_option
@click.pass_context
def command(ctx: click.Context, online: bool, quick: bool, as_json: bool) -> int:
    """Check everything."""
    call = invocation(ctx)
    if quick:
        from bot.cli.pulse import alive

        return alive(call)
    from bot.cli import ground
    from bot.settings import render, tally, warnings

    settings = call.settings()
    noticed = warnings(settings)
    if noticed:
        click.echo(render(noticed, settings.text), err=as_json)
        click.echo(f"{tally(noticed)}. Nothing was changed.", err=as_json)
    found = ground.findings(call, online=online)
    if as_json:
        told = [{"level": "warn", "subject": "settings", "words": one.message, "fix": one.fix} for one in noticed]
        print_json([*told, *({"level": f.level, "subject": f.subject, "words": f.words, "fix": f.fix} for f in found)])
    else:
        _print(call, found)
    return 7 if any(one.level == ground.FAIL for one in found) else 0


def _print(call: Invocation, found: list[Finding]) -> None:
    """One line each, in columns: the level is a word first, and a colour only beside it."""
    import sys

    colours = {"ok": "green", "warn": "yellow", "FAIL": "red"}
    width = max(len(one.subject) for one in found)
    for one in found:
        level = f"{one.level:<5}"
        if sys.stdout.isatty() and not call.no_color:
            level = click.style(level, fg=colours[one.level])
        fix = f" → {one_line(one.fix)}" if one.fix else ""
        click.echo(f"{level} {one.subject:<{width}}  {one_line(one.words)}{fix}")
