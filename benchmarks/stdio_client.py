"""A small client for the benchmarks: a real server process over stdio, one request at a time."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any


LEAVING = "server is ending"  # of the error with which it answers what it will not finish


class Gone(Exception):
    """The server has left without an answer, or says that it leaves before it has one."""


class Server:
    """A server process and one request at a time."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        log: int | IO[bytes] = subprocess.DEVNULL,
        **variables: str,
    ) -> None:
        """``variables`` are added to the environment; ``log`` takes what the server says on stderr."""
        environment = os.environ | {"SEDIMENT_DATA_DIR": str(directory), "SEDIMENT_PROJECT": ""} | variables
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        self._id = 0

    def request(self, method: str, params: dict[str, Any]) -> tuple[float, Any]:
        """(milliseconds, result).

        Raises:
            Gone: the process has ended.
        """
        started = time.perf_counter()
        self.ask(method, params)
        result = self.answer()
        return (time.perf_counter() - started) * 1000, result

    def ask(self, method: str, params: dict[str, Any]) -> None:
        """Send a request; `answer` waits for what comes back."""
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})

    def answer(self) -> Any:
        assert self.process.stdout is not None
        answer: dict[str, Any] = {}
        while answer.get("id") != self._id:  # what else comes is a notification
            line = self.process.stdout.readline()
            if not line.endswith(b"\n"):
                raise Gone
            answer = json.loads(line)
        if "error" in answer and LEAVING in answer["error"]["message"]:
            raise Gone
        return answer["result"]

    def initialize(self) -> float:
        """Milliseconds from the start of the process to the answer."""
        client = {"name": "benchmark", "version": "1"}
        self.request(
            "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        )
        took = (time.perf_counter() - self.started) * 1000
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return took

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[float, Any]:
        took, result = self.request("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        return took, result["structuredContent"]

    def memory(self) -> dict[str, float]:
        """Resident MB; Linux only. Private is what no other process maps, dirty the part of it that no file
        holds, shared what others map too, proportional its own share of everything it maps."""
        pages: dict[str, int] = {}
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, value, *_ = line.split()
            pages[name] = int(value)
        clean, dirty = pages["Private_Clean:"] / 1024, pages["Private_Dirty:"] / 1024
        shared = (pages["Shared_Clean:"] + pages["Shared_Dirty:"]) / 1024
        return {
            "private_mb": clean + dirty,
            "dirty_mb": dirty,
            "shared_mb": shared,
            "proportional_mb": pages["Pss:"] / 1024,
        }

    def busy(self) -> float:
        """Milliseconds of processor time that the threads it has now have taken; Linux only."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    def has_loaded(self, library: str) -> bool:
        return library in Path(f"/proc/{self.process.pid}/maps").read_text()

    def end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> tuple[float, int]:
        """(seconds, exit status)."""
        started = time.perf_counter()
        how(self.process)
        status = self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        return time.perf_counter() - started, status

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):  # ValueError: closed on our side
            raise Gone from None


def close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def do_at_once(work: Sequence[Callable[[], object]]) -> None:
    """Let all begin at the same moment; a failure of any is raised here."""
    gate, failures = threading.Barrier(len(work)), list[BaseException]()

    def begin(job: Callable[[], object]) -> None:
        try:
            gate.wait()
            job()
        except BaseException as error:  # noqa: BLE001  a thread's failure would go unnoticed
            failures.append(error)

    threads = [threading.Thread(target=begin, args=(job,)) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
