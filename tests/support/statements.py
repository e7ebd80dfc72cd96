"""A check of each statement that the package sends to PostgreSQL: it says itself whose rows it means.

Row-level security would hide a statement that does not, so that nothing else would notice.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
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
    import psycopg

    from sediment_mcp.storage.postgres.connection import Connection

    def check(method: Any) -> Any:
        def checked(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(cursor.connection, Connection):
                assert names_its_tenant(query), f"whose rows does this mean? {query}"
            return method(cursor, query, *arguments, **options)

        return checked

    with (
        mock.patch.object(psycopg.Cursor, "execute", check(psycopg.Cursor.execute)),
        mock.patch.object(psycopg.Cursor, "executemany", check(psycopg.Cursor.executemany)),
    ):
        yield
