"""Start the process that captures, and return at once: the hook's part of it.

A host ends its hooks when it ends itself, some within 1.5 seconds. So the process that does the work belongs
to no terminal and no group of the host's, and lives on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.operations.capture_state import read_state
from sediment_mcp.system.directory_encryption import find_encryption

if TYPE_CHECKING:
    from sediment_mcp.recall.hook_call import HookCall

WORK_EVENT = "capture"  # the event of `hook` that does the work
SUFFIXES = (".jsonl", ".json")


def start_capture(call: HookCall) -> str:
    """Start to capture the new turns of the session, if the user has asked for it; say nothing.

    Raises:
        OSError: the process cannot be started.
    """
    config, directory = call.config, call.config.store_dir
    encryption = find_encryption(config)
    if read_state(directory, encryption).since is None or not is_transcript_path(call.transcript):
        return ""
    command = [sys.executable, "-P", "-m", "sediment_mcp", "hook", WORK_EVENT, "--host", call.host]
    command += ["--data-dir", str(call.config.data_dir), "--tenant", call.config.tenant]
    if call.config.database:
        command += ["--database", call.config.database]
    if call.config.project is not None:
        command += ["--project", call.config.project]
    said = {"session_id": call.session, "transcript_path": call.transcript, "cwd": call.folder}
    process = _start_detached(command, directory)
    if process.stdin is not None:
        process.stdin.write(json.dumps(said).encode())
        process.stdin.close()
    return ""


def is_transcript_path(name: str) -> bool:
    """Return whether a host's word for its transcript is the path of a file that may be one."""
    try:
        path = Path(name)
        return path.is_absolute() and path.suffix in SUFFIXES and path.is_file()
    except (OSError, ValueError):
        return False


def _start_detached(command: list[str], directory: Path) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one and its host; its folder is the data directory."""
    if sys.platform != "win32":
        return _start(command, directory, 0)
    flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        return _start(command, directory, flags | subprocess.CREATE_BREAKAWAY_FROM_JOB)
    except OSError:  # the host's job lets nobody go
        return _start(command, directory, flags)


def _start(command: list[str], directory: Path, flags: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own command; what the host says goes to its input
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )
