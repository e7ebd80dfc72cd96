"""PostgreSQL for the benchmarks: a server of its own that keeps what it acknowledges, and a wire to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from support.postgres import ADMIN, PORT, ROLE, PostgresServer

SETTINGS = {"shared_buffers": "256MB", "max_connections": "300", "max_wal_size": "4GB"}
WIRE = Path(__file__).with_name("wire.py")


class Database:
    """An empty database; with ``data`` of tenants that can be copied to others by SQL."""

    def __init__(self) -> None:
        self.server = PostgresServer(durable=True, settings=SETTINGS)
        self.name = self.server.new_database()
        self.url = self.server.url(self.name)

    @property
    def socket(self) -> str:
        return str(self.server.folder / f".s.PGSQL.{PORT}")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, whom row-level security does not bind."""
        with self.server.connect(ADMIN, self.name) as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> list[tuple[str, str, list[str]]]:
        """Schema, name and other columns of every table that has a tenant."""
        rows = self.execute(
            "SELECT table_schema, table_name, array_agg(column_name::text) "
            "FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
            "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') "
            "AND is_generated = 'NEVER' GROUP BY 1, 2 HAVING bool_or(column_name = 'tenant')"
        )
        return [
            (schema, table, [name for name in names if name != "tenant"]) for schema, table, names in rows
        ]

    def copy_tenant(self, original: str, copies: Sequence[str]) -> None:
        """Give each of the other tenants all rows of one, numbers and ids included.

        In one transaction with foreign keys and triggers off: the rows are whole as they are.
        """
        with self.server.connect(ADMIN, self.name) as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for schema, table, columns in self.tables():
                listed = ", ".join(f'"{column}"' for column in columns)
                connection.execute(
                    f'INSERT INTO "{schema}"."{table}" (tenant, {listed}) SELECT copy, {listed} '
                    f'FROM "{schema}"."{table}" CROSS JOIN unnest(%s::text[]) AS copy WHERE tenant = %s',
                    (list(copies), original),
                )

    def analyze(self) -> None:
        self.execute("VACUUM ANALYZE")

    def size_mb(self) -> float:
        return float(self.execute("SELECT pg_database_size(current_database())")[0][0]) / 2**20

    def end(self) -> None:
        self.server.end()


class Wire:
    """A `wire.py` to the database; `url` goes through it."""

    def __init__(self, database: Database, delay_ms: float) -> None:
        command = [sys.executable, str(WIRE), "--to", database.socket, "--delay", str(delay_ms)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asks, self._told = self._process.stdin, self._process.stdout
        port = int(self._told.readline())
        self.url = f"postgresql://{ROLE}@127.0.0.1:{port}/{database.name}?sslmode=disable&gssencmode=disable"

    def take(self) -> list[dict[str, Any]]:
        """The round trips since the last call."""
        self._asks.write("\n")
        self._asks.flush()
        return json.loads(self._told.readline())

    def end(self) -> None:
        self._asks.close()
        self._process.wait(10)
        self._told.close()
