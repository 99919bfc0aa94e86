"""Print the completion script of a shell.

bash: `eval "$(wirepost completion bash)"` in ~/.bashrc; zsh: the same in ~/.zshrc; fish: save it as
~/.config/fish/completions/wirepost.fish.
"""

from __future__ import annotations

import click

from bot.cli import PROGRAM, commands

section = "Start"


@click.command(help=__doc__)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script; the shell then asks `wirepost` itself for the words."""
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None  # the three are built in
    # `source()` would start a bash to learn its version; the script is the same template.
    script = completion(commands, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE")
    click.echo(script.source_template % script.source_vars())
