"""`move`, `database` and `backup` over PostgreSQL as a person uses them: real processes, a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import postgres
from support.stdio_peer import REPOSITORY, SERVER

pytestmark = [pytest.mark.process, pytest.mark.postgres, pytest.mark.slow]

MANY = 1500


@pytest.fixture
def tenant() -> str:
    return postgres.new_tenant()


def environment(home: Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
    return {**own, "HOME": str(home), "PYTHONPATH": str(REPOSITORY), "SEDIMENT_MODEL": "none", **more}


def run(home: Path, *arguments: str, status: int = 0, text: str = "", **more: str) -> str:
    outcome = subprocess.run(
        [*SERVER, *arguments], env=environment(home, **more), cwd=home, input=text,
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert outcome.returncode == status, outcome.stderr
    return outcome.stdout if status == 0 else outcome.stderr


def lines_of(export: str) -> list[Any]:
    return [json.loads(line) for line in export.splitlines()[1:]]


def test_a_killed_move_goes_on_and_both_ways_give_the_same(tmp_path: Path, tenant: str) -> None:
    data, url = str(tmp_path / "data"), postgres.shared_server().url(postgres.shared_database())
    notes = "\n".join(json.dumps({"content": f"fact {number}"}) for number in range(MANY))
    (tmp_path / "facts.jsonl").write_text(notes)
    run(tmp_path, "import", str(tmp_path / "facts.jsonl"), "--data-dir", data)
    before = run(tmp_path, "export", "--data-dir", data)
    run(tmp_path, "database", "upgrade", "--database", url)
    assert len(lines_of(before)) == MANY
    moving = subprocess.Popen(
        [*SERVER, "move", "--to", url, "--tenant", tenant, "--data-dir", data],
        env=environment(tmp_path), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    there = {
        "SEDIMENT_DATABASE": url,
        "SEDIMENT_TENANT": tenant,
        "SEDIMENT_DATA_DIR": str(tmp_path / "cache"),
    }
    wait_for_rows(tenant)
    moving.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    moving.wait()
    shown = run(tmp_path, "move", "--to", url, "--tenant", tenant, "--data-dir", data)
    assert f"Moved and compared: {MANY:,} memories" in shown
    assert f"Left as it was: {data}" in shown
    assert lines_of(run(tmp_path, "export", **there)) == lines_of(before)
    result = json.loads(run(tmp_path, "move", "--to", str(tmp_path / "back"), "--json", **there))
    assert result["memories"] == MANY
    back = run(tmp_path, "export", "--data-dir", str(tmp_path / "back"))
    assert lines_of(back) == lines_of(before)
    assert lines_of(run(tmp_path, "export", "--data-dir", data)) == lines_of(before)


def wait_for_rows(tenant: str) -> None:
    """Wait until something of the tenant is there."""
    with postgres.shared_server().connect(postgres.ADMIN, postgres.shared_database()) as connection:
        for _ in range(3000):
            found = connection.execute(
                "SELECT 1 FROM sediment.memories JOIN sediment.tenants ON tenants.number = tenant "
                "WHERE name = %s LIMIT 1",
                (tenant,),
            ).fetchall()
            if found:
                return
            time.sleep(0.01)
    raise AssertionError("nothing was moved")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("move",), "Missing option '--to'"),
        (("move", "--to", "mysql://x/y"), "--to is no URL of a PostgreSQL database"),
        (("move", "--to", "postgresql://a:secret@b/c"), "--to holds a password"),
        (("move", "--to", "{data}", "--data-dir", "{data}"), "already: name another place"),
        (("database", "upgrade"), "No database is named"),
        (("backup", "--encrypt"), "use export FILE --encrypt"),
    ],
)
def test_a_wrong_call_is_explained(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    given = [one.replace("{data}", str(tmp_path / "data")) for one in arguments]
    assert words in run(tmp_path, *given, status=2)


def test_a_backup_of_a_tenant_is_an_export_that_brings_it_back(tmp_path: Path, tenant: str) -> None:
    there = {
        "SEDIMENT_DATABASE": postgres.shared_server().url(postgres.shared_database()),
        "SEDIMENT_DATA_DIR": str(tmp_path / "cache"),
    }
    run(tmp_path, "store", "Releases go out on Tuesdays", SEDIMENT_TENANT=tenant, **there)
    assert "name a FILE for an export" in run(tmp_path, "backup", status=2, SEDIMENT_TENANT=tenant, **there)
    (tmp_path / "secret").write_text("a passphrase\n")
    sealed = ("--passphrase-file", str(tmp_path / "secret"))
    run(tmp_path, "backup", "b.age", "--encrypt", *sealed, SEDIMENT_TENANT=tenant, **there)
    assert (tmp_path / "b.age").read_bytes().startswith(b"age-encryption.org")
    again = run(tmp_path, "backup", "b.age", status=2, SEDIMENT_TENANT=tenant, **there)
    assert "b.age exists already: name a new file." in again
    other = {**there, "SEDIMENT_TENANT": postgres.new_tenant()}
    assert "add --yes" in run(tmp_path, "restore-backup", "b.age", *sealed, status=2, **other)
    run(tmp_path, "restore-backup", "b.age", "--yes", *sealed, **other)
    assert "Releases go out" in run(tmp_path, "list", **other)


def test_the_operator_makes_the_tables_and_is_told_what_was_done(tmp_path: Path) -> None:
    server = postgres.shared_server()
    database = server.new_database()
    owner = ("--database", server.url(database, postgres.ADMIN))
    assert "The tables were made." in run(tmp_path, "database", "upgrade", *owner, "--role", postgres.ROLE)
    assert "are up to date" in run(tmp_path, "database", "upgrade", *owner)
    assert "GRANT USAGE ON SCHEMA sediment" in run(tmp_path, "database", "upgrade", "--print", "--role", "x")
    servers = ("--database", server.url(database), "--data-dir", str(tmp_path / "cache"))
    run(tmp_path, "store", "here", *servers)
    assert "is bound to the rows of a tenant" in run(tmp_path, "doctor", *servers)
