"""How quick the installed server is, from 100 to 300,000 memories.

    python benchmarks/speed [--sizes 100,1000,10000,100000,300000] [--processes 1,4]

Run it with the interpreter of an environment where sediment-mcp is installed, on a machine that is doing
nothing else. Tables go to stdout as Markdown, progress to stderr; README.md one folder up says what is
measured and how.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of this process; servers choose for themselves
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import exactness  # noqa: E402  the path above comes first
from cells import Row, cell, protocol  # noqa: E402
from corpus import similarity  # noqa: E402
from directories import Directories, reindex  # noqa: E402
from hosts import Remembered  # noqa: E402
from machine import machine, start_clock  # noqa: E402
from options import numbers, parts_of  # noqa: E402
from peers import compare  # noqa: E402
from report import markdown, plot  # noqa: E402
from targets import against_targets  # noqa: E402

PARTS = ("cells", "filters", "recall", "rebuild", "similarity")
FILTERED = 100_000  # filters and rebuilding are measured at the largest size up to this
FEWER = 8  # times fewer questions for filters than for recall, because each is compared with brute force


class Benchmark:
    """What was asked for, and the figures so far."""

    def __init__(self, chosen: argparse.Namespace, base: Path) -> None:
        self._chosen, self._base = chosen, base
        self.say = start_clock()
        self._remembered = Remembered(base / "embeddings.npz")
        self._directories = Directories(base, self._remembered.embed_documents, self.say)
        self.figures: dict[str, Any] = {"machine": machine(), "cells": [], "method": self._method()}

    def _method(self) -> str:
        chosen = self._chosen
        return (
            f"runs: {chosen.runs}, each with new processes and {chosen.calls} calls of a kind by each of "
            "them; p50 is the median of the runs' medians, p99 is of all calls; files are in the page cache"
        )

    def run(self) -> None:
        for part in PARTS:
            if part in self._chosen.parts:
                self.say(part)
                getattr(self, part)()
        if self._chosen.peers is not None:
            self.peers()
        self.figures["targets"] = against_targets(self.figures)
        self._remembered.save()

    def cells(self) -> None:
        chosen = self._chosen
        self.figures["protocol"] = protocol(self._base, chosen.runs, chosen.calls)
        rows: list[Row] = self.figures["cells"]
        for size in chosen.sizes:
            for processes in chosen.processes:
                rows.append(cell(self._directories, size, processes, chosen.runs, chosen.calls, self.say))

    def filters(self) -> None:
        size = self._filtered()
        asked = self._asked(self._chosen.questions // FEWER)
        with self._directories.copy(size) as directory:
            self.figures["filters"] = exactness.filters(directory, asked, self._chosen.calls)
        self.figures["filtered"] = size

    def recall(self) -> None:
        asked = self._asked(self._chosen.questions)
        large = [size for size in self._chosen.sizes if size >= FILTERED] or self._chosen.sizes[-1:]
        self.figures["recall"] = []
        for size in large:
            found = exactness.recall(self._directories.path(size), asked)
            self.figures["recall"].append({"memories": size, "questions": len(asked), **found})

    def rebuild(self) -> None:
        size = self._filtered()
        if size not in self._directories.rebuilt:
            with self._directories.copy(size) as directory:
                self._directories.rebuilt[size] = reindex(directory)
        self.figures["rebuilt"] = self._directories.rebuilt

    def similarity(self) -> None:
        names = ("1", "10", "50", "all")
        found = similarity(self._directories.vectors)
        self.figures["similarity"] = [
            {"vectors": kind, **dict(zip(names, cosines, strict=True))} for kind, cosines in found.items()
        ]

    def peers(self) -> None:
        chosen = self._chosen
        self.figures["peers"] = compare(
            chosen.peers, self._directories, chosen.peer_sizes, chosen.runs, chosen.calls, self.say
        )

    def _asked(self, count: int) -> list[exactness.Asked]:
        return exactness.questions(self._remembered.embed_documents, max(1, count))

    def _filtered(self) -> int:
        return max((size for size in self._chosen.sizes if size <= FILTERED), default=self._chosen.sizes[0])


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="speed", description=(__doc__ or "").split("\n")[0])
    option: Callable[..., Any] = parser.add_argument
    option("--sizes", type=numbers, default=numbers("100,1000,10000,100000,300000"), help="memories")
    option("--processes", type=numbers, default=numbers("1,4"), help="servers busy at once")
    option("--runs", type=int, default=3, help="new processes so many times for each figure")
    option("--calls", type=int, default=100, help="of each kind, for each process of a run")
    option("--questions", type=int, default=200, help="of which recall is the mean")
    option("--parts", type=parts_of(PARTS), default=list(PARTS), help=f"only these of {','.join(PARTS)}")
    option("--peers", type=Path, metavar="DIR", help="compare with others, installed from PyPI below DIR")
    option("--peer-sizes", type=numbers, default=[1000], metavar="SIZES", help="memories for that")
    option("--json", type=Path, metavar="FILE", help="the figures, too, as JSON")
    option("--out", type=Path, metavar="DIR", help="tables, JSON and plots into this folder")
    option(
        "--keep", type=Path, metavar="DIR", help="keep the filled directories there, and use those that are"
    )
    return parser.parse_args()


def _write(figures: dict[str, Any], chosen: argparse.Namespace) -> None:
    tables, data = markdown(figures), json.dumps(figures, indent=1) + "\n"
    print(tables)
    if chosen.json:
        chosen.json.write_text(data)
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "speed.md").write_text(tables + "\n")
        (chosen.out / "speed.json").write_text(data)
        if figures["cells"]:
            plot(figures, chosen.out)


def main() -> None:
    chosen = _read()
    base = chosen.keep or Path(tempfile.mkdtemp(prefix="sediment-speed-"))
    base.mkdir(parents=True, exist_ok=True)
    try:
        benchmark = Benchmark(chosen, base)
        benchmark.run()
        _write(benchmark.figures, chosen)
    finally:
        if chosen.keep is None:
            shutil.rmtree(base)


if __name__ == "__main__":
    main()
