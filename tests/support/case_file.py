"""Read and carry out the files of tests/cases, whose README has the language."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from support.stdio_peer import REPOSITORY, StdioPeer

CASES = REPOSITORY / "tests" / "cases"
TOOLS = ("store_memory", "query_memory", "list_memories", "delete_memory")

_BLOCK = re.compile(r"^```(sh|tools)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATEMENT = re.compile(rf"(?:{'|'.join(TOOLS)}|let|[=~!])(?=\s)")
_AGO = re.compile(r"\{(\d+) (minutes|hours|days) ago\}")
_PRELUDE = """
set -euo pipefail
output_of() { status=0; output=$("$@" 2>&1) || status=$?; }
told() { printf '%s\\nended with %s and printed:\\n%s\\n' "$1" "$status" "$output" >&2; exit 1; }
shows() { local text=$1; shift; output_of "$@"; [[ $status == 0 && $output == *"$text"* ]] || told "$*"; }
hides() { local text=$1; shift; output_of "$@"; [[ $status == 0 && $output != *"$text"* ]] || told "$*"; }
fails() { local expected=$1 text=$2; shift 2; output_of "$@"
    [[ $status == "$expected" && $output == *"$text"* && $output != *Traceback* ]] || told "$*"; }
"""


class CaseBlock(NamedTuple):
    """A block that is carried out: its language, its environment and its text."""

    language: str
    environment: dict[str, str]
    text: str


def read_blocks(path: Path) -> list[CaseBlock]:
    """Return the blocks of a case in order."""
    return [
        CaseBlock(language, dict(word.split("=", 1) for word in shlex.split(settings)), text)
        for language, settings, text in _BLOCK.findall(path.read_text(encoding="utf-8"))
    ]


class Case:
    """One case in a folder of its own: a data directory, a home, and a working directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        for name in ("home", "work", "bin"):
            (folder / name).mkdir()
        program = folder / "bin" / "sediment-mcp"
        paths = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests")))
        command = f'{shlex.quote(sys.executable)} -m sediment_mcp "$@"'
        program.write_text(f"#!/bin/sh\nPYTHONPATH={shlex.quote(paths)} exec {command}\n")
        program.chmod(0o755)

    def carry_out(self, block: CaseBlock) -> None:
        """Carry out a block.

        Raises:
            AssertionError: something in it does not hold.
        """
        environment = {
            "PATH": f"{self._folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._folder / "home"),
            "DATA": str(self._data),
            "SEDIMENT_DATA_DIR": str(self._data),
            "SEDIMENT_PROJECT": "",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            **block.environment,
        }
        if block.language == "sh":
            self._run_shell(block.text, environment)
        else:
            self._call_tools(block.text, environment)

    def _run_shell(self, text: str, environment: Mapping[str, str]) -> None:
        done = subprocess.run(
            ["bash", "-c", _PRELUDE + text],
            cwd=self._folder / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    def _call_tools(self, text: str, environment: Mapping[str, str]) -> None:
        names: dict[str, str] = {}
        answer: Any = None
        with StdioPeer(self._data, environment=environment, cwd=self._folder / "work") as peer:
            peer.initialize()
            for word, rest in _split_statements(text):
                said = f"{word} {rest}\nafter the answer {json.dumps(answer, ensure_ascii=False)}"
                if word == "let":
                    name, _, path = rest.partition(" = ")
                    names[name] = _follow(answer["structuredContent"], path)
                elif word == "!":
                    assert answer.get("isError"), said
                    assert rest in answer["content"][0]["text"], said
                elif word in TOOLS:
                    answer = peer.call(word, **_load(rest, names))
                else:
                    assert not answer.get("isError"), said
                    held = holds(answer["structuredContent"], _load(rest, names))
                    assert held == (word == "="), said


def holds(answer: Any, expected: Any) -> bool:
    """Return True if the answer holds what is expected: see tests/cases/README.md."""
    if isinstance(expected, dict):
        if not expected:
            return not answer
        return isinstance(answer, dict) and all(
            holds(answer.get(name), part) for name, part in expected.items()
        )
    if isinstance(expected, list):
        items = answer or []
        is_open = expected[-1:] == ["..."]
        parts = expected[: len(expected) - is_open]
        return (len(items) >= len(parts) if is_open else len(items) == len(parts)) and all(
            holds(item, part) for item, part in zip(items, parts, strict=False)
        )
    if isinstance(expected, str) and len(expected) > 2 and expected[0] == expected[-1] == "…":
        return isinstance(answer, str) and expected[1:-1] in answer
    return (
        (not answer and not isinstance(answer, (int, float)))
        if expected is None
        else _equals(answer, expected)
    )


def _equals(answer: Any, expected: Any) -> bool:
    if expected is False:
        return answer in (None, False)
    return answer == expected


def _split_statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield the first word and the rest of each statement."""
    statement = ""
    for line in [*text.splitlines(), "= "]:
        if _STATEMENT.match(line):
            if statement:
                word, _, rest = statement.partition(" ")
                yield word, rest.strip()
            statement = line
        else:
            statement += "\n" + line


def _load(text: str, names: Mapping[str, str]) -> Any:
    """Return the JSON value, with times and kept values put in."""
    text = _AGO.sub(lambda match: _format_ago(int(match[1]), match[2]), text)
    for name, value in names.items():
        text = text.replace(f"${name}", value)
    return json.loads(text)


def _format_ago(count: int, unit: str) -> str:
    time = datetime.now(UTC) - timedelta(**{unit: count})
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _follow(value: Any, path: str) -> str:
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return str(value)
