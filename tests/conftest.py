"""Fixtures that all tests share: hosts over a temporary directory, and their clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.host import Clock, Host


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def open_host(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Host]]:
    """Yield a maker of hosts that share one data directory and one clock.

    Its arguments are those of `Host`: with ``tuning=SMALL`` a handful of memories makes snapshots due.
    """
    hosts: list[Host] = []

    def open_one(**settings: Any) -> Host:
        hosts.append(Host(**{"directory": tmp_path / "data", "clock": clock, **settings}))
        return hosts[-1]

    yield open_one
    for host in hosts:
        host.end()


@pytest.fixture
def host(open_host: Callable[..., Host]) -> Host:
    """Return one host with the thresholds of every day."""
    return open_host()
