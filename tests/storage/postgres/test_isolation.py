"""Tenants of one database know nothing of each other: by the statements alone, and by the database alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import postgres
from support.embedding_double import EmbeddingDouble
from support.statements import names_its_tenant
from support.storage import NOW, add

from sediment_mcp.domain.retention import Rule
from sediment_mcp.embeddings.codec import encode_vectors
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.table_protocols import ClockReadings
from sediment_mcp.transfer.records import ALL_MEMORIES

pytest.importorskip("psycopg")
from psycopg import Connection, errors

from sediment_mcp.storage.postgres.dialect import OWN_ROWS, SCHEMA, TABLES

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
        session.embeddings.drop_damaged()
        assert MODEL.token_identity is not None
        session.token_vectors.add(session.token_vectors.register(MODEL.token_identity), [(ids[0], bytes(64))])
        session.snapshots.register("text")
        session.retention.set_rule(Rule("tag", word, timedelta(days=3), None))
        session.retention.set_readings(ClockReadings(NOW, NOW))
        session.erase(gone)
        session.record_erased([gone.id])


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

    def all_tables(self) -> set[str]:
        """The tables with a column for the tenant."""
        found = self._all.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = %s AND column_name = 'tenant'",
            (SCHEMA,),
        )
        return {row[0] for row in found}

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


@pytest.mark.parametrize("table", TABLES)
def test_a_statement_without_a_condition_sees_and_changes_own_rows_alone(
    both: tuple[int, int], tables: Tables, table: str
) -> None:
    ann, bob = both
    with as_tenant(tables.role, ann) as connection:
        seen = connection.execute(f"SELECT tenant FROM {table}").fetchall()
        assert seen == [(ann,)] * tables.count(table, ann)
        assert connection.execute(f"SELECT 1 FROM {table} WHERE tenant = %s", (bob,)).fetchall() == []
        assert connection.execute(f"UPDATE {table} SET tenant = tenant").rowcount == len(seen)
        assert connection.execute(f"UPDATE {table} SET tenant = tenant WHERE tenant = %s", (bob,)).rowcount == 0
        assert connection.execute(f"DELETE FROM {table} WHERE tenant = %s", (bob,)).rowcount == 0


@pytest.mark.parametrize("table", TABLES)
def test_no_row_can_be_given_to_another_tenant(both: tuple[int, int], tables: Tables, table: str) -> None:
    ann, bob = both
    with as_tenant(tables.role, ann) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(f"UPDATE {table} SET tenant = %s", (bob,))
    with as_tenant(tables.role, ann) as connection:
        columns = [
            row[0]
            for row in connection.execute(
                "SELECT quote_ident(column_name) FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s AND column_name <> 'tenant'",
                (SCHEMA, table),
            )
        ]
        own = ", ".join(columns)
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(f"INSERT INTO {table} ({own}, tenant) SELECT {own}, %s FROM {table}", (bob,))


@pytest.mark.parametrize("table", TABLES)
def test_without_a_tenant_every_statement_is_an_error(
    both: tuple[int, int], tables: Tables, table: str
) -> None:
    refused = (errors.UndefinedObject, errors.InvalidTextRepresentation)  # never set, set and gone again
    for statement in (
        f"SELECT * FROM {table}",
        f"UPDATE {table} SET tenant = tenant",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} DEFAULT VALUES",
    ):
        with pytest.raises(refused), as_tenant(tables.role, None) as connection:
            connection.execute(statement)


def test_the_role_can_take_no_protection_away_in_what_it_sends(tables: Tables) -> None:
    ((superuser, bypasses),) = tables.role.execute(
        "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    ).fetchall()
    assert not superuser
    assert not bypasses


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
    with pytest.raises(Refused), storage.write() as session:
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
    server = postgres.shared_server()
    with pytest.raises(StorageError), storage.write() as session:
        process = session.database.scalar("SELECT pg_backend_pid()")
        with server.connect(postgres.ADMIN) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", (process,))
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
        for connection in idle_connections(storages[which]):
            ((left,),) = connection.execute("SELECT current_setting('sediment.tenant', true)").fetchall()
            assert left in (None, "")
    for storage, name in zip(storages, names, strict=True):
        read(storage, name)
