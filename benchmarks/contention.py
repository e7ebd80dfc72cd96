"""How long do the slowest calls take while several servers on one directory are busy?

    python benchmarks/contention.py [--processes 1,2,4,8] [--calls 60] [--model none] [--base PYTHON]

Every client asks its server without a pause for all kinds of calls in turn, at random. With `--base`, the
interpreter of an environment with another version, each run is made with both versions, one after the other,
so that other load on the machine hits both alike. Linux only.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from stdio_client import Server, close_input, do_at_once

from sediment_mcp.config import DEFAULT_MODEL

OBSERVED = Path(__file__).with_name("observed_server.py")
KINDS = ("store", "query", "list", "delete")
WARM_UP = 3  # calls of each kind before anything is measured

Times = dict[str, list[float]]


class Run(NamedTuple):
    """Milliseconds of each call by kind, and of the longest pause of any collector."""

    times: Times
    pause: float


class _Client:
    """One server, and who calls it."""

    def __init__(self, python: str, directory: Path, model: str, number: int) -> None:
        self.pauses = directory.parent / f"pauses-{number}"
        self.server = Server(
            (python, str(OBSERVED)), directory, SEDIMENT_MODEL=model, OBSERVED_PAUSES=str(self.pauses)
        )
        self.times: Times = defaultdict(list)
        self._rng = Random(number)
        self._number = number
        self._stored: list[str] = []

    def warm_up(self) -> None:
        """Make the first calls, which load everything."""
        self.server.initialize()
        for _ in range(WARM_UP):
            for kind in KINDS:
                self._call(kind)
        self.times.clear()

    def work(self, calls: int) -> None:
        kinds = [kind for kind in KINDS for _ in range(calls)]
        self._rng.shuffle(kinds)
        for kind in kinds:
            self._call(kind)

    def longest_pause(self, since: float) -> float:
        lines = [line.split() for line in self.pauses.read_text().splitlines()]
        return max((float(took) for at, _, took in lines if float(at) > since), default=0.0)

    def _call(self, kind: str) -> None:
        if kind == "store":
            took, answer = self.server.call("store_memory", {"content": sentence(self._rng)})
            self._stored.append(answer["id"])
        elif kind == "query":
            took, _ = self.server.call("query_memory", {"query": sentence(self._rng, 4)})
        elif kind == "list":
            took, _ = self.server.call("list_memories", {"limit": 20})
        else:
            if not self._stored:
                self._call("store")
            took, _ = self.server.call("delete_memory", {"ids": [self._stored.pop()]})
        self.times[kind].append(took)


def sentence(rng: Random, words: int = 12) -> str:
    """Return words of a small vocabulary, so that queries find something, and a number of their own."""
    return " ".join(f"{rng.choice(SYLLABLES)}{rng.choice(SYLLABLES)}" for _ in range(words)) + (
        f" {rng.getrandbits(40):x}" if words > 4 else ""
    )


SYLLABLES = ("ka", "lo", "mi", "nu", "pe", "ra", "so", "ti", "vu", "ze", "bor", "dal", "fen", "gul", "hix")


def fill(directory: Path, memories: int, model: str) -> None:
    """Store so many memories."""
    server, rng = Server((sys.executable, "-m", "sediment_mcp"), directory, SEDIMENT_MODEL=model), Random(0)
    server.initialize()
    for _ in range(memories):
        server.call("store_memory", {"content": sentence(rng)})
    server.end(close_input)


def run(python: str, filled: Path, processes: int, calls: int, model: str) -> Run:
    """Let so many servers be busy at once on a copy of the directory."""
    with tempfile.TemporaryDirectory(prefix="sediment-contention-") as folder:
        directory = Path(folder) / "data"
        shutil.copytree(filled, directory)
        clients = [_Client(python, directory, model, number) for number in range(processes)]
        do_at_once([client.warm_up for client in clients])
        since = time.monotonic()
        do_at_once([lambda client=client: client.work(calls) for client in clients])
        pause = max(client.longest_pause(since) for client in clients)
        for client in clients:
            client.server.end(close_input)
        return Run(
            {kind: [took for client in clients for took in client.times[kind]] for kind in KINDS}, pause
        )


def _join(runs: Sequence[Run]) -> Run:
    return Run(
        {kind: [took for run in runs for took in run.times[kind]] for kind in KINDS},
        max(run.pause for run in runs),
    )


def format_times(times: Sequence[float]) -> str:
    """Return p50/p95/p99/max in milliseconds, and in brackets how many times p50 the p99 is."""
    ordered = sorted(times)
    p50, p95, p99 = statistics.median(ordered), *(ordered[int(q * (len(ordered) - 1))] for q in (0.95, 0.99))
    return f"{p50:.0f}/{p95:.0f}/{p99:.0f}/{ordered[-1]:.0f} [{p99 / p50:.1f}]"


def _read_options() -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", default="1,2,4,8", help="servers busy at once on one directory")
    parser.add_argument("--calls", type=int, default=60, help="of each kind, by each client")
    parser.add_argument("--runs", type=int, default=1, help="of each number of processes and version")
    parser.add_argument("--memories", type=int, default=1000, help="that there are at the start")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as SEDIMENT_MODEL; none for words alone")
    parser.add_argument("--base", help="the interpreter of another version, measured beside this one")
    return parser.parse_args()


def main() -> None:
    options = _read_options()
    versions = {"base": options.base} if options.base else {}
    versions["this"] = sys.executable
    print("ms p50/p95/p99/max [p99 / p50], and the longest pause for a garbage collection\n")
    print(f"| servers | version | {' | '.join(KINDS)} | pause |\n|---|---|{'---|' * (len(KINDS) + 1)}")
    with tempfile.TemporaryDirectory(prefix="sediment-contention-") as folder:
        filled = Path(folder) / "data"
        fill(filled, options.memories, options.model)
        for processes in map(int, options.processes.split(",")):
            runs: dict[str, list[Run]] = defaultdict(list)
            for _ in range(options.runs):
                for version, python in versions.items():
                    runs[version].append(run(python, filled, processes, options.calls, options.model))
            for version, each in runs.items():
                joined = _join(each)
                cells = " | ".join(format_times(joined.times[kind]) for kind in KINDS)
                print(f"| {processes} | {version} | {cells} | {joined.pause:.1f} |", flush=True)


if __name__ == "__main__":
    main()
