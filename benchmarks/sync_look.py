"""Measure what a query costs in a store that synchronizes, beside one that does not.

Queries of both run in turns, in one process with the default model, while two other devices have 64 files
each in the folder. Then another device stores, and the query that takes this over is timed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.server.tool_calls import call_tool, find_tool
from sediment_mcp.sync.automatic import GRANULE, synchronize_automatically
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.settings import SyncSettings, write_settings
from sediment_mcp.transfer.encryption import generate_identity
from sediment_mcp.tuning import Tuning

FILES = 64  # of each other device, as many as one has before its log is rewritten
MEMORIES = 500  # of each store, so that a query has something to rank
QUIET = Tuning(settle_seconds=1e6)  # no background work beside what is timed
QUESTION = "Where does machine 7 stand, and who looks after it?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    identity = generate_identity()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "folder").mkdir()
        plain, paired = open_store(root / "plain"), open_store(root / "paired")
        others = [open_store(root / name) for name in ("ann", "bob")]
        for name, app in zip(("paired", "ann", "bob"), (paired, *others), strict=True):
            write_settings(app, SyncSettings(root / "folder", name, identity, is_automatic=True))
        for app in (plain, paired):
            for number in range(MEMORIES):
                store(app, f"Machine {number} stands in hall {number % 9}, and {number % 31} looks after it")
            synchronize_automatically(app)
        for app in others:
            for number in range(FILES):
                store(app, f"Note {number} of {app.config.data_dir.name}")
                SyncEngine(app).run()
        first = time_of(lambda: query(paired))
        while SyncEngine(paired).run().has_changes:
            pass
        query(paired)
        time.sleep(GRANULE)
        query(paired)
        compare(plain, paired, options.rounds)
        with_news = [measure_news(paired, others[0], number) for number in range(options.rounds // 4)]
        print(f"first query, {2 * FILES} files to take over (engine and key imported): {first:.1f} ms")
        found = sum(is_found for _, is_found in with_news)
        print(f"a query that takes over one memory: {describe([ms for ms, _ in with_news])}")
        print(f"  found by it: {found} of {len(with_news)}")
        for app in (plain, paired, *others):
            app.close()


def open_store(directory: Path) -> Application:
    app = Application(replace(Config(directory), tuning=QUIET))
    app.model.get()
    return app


def store(app: Application, text: str) -> None:
    store_memory(app, parse_arguments(StoreMemory, {"content": text}), None)


def query(app: Application, text: str = QUESTION) -> str:
    return str(call_tool(app, find_tool("query_memory"), {"query": text}, None, set()))


def compare(plain: Application, paired: Application, rounds: int) -> None:
    """Query both in turns, and print what each costs, and what the look alone does."""
    times: dict[str, list[float]] = {"plain": [], "paired": [], "look": []}
    for _ in range(rounds):
        times["plain"].append(time_of(lambda: query(plain)))
        times["paired"].append(time_of(lambda: query(paired)))
        times["look"].append(time_of(lambda: paired.before_query(None)))
    begin = time.process_time()
    for _ in range(rounds):
        paired.before_query(None)
    print(f"look, processor time {(time.process_time() - begin) * 1000 / rounds:.2f} ms")
    for name, measured in times.items():
        print(f"{name:<8}{describe(measured)}")


def measure_news(paired: Application, other: Application, number: int) -> tuple[float, bool]:
    """Return how long the query takes that finds what another device has just given, and whether it does."""
    text = f"The word of today is quillon{number}"
    store(other, text)
    SyncEngine(other).run()
    answers: list[str] = []
    taken = time_of(lambda: answers.append(query(paired, text)))
    return taken, text in answers[0]


def time_of(work: Callable[[], object]) -> float:
    """Return how many milliseconds something takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def describe(measured: list[float]) -> str:
    """Return the median and the 95th percentile of milliseconds."""
    ordered = sorted(measured)
    return f"p50 {statistics.median(ordered):.2f} ms, p95 {ordered[int(len(ordered) * 0.95)]:.2f} ms"


if __name__ == "__main__":
    main()
