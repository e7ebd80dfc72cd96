"""Servers over HTTP for the benchmarks: processes over one store, and clients that keep a connection."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stdio_client import Server

from sediment_mcp.access.tokens import create_token, open_tokens
from sediment_mcp.config import DATA_DIR, DATABASE, Config

ANSWER_SECONDS = 60.0
END_SECONDS = 30.0
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
UNLIMITED = ("--stateless", "--rate", "0", "--calls-at-once", "64")
GONE = (ConnectionError, http.client.HTTPException, TimeoutError)


class HttpServer:
    """A server process that can be ended and started again on the same port."""

    def __init__(
        self, config: Config, number: int, python: str, options: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        directory = config.data_dir / f"cache-{number}" if config.database else config.data_dir
        directory.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
        self._environment = own | {DATA_DIR: str(directory), DATABASE: config.database} | dict(variables)
        self._command = [python, "-m", "sediment_mcp", "serve", "--http", *options]
        self._log = (config.data_dir / f"server-{number}.log").open("ab")
        self.port = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self._command, "--port", str(self.port)],
            env=self._environment, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        found = re.search(r":(\d+)/mcp", line)
        assert found, f"{line!r}; see {self._log.name}"
        self.port = int(found[1])

    def stop(self) -> float:
        """End it as a service manager does; returns the seconds that it took."""
        started = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(END_SECONDS)
        assert status == 0, status
        assert self.process.stdout is not None
        self.process.stdout.close()
        return time.perf_counter() - started

    def private_mb(self) -> float:
        return Server.memory(self)["private_mb"]  # type: ignore[arg-type]  it has a process, too

    def processor_ms(self) -> float:
        return Server.busy(self)  # type: ignore[arg-type]


class Client:
    """One caller with one connection to one of the servers; another one, where that fails.

    ``retry_seconds`` is how many seconds it may repeat a call while servers are restarted.
    """

    retry_seconds = 30.0

    def __init__(self, ports: Sequence[int], token: str | None, first: int = 0) -> None:
        self._ports, self._place = list(ports), first % len(ports)
        self._headers = JSON | ({} if token is None else {"Authorization": f"Bearer {token}"})
        self._connection: http.client.HTTPConnection | None = None
        self.repeated = 0

    def send(
        self, body: bytes, headers: Mapping[str, str] | None = None, path: str = "/mcp", method: str = "POST"
    ) -> tuple[int, bytes]:
        """Send once; a failure is raised, and the next request goes to the next server."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._ports[self._place], timeout=ANSWER_SECONDS
            )
        try:
            self._connection.request(method, path, body, self._headers if headers is None else dict(headers))
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, *GONE):
            self.leave()
            raise

    def leave(self) -> None:
        """Close the connection; the next one is to the next server."""
        self.close()
        self._place = (self._place + 1) % len(self._ports)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, tool: str, arguments: Mapping[str, Any], retry_seconds: float = 0.0) -> dict[str, Any]:
        """Call a tool; for ``retry_seconds`` seconds repeat what a server refused or did not answer.

        Raises:
            OSError, HTTPException: no server has answered in time.
        """
        until = time.monotonic() + retry_seconds
        body = build_message(tool, arguments)
        while True:
            try:
                status, answer = self.send(body)
                if status == 200:
                    return read_result(answer)
                if status != 503:
                    raise AssertionError((status, answer[:300]))
                self.leave()
                failure: Exception = ConnectionRefusedError(answer[:300])
            except (OSError, *GONE) as error:
                failure = error
            if time.monotonic() > until:
                raise failure
            self.repeated += 1
            time.sleep(0.01)


def build_message(tool: str, arguments: Mapping[str, Any]) -> bytes:
    """The request that calls a tool."""
    params = {"name": tool, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def read_result(answer: bytes) -> dict[str, Any]:
    """The structured content of a tool's answer, which must be no error."""
    result = json.loads(answer)["result"]
    assert not result.get("isError"), result
    return result["structuredContent"]


def make_tokens(config: Config, tenants: Sequence[str], callers: int) -> list[str]:
    """A token for each caller; the callers are spread over the tenants."""
    tokens = open_tokens(config)
    try:
        return [
            create_token(
                tokens, f"caller-{number}", tenant=tenants[number % len(tenants)], team=None, may_write=True,
                expires_at=None, now=datetime.now(UTC),
            )
            for number in range(callers)
        ]  # fmt: skip
    finally:
        tokens.close()


def start_servers(
    config: Config,
    count: int,
    *,
    python: str | None = None,
    options: Sequence[str] = UNLIMITED,
    variables: Mapping[str, str] | None = None,
) -> list[HttpServer]:
    """Start so many servers over the store of ``config``."""
    config.data_dir.mkdir(parents=True, exist_ok=True)
    return [
        HttpServer(config, number, python or sys.executable, options, variables or {})
        for number in range(count)
    ]
