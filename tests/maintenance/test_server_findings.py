"""The doctor over PostgreSQL: what it says of a server in health and in each kind of trouble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import postgres
from support.backends import POSTGRES, use_backend
from support.embedding_double import load_double
from support.host import SMALL, Host

from sediment_mcp.config import Config
from sediment_mcp.maintenance import server_findings
from sediment_mcp.maintenance.doctor import examine, fix, reindex
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.storage.postgres import migrations
from sediment_mcp.storage.postgres.inspection import ServerFacts, inspect_server

pytestmark = pytest.mark.postgres

FACTS = ServerFacts(
    version="18.6", is_supported=True, is_standby=False, is_local=False, encryption="TLSv1.3",
    answers_in=0.001, clock_ahead=0.1, role="sediment", is_unbound=False, may_create=False, schema=1, known=1,
    unprotected=(), tables=13, has_tenant=True, bytes=1000, connections=3, most_connections=100,
)  # fmt: skip


def look(config: Config) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(config, load_double)}


def place(directory: Path, **more: Any) -> Config:
    return Config(
        directory,
        database=postgres.shared_server().url(postgres.shared_database()),
        tenant=postgres.new_tenant(),
        **more,
    )


def test_all_is_well_and_nothing_was_changed(tmp_path: Path) -> None:
    with use_backend(POSTGRES):
        host = Host(tmp_path / "data", tuning=SMALL)
        for number in range(12):
            host.store(f"memory number {number}")
        host.run_jobs()
        host.app.rebuild_indexes()
        config = host.app.config
        before = {path: path.stat().st_mtime_ns for path in host.files.rglob("*") if path.is_file()}
        found = look(config)
        assert {name: one.sentence for name, one in found.items() if one.state != "ok"} == {}
        assert found["server"].sentence.startswith("PostgreSQL ")
        assert found["encryption"].sentence == "None, and the server is on this machine."
        assert found["row security"].sentence == "It is on and forced for all 13 tables of memories."
        assert "pg_amcheck" in found["integrity"].sentence
        assert "pg_dump" in found["backups"].sentence
        assert found["memories"].sentence == "12 live."
        assert "12 passages" in found["text index"].sentence
        assert "12 passages" in found["vector index"].sentence
        assert before == {path: path.stat().st_mtime_ns for path in host.files.rglob("*") if path.is_file()}
        assert fix(host.app) == []
        assert reindex(host.app)["passages"] == 12
        host.app.close()


def test_a_tenant_without_memories_and_a_machine_without_indexes_leave_no_trace(tmp_path: Path) -> None:
    with use_backend(POSTGRES):
        host = Host(tmp_path / "one")
        host.store("here")
        found = look(replace(host.app.config, data_dir=tmp_path / "another machine"))
        host.app.close()
    assert found["memories"].sentence == "1 live."
    assert not (tmp_path / "another machine").exists()
    config = place(tmp_path / "data")
    assert look(config)["tenant"].sentence == f"{config.tenant}: nothing is stored yet."
    assert not (tmp_path / "data").exists()
    assert not inspect_server(config.database, config.tenant).has_tenant


def test_a_server_that_cannot_be_reached_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    found = look(Config(tmp_path / "data", database="postgresql://x@127.0.0.1:1/y"))
    assert found["server"].state == "problem"
    assert "cannot be reached" in found["server"].sentence
    assert "memories" not in found


def test_a_role_that_no_policy_binds_is_a_problem(tmp_path: Path) -> None:
    url = postgres.shared_server().url(postgres.shared_database(), postgres.ADMIN)
    found = look(Config(tmp_path / "data", database=url))
    assert found["role"].state == "problem"
    assert "memories" not in found


TROUBLE: list[tuple[dict[str, Any], str, str, str]] = [
    ({"is_supported": False}, "server", "problem", "Versions 14 and later"),
    ({"answers_in": 0.05}, "server", "warning", "nearer to the database"),
    ({"encryption": ""}, "encryption", "warning", "sslmode=verify-full"),
    ({"schema": 0}, "schema", "problem", "database upgrade"),
    ({"is_unbound": True}, "role", "problem", "a role of their own"),
    ({"unprotected": ("memories",)}, "row security", "problem", "FORCE ROW LEVEL SECURITY"),
    ({"clock_ahead": -60.0}, "clock", "warning", "follow a time server"),
    ({"connections": 95}, "connections", "warning", "pooler"),
]


@pytest.mark.parametrize(("changes", "name", "state", "remedy"), TROUBLE)
def test_each_kind_of_trouble_says_what_to_do(
    changes: dict[str, Any],
    name: str,
    state: str,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def look_with(facts: ServerFacts) -> dict[str, Finding]:
        inspect: Callable[..., ServerFacts] = lambda *_: facts  # noqa: E731
        monkeypatch.setattr("sediment_mcp.storage.postgres.inspection.inspect_server", inspect)
        findings, _ = server_findings.check_server(Config(tmp_path, database="postgresql://a@b/c"))
        return {finding.name: finding for finding in findings}

    assert {finding.state for finding in look_with(FACTS).values()} == {"ok"}
    finding = look_with(replace(FACTS, **changes))[name]
    assert (finding.state, remedy in finding.remedy) == (state, True)


def test_the_owner_makes_the_tables_for_the_role_of_the_servers_by_command_or_by_the_printed_sql() -> None:
    server = postgres.shared_server()
    databases = [server.new_database(), server.new_database()]
    by_command, by_hand = (server.url(database, postgres.ADMIN) for database in databases)
    known = len(migrations.MIGRATIONS)
    assert migrations.upgrade(by_command, postgres.ROLE) == (0, known)
    assert migrations.upgrade(by_command, postgres.ROLE) == (known, known)
    with server.connect(postgres.ADMIN, databases[1]) as connection:
        connection.execute(migrations.list_statements(postgres.ROLE))
    assert migrations.upgrade(by_hand) == (known, known)
    for database in databases:
        facts = inspect_server(server.url(database), "default")
        assert (facts.schema, facts.may_create, facts.is_unbound, facts.unprotected) == (
            known,
            False,
            False,
            (),
        )
        with server.connect(postgres.ROLE, database) as connection:
            connection.execute("INSERT INTO sediment.tenants (name) VALUES ('ann')")
