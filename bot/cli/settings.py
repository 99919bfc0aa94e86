"""Show the effective settings, or their JSON Schema.

`settings show` prints every value that holds and where it was said; secrets are only "(set)".
`settings schema` prints the JSON Schema of the file, which lets an editor complete and check it.
"""

from __future__ import annotations

import json

import click

from bot.cli import invocation
from bot.cli.render import json_option, listing, print_json

section = "Keep"
SCHEMA = "wirepost.schema.json"


@click.group(help=__doc__)
def command() -> None:
    """The group of the two."""


@command.command("show")
@json_option
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Every value that holds, and where it was said. Secrets are never shown."""
    from bot.settings.effective import effective

    call = invocation(ctx)
    rows = list(effective(call.settings()))
    if as_json:
        print_json([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
        return
    shown = [
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), origin)
        for key, value, origin in rows
    ]
    listing(("KEY", "VALUE", "ORIGIN"), shown, no_color=call.no_color)


@command.command("schema")
@click.option("--write", is_flag=True, help=f"Write it beside the settings file, as {SCHEMA}.")
@click.pass_context
def schema(ctx: click.Context, write: bool) -> None:
    """The JSON Schema of the settings file, for an editor's completion."""
    from bot.settings import display, environment, find

    call = invocation(ctx)
    if not write:
        click.echo(schema_text(), nl=False)
        return
    path = find(call.config, environment()).parent / SCHEMA
    path.write_text(schema_text(), encoding="utf-8")
    call.say(f"Wrote {display(path)}")


def schema_text() -> str:
    """The schema as its file holds it."""
    from bot import settings

    return json.dumps(settings.schema(), indent=2, ensure_ascii=False) + "\n"
