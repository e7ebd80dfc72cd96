"""The command line of somebody who has a team."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import Run, own_place, run, store

from sediment_mcp import config

__all__ = ["own_place", "run"]  # fixtures

TEAM = ("--scope", "team")


@pytest.fixture(autouse=True)
def with_team(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is searched by meaning, and loading the model takes longer than all the rest."""
    monkeypatch.setenv(config.MODEL, config.NO_MODEL)
    monkeypatch.setenv(config.TEAM, "crew")


@pytest.fixture
def own(run: Run) -> str:
    return store(run, "My kettle leaks.", "--tag", "x")


@pytest.fixture
def shared(run: Run) -> str:
    return store(run, "The kitchen's kettle is new.", "--tag", "x", *TEAM)


def test_lists_and_queries_name_the_team(run: Run, own: str, shared: str) -> None:
    listed = run("list").out
    assert [line.split()[0] for line in listed.splitlines() if "the team" in line] == [shared]
    assert {one["id"] for one in run("query", "kettle", "--json").json["results"]} == {own, shared}
    assert [one["id"] for one in run("query", "kettle", "--json", *TEAM).json["results"]] == [shared]
    assert [one["id"] for one in run("list", "--json", *TEAM).json["memories"]] == [shared]


def test_statistics_are_one_s_own_and_those_of_the_team_beside(run: Run, own: str, shared: str) -> None:
    counted = run("stats", "--json").json
    assert counted["memories"]["live"] == 1
    assert counted["team"]["name"] == "crew"
    assert counted["team"]["memories"]["live"] == 1
    assert "crew: 1 live" in run("stats").out
    assert "tenants" not in counted["sizes"]


@pytest.mark.parametrize("scope", [(), ("--scope", "global")])
def test_a_filter_deletes_nothing_of_the_team_unless_it_says_so(
    run: Run, own: str, shared: str, scope: tuple[str, ...]
) -> None:
    assert run("delete", "--tag", "x", *scope, "--yes", "--json").json["deleted"] == [own]
    assert run("delete", "--tag", "x", *TEAM, "--yes", "--json").json["deleted"] == [shared]
    assert {one["id"] for one in run("list", "--deleted", "--json").json["memories"]} == {own, shared}
    assert run("restore", own, shared, "--json").json["restored"] == [own, shared]


def test_versions_of_the_team_s_memories_are_shown_and_reverted(run: Run, shared: str) -> None:
    new = store(run, "The kitchen's kettle is old.", "--replaces", shared, *TEAM)
    assert [one["id"] for one in run("history", shared, "--json").json["versions"]] == [shared, new]
    assert run("revert", shared, "--json").json["superseded"] == new


def test_an_export_is_of_one_store_and_an_import_into_one(
    run: Run, own: str, shared: str, tmp_path: Path
) -> None:
    mine, ours = tmp_path / "mine.jsonl", tmp_path / "ours.jsonl"
    assert run("export", str(mine), "--json").json["memories"] == 1
    assert run("export", str(ours), *TEAM, "--json").json["memories"] == 1
    assert own in mine.read_text()
    assert shared in ours.read_text()
    assert run("import", str(mine), *TEAM, "--json").json["imported"] == 1
    assert {one["id"] for one in run("list", *TEAM, "--json").json["memories"]} == {own, shared}
    assert run("list", "--scope", "global", "--json").json["total"] == 1


def test_a_copy_in_the_team_s_store_is_deleted_by_its_scope(run: Run, own: str, tmp_path: Path) -> None:
    run("export", str(tmp_path / "mine.jsonl"))
    run("import", str(tmp_path / "mine.jsonl"), *TEAM)
    assert run("delete", "--tag", "x", *TEAM, "--yes", "--json").json["deleted"] == [own]
    assert [one.get("scope") for one in run("list", "--json").json["memories"]] == [None]


def test_an_imported_file_cannot_write_to_the_team_by_itself(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    store(run, "Lunch is at noon.")
    run("export", str(file))
    header, line = file.read_text().splitlines()
    line = json.dumps({**json.loads(line), "scope": "team", "id": "another000000id"})
    file.write_text(f"{header}\n{line}\n")
    assert run("import", str(file), "--json").json["imported"] == 1
    assert run("list", *TEAM, "--json").json["total"] == 0


def test_one_s_own_tenant_is_no_team(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.TENANT, "crew")
    outcome = run("list")
    assert outcome.status != 0
    assert "SEDIMENT_TEAM is 'crew', whose memories are your own already" in outcome.err


def test_without_a_team_its_scope_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(config.TEAM)
    for command in (("store", "x"), ("list",), ("export",), ("import", "-"), ("delete", "--yes")):
        outcome = run(*command, *TEAM)
        assert outcome.status != 0
        assert "no team is known here" in outcome.err
