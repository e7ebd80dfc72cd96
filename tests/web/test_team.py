"""What the page's server does with a team's memories: it shows, adds and changes them in their own store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.host import Host
from support.ui_server import SHOP, UiServer

TEAM = "team"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UiServer]:
    host = Host(tmp_path, project=SHOP, team="crew")
    with UiServer(host) as server:
        yield server
    host.end()


def test_the_page_is_told_of_the_team(server: UiServer) -> None:
    server.host.store("Lunch is at noon.", scope=TEAM)
    assert server.read("status")["team"] == "crew"
    assert server.read("overview")["team"]["memories"]["live"] == 1


def test_memories_of_the_team_are_shown_and_filtered(server: UiServer) -> None:
    shared = server.host.store("Lunch is at noon.", scope=TEAM)["id"]
    own = server.host.store("Lunch is not for me.")["id"]
    found = server.read("search", query="lunch")["results"]
    assert {one["id"]: one["scope"] for one in found} == {shared: TEAM, own: "project"}
    assert [one["id"] for one in server.read("browse", scope=TEAM)["memories"]] == [shared]
    assert server.read("memory", id=shared)["versions"][0]["scope"] == TEAM


def test_a_memory_of_the_team_is_added_edited_and_undone_in_its_store(server: UiServer) -> None:
    shared = server.change("add", content="Lunch is at noon.", scope=TEAM)["id"]
    server.change("edit", id=shared, tags=["food"])
    new = server.change("edit", id=shared, content="Lunch is at one.")["id"]
    (current,) = server.read("browse", scope=TEAM)["memories"]
    assert (current["id"], current["tags"]) == (new, ["food"])
    assert server.read("browse", scope="project")["total"] == 0
    server.change("revert", id=shared)
    assert server.change("delete", ids=[new])["deleted"] == [new]
    assert server.change("restore", ids=[new])["restored"] == [new]


def test_a_merge_is_of_one_store(server: UiServer) -> None:
    ids = [server.host.store(text, scope=TEAM)["id"] for text in ("Lunch is at noon.", "We eat at twelve.")]
    own = server.host.store("I eat later.")["id"]
    refused = server.post("merge", ids=[ids[0], own], content="x")
    assert refused.status == 400
    assert "stay apart" in refused.json["error"]
    merged = server.change("merge", ids=ids, content="Lunch is at noon, twelve sharp.")
    assert set(merged["superseded"]) == set(ids)
    assert [one["id"] for one in server.read("browse", scope=TEAM)["memories"]] == [merged["id"]]
