"""What the project wants to reach, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Figures = dict[str, Any]

LARGE, LARGEST = 100_000, 300_000
ONE_PROCESS: dict[int, dict[str, float]] = {
    LARGE: {"start_s": 2.5, "private_mb": 250, "query_above_ms": 20},
    LARGEST: {"start_s": 4.0, "private_mb": 350, "query_above_ms": 40},
}
RECALL = 0.97
FILTER_MS = 10
NAMES = {
    "start_s": "start to first answer, s",
    "private_mb": "private memory, MB",
    "query_above_ms": "query above the bare embedding, p50, ms",
}


def against_targets(figures: Figures) -> list[Figures]:
    """Each target whose size was measured."""
    return [*_cells(figures), *_filters(figures), *_recall(figures)]


def _cells(figures: Figures) -> Iterator[Figures]:
    for row in figures["cells"]:
        if row["processes"] == 1:
            for name, most in ONE_PROCESS.get(row["memories"], {}).items():
                yield _at_most(most, row["memories"], NAMES[name], row[name])


def _filters(figures: Figures) -> Iterator[Figures]:
    if figures.get("filtered") == LARGE:
        rows = figures["filters"]
        found = min(min(row["by_meaning"], row["by_words"]) for row in rows)
        yield _at_least(1, LARGE, "filters: share of the best found, the worst filter", found)
        yield _at_most(0, LARGE, "filters: wrong ones", sum(row["wrong"] for row in rows))
        slowest = max(row["above_unfiltered_ms"] for row in rows)
        yield _at_most(FILTER_MS, LARGE, "filters: above no filter, p50, ms, the slowest", slowest)


def _recall(figures: Figures) -> Iterator[Figures]:
    for row in figures.get("recall", ()):
        if row["memories"] in (LARGE, LARGEST):
            yield _at_least(RECALL, row["memories"], "recall@10 of search by meaning", row["mean"])


def _at_most(most: float, memories: int, measure: str, measured: float) -> Figures:
    return _row(memories, measure, f"at most {most:g}", measured, measured <= most)


def _at_least(least: float, memories: int, measure: str, measured: float) -> Figures:
    return _row(memories, measure, f"at least {least:g}", measured, measured >= least)


def _row(memories: int, measure: str, target: str, measured: float, met: bool) -> Figures:
    return {"memories": memories, "measure": measure, "target": target, "measured": measured, "met": met}
