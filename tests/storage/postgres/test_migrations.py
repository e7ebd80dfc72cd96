"""The schema of a PostgreSQL database: made by whoever comes first, brought up to date, never taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from support import postgres
from support.storage import add

from sediment_mcp.errors import NewerDatabase
from sediment_mcp.tuning import Tuning

pytest.importorskip("psycopg")
from sediment_mcp.storage.postgres.connection import Connection, connect
from sediment_mcp.storage.postgres.dialect import SCHEMA
from sediment_mcp.storage.postgres.migrations import MIGRATIONS, migrate, read_version
from sediment_mcp.storage.postgres.storage import PostgresStorage

pytestmark = pytest.mark.postgres

SERVERS = 8
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def database() -> str:
    """Return the URL of an empty database."""
    server = postgres.shared_server()
    return server.url(server.new_database())


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def describe(connection: Connection) -> list[Any]:
    """Everything that there is of the schema: columns, indexes, constraints, policies."""
    return [
        sorted(connection.fetch(query))
        for query in (
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text, "
            "COALESCE(column_default, '')::text, COALESCE(collation_name, '')::text "
            f"FROM information_schema.columns WHERE table_schema = '{SCHEMA}'",
            f"SELECT indexdef::text FROM pg_indexes WHERE schemaname = '{SCHEMA}'",
            "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)::text "
            f"FROM pg_constraint WHERE connamespace = '{SCHEMA}'::regnamespace",
            "SELECT tablename::text, qual::text, with_check::text FROM pg_policies",
        )
    ]


def store_and_count(database: str, directory: Path, tenant: str = "ann") -> int:
    """Store a memory as a server does that has just been started; how many there are."""
    storage = PostgresStorage(database, tenant, directory, Tuning())
    try:
        add(storage)
        with storage.read() as session:
            return session.changes.count_memories()
    finally:
        storage.close()


def test_an_empty_database_gets_the_newest_schema_from_the_first_server(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    assert read_version(connection) == 0
    assert store_and_count(database, tmp_path) == 1
    assert read_version(connection) == len(MIGRATIONS)
    assert store_and_count(database, tmp_path) == 2


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_schema_of_each_earlier_version_becomes_the_same_as_a_new_one(
    connection: Connection, tmp_path: Path, version: int
) -> None:
    server = postgres.shared_server()
    earlier = server.url(server.new_database())
    with connect(earlier) as other:
        migrate(other, up_to=version)
        assert read_version(other) == version
        assert store_and_count(earlier, tmp_path) == 1
        migrate(connection)
        assert describe(other) == describe(connection)


def test_of_many_servers_that_start_at_once_each_finds_the_schema(database: str, tmp_path: Path) -> None:
    together = Barrier(SERVERS)

    def start(number: int) -> int:
        with connect(database) as connection:
            together.wait()
            return migrate(connection)

    with ThreadPoolExecutor(SERVERS) as servers:
        assert list(servers.map(start, range(SERVERS))) == [len(MIGRATIONS)] * SERVERS
    assert store_and_count(database, tmp_path) == 1


@pytest.mark.slow
@pytest.mark.process
def test_processes_that_start_at_once_on_an_empty_database_all_work(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "sediment_mcp", "store", f"fact number {number} of many"],
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "SEDIMENT_DATA_DIR": str(tmp_path / str(number)),
                "SEDIMENT_DATABASE": database,
                "SEDIMENT_TENANT": "ann",
                "SEDIMENT_MODEL": "none",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(3)
    ]
    for process in processes:
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
    assert store_and_count(database, tmp_path) == len(processes) + 1


def test_a_server_refuses_the_schema_of_a_newer_version_and_changes_nothing(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    migrate(connection)
    connection.run(f"UPDATE {SCHEMA}.schema_version SET version = {len(MIGRATIONS) + 1}")
    before = describe(connection)
    said = f"of a newer sediment-mcp .schema {len(MIGRATIONS) + 1}, this one knows {len(MIGRATIONS)}.: update"
    with pytest.raises(NewerDatabase, match=said):
        store_and_count(database, tmp_path)
    assert describe(connection) == before


def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(connection)
    before = describe(connection)
    broken = (*MIGRATIONS, "CREATE TABLE half (number integer); SELECT 1 / 0")
    monkeypatch.setattr("sediment_mcp.storage.postgres.migrations.MIGRATIONS", broken)
    with pytest.raises(Exception, match="division by zero"):
        migrate(connection)
    assert describe(connection) == before
    assert read_version(connection) == len(MIGRATIONS)
