"""Servers over HTTP over one PostgreSQL database: each finds what the other stores, for its tenant alone."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from support.http_server import HttpServer, make_token, running_server
from support.postgres import PostgresServer

from sediment_mcp.config import TENANTS

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.postgres]


@pytest.fixture(scope="module")
def postgres() -> Generator[PostgresServer]:
    """A server of these tests' own, which one of them stops."""
    server = PostgresServer()
    yield server
    server.end()


def test_a_store_on_one_server_is_found_on_the_other_at_once_and_by_no_other_tenant(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    database = postgres.url(postgres.new_database())
    ann, ben = (make_token(tmp_path, name, name, database=database) for name in ("ann", "ben"))
    with (
        running_server(tmp_path / "one", SEDIMENT_DATABASE=database) as one,
        running_server(tmp_path / "two", SEDIMENT_DATABASE=database) as two,
    ):
        for number in range(5):
            writer, reader = (one, two) if number % 2 else (two, one)
            stored = writer.call("store_memory", {"content": f"Ferry {number} leaves at noon."}, token=ann)
            found = reader.call("query_memory", {"query": f"ferry {number}", "limit": 10}, token=ann)
            assert stored["id"] in [result["id"] for result in found["results"]]
            assert reader.call("query_memory", {"query": "ferry"}, token=ben)["results"] == []
        assert {path.name for path in (tmp_path / "one" / "data" / TENANTS).iterdir()} == {"ann", "ben"}


def test_members_of_a_team_share_what_is_stored_for_it_and_nothing_else(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    database = postgres.url(postgres.new_database())
    ann, ben = (make_token(tmp_path, name, name, team="shop", database=database) for name in ("ann", "ben"))
    outsider = make_token(tmp_path, "cleo", "cleo", database=database)
    with running_server(tmp_path, SEDIMENT_DATABASE=database) as server:
        shared = server.call(
            "store_memory", {"content": "Deploys run on Tuesdays.", "scope": "team"}, token=ann
        )
        own = server.call("store_memory", {"content": "Deploys make Ann nervous."}, token=ann)
        found = server.call("query_memory", {"query": "deploys"}, token=ben)["results"]
        assert [result["id"] for result in found] == [shared["id"]]
        found = server.call("query_memory", {"query": "deploys"}, token=ann)["results"]
        assert {result["id"] for result in found} == {shared["id"], own["id"]}
        assert server.call("query_memory", {"query": "deploys"}, token=outsider)["results"] == []


def test_a_server_is_not_ready_while_its_database_is_gone_and_is_ready_by_itself_afterwards(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    database = postgres.url(postgres.new_database())
    token = make_token(tmp_path, "ann", "ann", database=database)
    with running_server(tmp_path, SEDIMENT_DATABASE=database) as server:
        stored = server.call("store_memory", {"content": "The bridge is closed."}, token=token)
        postgres.stop()
        try:
            wait_until_ready(server, is_ready=False)
            assert server.send("GET", "/healthz").status == 200
            refused = server.ask("tools/list", token=token)
            assert (refused.status, "retry-after" in refused.headers) == (503, True)
        finally:
            postgres.start()
        wait_until_ready(server, is_ready=True)
        listed = server.call("list_memories", {}, token=token)
        assert [memory["id"] for memory in listed["memories"]] == [stored["id"]]


def wait_until_ready(server: HttpServer, *, is_ready: bool) -> None:
    while (server.send("GET", "/readyz").status == 200) != is_ready:
        pass
