"""Write docs/cli.md, the reference of the command line, from the commands themselves.

python scripts/generate_cli_reference.py
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from sediment_mcp.cli import PROGRAM
from sediment_mcp.cli.group import program
from sediment_mcp.cli.options import Command, GlobalOption

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = f"""\
# Command line

<!-- Written by scripts/generate_cli_reference.py: change the commands, then run it. -->

Without a command `{PROGRAM}` serves MCP over stdin and stdout, which is what hosts start.
`{PROGRAM} COMMAND --help` shows what stands here.

Exit status: 0 all is well, also when nothing is found; 1 something failed, or an id was not found, or
`doctor` sees a problem; 2 wrong arguments; 130 interrupted.
"""


def main() -> None:
    """Write the reference."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(reference(), encoding="utf-8", newline="\n")


def reference() -> str:
    """Return the reference as Markdown: the global options, then each command."""
    root = click.Context(program, info_name=PROGRAM)
    commands = [program.get_command(root, name) for name in program.list_commands(root)]
    sections = [HEAD, _describe_globals(root)]
    sections += [_describe(command, root) for command in commands if isinstance(command, Command)]
    return "\n".join(sections)


def _describe_globals(root: click.Context) -> str:
    rows = [_row(option, root) for option in program.params]
    text = "They stand before or after the command, and win over the variables in parentheses."
    return f"## Global options\n\n{text}\n\n{_table('Option', rows)}"


def _describe(command: Command, root: click.Context) -> str:
    ctx = click.Context(command, info_name=command.name, parent=root)
    own = [parameter for parameter in command.params if not isinstance(parameter, GlobalOption)]
    arguments = [_row(parameter, ctx) for parameter in own if isinstance(parameter, click.Argument)]
    options = [_row(parameter, ctx) for parameter in own if isinstance(parameter, click.Option)]
    return "\n".join(_sections(command, ctx, arguments, options))


def _sections(
    command: Command, ctx: click.Context, arguments: list[str], options: list[str]
) -> Iterator[str]:
    yield f"## {command.name}\n\n{inspect.cleandoc(command.help or '')}\n"
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    yield f"```text\n{usage}\n```\n"
    if arguments:
        yield _table("Argument", arguments)
    if options:
        yield _table("Option", options)
    examples = "\n".join(command.examples)
    yield f"```sh\n{examples}\n```\n"


def _table(title: str, rows: list[str]) -> str:
    return "\n".join([f"| {title} | Meaning |", "|---|---|", *rows]) + "\n"


def _row(parameter: click.Parameter, ctx: click.Context) -> str:
    record = parameter.get_help_record(ctx)
    assert record is not None
    names, summary = (text.replace("|", "\\|") for text in record)
    return f"| `{names}` | {summary} |"


if __name__ == "__main__":
    main()
