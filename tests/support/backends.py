"""The engines over which tests run, and where a test's memories lie in each of them.

A module or a test with the mark ``over_both`` runs over SQLite and over PostgreSQL, one with the mark
``over_encrypted`` also over SQLite in an encrypted data directory; all others run over SQLite. Whatever asks
`settings` for its part of a `Config` runs over the engine of the test: hosts, stores, and worker processes,
which are told by their environment, or by the directory that it is encrypted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sediment_mcp.config import DATABASE, DEFAULT_TENANT, TENANT, Config
from support import postgres
from support.encryption import make_encrypted, own_keys
from support.statements import checked_statements
from support.traces import long_words

SQLITE, POSTGRES, ENCRYPTED = "sqlite", "postgres", "encrypted"
BACKENDS = (SQLITE, pytest.param(POSTGRES, marks=pytest.mark.postgres))
"""Each engine as a parameter of a test. A new one is one more entry, and passes the same tests."""
OVER_ENCRYPTED = pytest.param(ENCRYPTED, marks=pytest.mark.encrypt)


class Backend:
    """An engine, and the tenants in it: each data directory of a test is one of its own.

    ``database`` is that of a server, if not the one that all tests share.
    """

    def __init__(self, name: str, database: str = "") -> None:
        self.name = name
        self._database = database
        self._tenants: dict[tuple[Path, str], str] = {}

    def settings(self, directory: Path, tenant: str = "") -> dict[str, str]:
        """The fields of a `Config` that say where the memories of a data directory lie."""
        if self.name == ENCRYPTED:
            make_encrypted(directory)
        if self.name != POSTGRES:
            return {"tenant": tenant or DEFAULT_TENANT}
        if (directory, tenant) not in self._tenants:
            self._tenants[directory, tenant] = postgres.new_tenant()
        database = self._database or postgres.shared_database()
        return {
            "database": postgres.shared_server().url(database),
            "tenant": self._tenants[directory, tenant],
        }


class Told(Backend):
    """The engine of which the environment of a worker process tells."""

    def __init__(self) -> None:
        super().__init__(POSTGRES if os.environ.get(DATABASE) else SQLITE)

    def settings(self, directory: Path, tenant: str = "") -> dict[str, str]:
        return {
            "database": os.environ.get(DATABASE, ""),
            "tenant": tenant or os.environ.get(TENANT) or DEFAULT_TENANT,
        }


_current: list[Backend] = [Told()]


def settings(directory: Path, tenant: str = "") -> dict[str, str]:
    """The fields of a `Config` that say where the memories of a data directory lie, in this test."""
    return _current[-1].settings(directory, tenant)


def environment(directory: Path) -> dict[str, str]:
    """The same as variables, for a process."""
    names = {"database": DATABASE, "tenant": TENANT}
    return {names[field]: value for field, value in settings(directory).items()}


def tables_with(config: Config, text: str) -> list[str]:
    """The tables of a server in which a row of the tenant holds any of a text's longer words."""
    if not config.database:
        return []
    return postgres.tables_with(urlsplit(config.database).path[1:], config.tenant, long_words(text))


@contextmanager
def use_backend(name: str, database: str = "", *, is_checked: bool = True) -> Iterator[Backend]:
    """Let tests inside run over an engine, whose statements are checked, and whose keys are their own."""
    _current.append(Backend(name, database))
    try:
        with ExitStack() as stack:
            if name == POSTGRES and is_checked:
                stack.enter_context(checked_statements())
            if name == ENCRYPTED:
                stack.enter_context(own_keys())
            yield _current[-1]
    finally:
        _current.pop()
