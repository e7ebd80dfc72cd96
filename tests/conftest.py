"""Fixtures that all tests share: hosts over a temporary directory, a clock, small thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - before any test can import usearch, see usearch_index
import pytest
from support.host import SMALL, Clock, Host

from sediment_mcp import app as library_module
from sediment_mcp.background import worker


@pytest.fixture
def quiet_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """The background thread settles for ever: tests say themselves when it works."""
    monkeypatch.setattr(worker, "SETTLE", 1e6)


@pytest.fixture
def small_thresholds(monkeypatch: pytest.MonkeyPatch, quiet_background: None) -> None:
    """Snapshots are due after a handful of memories."""
    for name, value in SMALL.items():
        monkeypatch.setattr(library_module, name, value)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_host(tmp_path: Path, clock: Clock, quiet_background: None) -> Iterator[Callable[..., Host]]:
    """Makes hosts that share one data directory and one clock."""
    hosts: list[Host] = []

    def open_one(**settings: Any) -> Host:
        hosts.append(Host(**{"directory": tmp_path / "data", "clock": clock, **settings}))
        return hosts[-1]

    yield open_one
    for host in hosts:
        host.end()


@pytest.fixture
def host(open_host: Callable[..., Host]) -> Host:
    return open_host()
