"""Do devices that synchronize through a folder come to agree, whatever happens to them?

    python benchmarks/sync_convergence.py [--seeds 1000] [--start 0] [--processes 2] [--steps 90]

Each seed is a history of three devices (`support.sync_devices`, of which `tests/sync` plays some):
what users do, what carries the folder does, clocks that are wrong, kills at any write. Some seeds run with
embeddings. Promised, at the end of each: all devices hold the same, a device that joins then too, what was
erased is nowhere, nothing of the folder can be read without the key, and a further synchronization writes
nothing. Exits with 1 if a promise is broken.

`--mutation NAME` breaks the engine on purpose, and says which seed is the first to notice; `--reduce SEED`
looks for the fewest steps of a seed that still break a promise, and tells them.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support.sync_devices import STEPS, Broken, play  # noqa: E402
from support.sync_mutations import MUTATIONS  # noqa: E402

SHOWN = 20  # broken seeds that are told in full


@dataclass
class Outcome:
    """What became of one seed; ``problem`` is empty if all held, and ``log`` is told only otherwise."""

    seed: int
    problem: str = ""
    log: str = ""
    counts: Counter[str] = field(default_factory=Counter[str])


def run_seed(
    seed: int, steps: int = STEPS, mutation: str = "", skipped: frozenset[int] = frozenset()
) -> Outcome:
    """Play one seed."""
    logging.disable(logging.WARNING)
    with MUTATIONS[mutation]() if mutation else nullcontext():
        try:
            return Outcome(seed, counts=play(seed, steps, skipped).counts)
        except Broken as error:
            return Outcome(seed, str(error), *error.__notes__)
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            return Outcome(seed, traceback.format_exc(), *getattr(error, "__notes__", ()))


def run_all(seeds: range, steps: int, mutation: str, processes: int) -> int:
    """Play all seeds and tell what was found; return the number of broken ones."""
    begun, broken, counts = time.perf_counter(), 0, Counter[str]()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for outcome in pool.map(partial(run_seed, steps=steps, mutation=mutation), seeds, chunksize=4):
            counts += outcome.counts
            if outcome.problem:
                broken += 1
                if broken <= SHOWN:
                    print(f"seed {outcome.seed}: {outcome.problem}", flush=True)
                if mutation:
                    print(f"{mutation}: noticed by seed {outcome.seed}")
                    pool.shutdown(cancel_futures=True)
                    break
    seconds = time.perf_counter() - begun
    print(f"{len(seeds)} seeds from {seeds[0]} with {steps} steps each: {broken} broken, {seconds:.0f} s")
    print(", ".join(f"{name} {count}" for name, count in counts.most_common()))
    return broken


def reduce(seed: int, steps: int, mutation: str) -> None:
    """Leave out steps as long as a promise is broken, then tell the rest."""
    outcome = run_seed(seed, steps, mutation)
    if not outcome.problem:
        print(f"seed {seed}: nothing is broken")
        return
    kept, size = list(range(steps)), steps // 2
    while size:
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            tried = run_seed(seed, steps, mutation, frozenset(range(steps)) - frozenset(fewer))
            if tried.problem:
                kept, outcome = fewer, tried
                break
        else:
            size //= 2
    print(f"seed {seed}, {len(kept)} steps:", outcome.log, outcome.problem, sep="\n")


def main() -> int:
    """Parse the command line and play the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--mutation", choices=MUTATIONS, default="")
    parser.add_argument("--reduce", type=int, metavar="SEED")
    options = parser.parse_args()
    if options.reduce is not None:
        reduce(options.reduce, options.steps, options.mutation)
        return 0
    seeds = range(options.start, options.start + options.seeds)
    broken = run_all(seeds, options.steps, options.mutation, options.processes)
    return int(bool(broken) != bool(options.mutation))


if __name__ == "__main__":
    raise SystemExit(main())
