"""Runs put together: one row of figures for each size and number of processes."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from busy import Run, run
from directories import Directories, Say, disk
from stdio_client import Server, close_input

BARE_SERVER = (sys.executable, str(Path(__file__).with_name("bare_server.py")))
FEW = 10_000  # up to so many memories, what a run stores would make the next one's directory another one

Row = dict[str, Any]


def cell(directories: Directories, size: int, processes: int, runs: int, calls: int, say: Say) -> Row:
    """All figures of one size and one number of processes."""
    done: list[Run] = []
    while len(done) < runs:
        with directories.copy(size) as directory:
            for _ in range(1 if size <= FEW else runs):
                say(f"{size:,} memories, processes: {processes}, run {len(done) + 1} of {runs}")
                done.append(run(directory, processes, calls, seed=len(done) + 1))
    return {
        "memories": size,
        "processes": processes,
        "runs": runs,
        "calls": runs * calls * processes,
        **_figures(done),
        "disk_mb": disk(directories.path(size)),
        "lost": sum(one.lost for one in done),
        "first_answers_by_words": sum(one.by_words for one in done),
    }


def _figures(runs: Sequence[Run]) -> Row:
    figures: Row = {"start_s": _median(runs, "start"), "initialize_s": _median(runs, "initialize")}
    for call in ("query", "store"):
        bare = _median(runs, f"bare {call}")
        figures[f"{call}_ms"] = _median(runs, call)
        figures[f"{call}_p99_ms"] = percentile([took for one in runs for took in one.times[call]], 0.99)
        figures[f"{call}_bare_ms"] = bare
        figures[f"{call}_above_ms"] = figures[f"{call}_ms"] - bare
        figures[f"{call}_cpu_ms"] = _median(runs, f"{call} cpu")
    figures["ping_ms"] = _median(runs, "ping")
    for kind in ("private_mb", "dirty_mb", "shared_mb"):
        figures[kind] = statistics.median(max(memory[kind] for memory in one.memory) for one in runs)
    figures["end_s"] = _median(runs, "end")
    return figures


def _median(runs: Sequence[Run], what: str) -> float:
    """The median of the runs' medians: a run that was disturbed counts as one."""
    return statistics.median(statistics.median(one.times[what]) for one in runs)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def protocol(directory: Path, runs: int, calls: int) -> Row:
    """A bare server of the MCP SDK: seconds to the answer to `initialize`, milliseconds of a call."""
    starts, trips = list[float](), list[float]()
    for _ in range(runs):
        server = Server(BARE_SERVER, directory)
        starts.append(server.initialize() / 1000)
        took = [server.request("tools/call", {"name": "nothing", "arguments": {}})[0] for _ in range(calls)]
        trips.append(statistics.median(took))
        server.end(close_input)
    return {"initialize_s": statistics.median(starts), "call_ms": statistics.median(trips), "runs": runs}
