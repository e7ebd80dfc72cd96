"""What the commands share: arguments from the shell, the model, questions to a person, the answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.config import Config
    from sediment_mcp.operations.arguments import ArgumentsT

TIDY_UP = 5.0  # seconds that embedding a long text goes on before it is left to a running server


def parsed(model: type[ArgumentsT], chosen: Chosen) -> ArgumentsT:
    """The command's arguments, checked as the tool checks them; broken Unicode from the shell is mended."""
    from sediment_mcp.cli.options import parameters
    from sediment_mcp.operations.arguments import parse
    from sediment_mcp.server.jsonrpc import valid_text

    def mended(value: str | list[str] | bool) -> Any:
        if isinstance(value, list):
            return [valid_text(item) for item in value]
        return valid_text(value) if isinstance(value, str) else value

    given = parameters(chosen, list(model.model_fields))
    return parse(model, {name: mended(value) for name, value in given.items()})


def project(config: Config) -> str | None:
    """What the user has set, else the git work tree around the working directory."""
    from pathlib import Path

    from sediment_mcp.server.jsonrpc import valid_text
    from sediment_mcp.system.project_root import project_of_folder

    found = project_of_folder(Path()) if config.project is None else config.project
    return valid_text(found) if found else None


def standard_input() -> str:
    """All of it as UTF-8; reading ends where it is too long for a memory in any case."""
    from sediment_mcp.operations.arguments import MAX_CONTENT

    return sys.stdin.buffer.read(4 * MAX_CONTENT + 4).decode(errors="replace")


def load_model(library: Library) -> None:
    """Wait for the model, with a word on the screen; without one, what follows goes by words."""
    from sediment_mcp.cli.terminal import waiting
    from sediment_mcp.config import NO_MODEL

    with waiting("Loading the model"):
        embedder = library.embedder()
    if embedder is None and library.config.model != NO_MODEL:
        say(library.model_problem)


def tidy_up(library: Library) -> None:
    """Do for a little while what a server does in the background, so that a long text is embedded too."""
    import time

    from sediment_mcp.system.progress import Stopped, until

    end = time.monotonic() + TIDY_UP
    try:
        library.tend(until(lambda: time.monotonic() > end))
    except Stopped:
        return


def confirmed(question: str, expected: Sequence[str], otherwise: str) -> bool:
    """Ask a person; any of the ``expected`` answers means yes.

    Raises:
        BadArgument: nobody is there to be asked; the sentence is ``otherwise``.
    """
    from sediment_mcp.errors import BadArgument

    if not sys.stdin.isatty():
        raise BadArgument(otherwise)
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in expected


def answer(chosen: Chosen, result: Any, show: Callable[[], None]) -> int:
    """Print the result, for machines or for people."""
    if chosen.json:
        _print_json(result)
    else:
        show()
    return 0


def _print_json(result: Any) -> None:
    from sediment_mcp.server.jsonrpc import to_json

    sys.stdout.write(to_json(result) + "\n")


def say(sentence: str) -> None:
    """One line on stderr; what it quotes may hold anything, so no control character gets through."""
    from sediment_mcp.system.text import visible

    sys.stderr.write(f"sediment-mcp: {visible(' '.join(sentence.split()))}\n")
