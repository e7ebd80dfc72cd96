"""Smoke test: start the command in a host's file as the host will, and ask for its tools."""

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

from sediment_mcp.hosts.jsonc import to_object
from sediment_mcp.hosts.launch_command import LaunchCommand

TIMEOUT_SECONDS = 60.0  # the timeout of Claude Desktop
_GRACE_SECONDS = 5.0  # for a server to end by itself

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
class SmokeTestResult:
    """The tools that were listed, and after how many seconds; ``problem`` says why none were."""

    tools: tuple[str, ...]
    seconds: float
    problem: str = ""


def run_smoke_test(
    command: LaunchCommand, environment: Mapping[str, str], folder: Path, timeout: float = TIMEOUT_SECONDS
) -> SmokeTestResult:
    """Start the command in a folder and ask for its tools.

    It never raises, and leaves no process behind.

    Args:
        command: What the host will start.
        environment: The variables that the host passes on; the command's own are added.
        folder: Where the command is started.
        timeout: Seconds after which the process is ended.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        variables = {**environment, **command.environment}
        tools, problem = _start_and_ask(command, variables, folder, timeout, errors)
        seconds = time.monotonic() - start
        if not tools and not problem:
            problem = "It gave no answer in time." if seconds >= timeout else _quote_last_line(errors)
    return SmokeTestResult(tools, seconds, problem)


def _start_and_ask(
    command: LaunchCommand, environment: Mapping[str, str], folder: Path, timeout: float, errors: IO[bytes]
) -> tuple[tuple[str, ...], str]:
    """Return the tools of the command, and a sentence if it cannot be started."""
    try:
        process = subprocess.Popen(  # noqa: S603 - what a host is about to start, no shell in between
            command.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            cwd=folder,
        )
    except OSError as error:
        return (), f"{command.program} cannot be started ({error.strerror})."
    timer = threading.Timer(timeout, _end_process, [process])
    timer.start()
    try:
        return _ask_for_tools(process), ""
    finally:
        timer.cancel()
        _end_process(process, _GRACE_SECONDS)


def _ask_for_tools(process: subprocess.Popen[bytes]) -> tuple[str, ...]:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it has ended already; its output is read below
        for message in _MESSAGES:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        process.stdin.flush()
    answer = next((answer for answer in _read_answers(process) if answer.get("id") == 2), dict[str, Any]())
    tools = (to_object(answer.get("result")) or {}).get("tools", [])
    return tuple(str(tool["name"]) for tool in tools)


def _read_answers(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(ValueError):
            if (answer := to_object(json.loads(line))) is not None:
                yield answer


def _end_process(process: subprocess.Popen[bytes], timeout: float = 0.0) -> None:
    """Close the input of the process, which ends a server; kill it after the timeout."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _quote_last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"It said: {lines[-1].strip()}" if lines else "It ended without an answer."
