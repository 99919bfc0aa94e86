"""Write a first settings file: house, zone, first source.

Asks on a terminal; elsewhere --zone and --source must be given. Never overwrites anything.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bot.cli import invocation
from bot.cli.settings import SCHEMA, schema_text
from bot.errors import UsageError, WirepostError

section = "Start"

TEMPLATE = """\
#:schema ./{schema}
house    = {house}
timezone = {zone}   # wall clock of all times in this file

[sources.main]
{source}

# Posts are written to var/outbox/ as they would look. Nothing leaves this machine until you add an account:
#   [accounts.desk-mastodon]
#   network = "mastodon"
#   server  = "https://social.example.org"   # the token goes into secrets/accounts/desk-mastodon/token, never in here
#   live    = true                           # left out: its posts are made and timed, not sent
[accounts.outbox]
network = "outbox"

[[routes]]
name = "everything"
to   = ["*"]
"""


@click.command(help=__doc__)
@click.option("--house", metavar="NAME", help="The newsroom's name.")
@click.option("--zone", metavar="ZONE", help="IANA time zone, such as Europe/London.")
@click.option("--source", metavar="URL|FOLDER", help="Where articles come from: a feed's address or a folder.")
@click.pass_context
def command(ctx: click.Context, house: str | None, zone: str | None, source: str | None) -> None:
    """Write config/wirepost.toml, its schema, and a .gitignore that keeps secrets out of version control."""
    from bot.settings import DEFAULT_PATH, display, load, root_of

    call = invocation(ctx)
    path = call.config or DEFAULT_PATH
    if path.exists():
        raise WirepostError(f"{display(path)} is there already: nothing was written. `wirepost check` reads it.")
    house = house or _asked("House", "--house", default="Wirepost")
    zone = _zone(zone or _asked("Time zone (such as Europe/London)", "--zone"))
    source = source or _asked("First source (a feed's address, or a folder of articles)", "--source")
    text = TEMPLATE.format(
        schema=SCHEMA, house=_quoted(house), zone=_quoted(zone), source=_source(source, root_of(path))
    )
    schema = schema_text()
    written = [file for file in (_new(path, text), _new(path.parent / SCHEMA, schema)) if file]
    _new(root_of(path) / "secrets" / ".gitignore", "# Secrets stay on this machine.\n*\n")
    settings = load(path, environ={})
    sizes = {"source": settings.sources, "account": settings.accounts, "route": settings.editorial.routes}
    counts = ", ".join(f"{len(found)} {noun}{'s' * (len(found) != 1)}" for noun, found in sizes.items())
    beside = "".join(f" and {display(file)}" for file in written[1:])
    click.echo(f"Wrote {display(path)} ({counts}){beside}")
    call.say("Next: wirepost check --online   then   wirepost run --dry-run")


def _asked(question: str, flag: str, default: str | None = None) -> str:
    """A person's answer; without a terminal the default, or an error that names the flag."""
    if sys.stdin.isatty():
        return str(click.prompt(question, default=default, err=True))
    if default is None:
        raise UsageError(f"{flag} is missing, and there is no terminal to ask on.")
    return default


def _zone(said: str) -> str:
    from zoneinfo import available_timezones

    from bot.settings import nearest

    known = available_timezones()
    if said in known:
        return said
    near = nearest(said, sorted(known))
    raise UsageError(f'"{said}" is no IANA time zone.' + (f' Did you mean "{near}"?' if near else ""))


def _source(said: str, root: Path) -> str:
    """The source's lines: a feed for an address, a folder for a path."""
    if said.startswith(("http://", "https://")):
        return f'kind = "feed"\nurl  = {_quoted(said)}'
    folder = Path(said)
    if not folder.is_dir():
        raise UsageError(f"{said} is no folder, and no address that begins with https://.")
    inside = folder.absolute().is_relative_to(root)
    shown = folder.absolute().relative_to(root) if inside else folder.absolute()
    return f'kind = "folder"\npath = {_quoted(shown.as_posix())}'


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's (toml.io/en/v1.0.0#string)."""
    return json.dumps(text, ensure_ascii=False)


def _new(path: Path, text: str) -> Path | None:
    """Write a file that isn't there yet; None if it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return None
    return path
