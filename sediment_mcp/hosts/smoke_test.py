"""Start what was written into a host's file, as the host will, and see whether the tools answer."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sediment_mcp.hosts.jsonc import as_object
from sediment_mcp.hosts.launch_command import Command

PATIENCE = 60.0  # seconds; Claude Desktop gives up after as many

_MESSAGES: tuple[dict[str, Any], ...] = (
    {
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "sediment-mcp install", "version": "1"},
        },
    },
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
)


@dataclass(frozen=True, slots=True)
class Trial:
    """``tools`` that answered after so many seconds; ``problem`` says why none did."""

    tools: tuple[str, ...]
    seconds: float
    problem: str = ""


def try_out(
    command: Command, environment: Mapping[str, str], folder: Path, patience: float = PATIENCE
) -> Trial:
    """Start the command in a folder and ask for its tools; never raises, and leaves no process behind."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        tools, problem = _asked(command, {**environment, **command.environment}, folder, patience, errors)
        seconds = time.monotonic() - start
        if not tools and not problem:
            problem = "It gave no answer in time." if seconds >= patience else _last_line(errors)
    return Trial(tools, seconds, problem)


def _asked(
    command: Command, environment: Mapping[str, str], folder: Path, patience: float, errors: IO[bytes]
) -> tuple[tuple[str, ...], str]:
    try:
        process = subprocess.Popen(  # noqa: S603 - what a host is about to start, no shell in between
            command.line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            cwd=folder,
        )
    except OSError as error:
        return (), f"{command.program} cannot be started ({error.strerror})."
    limit = threading.Timer(patience, _end, [process])
    limit.start()
    try:
        return _tools(process), ""
    finally:
        limit.cancel()
        _end(process, 5.0)


def _tools(process: subprocess.Popen[bytes]) -> tuple[str, ...]:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it has left already; what it has said is read below
        for message in _MESSAGES:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        process.stdin.flush()
    answer = next((answer for answer in _answers(process) if answer.get("id") == 2), dict[str, Any]())
    listed = (as_object(answer.get("result")) or {}).get("tools", [])
    return tuple(str(tool["name"]) for tool in listed)


def _answers(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(ValueError):
            if (answer := as_object(json.loads(line))) is not None:
                yield answer


def _end(process: subprocess.Popen[bytes], patience: float = 0.0) -> None:
    """Close its input, which ends a server, wait, and end what stays."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"It said: {lines[-1].strip()}" if lines else "It ended without an answer."
