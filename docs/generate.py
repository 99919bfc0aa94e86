"""Writes the pages of docs/ that are made from the code, so that they can't say anything else.

    python -m docs.generate            write them (and config/wirepost.schema.json)
    python -m docs.generate --check    change nothing; exit 1 and name the pages that differ

networks.md from the networks' class attributes, settings.md from the settings' models, cli.md from the commands,
flow.md from the states, moves, steps and reasons.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from bot import flow, networks, sources
from bot.cli import EXIT_CODES, SECTIONS, commands, listed
from bot.cli.settings import SCHEMA, schema_text
from bot.model import MOVES, OPEN_STATES, STATE_WORDS, Move, Reason, State, Why
from bot.reasons import SENTENCES, sentence
from bot.rules.durations import spell_duration
from bot.rules.templates import FILTERS, VARIABLES
from bot.settings import shape
from docs.values import keys, said, table

ROOT = Path(__file__).resolve().parent.parent
MARK = "<!-- Made by `make docs` from the code: change it there. -->\n\n"

# -- networks.md --------------------------------------------------------------------------------------------------

_WORDS = {
    "size": "longest text",
    "unit": "counted in",
    "link_cost": "a link counts",
    "max_bytes": "and at most, in UTF-8 bytes",
    "link_place": "the link stands in the",
    "auto_links": "made into a link by itself",
    "mentions": "`@name` reaches a person",
    "tag_style": "tags stand",
    "max_tags": "most tags",
    "card": "link card",
    "markup": "mark-up",
    "gap": "least gap",
    "hour": "posts an hour",
    "day": "posts a day",
    "per_host": "requests to one host",
    "currency": "currency",
    "publish": "a post costs",
    "publish_link": "a post with a link costs",
    "read": "a post read back costs",
    "delete": "a deletion costs",
    "idempotent": "the same key twice gives one post",
    "find": "posts can be looked up",
    "edit": "posts can be edited",
    "threads": "threads",
    "two_phase": "publishing in two phases",
    "link_card": "a card of our own",
    "measure": "numbers can be read",
    "lost": "after a lost answer, a look-up waits",
    "server_error": "after an explicit 500, a look-up waits",
}
_SPELLED = {"auto_links": {"none": "nothing", "scheme": "addresses with https://", "bare": "bare domains too"}}


def networks_page() -> str:
    """Every network of this repository with all that its file declares."""
    kinds = [networks.network(name) for name in networks.names()]
    own = [kind for kind in kinds if kind.__module__.startswith("bot.networks.")]
    rows = [
        (f"[{kind.name}](#{kind.name})", kind.title, f"{kind.limits.size:,} {kind.limits.unit.value}", _promise(kind))
        for kind in own
    ]
    head = ("network", "what it is", "text", "what a lost answer leads to")
    page = "# Networks\n\nWhat Wirepost knows of each network, when that was read, and where. A new one is one file:\n"
    page += "see [developers](developers.md#a-new-network).\n\n"
    return MARK + page + table(head, rows) + "".join(_network(kind) for kind in own)


def _promise(kind: Any) -> str:
    if kind.can.idempotent == "permanent":
        return "sent again under the same key: the network keeps one"
    if kind.can.find and kind.absence_is_proof:
        return "looked up; sent again only if it is proved absent"
    return "looked up; if it can't be found, a person decides" if kind.can.find else "a person decides"


def _network(kind: Any) -> str:
    facts = [*_facts(kind.limits), *_facts(kind.pace), *(_facts(kind.cost) if _costs(kind.cost) else [])]
    abilities = [row for row in _facts(kind.can) if row[1] not in ("false", "none")]
    waits = [(words, f"{float(value):g} s", source) for words, value, source in _facts(kind.in_flight_max)]
    window = ("sent again after a look-up, at the latest", spell_duration(kind.resend_window), "")
    doc = (kind.__doc__ or "").strip()
    about = importlib.import_module(kind.__module__).__doc__ or ""
    text = about.strip() if doc.lower().startswith("see the module") else doc
    return (
        f"## {kind.name}\n\n**{kind.title}** · [documentation]({kind.docs}) · read {kind.checked:%Y-%m-%d}\n\n"
        f"```text\n{text}\n```\n\n"
        + table(("fact", "value", "source"), [*facts, *abilities, *([] if kind.local else [*waits, window])])
        + "Keys of its accounts, beside [those of every account](settings.md#accountsname):\n\n"
        + keys(kind.Options)
    )


def _costs(cost: Any) -> bool:
    return any(getattr(cost, one.name) for one in fields(cost) if one.name not in ("currency", "sources"))


def _facts(told: Any) -> list[tuple[str, str, str]]:
    """A declaration's set fields as rows, each with the page it comes from."""
    rows = []
    for one in fields(told):
        value = getattr(told, one.name)
        if one.name == "sources" or value in (None, timedelta(0)):
            continue
        shown = _SPELLED.get(one.name, {}).get(value) if isinstance(value, str) else None
        if isinstance(value, int) and not isinstance(value, bool):
            shown = f"{value:,}"
        if one.name == "per_host":
            shown = f"{value[0]:,} in {spell_duration(value[1])}"
        if one.name == "idempotent" and isinstance(value, int):
            shown = f"for {spell_duration(timedelta(seconds=value))}"
        source = getattr(told, "sources", {}).get(one.name, "")
        rows.append((_WORDS.get(one.name, one.name), shown or said(value).strip('"'), source))
    return rows


# -- settings.md --------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every table of the settings file, the kinds of source, and what a template can name."""
    page = (
        "# Settings\n\nOne file, `config/wirepost.toml`; `wirepost check` names each mistake with its line and the fix,"
        "\n`wirepost settings show` what holds and who said it. "
        "[newsroom.example.toml](../config/newsroom.example.toml) is a\nwhole newsroom.\n\n"
        "**Environment.** Every key can be given as `WIREPOST_` and its path, joined by two underscores, a hyphen as\n"
        "an underscore: `WIREPOST_ACCOUNTS__DESK_X__CAPS__HOUR=4`. It wins over the file. With `_FILE` behind it, the\n"
        "variable names a file that holds the value. `WIREPOST_CONFIG` names another settings file,\n"
        "`WIREPOST_SECRETS` another folder of secrets.\n\n"
        "**Secrets** never stand in the file. They are files (`secrets/accounts/NAME/KEY` in the project's folder,\n"
        "`/run/secrets/accounts__NAME__KEY` in a container) or variables.\n\n"
        '**Lengths of time** are written `"90s"`, `"4m"`, `"6h"`, `"7d"`, `"1h30m"`; times of day `"07:15"`; spans\n'
        '`"23:00-06:00"`; money `"10.00 USD"`.\n\n'
    )
    named = {name.strip("[]").partition(".")[0] for name in shape.PLACES if name.startswith("[")}
    for place, model in shape.PLACES.items():
        top = place == "the top of the file"
        page += f"## {place[0].upper() + place[1:] if top else place}\n\n{_about(model)}\n\n"
        page += keys(model, frozenset(named - {"store"}) if top else frozenset())
    page += "## Kinds of source\n\nKeys beside those of `[sources.NAME]`.\n\n"
    for name in sources.kinds():
        kind = sources.kind(name)
        if kind.__module__.startswith("bot.sources."):
            page += f'### kind = "{name}"\n\n**{kind.title}.** {kind.docs}\n\n' + keys(kind.Options)
    page += "## Templates\n\nWhat a template in `[templates]` can name, in Jinja2's form `{{ headline }}`:\n\n"
    page += table(("variable", "meaning"), [(f"`{name}`", text) for name, text in VARIABLES.items()])
    page += "Filters: " + ", ".join(f"`{name}`" for name in FILTERS) + ". "
    return MARK + page + "Also `{% if %}` and one `{% for %}` inside which no other stands.\n"


def _about(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split()) if model is not shape.SettingsFile else "What belongs to no table."


# -- cli.md -------------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Every command with its text, arguments and options."""
    top = click.Context(commands, info_name="wirepost", terminal_width=100)
    page = (
        "# Commands\n\nResults go to standard output, everything else to standard error. Each listing has `--json`.\n"
        "Shared options, before or behind the command: `-c FILE` (settings file), `-v`, `-q`, `--no-color`,\n"
        "`--help`.\n\n"
        f"Exit codes: {EXIT_CODES}.\n\n"
    )
    for section in SECTIONS:
        page += f"## {section}\n\n"
        for entry in listed():
            command = commands.get_command(top, entry.name)
            if entry.section == section and command is not None:
                page += "".join(_command(command, top, entry.name))
    return MARK + page


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    ctx = click.Context(command, info_name=name, parent=parent, terminal_width=100)
    yield f"### {ctx.command_path}\n\n```text\n{(command.help or '').strip()}\n```\n\n"
    if isinstance(command, click.Group):
        for inner in sorted(command.commands):
            yield from _command(command.commands[inner], ctx, inner)
        return
    usage = " ".join((ctx.command_path, *command.collect_usage_pieces(ctx)))
    own = [one for one in command.params if one.expose_value]
    records = [record for one in own if (record := one.get_help_record(ctx)) is not None]
    yield f"`{usage}`\n\n"
    if records:
        yield table(("argument or option", "meaning"), [(f"`{option}`", text) for option, text in records])


# -- flow.md ------------------------------------------------------------------------------------------------------

_STATES = {
    State.WAITING: "It will go; its time is known, or is being worked out.",
    State.SENDING: "Its attempt is written down, and the request is under way.",
    State.SENT: "It is out, with the network's receipt; confirmed once it was read back.",
    State.UNKNOWN: "It may be out. It is looked up, and never sent again before that.",
    State.HELD: "A person decides.",
    State.REJECTED: "The network said no to this content.",
    State.SKIPPED: "It won't go; the reason says why.",
    State.WITHDRAWN: "It was out and is no more.",
}
_MOVES = {
    Move.CLAIM: "its turn has come: an attempt begins",
    Move.RECEIPT: "the network gave its receipt",
    Move.NOT_SENT: "proved: nothing went out",
    Move.PARK: "the account needs a login or money; nothing went out",
    Move.REFUSED: "the network refuses this content",
    Move.MAYBE_SENT: "no answer, or one that nobody expected",
    Move.FOUND: "found on the network",
    Move.ABSENT: "proved not to be on the network",
    Move.CANNOT_TELL: "looking it up could not settle it",
    Move.RULED_OUT: "a rule: too late, withdrawn, a duplicate, no free place …",
    Move.HOLD: "a route or a person holds it",
    Move.RELEASE: "a person releases it",
    Move.SKIP: "a person skips it",
    Move.REMOVED: "it was seen on the network, and is gone",
    Move.RETRY: "a person tries again",
    Move.REOPEN: "a person wants it after all",
    Move.SAID_THERE: "a person says: it is there",
    Move.SAID_ABSENT: "a person says: it isn't there",
}
_GROUPS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("It waits", lambda why: why.startswith(("Waiting:", "Trying again"))),
    ("It doesn't go", lambda why: why.startswith("Didn't go")),
    ("It is on hold", lambda why: why.startswith("On hold:")),
    ("It goes, or what became of it", lambda why: True),
)


def flow_page() -> str:
    """The steps, the states of a delivery, every legal move, and every reason."""
    picture = (flow.__doc__ or "").strip().split("\n\n")[1:-1]
    steps = [
        (f"`{name}`", (importlib.import_module(f"bot.flow.{name}").__doc__ or "").split("\n\n")[0].partition(": ")[2])
        for name in flow.STEPS
    ]
    page = "# The way of an article\n\n```text\n" + "\n\n".join(picture) + "\n```\n\n"
    page += table(("step", "asks"), steps)
    page += "## States\n\nA delivery is one article on one account. People read the words, machines the states.\n\n"
    page += table(
        ("state", "people read", "open", "meaning"),
        [(f"`{one}`", STATE_WORDS[one], "yes" if one in OPEN_STATES else "", _STATES[one]) for one in State],
    )
    page += "```mermaid\nstateDiagram-v2\n    [*] --> waiting\n    [*] --> held\n    [*] --> skipped\n"
    page += "".join(f"    {start} --> {end}: {move}\n" for (start, move), end in MOVES.items()) + "```\n\n"
    page += "## Moves\n\nEvery legal move; the store refuses any other.\n\n"
    rows = [(f"`{start}`", f"`{move}`", f"`{end}`", _MOVES[move]) for (start, move), end in MOVES.items()]
    return MARK + page + table(("from", "move", "to", "because"), rows) + _reasons()


def _reasons() -> str:
    page = "## Reasons\n\nWhy something goes, waits, or does not go: the code, the sentence beside the post, and what\n"
    page += "can be done.\n\n"
    left = list(Reason)
    for title, belongs in _GROUPS:
        mine = [one for one in left if belongs(SENTENCES[one].why)]
        left = [one for one in left if one not in mine]
        rows = [(f"`{one}`", sentence(Why(one)), SENTENCES[one].meaning, SENTENCES[one].do) for one in mine]
        page += f"### {title}\n\n" + table(("reason", "reads", "means", "what to do"), rows)
    return page


# -- writing ------------------------------------------------------------------------------------------------------

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/networks.md": networks_page,
    "docs/settings.md": settings_page,
    "docs/cli.md": cli_page,
    "docs/flow.md": flow_page,
    f"config/{SCHEMA}": schema_text,
}


def stale() -> list[str]:
    """The generated files that differ from the code."""
    return [name for name, make in PAGES.items() if _text(ROOT / name) != _ended(make())]


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def _ended(text: str) -> str:
    return text.rstrip("\n") + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write, or compare under --check."""
    if "--check" in arguments:
        found = stale()
        if found:
            sys.stderr.write(f"Not as the code has it: {', '.join(found)}. Run: make docs\n")
        return 1 if found else 0
    for name, make in PAGES.items():
        (ROOT / name).write_text(_ended(make()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
