"""A client of bare lines: it starts the real server as a process and sends whatever bytes a test likes.

The SDK's client cannot send malformed messages, close one pipe at a time or measure an end. Every wait
has a limit, and everything on the server's stdout that is no JSON-RPC message fails the test.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

PROTOCOL = "2025-11-25"
MODERN_PROTOCOL = "2026-07-28"
TIMEOUT = 60.0
"""Seconds until a wait fails: far more than any answer takes, so only a missing one is noticed."""

SERVER = (sys.executable, "-m", "sediment_mcp")
REPOSITORY = Path(__file__).resolve().parents[2]

Message = dict[str, Any]


class StdioPeer:
    """One server process. Use it in a ``with`` statement; leaving it ends the process."""

    def __init__(
        self,
        data_dir: Path,
        *,
        command: Sequence[str] = SERVER,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
        inherited.pop("PYTHONUNBUFFERED", None)  # hosts do not set it, and it hides what is lost in buffers
        inherited["PYTHONPATH"] = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests")))
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=inherited | {"SEDIMENT_DATA_DIR": str(data_dir), **(environment or {})},
            cwd=cwd,
        )
        self._answers: queue.Queue[Message | None] = queue.Queue()
        self._unclaimed: list[Message] = []
        self._stray: list[bytes] = []
        self._errors: list[bytes] = []
        self._next_id = 0
        self._threads = [
            threading.Thread(target=self._collect_answers, daemon=True),
            threading.Thread(target=self._collect_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> StdioPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.close_input()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind is None:
            assert self.stray_output() == []

    # --- sending ----------------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, *messages: Message) -> None:
        """Write the messages in one go, a line each."""
        self.send_bytes(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def notify(self, method: str, params: Message | None = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method} | ({"params": params} if params is not None else {}))

    def close_input(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it may have left before us
            self.process.stdin.close()

    # --- receiving --------------------------------------------------------------------------------

    def receive(self) -> Message | None:
        """Return the next message in order of arrival; None when the server has closed its output."""
        if self._unclaimed:
            return self._unclaimed.pop(0)
        return self._answers.get(timeout=TIMEOUT)

    def answer_to(self, id: int | str | None) -> Message:
        """Return the response with this id, whenever it comes; other messages wait for their own call."""
        passed: list[Message] = []
        try:
            while True:
                message = self.receive()
                assert message is not None, (
                    f"the server has left without an answer to {id!r}: {self.errors()}"
                )
                if "method" not in message and message["id"] == id and type(message["id"]) is type(id):
                    return message
                passed.append(message)
        finally:
            self._unclaimed = passed + self._unclaimed

    def everything(self) -> list[Message]:
        """All messages up to the end of the server's output."""
        messages: list[Message] = []
        while (message := self.receive()) is not None:
            messages.append(message)
        return messages

    def stray_output(self) -> list[bytes]:
        """Return what stood on stdout and is no JSON-RPC message. Complete only after the end."""
        return list(self._stray)

    def errors(self) -> str:
        """Return what stderr has shown; all of it if the process has ended."""
        if self.process.poll() is not None:
            self._threads[1].join(5)
        return b"".join(self._errors).decode(errors="replace")

    # --- whole exchanges --------------------------------------------------------------------------

    def request(self, method: str, params: Message | None = None) -> Message:
        """Send a request and wait for its response."""
        return self.answer_to(self.start_request(method, params))

    def start_request(self, method: str, params: Message | None = None) -> int:
        """Send a request and return its id at once."""
        self._next_id += 1
        request: Message = {"jsonrpc": "2.0", "id": self._next_id, "method": method}
        self.send(request | ({"params": params} if params is not None else {}))
        return self._next_id

    def initialize(self, version: str = PROTOCOL, capabilities: Message | None = None) -> Message:
        """Do the handshake; return its result."""
        answer = self.request("initialize", initialize_params(version, capabilities))
        self.notify("notifications/initialized")
        return answer["result"]

    def call(self, tool: str, **arguments: Any) -> Message:
        """Call a tool and return the whole result, errors of the tool included."""
        return self.request("tools/call", {"name": tool, "arguments": arguments})["result"]

    def start_call(self, tool: str, **arguments: Any) -> int:
        return self.start_request("tools/call", {"name": tool, "arguments": arguments})

    # --- the end ----------------------------------------------------------------------------------

    def wait_for_error(self, words: str) -> None:
        """Wait until stderr has shown the words."""
        limit = time.monotonic() + TIMEOUT
        while words not in self.errors():
            assert time.monotonic() < limit, self.errors()
            assert self.process.poll() is None, self.errors()
            time.sleep(0.01)

    def wait(self) -> int:
        """Return the exit status; fail if the process stays."""
        return self.process.wait(TIMEOUT)

    def end(self) -> int:
        """Close the input, wait for the end; the exit status."""
        self.close_input()
        return self.wait()

    def _collect_answers(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = _message(line)
            if message is None:
                self._stray.append(line)
            else:
                self._answers.put(message)
        self._answers.put(None)

    def _collect_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line)


def odd_peer(folder: Path, **options: Any) -> StdioPeer:
    """Start a peer of the real server whose query_memory does the odd things in `odd_server`."""
    program = str(REPOSITORY / "tests" / "support" / "odd_server.py")
    return StdioPeer(folder / "data", command=(sys.executable, program, str(folder)), **options)


def initialize_params(version: str = PROTOCOL, capabilities: Message | None = None) -> Message:
    return {
        "protocolVersion": version,
        "capabilities": capabilities or {},
        "clientInfo": {"name": "stdio-peer", "version": "1"},
    }


def initialize_request(id: int | str, version: str = PROTOCOL) -> Message:
    return {"jsonrpc": "2.0", "id": id, "method": "initialize", "params": initialize_params(version)}


def modern_params(params: Message | None = None) -> Message:
    """Parameters with the envelope that every request of the modern era carries."""
    envelope = {
        "io.modelcontextprotocol/protocolVersion": MODERN_PROTOCOL,
        "io.modelcontextprotocol/clientInfo": {"name": "stdio-peer", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {**(params or {}), "_meta": envelope}


def _message(line: bytes) -> Message | None:
    try:
        message = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return message if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None
