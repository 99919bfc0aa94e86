"""The command line: one file in this folder is one command, found by its name and imported only when it is called.

A command file holds a docstring (its first line is the short help), a `section` ("Start", "Look", "Act" or "Keep", for
the listing) and a `click.Command` (or group) named `command`. A command's return value is the exit
code; None is 0. Results go to stdout, all else to stderr. What a command needs comes by `invocation(ctx)`.
"""

from __future__ import annotations

import ast
import gc
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.errors import SettingsError, WirepostError

if TYPE_CHECKING:
    from bot.app import App
    from bot.clock import Clock
    from bot.settings import Settings

FOLDER = Path(__file__).parent
SECTIONS = ("Start", "Look", "Act", "Keep")
PROGRAM = "wirepost"
# So many new objects until Python looks for cycles among them (it would after 700). A start makes 150,000 that stay:
# looking through them again and again is 5 % of it.
COLLECT_AFTER = 20_000
EXIT_CODES = """\
0 done · 1 failed · 2 usage or settings · 3 partly done · 4 login needed · 5 nothing matched · 6 everything is stopped ·
7 check found trouble · 8 unclear: a post may be out · 11 another process holds the store · 130 Ctrl-C"""


@dataclass
class Invocation:
    """One call of the program: the shared options, and what the call needs, built when first asked for."""

    config: Path | None = None
    verbose: int = 0
    quiet: bool = False
    no_color: bool = False
    _settings: Settings | None = field(default=None, repr=False)
    _app: App | None = field(default=None, repr=False)

    @property
    def clock(self) -> Clock:
        """The machine's clock."""
        from bot.clock import SystemClock

        return SystemClock()

    def settings(self) -> Settings:
        """The settings, read once. Raises SettingsError, which `main` shows with lines and carets (exit 2)."""
        if self._settings is None:
            from bot.settings import environment, load

            self._settings = load(self.config, environ=environment())
        return self._settings

    def app(self) -> App:
        """Everything wired on the settings: `.store`, `.newsroom`. Raises SettingsError or StoreError."""
        if self._app is None:
            from bot.app import build
            from bot.cli.reading import must_be_there

            must_be_there(self.settings())
            self._app = build(self.settings())
        return self._app

    def close(self) -> None:
        """Let go of what was opened: SQLite then folds its log into the one file. Workers look at what was done."""
        if self._app is not None:
            from bot.store.bell import ring_once

            ring_once(self._app.store, self._app.newsroom.worker)
            self._app.close()
            self._app = None

    def say(self, text: str) -> None:
        """A remark for the person, on stderr; none under --quiet."""
        if not self.quiet:
            click.echo(text, err=True)


def invocation(ctx: click.Context) -> Invocation:
    """The call that a command belongs to."""
    return ctx.ensure_object(Invocation)


# -- shared options -----------------------------------------------------------------------------------------------


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Shared options may stand before or behind the command's name; the last one counts, -v adds up."""
    call = invocation(ctx)
    if value and param.name == "verbose":
        call.verbose += value
    elif value and param.name is not None:
        setattr(call, param.name, value)
    return value


def _shared() -> list[click.Parameter]:
    keep: dict[str, Any] = {"expose_value": False, "callback": _keep}
    path = click.Path(dir_okay=False, path_type=Path)
    return [
        click.Option(["-c", "--config"], type=path, metavar="FILE", help="Settings file.", **keep),
        click.Option(["-v", "--verbose"], count=True, help="Say more (-vv: still more).", **keep),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say only results and errors.", **keep),
        click.Option(["--no-color"], is_flag=True, help="No colour; so does NO_COLOR=1.", **keep),
    ]


def _with_shared(command: click.Command) -> click.Command:
    """The command, and those below it, with the shared options that it doesn't define itself."""
    taken = {name for param in command.params for name in param.opts}
    command.params += [param for param in _shared() if not taken & set(param.opts)]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _with_shared(inner)
    return command


# -- the commands of the folder -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """What the listing shows of a command, read without importing it."""

    name: str
    help: str
    section: str


@cache
def listed() -> tuple[Listed, ...]:
    """Every command of the folder, by name."""
    found = (_listed(path) for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__")
    return tuple(entry for entry in found if entry is not None)


def _listed(path: Path) -> Listed | None:
    """None for a module that defines no `command`, such as `render`."""
    tree = ast.parse(path.read_bytes())
    names: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = None
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = node.value.value if isinstance(node.value, ast.Constant) else None
    if "command" not in names:
        return None
    first_line = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Listed(path.stem.replace("_", "-"), first_line, str(names.get("section") or SECTIONS[-1]))


def _is_there(name: str) -> bool:
    """Is there a file of that name? It may still be one without a command, such as `render`."""
    stem = name.replace("-", "_")
    return "_" not in name and stem.isidentifier() and stem.islower() and (FOLDER / f"{stem}.py").is_file()


class Commands(click.Group):
    """The group of all commands: listing them imports none, running one imports that one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [entry.name for entry in listed()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if not _is_there(cmd_name):  # not by the listing: that parses every file, and a start need not wait for it
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}"), "command", None)
        if not isinstance(command, click.Command):
            return None
        command.name = cmd_name
        self.commands[cmd_name] = _with_shared(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        wrong = not args[0].startswith("-") and self.get_command(ctx, args[0]) is None
        if wrong and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            raise click.UsageError(
                f'There is no command "{args[0]}".' + (f" Did you mean {near[0]}?" if near else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        others = {entry.section for entry in listed()} - set(SECTIONS)
        for section in (*SECTIONS, *sorted(others)):
            rows = [(entry.name, entry.help) for entry in listed() if entry.section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_text(EXIT_CODES)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names and short helps as they are listed: completing must not import the commands."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(e.name, help=e.help) for e in listed() if e.name.startswith(incomplete)]


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"{PROGRAM} {version('wirepost')}")
        ctx.exit()


commands = Commands(
    PROGRAM,
    help="Takes a newsroom's articles to its social accounts: on time, in each network's own form, exactly once.",
    params=[
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "obj": None},
    no_args_is_help=True,
)
_with_shared(commands)


# -- the entry ----------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Only a defect of Wirepost itself can show a traceback, and only under -v."""
    call = Invocation()
    gc.set_threshold(COLLECT_AFTER)
    try:
        code = commands.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=call)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        return 130
    except SettingsError as error:
        _show_problems(error, call)
        return error.exit_code
    except WirepostError as error:
        _fail(str(error))
        return error.exit_code
    except BrokenPipeError:
        _close_stdout()
        return 0
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}")
        return 1
    except Exception as error:  # noqa: BLE001 -- the last resort: a line instead of a traceback
        return _defect(error, call)
    finally:
        call.close()


def _fail(message: str) -> None:
    click.echo(f"{PROGRAM}: {message}", err=True)


def _show_problems(error: SettingsError, call: Invocation) -> None:
    from bot.settings import environment, find, render, tally

    try:
        text = find(call.config, environment()).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        text = ""
    click.echo(render(error.problems, text), err=True)
    click.echo(f"{tally(error.problems)}. Nothing was changed.", err=True)


def _defect(error: Exception, call: Invocation) -> int:
    if call.verbose:
        import traceback

        traceback.print_exception(error)
    hint = "" if call.verbose else " Run it again with -v to see where, and please report it."
    _fail(f"a defect of Wirepost: {type(error).__name__}: {error}.{hint}")
    return 1


def _close_stdout() -> None:
    """The reader has gone (`wirepost queue | head`): what is still buffered has nowhere to go, and that is no error."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
