"""PostgreSQL for the benchmarks: a server of its own that keeps what it acknowledges, and a wire to it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from support.postgres import ADMIN, PORT, ROLE, PostgresServer

from sediment_mcp.storage.postgres.dialect import SCHEMA, TABLES

SETTINGS = {"shared_buffers": "256MB", "max_connections": "300", "max_wal_size": "4GB"}
WIRE = Path(__file__).with_name("wire.py")


class Database:
    """An empty database of a server of its own."""

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

    def copy_tenant(self, original: str, copies: Sequence[str]) -> None:
        """Give each of the other tenants all rows of one, numbers and ids included.

        Foreign keys and triggers are off meanwhile: the rows are whole as they are.
        """
        with self.server.connect(ADMIN, self.name) as connection, connection.transaction():
            connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("INSERT INTO tenants (name) SELECT unnest(%s::text[])", (list(copies),))
            for table in TABLES:
                rows = connection.execute(
                    "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass "
                    "AND attnum > 0 AND NOT attisdropped AND attname <> 'tenant'",
                    (table,),
                )
                columns = ", ".join(name for (name,) in rows)
                chosen = columns.replace(", ", ", own.")
                connection.execute(
                    f"INSERT INTO {table} (tenant, {columns}) SELECT copy.number, own.{chosen} "
                    f"FROM {table} own JOIN tenants original ON own.tenant = original.number, tenants copy "
                    "WHERE original.name = %s AND copy.name = ANY(%s)",
                    (original, list(copies)),
                )

    def analyze(self) -> None:
        self.execute("VACUUM ANALYZE")

    def size_mb(self) -> float:
        return float(self.execute("SELECT pg_database_size(current_database())")[0][0]) / 2**20

    def processor_ms(self) -> float:
        """Processor time that the server's processes of now have taken; Linux only."""
        first = (self.server.folder / "data" / "postmaster.pid").read_text().split()[0]
        ticks = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                fields = file.read_text().rpartition(")")[2].split()
                ticks += (int(fields[11]) + int(fields[12])) * (fields[1] == first)
        return ticks * 1000 / os.sysconf("SC_CLK_TCK")

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
