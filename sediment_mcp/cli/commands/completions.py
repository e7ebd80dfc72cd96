"""The command that lets a shell complete the others: completions."""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, ZshComplete, get_completion_class

from sediment_mcp.cli import COMPLETION_VARIABLE, PROGRAM
from sediment_mcp.cli.options import command

SHELLS = ("bash", "zsh", "fish", "powershell")


class _ZshComplete(ZshComplete):
    """Registers click's function at the first completion too.

    Where zsh loads click's script from its function path, the script registers the function at the second
    completion only, which then offers nothing.
    """

    source_template = f"{ZshComplete.source_template}\ncompdef %(complete_func)s %(prog_name)s\n"


def render_script(shell: str, root: click.Command) -> str:
    """Return the completion script for one of the shells."""
    shell_class: type[ShellComplete] | None = _ZshComplete if shell == "zsh" else get_completion_class(shell)
    assert shell_class is not None
    return shell_class(root, {}, PROGRAM, COMPLETION_VARIABLE).source()


@command(
    "completions",
    "sediment-mcp completions bash > ~/.local/share/bash-completion/completions/sediment-mcp",
    "sediment-mcp completions fish > ~/.config/fish/completions/sediment-mcp.fish",
    "sediment-mcp completions zsh > ~/.zfunc/_sediment-mcp",
    prints_json=False,
)
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS), help=", ".join(SHELLS))
@click.pass_context
def completions(ctx: click.Context, shell: str) -> int:
    """Print a shell completion script."""
    sys.stdout.write(render_script(shell, ctx.find_root().command))
    return 0
