"""The program as a click group: each command's module is imported when the command is used."""

from __future__ import annotations

import os
from importlib import import_module

import click

from sediment_mcp.cli import PROGRAM
from sediment_mcp.cli.confirm import say
from sediment_mcp.cli.invocation import Invocation, write_utf8
from sediment_mcp.cli.launcher import start_server
from sediment_mcp.cli.options import HELP_WIDTH, Group, global_options

COMMANDS = {
    "store": "memory.store",
    "query": "memory.query",
    "list": "memory.list_",
    "delete": "lifecycle.delete",
    "restore": "lifecycle.restore",
    "history": "lifecycle.history",
    "revert": "lifecycle.revert",
    "retention": "retention.retention",
    "stats": "stats.stats",
    "project": "project.project",
    "ui": "web.ui",
    "export": "export.export",
    "import": "import_.import_",
    "backup": "backup.backup",
    "restore-backup": "backup.restore_backup",
    "sync": "sync.sync",
    "move": "move.move",
    "database": "database.database",
    "encrypt": "encryption.encrypt",
    "decrypt": "encryption.decrypt",
    "key": "encryption.key",
    "doctor": "doctor.doctor_",
    "reindex": "doctor.reindex",
    "install": "install.install",
    "guidance": "agents.guidance",
    "token": "access.token",
    "audit": "access.audit",
    "completions": "completions.completions",
    "captured": "captured.captured",
    "hook": "hook.hook",
    "serve": "serve.serve",
    "bridge": "bridge.bridge",
}
"""Command → where it is defined, in the order of the help."""

EPILOG = """\
Each command explains its options: sediment-mcp query --help.
Without a command MCP is served over stdin and stdout, which is what hosts start."""


class LazyGroup(Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].rpartition(".")
        command: click.Command = getattr(import_module(f"sediment_mcp.cli.commands.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with.

        Raises:
            click.UsageError: there is none of this name; the message names the most similar one.
        """
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog of the help, line by line."""
        formatter.write(f"\n{EPILOG}\n")


@click.group(
    PROGRAM,
    cls=LazyGroup,
    help="A memory for desktop agents: local, shared by all hosts, found by meaning and by words.",
    params=[*global_options()],
    invoke_without_command=True,
    context_settings={"max_content_width": HELP_WIDTH},
)
@click.option("--version", is_flag=True, help="print the version, Python and the data directory")
@click.pass_context
def program(ctx: click.Context, version: bool) -> int:
    """Print the version if it is asked for, else serve MCP unless a command is named."""
    invocation = ctx.ensure_object(Invocation)
    if version:
        print_version(invocation)
        ctx.exit()
    if ctx.invoked_subcommand is None:
        return start_server(invocation.flags)
    return 0


def print_version(invocation: Invocation) -> None:
    """Print the versions of the program and of Python, and the data directory."""
    import platform

    from sediment_mcp import __version__
    from sediment_mcp.errors import BadArgument

    write_utf8()
    click.echo(f"{PROGRAM} {__version__}\nPython {platform.python_version()}")
    try:
        with invocation.prepare():
            click.echo(os.path.realpath(invocation.config.store_dir))
    except BadArgument as error:
        say(str(error))
