"""Access tokens in PostgreSQL: one table for all tenants, which no policy divides."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

from sediment_mcp.domain.access_token import StoredToken
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.postgres.connection import BrokenConnection, translate_postgres_errors
from sediment_mcp.storage.postgres.dialect import SCHEMA, number_values
from sediment_mcp.storage.postgres.pool import ConnectionPool, Lease, leave_pool, open_pool
from sediment_mcp.storage.sql.tokens import SqlTokens

TABLE = f"{SCHEMA}.tokens"


class PostgresTokens:
    """`TokenStorage` over a PostgreSQL database; each statement is a transaction of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opening = threading.Lock()
        self._pool: ConnectionPool | None = None
        self._is_closed = False

    def find(self, token_hash: bytes) -> StoredToken | None:
        """Return the token with this hash; see `TokenStorage`."""
        with self._lend() as tokens:
            return tokens.find(token_hash)

    def list_all(self) -> list[StoredToken]:
        """Return all tokens by name."""
        with self._lend() as tokens:
            return tokens.list_all()

    def add(self, token: StoredToken) -> bool:
        """Add a token; return False if there is one of this name already."""
        with self._lend(may_repeat=False) as tokens:
            return tokens.add(token)

    def revoke(self, name: str, now: datetime) -> bool:
        """Revoke the token of this name; return False if there is none."""
        with self._lend() as tokens:
            return tokens.revoke(name, now)

    def note_use(self, token_hash: bytes, day: datetime) -> None:
        """Note the day on which a token was used."""
        with self._lend() as tokens:
            tokens.note_use(token_hash, day)

    def close(self) -> None:
        """Let the connections go."""
        with self._opening:
            pool, self._pool, self._is_closed = self._pool, None, True
        if pool is not None:
            leave_pool(pool)

    @contextlib.contextmanager
    def _lend(self, *, may_repeat: bool = True) -> Generator[SqlTokens]:
        with translate_postgres_errors(), self._open().lend() as lease:
            yield SqlTokens(_Statements(lease, may_repeat=may_repeat), TABLE)

    def _open(self) -> ConnectionPool:
        with self._opening:
            if self._is_closed:
                raise StorageError("sediment-mcp is ending: call again once it has been started anew.")
            if self._pool is None:
                self._pool = open_pool(self._url)
            return self._pool


class _Statements:
    """Statements over a connection that belongs to no tenant.

    One that does the same when it is repeated is repeated over a new connection if the old one is broken.
    """

    def __init__(self, lease: Lease, *, may_repeat: bool) -> None:
        self._lease = lease
        self._may_repeat = may_repeat

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        try:
            return self._fetch(sql, values)
        except BrokenConnection:
            if not self._may_repeat:
                raise
        self._lease.renew()
        return self._fetch(sql, values)

    def _fetch(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with translate_postgres_errors():
            return self._lease.connection.fetch(number_values(sql), values)
