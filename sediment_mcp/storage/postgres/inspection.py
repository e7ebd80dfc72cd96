"""What a PostgreSQL server says of itself and of the tables here; nothing is changed."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from sediment_mcp.storage.postgres.connection import connect, translate_postgres_errors
from sediment_mcp.storage.postgres.database import PostgresDatabase
from sediment_mcp.storage.postgres.dialect import SCHEMA, TABLES
from sediment_mcp.storage.postgres.migrations import (
    MIGRATIONS,
    list_unprotected,
    read_role,
    read_version,
)

OLDEST = 14  # the first version of PostgreSQL that is supported


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server, the role that asks, and the tables of this package.

    ``clock_ahead`` is by how many seconds the server's clock is ahead of this machine's, ``answers_in`` the
    seconds of a round trip, ``encryption`` the version of TLS, empty without it. ``schema`` is the number of
    migrations applied, of those ``known`` here. ``bytes`` is the size of the tables, those of all tenants.
    """

    version: str
    is_supported: bool
    is_standby: bool
    is_local: bool
    encryption: str
    answers_in: float
    clock_ahead: float
    role: str
    is_unbound: bool
    may_create: bool
    schema: int
    known: int
    unprotected: tuple[str, ...]
    tables: int
    has_tenant: bool
    bytes: int
    connections: int
    most_connections: int


def inspect_server(url: str, tenant: str) -> ServerFacts:
    """Ask a server about itself.

    Raises:
        NewerDatabase: the tables are of a newer version of this package.
        StorageError: it cannot be reached, or refuses the role.
    """
    with translate_postgres_errors(), contextlib.closing(connect(url)) as connection:
        start = time.time()
        ((at, version, number, local, most, used, encryption),) = connection.fetch(
            "SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('server_version'), "
            "current_setting('server_version_num')::int, inet_server_addr() IS NULL OR "
            "inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', "
            "current_setting('max_connections')::int, (SELECT count(*) FROM pg_stat_activity), "
            "(SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
        )
        end = time.time()
        schema = read_version(connection)
        role, is_unbound, may_create = read_role(connection)
        known = list_unprotected(connection) if schema else []
        found = (
            connection.fetch(f"SELECT 1 FROM {SCHEMA}.tenants WHERE name = $1", (tenant,)) if schema else []
        )
        ((size,),) = connection.fetch(
            "SELECT COALESCE(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint FROM pg_class "
            "JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1 AND relkind = 'r'",
            (SCHEMA,),
        )
        return ServerFacts(
            version=str(version).split(" ", maxsplit=1)[0], is_supported=number >= OLDEST * 10_000,
            is_standby=connection.is_standby, is_local=bool(local), encryption=encryption or "",
            answers_in=end - start, clock_ahead=at - (start + end) / 2, role=role, is_unbound=is_unbound,
            may_create=may_create, schema=schema, known=len(MIGRATIONS), unprotected=tuple(known),
            tables=len(TABLES), has_tenant=bool(found), bytes=int(size), connections=int(used),
            most_connections=int(most),
        )  # fmt: skip


def measure_rows(database: PostgresDatabase) -> int:
    """Return how many bytes the texts and vectors of one tenant take."""
    columns = (("memories", "content"), ("embeddings", "vector"), ("token_vectors", "vectors"))
    return sum(
        database.scalar(f"SELECT CAST(COALESCE(SUM(OCTET_LENGTH({column})), 0) AS bigint) FROM {table}")
        for table, column in columns
    )
