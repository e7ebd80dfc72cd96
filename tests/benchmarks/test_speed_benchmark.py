"""The benchmark of speed, small enough to run here: it must not rot. Nothing is asserted about time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sediment_mcp import __version__

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"

SMAPS = Path("/proc/self/smaps_rollup")
pytestmark = [
    pytest.mark.skipif(not SMAPS.exists(), reason="memory is measured by what Linux tells"),
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.model,
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What it prints, and its figures."""
    file = tmp_path_factory.mktemp("speed") / "figures.json"
    small = "--sizes 50,200 --processes 2 --runs 1 --calls 2 --questions 16 --parts cells,filters,recall"
    environment = os.environ | {"PYTHONPATH": str(BENCHMARK.parent.parent)}
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), *small.split(), "--json", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


def test_every_size_has_a_row(run: tuple[str, dict[str, Any]]) -> None:
    rows = run[1]["cells"]
    assert [(row["memories"], row["processes"], row["calls"]) for row in rows] == [(50, 2, 4), (200, 2, 4)]
    assert all(row["query_ms"] > 0 and row["store_cpu_ms"] > 0 for row in rows)


def test_nothing_that_was_acknowledged_is_lost(run: tuple[str, dict[str, Any]]) -> None:
    assert [row["lost"] for row in run[1]["cells"]] == [0, 0]


def test_filters_and_recall_are_exact_without_an_index(run: tuple[str, dict[str, Any]]) -> None:
    assert len(run[1]["filters"]) > 10
    for row in run[1]["filters"]:
        assert (row["by_meaning"], row["by_words"], row["wrong"]) == (1, 1, 0), row
    assert [(row["mean"], row["by_index"]) for row in run[1]["recall"]] == [(1, False)]


def test_the_tables_are_headed_by_the_machine(run: tuple[str, dict[str, Any]]) -> None:
    assert f"sediment-mcp {__version__}" in run[0]
    assert "| 200 | 2 |" in run[0]
