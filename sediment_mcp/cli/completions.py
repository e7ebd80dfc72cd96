"""What a shell completes after `sediment-mcp`: the only module that imports shtab, which reads the grammar.

The grammar leaves values to the contract, which says what is wrong in the tools' own words; here they are
named, so that a shell can offer them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen

NARROW, WIDE = ("project", "global"), ("all", "project", "global")


def completions(chosen: Chosen, library: Library) -> int:
    """Print the script for a shell."""
    sys.stdout.write(script(chosen.shell))
    return 0


def script(shell: str) -> str:
    """The completion script for one of the shells that the grammar knows."""
    import shtab

    from sediment_mcp.cli.options import grammar
    from sediment_mcp.config import DATA_DIR, PROJECT

    whole = grammar()
    for command, action in _actions(whole):
        if action.dest in (DATA_DIR, PROJECT):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif values := _values(command, action.dest):
            action.choices = list(values)
    return shtab.complete(whole, shell=shell).rstrip("\n") + "\n"


def _actions(whole: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Every option and argument, with the command it belongs to."""
    for action in whole._actions:  # argparse has no other way, and shtab goes the same
        yield "", action
        if isinstance(action.choices, dict):
            for name, command in cast("dict[str, argparse.ArgumentParser]", action.choices).items():
                yield from ((name, inner) for inner in command._actions)


def _values(command: str, name: str) -> Sequence[str]:
    from sediment_mcp.config import (
        LOG_LEVEL,
        LOG_LEVELS,
        QUESTIONS,
        QUESTIONS_CHOICES,
        SECRETS,
        SECRETS_CHOICES,
    )
    from sediment_mcp.domain.memory import Kind
    from sediment_mcp.hosts.agent_instructions import KINDS
    from sediment_mcp.hosts.registry import HOSTS

    values: dict[str, Sequence[Any]] = {
        "kind": get_args(Kind),
        "scope": WIDE if command in ("query", "list") else NARROW,
        "order": ("newest", "oldest"),
        "hosts": [host.name for host in HOSTS],
        "files": list(KINDS),
        LOG_LEVEL: LOG_LEVELS,
        SECRETS: SECRETS_CHOICES,
        QUESTIONS: QUESTIONS_CHOICES,
    }
    return values.get(name, ())
