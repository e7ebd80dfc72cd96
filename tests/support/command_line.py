"""Call the command line in this process, with a data directory of its own, and answer as a terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from sediment_mcp import config
from sediment_mcp.cli import PROGRAM as NAME
from sediment_mcp.cli import main
from sediment_mcp.cli.group import program
from sediment_mcp.cli.options import Command
from sediment_mcp.config import VARIABLES

PROGRAM = (sys.executable, "-m", "sediment_mcp")
LOGGERS = ("sediment_mcp", "sediment_mcp.embeddings.background_load")  # whose levels the command line sets


class Outcome(NamedTuple):
    """What a command has returned and printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what was printed, read as JSON."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Give a data directory and a working directory outside any project.

    Nothing of the caller's settings gets in, and nothing of ours is left behind in the process's loggers.
    """
    levels = {logger: logger.level for logger in map(logging.getLogger, LOGGERS)}
    for name in (*VARIABLES, "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(config.DATA_DIR, str(tmp_path / "data"))
    monkeypatch.setenv("TZ", "UTC")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "data"
    for logger, level in levels.items():
        logger.setLevel(level)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command."""

    def run_it(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = main.main(arguments)
        return Outcome(status, *capsys.readouterr())

    return run_it


def store(run: Run, *arguments: str) -> str:
    """Store something and return its id."""
    outcome = run("store", "--json", *arguments)
    assert outcome.status == 0, outcome.err
    return outcome.json["id"]


def commands() -> dict[str, Command]:
    """Return the commands by their names."""
    ctx = click.Context(program)
    found = {name: program.get_command(ctx, name) for name in program.list_commands(ctx)}
    assert all(isinstance(command, Command) for command in found.values())
    return found


def parse(*words: str) -> click.Context:
    """Parse the words of a command line, the first of which is the command, without running it."""
    name = words[0] if words else "serve"
    return commands()[name].make_context(name, list(words[1:]), parent=click.Context(program, info_name=NAME))


def process(*arguments: str, environment: dict[str, str] | None = None, **options: Any) -> Any:
    """Run the command line as a process."""
    repository = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": repository, **(environment or {})},
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )


class Terminal(io.StringIO):
    """Standard input where a person has typed."""

    def isatty(self) -> bool:
        """Return True."""
        return True
