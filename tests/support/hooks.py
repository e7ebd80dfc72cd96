"""Hooks as a host runs them, over data directories with memories in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sediment_mcp.app import Application
from sediment_mcp.config import VARIABLES, Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.recall.hook_call import HookCall, build_call

PATIENT = 60.0  # seconds that a hook has where its time is not what is tested
DRIVER = """
import sys
from sediment_mcp.cli import hooks
seconds = float(sys.argv[1])
hooks.EVENTS = {name: event._replace(seconds=seconds) for name, event in hooks.EVENTS.items()}
hooks.start_hook(sys.argv[2:])
"""
PORT = "The staging database listens on port 5433 behind the bastion host."
ASKS_FOR_PORT = "which port does the staging database listen on behind the bastion?"


@cache
def load_model() -> Embedder:
    """Return the default model, loaded once."""
    return load_embedder(Config(Path()))


def store_all(
    directory: Path,
    *memories: str | Mapping[str, Any],
    project: str | None = None,
    days_ago: float = 0,
) -> list[str]:
    """Store memories, given by their text or their attributes, some days ago; return their ids."""
    app = Application(
        Config(directory),
        load=lambda _: load_model(),
        clock=lambda: datetime.now(UTC) - timedelta(days=days_ago),
        is_resident=False,
    )
    given = [{"content": memory} if isinstance(memory, str) else dict(memory) for memory in memories]
    ids = [store_memory(app, parse_arguments(StoreMemory, one), project)["id"] for one in given]
    app.close()
    return ids


def call_of(directory: Path, event: str = "prompt", host: str = "claude-code", **fields: Any) -> HookCall:
    """Return the call that a host's fields describe; without a project unless a folder is given."""
    return build_call(event, host, Config(directory), json.dumps(fields).encode())


def hook_command(*arguments: str, seconds: float = PATIENT) -> list[str]:
    """Return the command of a hook process that has so many seconds."""
    return [sys.executable, "-c", DRIVER, str(seconds), *arguments]


def hook_environment(directory: Path) -> dict[str, str]:
    """Return the environment of a hook that knows nothing but its data directory."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    repository = str(Path(__file__).resolve().parents[2])
    return {**kept, "SEDIMENT_DATA_DIR": str(directory), "PYTHONPATH": repository}


def run_hook(
    directory: Path, *arguments: str, data: bytes | Mapping[str, Any] = b"", seconds: float = PATIENT
) -> subprocess.CompletedProcess[bytes]:
    """Run a hook as a process, as a host does."""
    return subprocess.run(
        hook_command(*arguments, seconds=seconds),
        input=data if isinstance(data, bytes) else json.dumps(data).encode(),
        env=hook_environment(directory),
        cwd=directory.parent,
        capture_output=True,
        timeout=120,
        check=False,
    )


class ServerProcess:
    """A server process that a host has shaken hands with, unless the host has no name."""

    def __init__(self, directory: Path, client_name: str = "claude-code", **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sediment_mcp"],
            env=hook_environment(directory) | variables,
            cwd=directory.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if not client_name:  # the newer protocol has no handshake
            return
        client = {"name": client_name, "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        self.request("initialize", params)

    def request(self, method: str, params: dict[str, Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
        return json.loads(stdout.readline())["result"]

    def end(self, signal_number: int = signal.SIGKILL) -> None:
        self.process.send_signal(signal_number)
        self.process.communicate(timeout=PATIENT)


def context_of(output: bytes) -> str:
    """Return the text that Claude Code takes from an output; empty if there is no output."""
    return json.loads(output)["hookSpecificOutput"]["additionalContext"] if output else ""


def snapshot_of(directory: Path) -> dict[str, bytes]:
    """Return each file of a data directory with its content."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
