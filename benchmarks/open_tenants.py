"""Open tenants as a server over HTTP does, and ask each; a process of `database.py`.

    python benchmarks/open_tenants.py URL CACHE TENANT…

prints what the first and a further query of a tenant take, and what an open tenant takes, as JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "speed"))

from cells import percentile
from directories import disk
from sentences import TOPICS, Writer

from sediment_mcp.config import Config
from sediment_mcp.operations.arguments import QueryMemory, parse_arguments
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.server.http.tenants import Tenants

MEMORIES = 500
WARM_UP = 3  # tenants that load the model and what is imported late, before anything is measured
END_SECONDS = 60.0


def main() -> None:
    url, cache, *names = sys.argv[1:]
    tenants = Tenants(Config(Path(cache), project="", database=url), len(names))
    writer = Writer(7)

    def ask(tenant: str) -> float:
        query = {"query": writer.question(writer.chance.choice(TOPICS))}
        started = time.perf_counter()
        with tenants.use(tenant) as app:
            query_memory(app, parse_arguments(QueryMemory, query), None)
        return (time.perf_counter() - started) * 1000

    for name in names[:WARM_UP]:
        ask(name)
    before = private_mb()
    measured = names[WARM_UP:]
    busy = time.process_time()
    cold = [ask(name) for name in measured]
    cold_busy, busy = time.process_time() - busy, time.process_time()
    opened = (private_mb() - before) / len(measured)
    warm = [ask(name) for _ in range(3) for name in measured]
    warm_busy = time.process_time() - busy
    figures = {
        "opened": len(names),
        "cold_p50": statistics.median(cold),
        "cold_p95": percentile(cold, 0.95),
        "warm_p50": statistics.median(warm),
        "warm_p95": percentile(warm, 0.95),
        "cold_processor": cold_busy * 1000 / len(cold),
        "warm_processor": warm_busy * 1000 / len(warm),
        "open_mb": opened,
        "cache_kb": disk(Path(cache)) * 1024 / (MEMORIES * len(names)),
    }
    tenants.close(END_SECONDS)
    print(json.dumps(figures))


def private_mb() -> float:
    """Resident MB that no other process maps."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    pages = {name: int(value) for name, value, *_ in map(str.split, lines)}
    return (pages["Private_Clean:"] + pages["Private_Dirty:"]) / 1024


if __name__ == "__main__":
    main()
