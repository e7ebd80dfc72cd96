"""A check of each statement that the package sends to PostgreSQL: it says itself whose rows it means.

Row-level security would hide a statement that does not, so that nothing else would notice.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

DATA = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE|DECLARE|MERGE|COPY|TABLE|TRUNCATE)\b", re.IGNORECASE)
NEW_ROWS = re.compile(r"\s*INSERT INTO [\w.]+\s*(\([^()]*\)\s*)?(DEFAULT )?VALUES\b[^;]*", re.IGNORECASE)


@functools.cache
def names_its_tenant(text: str) -> bool:
    """Whether a statement says whose rows it means; new rows get their tenant from the table's default."""
    from sediment_mcp.storage.postgres.dialect import OWN_ROWS, TABLES

    if not DATA.match(text) or not set(re.findall(r"\w+", text)).intersection(TABLES):
        return True
    return OWN_ROWS in text or (NEW_ROWS.fullmatch(text) is not None and "SELECT" not in text)


@contextmanager
def checked_statements() -> Iterator[None]:
    """Fail at a statement of the package that does not say whose rows it means."""

    def check(query: str) -> str:
        assert names_its_tenant(query), f"whose rows does this mean? {query}"
        return query

    with _changed_statements(check):
        yield


@contextmanager
def statements_without_a_tenant() -> Iterator[None]:
    """Take out of each statement of the package whose rows it means: only the database knows it then."""
    from sediment_mcp.storage.postgres.dialect import OWN_ROWS

    def change(query: str) -> str:
        return query.replace(OWN_ROWS, "TRUE") if DATA.match(query) else query  # the policies stay

    with _changed_statements(change):
        yield


@contextmanager
def _changed_statements(change: Callable[[str], str]) -> Iterator[None]:
    import psycopg

    from sediment_mcp.storage.postgres.connection import Connection

    def changed(method: Any) -> Any:
        def send(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(cursor.connection, Connection):  # not one that is the test's own
                query = change(query)
            return method(cursor, query, *arguments, **options)

        return send

    with (
        mock.patch.object(psycopg.Cursor, "execute", changed(psycopg.Cursor.execute)),
        mock.patch.object(psycopg.Cursor, "executemany", changed(psycopg.Cursor.executemany)),
    ):
        yield
