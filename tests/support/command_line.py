"""The command line called in this process, with a data directory of its own, and what a terminal answers."""

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

import pytest

from sediment_mcp import config
from sediment_mcp.cli import main
from sediment_mcp.config import VARIABLES

PROGRAM = (sys.executable, "-m", "sediment_mcp")
LOGGERS = ("sediment_mcp", "sediment_mcp.embeddings.loader")  # whose levels the command line sets


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A data directory and a working directory outside any project; nothing of the caller's settings, and
    nothing of ours left behind in the process's loggers."""
    levels = {logger: logger.level for logger in map(logging.getLogger, LOGGERS)}
    for name in (*VARIABLES, "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(config.DATA_DIR, str(tmp_path / "data"))
    monkeypatch.setenv("TZ", "UTC")
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    yield tmp_path / "data"
    for logger, level in levels.items():
        logger.setLevel(level)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
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


def process(*arguments: str, environment: dict[str, str] | None = None, **options: Any) -> Any:
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
    def isatty(self) -> bool:
        return True
