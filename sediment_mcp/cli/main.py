"""The command line: translate between a person and the operations, and nothing else.

Exit status: 0 success (also when nothing is found), 1 something failed or was not found by its id, 2 wrong
arguments, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sediment_mcp.cli import COMPLETION_VARIABLE, HOOK, PROGRAM
from sediment_mcp.cli.confirm import report_error
from sediment_mcp.cli.launcher import start_server

if TYPE_CHECKING:
    from click import ClickException, Context

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, `serve` if none is given; return the exit status."""
    _set_variables_of_libraries()
    arguments = list(sys.argv[1:] if argv is None else argv)
    completion = os.environ.get(COMPLETION_VARIABLE)
    if arguments in ([], ["serve"]) and not completion:
        return start_server({})
    if arguments[:1] == [HOOK] and argv is None and not (completion or "--help" in arguments):
        from sediment_mcp.cli.hooks import start_hook

        return start_hook(arguments[1:])
    try:
        status = _complete(completion) if completion else _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _set_variables_of_libraries() -> None:
    """Set variables that libraries read when they are imported, as they take no argument for it.

    The user's own variables are read by `sediment_mcp.config` alone.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for numpy; more threads only cost time
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # otherwise onnxruntime sends reports once it is imported


def _complete(instruction: str) -> int:
    """Answer a shell that asks what it can complete; return the exit status."""
    from click.shell_completion import shell_complete

    from sediment_mcp.cli.group import program

    return shell_complete(program, {}, PROGRAM, COMPLETION_VARIABLE, instruction)


def _run(arguments: list[str]) -> int:
    """Parse the arguments and run the command; return the exit status."""
    from click import ClickException
    from click.exceptions import Exit

    from sediment_mcp.cli.group import program
    from sediment_mcp.errors import BadArgument, SedimentError

    try:
        with program.make_context(PROGRAM, arguments) as ctx:
            status: int = program.invoke(ctx)
            return status
    except Exit as end:
        return end.exit_code
    except ClickException as error:
        return report_error(BadArgument(_describe(error)))
    except SedimentError as error:
        return report_error(error)


def _takes_text(ctx: Context | None) -> bool:
    parameters = ctx.command.params if ctx else []
    return any((parameter.metavar or "").startswith("TEXT") for parameter in parameters)


def _describe(error: ClickException) -> str:
    """Return a usage error as a cause and its remedy."""
    from click import NoSuchOption

    ctx = getattr(error, "ctx", None)
    help_command = f"{ctx.command_path if ctx else PROGRAM} --help"
    cause = error.format_message()
    if isinstance(error, NoSuchOption) and _takes_text(ctx):
        link = " See" if cause.endswith("?") else ": see"
        return f"{cause.rstrip('.')}{link} {help_command}, or put -- before text that begins with a dash."
    if "Did you mean" in cause:
        return f"{cause} See {help_command}."
    return f"{cause.rstrip('.')}: see {help_command}."
