"""The real server under a hail of lines, good and bad, in both eras of the protocol.

    python benchmarks/fuzz.py [--messages 100000] [--seed 1] [--model none]

Generated lines (`fuzz_lines`, repeatable by the seed) go to a server process an era, in rounds of up to a
thousand at once; `fuzz_judge` says what each must lead to. In every round good calls in between must be
answered rightly; at the end of each process the input closes with calls in flight. Promised: the process
never dies, answers each request once and nothing else, writes only JSON-RPC, tells errors in a sentence
without internals, and its memory stays bounded. Exits with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from fuzz_judge import Judge, Message
from fuzz_lines import HANDSHAKES, MODERN, Generator, handshake
from fuzz_values import odd_value, sentence, write

import sediment_mcp
from sediment_mcp.config import DATA_DIR, MODEL, NO_MODEL, PROJECT
from sediment_mcp.server.tool_schemas import build_input_schema
from sediment_mcp.server.tools import TOOLS

SERVER = (sys.executable, "-m", "sediment_mcp")
ERAS = (*HANDSHAKES, MODERN)
ROUNDS = (1, 20, 100, 300, 1000)  # lines that are sent in one go
WARM_AFTER = 0.2  # share of an era's messages after which memory is measured for the first time
START_TIMEOUT = 60.0  # seconds
GROWTH = 150.0  # MB by which a process may grow from then on
SHOWN = 20  # defects told in full


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one server process went through; memory in MB, 0 where it cannot be read."""

    era: str
    sent: int
    answered: int
    refused: int
    seconds: float
    warm: float
    last: float
    peak: float
    defects: list[str]


class Session:
    """One server process, one era, one thread that reads its answers."""

    def __init__(self, directory: Path, era: str, seed: str, command: Sequence[str], model: str) -> None:
        self._rng = Random(f"{seed} {era}")
        self._era = era
        self._word = f"canary{self._rng.getrandbits(64):x}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by `_close`
        self.judge = Judge([str(directory), str(Path(sediment_mcp.__file__).parent), sys.prefix])
        schemas = {tool.name: build_input_schema(tool.arguments) for tool in TOOLS}
        self._directory, self._told = directory, 0
        self._transcript: list[bytes] = []
        self._lines = Generator(self._rng, era, schemas)
        self._canary: dict[str, str] = {}
        own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            env=own | {DATA_DIR: str(directory), PROJECT: "", MODEL: model},
        )  # fmt: skip
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def run(self, messages: int, timeout: float) -> Outcome:
        """``timeout`` is how many seconds the server may be silent while it owes an answer."""
        started, warm = time.perf_counter(), 0.0
        try:
            self._round([], max(timeout, START_TIMEOUT))  # the barrier alone: a server that has started
            if self._era != MODERN:
                self._begin(timeout)
            self._store_canary(timeout)
            while self.judge.sent < messages and self._process.poll() is None:
                self._round(self._lines.round(self._rng.choice(ROUNDS)), timeout)
                if not warm and self.judge.sent > messages * WARM_AFTER:
                    warm = self._memory("VmRSS")
            last, peak = self._memory("VmRSS"), self._memory("VmHWM")
            self._end(timeout)
        except (BrokenPipeError, EOFError):
            last = peak = 0.0
            self._tell_death(self._process.wait(timeout))
        except (queue.Empty, subprocess.TimeoutExpired):
            self.judge.defects.append("the server does not end")
            self._close_round()
        finally:
            self._close()
        if last - warm > GROWTH:
            self.judge.defects.append(f"memory grew from {warm:.0f} to {last:.0f} MB")
        took = time.perf_counter() - started
        books = self.judge
        return Outcome(
            self._era, books.sent, books.answered, books.refused, took, warm, last, peak, books.defects
        )

    # --- what is sent -----------------------------------------------------------------------------

    def _begin(self, timeout: float) -> None:
        _, line = self._lines.request("initialize", handshake(self._era))
        self._round([line], timeout)
        self._send([self._lines.notification("notifications/initialized")])

    def _store_canary(self, timeout: float) -> None:
        content = f"{self._word} sings in Zürich: \U0001f424 \u6771\u4eac \u0007."

        def remember(answer: Message) -> bool:
            stored = answer.get("result", {}).get("structuredContent", {})
            self._canary = {"id": stored.get("id", ""), "content": content}
            return stored.get("status") == "stored"

        self._round(
            [self._checked("store_memory", {"content": content, "importance": 1.0}, remember)], timeout
        )

    def _round(self, lines: list[bytes], timeout: float) -> None:
        """Send the lines with good calls among them, then a barrier; wait for what must come."""
        for good in self._good_calls() if self._canary else ():
            lines.insert(self._rng.randint(0, len(lines)), good)
        self._send(lines)
        barrier, line = self._lines.request("ping")
        passed: list[bool] = []
        self.judge.expect(barrier, lambda _: passed.append(True) is None)
        self._send([line])
        while not (passed and self.judge.settled()):
            try:
                self._take(timeout)
            except queue.Empty:
                break
        self._close_round()

    def _close_round(self) -> None:
        """Balance the books; what was said in a round that broke a promise is kept beside the data."""
        self.judge.close_round()
        if (count := len(self.judge.defects)) > self._told:
            self._told = count
            file = self._directory.parent / f"{self._era}.{count}.transcript"
            file.write_bytes(b"\n".join(self._transcript))
        self._transcript.clear()

    def _good_calls(self) -> Iterator[bytes]:
        def holds(name: str) -> Any:
            def check(answer: Message) -> bool:
                found = answer.get("result", {}).get("structuredContent", {}).get(name, [])
                return any(self._canary.items() <= memory.items() for memory in found)

            return check

        yield self._checked("query_memory", {"query": f"Where does {self._word} sing?"}, holds("results"))
        yield self._checked("list_memories", {"ids": [self._canary["id"]]}, holds("memories"))
        yield self._checked("store_memory", {"content": sentence(self._rng)}, self._remember)

    def _remember(self, answer: Message) -> bool:
        """The memory is given to later deletes and replacements."""
        stored = answer.get("result", {}).get("structuredContent", {})
        self._lines.known = [*self._lines.known[-50:], *([stored["id"]] if "id" in stored else [])]
        return stored.get("status") in ("stored", "merged", "duplicate")

    def _checked(self, tool: str, arguments: dict[str, Any], check: Any) -> bytes:
        id, line = self._lines.request("tools/call", {"name": tool, "arguments": arguments})
        self.judge.expect(id, check)
        return line

    def _send(self, lines: list[bytes]) -> None:
        """Most rounds in one piece, some cut anywhere."""
        for line in lines:
            self.judge.line_sent(line)
            self._transcript.append(b"> " + line)
        data = b"".join(line + b"\n" for line in lines)
        cuts = sorted(self._rng.randrange(len(data) + 1) for _ in range(self._rng.choice((0, 0, 0, 3, 30))))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self._write(data[start:end])

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _end(self, timeout: float) -> None:
        """Close the input behind a last round: everything is answered, and the process ends well."""
        assert self._process.stdin is not None
        self._send(self._lines.round(100))
        self._write(self._lines.request("ping")[1][:-9])  # and in the middle of a line
        self.judge.line_sent(b"{")
        self._process.stdin.close()
        while (line := self._inbox.get(timeout=timeout)) is not None:
            self.judge.line_received(line)
        self._close_round()
        if status := self._process.wait(timeout):
            self._tell_death(status)

    # --- what comes back --------------------------------------------------------------------------

    def _take(self, timeout: float) -> None:
        line = self._inbox.get(timeout=timeout)
        if line is None:
            raise EOFError
        self._transcript.append(b"< " + line.rstrip())
        message = self.judge.line_received(line)
        if message and message.get("method") == "roots/list":
            self._send([self._roots(message["id"])])

    def _roots(self, id: Any) -> bytes:
        roots = self._rng.choice(
            ({"roots": []}, {"roots": [{"uri": "file:///tmp"}]}, {"roots": odd_value(self._rng)})
        )
        answer = write({"jsonrpc": "2.0", "id": id, "result": roots}, self._rng)
        return answer.encode("utf-8", "surrogatepass")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._inbox.put(line)
        self._inbox.put(None)

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self._process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)

    def _tell_death(self, status: int) -> None:
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").splitlines()[-3:]
        self.judge.defects.append(f"the server has died with status {status}: {' / '.join(last)}")

    def _close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def run(
    directory: Path, messages: int, seed: str, command: Sequence[str], model: str, timeout: float
) -> Iterator[Outcome]:
    """One process an era after the other, on one data directory."""
    for era in ERAS:
        yield Session(directory, era, seed, command, model).run(messages // len(ERAS), timeout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--model", default=NO_MODEL, help="as SEDIMENT_MODEL; none by default")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds of silence that are a defect")
    parser.add_argument("--keep", type=Path, help="where to put the data, and the rounds that went wrong")
    parser.add_argument("--server", nargs="+", default=SERVER, help="another server command")
    options = parser.parse_args()
    print("era          messages  answers  refused  seconds  RSS, warm   last   peak")
    defects: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sediment-fuzz-") as temporary:
        directory = options.keep or temporary
        for o in run(
            Path(directory) / "data",
            options.messages,
            options.seed,
            options.server,
            options.model,
            options.timeout,
        ):
            print(
                f"{o.era:<12}{o.sent:>9,}{o.answered:>9,}{o.refused:>9,}{o.seconds:>9.1f}"
                f"{o.warm:>8.0f} MB{o.last:>7.0f}{o.peak:>7.0f}", flush=True,
            )  # fmt: skip
            defects += [f"{o.era}: {defect}" for defect in o.defects]
            for defect in o.defects[:SHOWN]:
                print(f"  {defect}", flush=True)
    print(f"{len(defects)} defects (seed {options.seed})")
    return 1 if defects else 0


if __name__ == "__main__":
    raise SystemExit(main())
