"""How quick the installed server is, over stdio, beside what its parts cost alone.

    python benchmarks/latency.py [--runs 9] [--calls 200] [--large 100000]

Run it with the interpreter of an environment where sediment-mcp is installed, on a machine that is doing
nothing else. It measures the console script beside that interpreter: the answer to `initialize` against a
bare MCPServer with four empty tools, the first query of a fresh process, store and query round trips at
10,000 and more memories, one process and four on one directory, and the end of the process. The bare
embedding time is measured between the calls, in this process, so that both feel the same load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from corpus import fill
from stdio_client import Server, close_input

from sediment_mcp.config import Config
from sediment_mcp.embedder import Embedder, load_embedder

SCRIPT = Path(sys.executable).with_name("sediment-mcp")
BARE = """
from mcp.server import MCPServer
app = MCPServer("bare", version="1")
for name in "abcd":
    app.add_tool(lambda: "", name=name, description=name)
app.run("stdio")
"""
QUESTIONS = (
    "what does the user prefer for lunch",
    "database connection pool size in production",
    "which city did she move to last year",
    "how to deploy the service to staging",
    "who reviewed the authentication change",
)


def report(what: str, values: Sequence[float], unit: str = "ms") -> float:
    median = statistics.median(values)
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    print(
        f"{what:<66}{median:>9.1f} {unit}  (min {ordered[0]:.1f}, p99 {p99:.1f}, n {len(values)})", flush=True
    )
    return median


def measure_initialize(directory: Path, runs: int) -> None:
    bare_script = directory / "bare.py"
    bare_script.write_text(BARE)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(runs):
        for command, times in (([str(SCRIPT)], ours), ([sys.executable, str(bare_script)], bare)):
            server = Server(command, directory / "unused")
            times.append(server.initialize())
            server.end(close_input)
    one, other = report("initialize, sediment-mcp", ours), report("initialize, bare MCPServer", bare)
    print(f"{'  ratio':<66}{one / other:>9.2f}")
    assert not (directory / "unused").exists(), "starting must not create anything"


def measure_first_query(directory: Path, runs: int) -> None:
    times: list[float] = []
    private = whole = 0.0
    for _ in range(runs):
        server = Server([str(SCRIPT)], directory)
        server.initialize()
        _, result = server.call("query_memory", {"query": QUESTIONS[0]})
        times.append((time.perf_counter() - server.started) * 1000)
        assert result["mode"] == "hybrid", result
        assert not server.has_loaded("libtorch"), "torch has been imported"
        private, whole = server.resident()
        server.end(close_input)
    report("process start to first query answered, 1,000 memories", times)
    print(f"{'  resident memory after it, private / all':<66}{private:>9.0f} / {whole:.0f} MB")


def measure_queries(embedder: Embedder, directory: Path, memories: int, calls: int) -> None:
    server = Server([str(SCRIPT)], directory)
    server.initialize()
    first = server.call("query_memory", {"query": QUESTIONS[0]})
    bare: list[float] = []
    ours: list[float] = []
    for number in range(calls):
        question = f"{QUESTIONS[number % len(QUESTIONS)]} {number}"
        started = time.perf_counter()
        embedder.embed_query(question)
        bare.append((time.perf_counter() - started) * 1000)
        ours.append(server.call("query_memory", {"query": question, "limit": 5})[0])
    assert first[1]["mode"] == "hybrid"
    whole = report(f"query round trip, limit 5, {memories:,} memories", ours)
    alone = report("  embedding the same questions alone", bare)
    print(f"{'  above it':<66}{whole - alone:>9.1f} ms")
    private, resident = server.resident()
    print(f"{'  resident memory, private / all':<66}{private:>9.0f} / {resident:.0f} MB")
    server.end(close_input)


def measure_stores(embedder: Embedder, directory: Path, calls: int) -> None:
    server = Server([str(SCRIPT)], directory)
    server.initialize()
    server.call("store_memory", {"content": "A first memory loads the model."})
    bare: list[float] = []
    ours: list[float] = []
    for number in range(calls):
        text = note(0, number)
        started = time.perf_counter()
        embedder.embed_documents([text])
        bare.append((time.perf_counter() - started) * 1000)
        ours.append(server.call("store_memory", {"content": text})[0])
    whole, alone = report("store round trip, one process", ours), report("  embedding alone", bare)
    print(f"{'  above it':<66}{whole - alone:>9.1f} ms")
    server.end(close_input)


def measure_busy_stores(directory: Path, calls: int, processes: int = 4) -> None:
    times: list[float] = []
    ids: list[str] = []

    def work(number: int) -> None:
        server = Server([str(SCRIPT)], directory)
        server.initialize()
        for step in range(calls):
            took, result = server.call("store_memory", {"content": note(number, step)})
            times.append(took)
            ids.append(result["id"])
        server.end(close_input)

    threads = [threading.Thread(target=work, args=(number + 1,)) for number in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(f"store round trip, {processes} processes busy on one directory", times)
    server = Server([str(SCRIPT)], directory)
    server.initialize()
    found = 0
    for start in range(0, len(ids), 100):
        _, result = server.call("list_memories", {"ids": ids[start : start + 100]})
        found += len(result["memories"])
    print(f"{'  acknowledged and not there afterwards':<66}{len(ids) - found:>9}")
    server.end(close_input)


def note(writer: int, step: int) -> str:
    """A memory of about 40 tokens, each one new."""
    return (
        f"In review {step} of team {writer} we decided that the import job number {step * 7 + writer} "
        f"writes to the staging bucket first, because retries after a time-out had produced {step + 3} "
        "duplicates there."
    )


def measure_ends(directory: Path, runs: int) -> None:
    ways: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
        "end of input": close_input,
        "SIGTERM": lambda process: process.send_signal(signal.SIGTERM),
        "SIGINT": lambda process: process.send_signal(signal.SIGINT),
    }
    for name, how in ways.items():
        times: list[float] = []
        for _ in range(runs):
            server = Server([str(SCRIPT)], directory)
            server.initialize()
            server.call("query_memory", {"query": QUESTIONS[1]})
            took, status = server.end(how)
            assert status == 0, (name, status)
            times.append(took * 1000)
        report(f"from {name} to the end of the process, status 0", times)


def measure_tools_list(directory: Path) -> None:
    server = Server([str(SCRIPT)], directory)
    server.initialize()
    _, result = server.request("tools/list", {})
    tools = result["tools"]
    read = sum(len(t["name"]) + len(t["description"]) + len(json.dumps(t["inputSchema"])) for t in tools)
    whole = len(json.dumps(result))
    print(f"{'tools/list, what a model reads / the whole answer':<66}{read:>9} / {whole} characters")
    server.end(close_input)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=9, help="process starts for each figure")
    parser.add_argument("--calls", type=int, default=200, help="calls for each figure")
    parser.add_argument(
        "--large", type=int, default=100_000, help="memories of the large data directory; 0: none"
    )
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    directory = Path(tempfile.mkdtemp(prefix="sediment-latency-"))
    try:
        measure_initialize(directory, arguments.runs)
        measure_tools_list(directory / "small")
        fill(directory / "small", 1000)
        measure_first_query(directory / "small", arguments.runs)
        measure_ends(directory / "small", arguments.runs)
        fill(directory / "medium", 10_000)
        embedder = load_embedder(Config(directory / "medium"))
        measure_queries(embedder, directory / "medium", 10_000, arguments.calls)
        measure_stores(embedder, directory / "medium", arguments.calls)
        measure_busy_stores(directory / "medium", arguments.calls)
        if arguments.large:
            fill(directory / "large", arguments.large)
            measure_queries(embedder, directory / "large", arguments.large, arguments.calls)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
