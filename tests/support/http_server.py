"""The real server over HTTP, as a process of its own, and raw requests to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sediment_mcp.access.tokens import create_token, open_tokens
from sediment_mcp.config import Config
from support.stdio_peer import REPOSITORY

TIMEOUT = 30.0  # seconds in which an answer must come
JSON_ONLY = {"Accept": "application/json", "Content-Type": "application/json"}
BOTH = JSON_ONLY | {"Accept": "application/json, text/event-stream"}


@dataclass
class Response:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpServer:
    """A running server; ``url`` is the address without a path."""

    process: subprocess.Popen[bytes]
    url: str
    log_file: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = JSON_ONLY,
        token: str | None = None,
    ) -> Response:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        more = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request(method, path, body, {**headers, **more})
            answer = connection.getresponse()
            return Response(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def ask(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> Response:
        """Send one message of the protocol, and take JSON as the answer."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        return self.send("POST", options.pop("path", "/mcp"), json.dumps(message).encode(), **options)

    def call(self, tool: str, arguments: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Call a tool and return its structured content."""
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments}, **options)
        assert answer.status == 200, answer
        result = answer.json()["result"]
        assert not result["isError"], result
        return result["structuredContent"]

    def stop(self) -> int:
        """End it as a service manager does; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)

    def find_line(self, answer: Response) -> dict[str, Any]:
        """Return the line on a request, which is written once its answer has been sent."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            lines = self.log_file.read_bytes().decode().rpartition("\n")[0].splitlines()
            for line in map(json.loads, reversed(lines)):
                if line.get("request") == answer.headers["x-request-id"]:
                    return line
        raise AssertionError(f"nothing is logged of {answer}")

    def log(self) -> list[dict[str, Any]]:
        """Return the lines that it has logged, each of which must be JSON."""
        return [json.loads(line) for line in self.log_file.read_text(encoding="utf-8").splitlines()]


def list_environment(data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a server without a model, so that nothing has to be loaded."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")},
        "PYTHONPATH": str(REPOSITORY),
        "SEDIMENT_DATA_DIR": str(data),
        "SEDIMENT_MODEL": "none",
        **more,
    }


def make_token(
    data: Path, name: str, tenant: str = "default", *, team: str | None = None, may_write: bool = True
) -> str:
    """Create a token for a server over this directory; return it."""
    tokens = open_tokens(Config(data_dir=data))
    try:
        return create_token(
            tokens,
            name,
            tenant=tenant,
            team=team,
            may_write=may_write,
            expires_at=None,
            now=datetime.now(UTC),
        )
    finally:
        tokens.close()


@contextmanager
def running_server(folder: Path, *options: str, **variables: str) -> Generator[HttpServer]:
    """Start a server on a free port; its data are in ``folder / "data"``, its log in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / f"log-{len(list(folder.glob('log-*')))}"
    command = [sys.executable, "-m", "sediment_mcp", "serve", "--http", "--port", "0", *options]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, env=list_environment(folder / "data", **variables), stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        found = re.search(r"at (http\S+)/mcp\.", line)
        assert found, log_file.read_text()
        yield HttpServer(process, found[1], log_file)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
