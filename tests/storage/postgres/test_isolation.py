"""Tenants of one database know nothing of each other: by the statements alone, and by the database alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import postgres
from support.embedding_double import EmbeddingDouble
from support.statements import names_its_tenant
from support.storage import NOW, add

from sediment_mcp.domain.audit import AuditEntry
from sediment_mcp.domain.retention import Rule
from sediment_mcp.embeddings.codec import encode_vectors
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.table_protocols import ClockReadings
from sediment_mcp.transfer.records import ALL_MEMORIES
from sediment_mcp.tuning import Tuning

pytest.importorskip("psycopg")
from psycopg import Connection, errors

from sediment_mcp.storage.postgres.dialect import OWN_ROWS, SCHEMA, TABLES
from sediment_mcp.storage.postgres.storage import PostgresStorage

pytestmark = pytest.mark.postgres

OpenTenant = Callable[..., MemoryStorage]
MODEL = EmbeddingDouble()


def fill(storage: MemoryStorage, word: str) -> None:
    """Leave something in every table."""
    memory, gone = add(storage, word, tags=(word,), session="s"), add(storage, f"{word} is gone")
    with storage.write() as session:
        ids = [chunk.id for chunk in session.chunks_of([memory.key])]
        vectors = encode_vectors(MODEL.embed_documents([word]).vectors)
        session.embeddings.add(session.embeddings.register(MODEL.identity), zip(ids, vectors, strict=True))
        assert MODEL.token_identity is not None
        session.token_vectors.add(session.token_vectors.register(MODEL.token_identity), [(ids[0], bytes(64))])
        session.snapshots.register("text")
        session.retention.set_rule(Rule("tag", word, timedelta(days=3), None))
        session.kept_pairs.keep(memory.id, gone.id, NOW)
        session.retention.set_readings(ClockReadings(NOW, NOW))
        session.erase(gone)
        session.record_erased([gone.id])
        session.audit.add([AuditEntry(NOW, "local", "store", (memory.id,))])


@contextlib.contextmanager
def as_tenant(connection: Connection[Any], tenant: int | None) -> Iterator[Connection[Any]]:
    """A transaction of the application's role for a tenant, which is rolled back."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
        if tenant is not None:
            connection.execute("SELECT set_config('sediment.tenant', %s, true)", (str(tenant),))
        yield connection


class Tables:
    """What is in the shared database, as its superuser sees it and as the application's role does."""

    def __init__(self) -> None:
        server = postgres.shared_server()
        database = postgres.shared_database()
        self.role = server.connect(database=database)
        self._all = server.connect(postgres.ADMIN, database)

    def count(self, table: str, tenant: int) -> int:
        """How many rows a tenant has."""
        counted = self._all.execute(f"SELECT COUNT(*) FROM {SCHEMA}.{table} WHERE tenant = %s", (tenant,))
        return counted.fetchone()[0]

    def owner_of(self, content: str) -> int:
        """Whose memory has this text."""
        found = self._all.execute(f"SELECT tenant FROM {SCHEMA}.memories WHERE content = %s", (content,))
        return found.fetchone()[0]

    def columns(self, table: str) -> list[str]:
        """The columns of a table."""
        return self._list("SELECT column_name FROM information_schema.columns WHERE table_name = %s", table)

    def all_tables(self) -> set[str]:
        """The tables with a column for the tenant."""
        return set(
            self._list("SELECT table_name FROM information_schema.columns WHERE column_name = %s", "tenant")
        )

    def _list(self, query: str, value: str) -> list[str]:
        return [row[0] for row in self._all.execute(f"{query} AND table_schema = '{SCHEMA}'", (value,))]

    def close(self) -> None:
        self.role.close()
        self._all.close()


@pytest.fixture
def tables() -> Iterator[Tables]:
    found = Tables()
    yield found
    found.close()


@pytest.fixture
def both(open_tenant: OpenTenant, tables: Tables) -> tuple[int, int]:
    """The numbers of two tenants, both with rows in every table."""
    words = [f"{name} of {postgres.new_tenant()}" for name in ("ann", "bob")]
    for word in words:
        fill(open_tenant(), word)
    ann, bob = (tables.owner_of(word) for word in words)
    return ann, bob


# --- the database alone -------------------------------------------------------------------------


def test_every_table_with_a_tenant_is_known_and_filled(both: tuple[int, int], tables: Tables) -> None:
    assert tables.all_tables() == set(TABLES)
    assert [table for table in TABLES for tenant in both if not tables.count(table, tenant)] == []


def test_a_statement_without_a_condition_sees_and_changes_own_rows_alone(
    both: tuple[int, int], tables: Tables
) -> None:
    ann, bob = both
    for table in TABLES:
        with as_tenant(tables.role, ann) as connection:
            seen = connection.execute(f"SELECT tenant FROM {table}").fetchall()
            assert seen == [(ann,)] * tables.count(table, ann), table
            changed = connection.execute(f"UPDATE {table} SET tenant = tenant").rowcount
            assert changed == len(seen), table
        with as_tenant(tables.role, ann) as connection:
            for statement in ("SELECT 1 FROM {}", "UPDATE {} SET tenant = tenant", "DELETE FROM {}"):
                of_bob = f"{statement.format(table)} WHERE tenant = %s"
                assert connection.execute(of_bob, (bob,)).rowcount == 0, of_bob


def test_no_row_can_be_given_to_another_tenant(both: tuple[int, int], tables: Tables) -> None:
    ann, bob = both
    for table in TABLES:
        own = ", ".join(f'"{name}"' for name in tables.columns(table) if name != "tenant")
        for statement in (
            f"UPDATE {table} SET tenant = %s",
            f"INSERT INTO {table} ({own}, tenant) SELECT {own}, %s FROM {table}",
        ):
            refused = pytest.raises(errors.InsufficientPrivilege, match="row-level security")
            with refused, as_tenant(tables.role, ann) as connection:
                connection.execute(statement, (bob,))


def test_without_a_tenant_every_statement_is_an_error(both: tuple[int, int], tables: Tables) -> None:
    unset = (errors.UndefinedObject, errors.InvalidTextRepresentation)  # never set; set, and gone again
    for table in TABLES:
        for statement in (
            f"SELECT * FROM {table}",
            f"UPDATE {table} SET tenant = tenant",
            f"DELETE FROM {table}",
            f"INSERT INTO {table} DEFAULT VALUES",
        ):
            with pytest.raises(unset), as_tenant(tables.role, None) as connection:
                connection.execute(statement)


def test_a_role_that_no_policy_binds_is_refused(tmp_path: Path) -> None:
    server = postgres.shared_server()
    url = server.url(server.new_database(), postgres.ADMIN)
    with pytest.raises(StorageError, match="could read the memories of every tenant"):
        PostgresStorage(url, "ann", tmp_path, Tuning()).open()


# --- the statements alone -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (f"SELECT * FROM memories WHERE {OWN_ROWS}", True),
        ("SELECT * FROM memories", False),
        (f"SELECT COUNT(*) FROM {SCHEMA}.chunks", False),
        ("UPDATE memories SET kind = %s", False),
        ("DELETE FROM tags WHERE memory = %s", False),
        ("INSERT INTO tags (tag, memory) VALUES (%s, %s)", True),
        ("INSERT INTO tags SELECT * FROM tags", False),
        ("DECLARE rows CURSOR FOR SELECT * FROM embeddings", False),
        ("SELECT 1", True),
    ],
)
def test_a_statement_that_does_not_say_whose_rows_it_means_is_noticed(statement: str, names: bool) -> None:
    """By the check that all tests over PostgreSQL make of each statement."""
    assert names_its_tenant(statement) == names


# --- connections --------------------------------------------------------------------------------


class Refused(Exception):
    """A write ended on purpose."""


def read(storage: MemoryStorage, word: str) -> None:
    with storage.read() as session:
        assert {memory.content for memory in session.changes.memories_since(0)} <= {word}


def store(storage: MemoryStorage, word: str) -> None:
    add(storage, word)
    read(storage, word)


def fail(storage: MemoryStorage, word: str) -> None:
    with contextlib.suppress(Refused), storage.write() as session:
        session.move_project("old", "new")
        raise Refused


def read_while_open(storage: MemoryStorage, word: str) -> None:
    with storage.connect() as session:
        assert {memory.content for memory in session.changes.memories_since(0)} <= {word}
        read(storage, word)


def read_half(storage: MemoryStorage, word: str) -> None:
    add(storage, word)
    with storage.read() as session:
        assert next(iter(session.bulk.memories(ALL_MEMORIES, include_deleted=True))).content == word


def break_off(storage: MemoryStorage, word: str) -> None:
    with contextlib.suppress(StorageError), storage.write() as session:
        postgres.kill_connection(session.database.scalar("SELECT pg_backend_pid()"))
        session.move_project("old", "new")


def idle_connections(storage: MemoryStorage) -> list[Any]:
    return storage._pool._idle


USES = (read, store, fail, read_while_open, read_half, break_off)


@given(uses=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(USES)), min_size=2, max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_connection_of_the_pool_keeps_nothing_of_the_tenant_before(
    open_tenant: OpenTenant, uses: list[tuple[int, Callable[[MemoryStorage, str], None]]]
) -> None:
    names = ("ann", "bob", "cyd")
    storages = [open_tenant(name) for name in names]
    for which, use in uses:
        use(storages[which], names[which])
    for storage, name in zip(storages, names, strict=True):
        read(storage, name)
    for connection in idle_connections(storages[0]):
        ((left,),) = connection.fetch("SELECT current_setting('sediment.tenant', true)")
        assert left in (None, "")
