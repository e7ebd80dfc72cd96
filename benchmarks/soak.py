"""Days of use in one go: does anything grow, or get slower, while the store stays the same size?

    python benchmarks/soak.py [--calls 200000] [--processes 1] [--pauses] [--out soak.jsonl] [--plot soak.png]

A believable mix of calls (store, query, list, delete; some memories expire, some replace others, what is
deleted is erased for good a little later) goes to one server process, or to several on one directory. Deletes
keep the number of memories steady. Every so often memory, files, disk, descriptors, threads and latencies are
sampled; at the end the medians of the second and of the last quarter of the run are compared. Exits with 1 if
something has grown beyond its bound. With --pauses it also counts how long garbage collection held up the
servers, and exits with 1 if it once did for longer than its bound. Sampling reads /proc: Linux only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from stdio_client import Server, close_input

from sediment_mcp.config import DEFAULT_MODEL

SERVER = (sys.executable, "-m", "sediment_mcp")
OBSERVED = (sys.executable, str(Path(__file__).with_name("observed_server.py")))
LONGEST_PAUSE = 10.0  # milliseconds of garbage collection
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, LONGEST_PAUSE, 20.0, 50.0, 100.0)
MIX = {"store": 30, "query": 42, "list": 13, "delete": 15}
ERASED_AT_ONCE = 100  # memories of one permanent delete
SAMPLES = 200  # of a whole run

BOUNDS: dict[str, tuple[float, float]] = {
    "resident": (1.10, 5.0), "private": (1.10, 5.0),
    "files": (1.25, 4), "disk": (1.25, 2.0),
    "descriptors": (1.0, 2), "threads": (1.0, 1),
    "p50": (1.25, 0.5), "p99": (1.5, 2.0),
}  # fmt: skip
"""By which factor, and by how much beyond that (MB, milliseconds), a figure may grow from the second quarter
to the last. Latencies are those of one machine with its neighbours."""

Sample = dict[str, float]


class Host:
    """Calls like a user's day, at one or several servers over one directory."""

    def __init__(
        self, directory: Path, processes: int, model: str, memories: int, seed: str, pauses: Path | None
    ) -> None:
        self._rng = Random(seed)
        self._directory, self._memories = directory, memories
        self._live: list[str] = []
        self._gone: deque[str] = deque()
        self._words = ["".join(self._rng.choices("abcdefghijklmnoprstuvz", k=n % 6 + 4)) for n in range(4000)]
        self._took: dict[str, list[float]] = defaultdict(list)
        command, variables = SERVER, {"SEDIMENT_MODEL": model}
        if pauses is not None:
            command, variables = OBSERVED, {**variables, "OBSERVED_PAUSES": str(pauses)}
        self.servers = [Server(command, directory, **variables) for _ in range(processes)]
        for server in self.servers:
            server.initialize()

    def work(self, calls: int) -> None:
        for _ in range(calls):
            match self._rng.choices(list(MIX), list(MIX.values()))[0]:
                case "store":
                    self._store()
                case "query":
                    self._call("query_memory", {"query": self._text(6), **self._filters()})
                case "list":
                    self._call("list_memories", {"limit": 20, **self._filters()})
                case _:
                    self._delete()

    def sample(self, calls: int) -> Sample:
        """How everything stands, and the latencies since the sample before; memory in MB, times in ms."""
        files = [path for path in self._directory.rglob("*") if path.is_file()]
        found: Sample = {
            "calls": calls,
            "time": time.time(),
            "memories": len(self._live),
            "files": len(files),
        }
        found["disk"] = sum(_size(path) for path in files) / 1e6
        for number, server in enumerate(self.servers, 1):
            process = Path(f"/proc/{server.process.pid}")
            memory = server.memory()
            found[f"private {number}"] = memory["private_mb"]
            found[f"resident {number}"] = memory["private_mb"] + memory["shared_mb"]
            found[f"descriptors {number}"] = len(list((process / "fd").iterdir()))
            found[f"threads {number}"] = len(list((process / "task").iterdir()))
        for tool, times in self._took.items():
            found[f"p50 {tool}"] = statistics.median(times)
            found[f"p99 {tool}"] = sorted(times)[int(0.99 * (len(times) - 1))]
        self._took.clear()
        return found

    def end(self) -> None:
        for server in self.servers:
            _, status = server.end(close_input)
            assert status == 0, status

    def _store(self) -> None:
        rng = self._rng
        arguments: dict[str, Any] = {
            "content": self._text(rng.randint(8, 60)),
            "importance": rng.random() * 0.9,
        }
        if rng.random() < 0.3:
            arguments |= {"session": f"session {rng.randrange(50)}", "kind": "episodic"}
        if rng.random() < 0.3:
            arguments["tags"] = rng.sample(self._words[:30], 2)
        if rng.random() < 0.1:
            arguments["expires_at"] = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
        if rng.random() < 0.1 and self._live:
            arguments["replaces"] = [rng.choice(self._live[-200:])]
        self._live.append(self._call("store_memory", arguments)["id"])

    def _delete(self) -> None:
        """Delete while there are more than there should be, and erase what has been deleted long enough."""
        if len(self._gone) >= 2 * ERASED_AT_ONCE:
            ids = [self._gone.popleft() for _ in range(ERASED_AT_ONCE)]
            self._call("delete_memory", {"ids": ids, "permanent": True}, "erase")
        surplus = min(len(self._live) - self._memories, 8)
        if surplus > 0:
            ids = [self._live.pop(self._rng.randrange(len(self._live))) for _ in range(surplus)]
            self._call("delete_memory", {"ids": ids})
            self._gone.extend(ids)

    def _filters(self) -> dict[str, Any]:
        chance = self._rng.random()
        if chance < 0.1:
            return {"tags": [self._rng.choice(self._words[:30])]}
        return {"include_superseded": True} if chance < 0.2 else {}

    def _text(self, words: int) -> str:
        return " ".join(self._rng.choices(self._words, k=words)) + f" {self._rng.getrandbits(40):x}"

    def _call(self, tool: str, arguments: dict[str, Any], name: str = "") -> dict[str, Any]:
        took, result = self._rng.choice(self.servers).call(tool, arguments)
        self._took[name or tool.removesuffix("_memory").removesuffix("_memories")].append(took)
        return dict(result)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # an index was written anew in this moment
        return 0


def comparisons(samples: list[Sample]) -> Iterator[tuple[str, float, float, bool]]:
    """(figure, second quarter, last quarter, whether it has stayed within its bound)."""
    quarter = len(samples) // 4
    for name in samples[-1]:
        if name.partition(" ")[0] not in BOUNDS:
            continue
        factor, more = BOUNDS[name.partition(" ")[0]]
        second, last = (
            statistics.median([sample[name] for sample in part if name in sample])
            for part in (samples[quarter : 2 * quarter], samples[-quarter:])
        )
        yield name, second, last, last <= second * factor + more


def report(samples: list[Sample]) -> int:
    """Print the comparisons; how many figures have grown."""
    print(f"{'':<18}{'2nd quarter':>12}{'4th quarter':>12}{'ratio':>8}")
    grown = 0
    for name, second, last, flat in comparisons(samples):
        grown += not flat
        print(
            f"{name:<18}{second:>12.1f}{last:>12.1f}{last / (second or 1):>8.2f}{'' if flat else '  GROWN'}"
        )
    return grown


def report_pauses(file: Path) -> int:
    """Print how often garbage collection took how long; how many times for longer than its bound."""
    notes = [line.split() for line in file.read_text().splitlines()]
    pauses = [(int(generation), float(took)) for _, generation, took in notes]
    print(f"{'garbage collection':<20}" + "".join(f"{f'generation {number}':>14}" for number in range(3)))
    for at_least, below in zip(PAUSES, [*PAUSES[1:], float("inf")], strict=True):
        counts = [
            sum(number == generation and at_least <= took < below for number, took in pauses)
            for generation in range(3)
        ]
        print(f"{f'{at_least:g} to {below:g} ms':<20}" + "".join(f"{count:>14,}" for count in counts))
    longest = max((took for _, took in pauses), default=0.0)
    print(f"{len(pauses):,} collections of {PAUSES[0]} ms or more, the longest {longest:.1f} ms")
    return sum(took > LONGEST_PAUSE for _, took in pauses)


def plot(samples: list[Sample], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    kinds = list(BOUNDS)
    _, axes = pyplot.subplots(len(kinds), 1, figsize=(9, 2.2 * len(kinds)), sharex=True)
    for kind, axis in zip(kinds, axes, strict=True):
        for name in (name for name in samples[-1] if name.partition(" ")[0] == kind):
            drawn = [sample for sample in samples if name in sample]
            axis.plot([s["calls"] for s in drawn], [s[name] for s in drawn], label=name)
        axis.legend(fontsize="small")
        axis.set_ylim(bottom=0)
    pyplot.tight_layout()
    pyplot.savefig(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--memories", type=int, default=2000, help="how many memories there are at a time")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as SEDIMENT_MODEL; none for words alone")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--pauses", action="store_true", help="count the pauses for garbage collection")
    parser.add_argument("--out", type=Path, help="write each sample as a line of JSON")
    parser.add_argument("--plot", type=Path, help="draw the samples, with matplotlib")
    options = parser.parse_args()
    samples: list[Sample] = []
    every = max(1, options.calls // SAMPLES)
    with tempfile.TemporaryDirectory(prefix="sediment-soak-") as directory:
        pauses = Path(directory) / "pauses" if options.pauses else None
        host = Host(
            Path(directory) / "data",
            options.processes,
            options.model,
            options.memories,
            options.seed,
            pauses,
        )
        for calls in range(every, options.calls + 1, every):
            host.work(every)
            samples.append(host.sample(calls))
            if options.out:
                with options.out.open("a") as out:
                    out.write(json.dumps(samples[-1]) + "\n")
            newest = samples[-1]
            print(
                f"{calls:>9,} calls{newest['memories']:>8,.0f} memories{newest['resident 1']:>8.0f} MB"
                f"{newest['disk']:>8.1f} MB on disk{newest.get('p50 query', 0):>7.1f} ms a query", flush=True,
            )  # fmt: skip
        host.end()
        too_long = report_pauses(pauses) if pauses is not None else 0
    if options.plot:
        plot(samples, options.plot)
    return 1 if report(samples) or too_long else 0


if __name__ == "__main__":
    raise SystemExit(main())
