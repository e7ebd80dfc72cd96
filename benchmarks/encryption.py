"""What encryption at rest costs: a plain data directory beside the same one encrypted, in one run.

    python benchmarks/encryption.py [--sizes 10000,100000] [--calls 200] [--runs 3] [--starts 9]
                                    [--parts calls,starts,conversion]

Real servers over stdio, with the model, are asked in turn with the same text and started in turn, so that
other load on the machine hits both alike. The key is in a file below the folder of the directories. Prints
tables with the targets and whether they are met; README.md beside this file says what is measured. Linux
only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of this process; servers choose for themselves
    os.environ.setdefault(variable, "1")
sys.path.append(str(Path(__file__).resolve().parent / "speed"))

from asking import answer_by_both, question, sentence  # noqa: E402  the path above comes first
from cells import percentile  # noqa: E402
from directories import Directories, disk  # noqa: E402
from hosts import SCRIPT, Remembered  # noqa: E402
from machine import start_clock  # noqa: E402
from options import numbers, parts_of  # noqa: E402
from report import TARGETS, Column, at_most, formatted, headed, shown  # noqa: E402
from sentences import Writer  # noqa: E402
from stdio_client import Server, close_input  # noqa: E402

PARTS = ("calls", "starts", "conversion")
PLAIN, ENCRYPTED = "plain", "encrypted"
KINDS = (PLAIN, ENCRYPTED)
MOST_ABOVE = {"query": 3.0, "store": 3.0}  # milliseconds above plain, p50, at 10,000 memories
MOST_START = 150.0  # milliseconds above plain to an answer by words and meaning, at 10,000 memories
TARGETED = 10_000  # memories
QUIET_MS, QUIET_SECONDS = 25.0, 0.5  # a server is quiet that takes less processor time in so long
MOST_WAIT = 60.0  # seconds for that

Figures = dict[str, Any]


@dataclass
class Measured:
    """All figures of a run."""

    calls: list[Figures] = field(default_factory=list[Figures])
    starts: list[Figures] = field(default_factory=list[Figures])
    conversion: list[Figures] = field(default_factory=list[Figures])
    targets: list[Figures] = field(default_factory=list[Figures])


class Benchmark:
    """The directories of both kinds, and the figures so far."""

    def __init__(self, chosen: argparse.Namespace, base: Path) -> None:
        self._chosen, self._base = chosen, base
        self.say = start_clock()
        self._remembered = Remembered(base / "embeddings.npz")
        self._directories = Directories(base, self._remembered.embed_documents, self.say)
        self._variables = {"XDG_CONFIG_HOME": str(base / "settings")}
        self.measured = Measured()

    def run(self) -> None:
        for size in self._chosen.sizes:
            for part in PARTS:
                if part in self._chosen.parts:
                    getattr(self, part)(size)
        self._remembered.save()

    def _expect(self, size: int, measure: str, most: float, measured: float) -> None:
        if size == TARGETED:
            self.measured.targets.append(at_most(size, measure, most, measured))

    # --- directories ----------------------------------------------------------------------------

    def _path(self, size: int, kind: str) -> Path:
        """The directory of a size and kind, which nobody may write into."""
        plain = self._directories.path(size)
        if kind == PLAIN:
            return plain
        encrypted = self._base / f"{size}-encrypted"
        if not encrypted.exists():
            unfinished = encrypted.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(plain, unfinished)
            self._command(unfinished, "encrypt", *ENCRYPT)
            self._command(unfinished, "reindex")  # encryption leaves that to the next server
            unfinished.rename(encrypted)
        return encrypted

    @contextmanager
    def _copy(self, size: int, kind: str) -> Iterator[Path]:
        """A copy to write into, gone afterwards."""
        copy = self._base / f"at-work-{kind}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self._path(size, kind), copy)
        os.sync()  # or the disk would still be busy with it while calls are measured
        try:
            yield copy
        finally:
            shutil.rmtree(copy)

    def _command(self, directory: Path, *words: str) -> float:
        """Seconds that a command takes."""
        started = time.perf_counter()
        subprocess.run(
            [str(SCRIPT), "--data-dir", str(directory), *words],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | self._variables,
        )  # fmt: skip
        return time.perf_counter() - started

    def _start(self, directory: Path) -> Server:
        return Server([str(SCRIPT)], directory, **self._variables)

    # --- calls ----------------------------------------------------------------------------------

    def calls(self, size: int) -> None:
        times: dict[tuple[str, str], list[float]] = {}
        memory: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for number in range(self._chosen.runs):
            self.say(f"{size:,} memories: calls, run {number + 1} of {self._chosen.runs}")
            with ExitStack() as stack:
                servers = {kind: self._start(stack.enter_context(self._copy(size, kind))) for kind in KINDS}
                for server in servers.values():
                    server.initialize()
                    answer_by_both(server)
                    wait_until_quiet(server)
                self._ask_both(servers, Writer(1000 + number), times)
                for kind, server in servers.items():
                    memory[kind].append(server.memory()["private_mb"])
                    server.end(close_input)
        for call in MOST_ABOVE:
            self._add_calls(size, call, times, memory)

    def _ask_both(
        self, servers: Mapping[str, Server], writer: Writer, times: dict[tuple[str, str], list[float]]
    ) -> None:
        for call, tool, arguments in (
            ("query", "query_memory", lambda: {"query": question(writer)}),
            ("store", "store_memory", lambda: {"content": sentence(writer)}),
        ):
            busy = {kind: server.busy() for kind, server in servers.items()}
            for place in range(self._chosen.calls):
                asked = arguments()
                for kind in KINDS if place % 2 else reversed(KINDS):
                    took, _ = servers[kind].call(tool, asked)
                    times.setdefault((kind, call), []).append(took)
            for kind, server in servers.items():
                processor = (server.busy() - busy[kind]) / self._chosen.calls
                times.setdefault((kind, f"{call} processor"), []).append(processor)

    def _add_calls(
        self, size: int, call: str, times: dict[tuple[str, str], list[float]], memory: dict[str, list[float]]
    ) -> None:
        base = statistics.median(times[PLAIN, call])
        for kind in KINDS:
            took = times[kind, call]
            self.measured.calls.append(
                {
                    "memories": size, "call": call, "directory": kind, "p50": statistics.median(took),
                    "p95": percentile(took, 0.95), "above": statistics.median(took) - base,
                    "processor": statistics.median(times[kind, f"{call} processor"]),
                    "private": statistics.median(memory[kind]),
                }
            )  # fmt: skip
        above = statistics.median(times[ENCRYPTED, call]) - base
        self._expect(size, f"{call} above plain, p50, ms", MOST_ABOVE[call], above)

    # --- starts ---------------------------------------------------------------------------------

    def starts(self, size: int) -> None:
        rows: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
        with ExitStack() as stack:
            copies = {kind: stack.enter_context(self._copy(size, kind)) for kind in KINDS}
            for number in range(-1, self._chosen.starts):  # the first brings the files into the page cache
                self.say(f"{size:,} memories: start {number + 1} of {self._chosen.starts}")
                for kind in KINDS if number % 2 else reversed(KINDS):
                    found = measure_start(self._start(copies[kind]))
                    if number >= 0:
                        rows[kind].append(found)
        medians = {
            kind: {name: statistics.median(row[name] for row in found) for name in found[0]}
            for kind, found in rows.items()
        }
        for kind in KINDS:
            directory_mb = disk(self._path(size, kind))
            self.measured.starts.append(
                {"memories": size, "directory": kind, "disk": directory_mb, **medians[kind]}
            )
        above = medians[ENCRYPTED]["both"] - medians[PLAIN]["both"]
        self._expect(
            size, "start to an answer by words and meaning above plain, ms", MOST_START, 1000 * above
        )

    # --- conversion -----------------------------------------------------------------------------

    def conversion(self, size: int) -> None:
        self.say(f"{size:,} memories: encrypted and decrypted")
        with self._copy(size, PLAIN) as directory:
            encrypted = self._command(directory, "encrypt", *ENCRYPT)
            decrypted = self._command(directory, "decrypt", "--yes")
        self.measured.conversion.append({"memories": size, "encrypted": encrypted, "decrypted": decrypted})


ENCRYPT = ("--yes", "--key", "file")


def measure_start(server: Server) -> Figures:
    """Seconds from the start of a process until it answers, and until its background has nothing to do."""
    server.initialize()
    first = answer_by_both(server)
    both = time.perf_counter() - server.started
    soon = server.memory()["private_mb"]
    settled = wait_until_quiet(server) - server.started
    query = statistics.median(
        server.call("query_memory", {"query": "When do releases go out?"})[0] for _ in range(5)
    )
    found = {
        "first": first, "both": both, "settled": settled, "busy": server.busy() / 1000, "private soon": soon,
        "private": server.memory()["private_mb"], "query": query,
    }  # fmt: skip
    server.end(close_input)
    return found


def wait_until_quiet(server: Server) -> float:
    """Wait until the server takes hardly any processor time; returns the moment from which on it did."""
    limit = time.perf_counter() + MOST_WAIT
    while time.perf_counter() < limit:
        busy, began = server.busy(), time.perf_counter()
        time.sleep(QUIET_SECONDS)
        if server.busy() - busy < QUIET_MS:
            return began
    return time.perf_counter()


# --- tables -------------------------------------------------------------------------------------

CALLS: tuple[Column, ...] = (
    ("memories", formatted("memories", ",")), ("call", shown("call")), ("directory", shown("directory")),
    ("p50 ms", formatted("p50", ".1f")), ("p95 ms", formatted("p95", ".1f")),
    ("above plain ms", formatted("above", "+.1f")), ("processor ms", formatted("processor", ".1f")),
    ("private MB", formatted("private", ".0f")),
)  # fmt: skip
STARTS: tuple[Column, ...] = (
    ("memories", formatted("memories", ",")), ("directory", shown("directory")),
    ("first answer s", formatted("first", ".2f")), ("by words and meaning s", formatted("both", ".2f")),
    ("background done s", formatted("settled", ".1f")), ("processor s", formatted("busy", ".2f")),
    ("private MB at that answer", formatted("private soon", ".0f")),
    ("when done", formatted("private", ".0f")), ("query then ms", formatted("query", ".1f")),
    ("disk MB", formatted("disk", ".0f")),
)  # fmt: skip
CONVERSION: tuple[Column, ...] = (
    ("memories", formatted("memories", ",")), ("encrypt s", formatted("encrypted", ".1f")),
    ("decrypt s", formatted("decrypted", ".1f")),
)  # fmt: skip


def report(measured: Measured) -> Iterator[str]:
    parts = (
        ("Targets", TARGETS, measured.targets),
        ("Calls", CALLS, measured.calls),
        ("Starts", STARTS, measured.starts),
        ("Conversion", CONVERSION, measured.conversion),
    )
    yield from headed("What encryption at rest costs", parts)


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="encryption", description=(__doc__ or "").splitlines()[0])
    option: Callable[..., Any] = parser.add_argument
    option("--sizes", type=numbers, default=[10_000, 100_000], help="memories; targets are for 10000")
    option("--calls", type=int, default=200, help="of each kind and server, in a run")
    option("--runs", type=int, default=3, help="new processes so many times, for calls")
    option("--starts", type=int, default=9, help="of each kind, of which medians are taken")
    option("--parts", type=parts_of(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    option(
        "--keep", type=Path, metavar="DIR", help="keep the filled directories there, and use those that are"
    )
    return parser.parse_args()


def main() -> None:
    chosen = _read()
    base = chosen.keep or Path(tempfile.mkdtemp(prefix="sediment-encryption-"))
    base.mkdir(parents=True, exist_ok=True)
    try:
        benchmark = Benchmark(chosen, base)
        benchmark.run()
        print("\n".join(report(benchmark.measured)))
    finally:
        if chosen.keep is None:
            shutil.rmtree(base)
    raise SystemExit(not all(row["met"] for row in benchmark.measured.targets))


if __name__ == "__main__":
    main()
