"""Connections to PostgreSQL over which no answer comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from faults.proxy import Proxy
from support.postgres import PORT, ROLE, shared_server, shared_url
from support.storage import add

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.protocols import MemoryStorage

pytest.importorskip("psycopg")
from sediment_mcp.storage.postgres.connection import Connection, connect, translate_postgres_errors

pytestmark = pytest.mark.postgres

NOT_LONG = 0.2  # seconds


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy(shared_server().folder / f".s.PGSQL.{PORT}")
    yield proxy
    proxy.close()


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[Connection]:
    database = re.sub(r".*/|\?.*", "", shared_url().partition("?")[0])
    with connect(f"postgresql://{ROLE}@127.0.0.1:{proxy.port}/{database}") as connection:
        yield connection


def test_a_server_that_hangs_is_given_up_and_its_connection_closed(
    proxy: Proxy, connection: Connection
) -> None:
    connection.answer_seconds = NOT_LONG
    given_up = pytest.raises(StorageError, match=r"try again \(no answer within")
    with proxy.hanging(), given_up, translate_postgres_errors():
        connection.fetch("SELECT 1")
    assert connection.closed


def test_a_statement_that_may_take_any_time_is_waited_for(connection: Connection) -> None:
    connection.answer_seconds = NOT_LONG
    with connection.waiting_forever():
        connection.fetch("SELECT pg_sleep($1)", [2 * NOT_LONG])
    assert connection.answer_seconds == NOT_LONG


def test_no_limit_of_the_database_ends_the_wait_for_a_standby(open_tenant: object) -> None:
    """With one a COMMIT would be acknowledged that no standby has."""
    assert callable(open_tenant)
    storage: MemoryStorage = open_tenant()
    with shared_server().connect() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '7s'")
    try:
        add(storage, "begins a connection")
        with storage.write() as session:
            rows = session.database.rows("SELECT current_setting('statement_timeout')")  # type: ignore[attr-defined]
        assert rows == [("0",)]
    finally:
        with shared_server().connect() as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET statement_timeout")
