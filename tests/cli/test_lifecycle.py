"""The commands about the life of memories: delete by filter, history, revert, retention."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest
from support.command_line import Run, Terminal, own_place, run, store

from sediment_mcp import config

__all__ = ["own_place", "run"]  # fixtures


@pytest.fixture(autouse=True)
def without_model(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is searched by meaning, and loading the model takes longer than all the rest."""
    monkeypatch.setenv(config.MODEL, config.NO_MODEL)


@pytest.fixture
def some(run: Run) -> dict[str, str]:
    """Five memories, three of them with the tag net."""
    return {
        name: store(run, f"The {name} is up", *more)
        for name, more in {
            "router": ("--tag", "net", "--occurred-at", "2025-01-01"),
            "switch": ("--tag", "net", "--occurred-at", "2025-06-01T00:00:00Z"),
            "beacon": ("--tag", "net", "--kind", "procedural"),
            "kettle": (),
            "stove": ("--session", "home"),
        }.items()
    }


def left(run: Run, some: dict[str, str]) -> set[str]:
    listed = {memory["id"] for memory in run("list", "--json").json["memories"]}
    return {name for name, memory_id in some.items() if memory_id in listed}


# --- delete by filter ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        (("--tag", "net"), {"router", "switch", "beacon"}),
        (("--tag", "net", "--kind", "procedural"), {"beacon"}),
        (("--session", "home"), {"stove"}),
        (("--before", "2025-06-01"), {"router"}),
        (("--before", "2025-06-01T00:00:00.000001Z"), {"router", "switch"}),
        (("--scope", "global", "--before", "2026-01-01"), {"router", "switch"}),
        (("--tag", "nosuchtag"), set()),
    ],
)
def test_a_filter_deletes_what_it_finds_and_nothing_else(
    run: Run, some: dict[str, str], filters: tuple[str, ...], gone: set[str]
) -> None:
    outcome = run("delete", *filters, "--yes", "--json")
    assert outcome.status == 0
    assert set(outcome.json["deleted"]) == {some[name] for name in gone}
    assert left(run, some) == set(some) - gone
    assert {m["id"] for m in run("list", "--deleted", "--json").json["memories"]} == {some[n] for n in gone}


@pytest.mark.parametrize(
    ("answer", "gone"), [("3\n", True), ("y\n", False), ("2\n", False), ("\n", False), ("", False)]
)
def test_the_number_must_be_typed_after_looking(
    run: Run, some: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    outcome = run("delete", "--tag", "net")
    assert all(f"The {name} is up" in outcome.err for name in ("router", "switch", "beacon"))
    assert "kettle" not in outcome.err
    assert "Type 3 to delete them" in outcome.err
    assert outcome.status == (0 if gone else 1)
    assert ("router" in left(run, some)) is not gone


def test_a_long_preview_tells_how_many_more_there_are(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(12):
        store(run, f"number {n} of many", "--tag", "t")
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert "and 2 more" in run("delete", "--tag", "t").err


def test_erasing_by_filter_says_that_it_is_for_good(
    run: Run, some: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("1\n"))
    outcome = run("delete", "--session", "home", "--permanent")
    assert "Type 1 to erase them for good" in outcome.err
    assert run("list", "--deleted", "--json").json["total"] == 0
    assert left(run, some) == set(some) - {"stove"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Nothing to delete"),
        (("--yes",), "Nothing to delete"),
        (("--scope", "all", "--yes"), "everything"),
        (("--include-superseded", "--yes"), "everything"),
        (("someid", "--tag", "net", "--yes"), "do not go together"),
        (("--before", "soon", "--yes"), "ISO 8601"),
        (("--kind", "odd", "--yes"), "kind must be"),
        (("--scope", "project", "--yes"), "No project is known"),
    ],
)
def test_without_a_true_filter_nothing_is_deleted(
    run: Run, some: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    outcome = run("delete", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.err
    assert left(run, some) == set(some)


def test_many_need_a_yes_where_nobody_can_be_asked(run: Run, some: dict[str, str]) -> None:
    outcome = run("delete", "--tag", "net")
    assert outcome.status == 2
    assert "3 memories would go" in outcome.err
    assert left(run, some) == set(some)


# --- versions -----------------------------------------------------------------------------------


def test_history_shows_the_versions_and_revert_takes_one_up_again(run: Run) -> None:
    old = store(run, "The port is 8080")
    new = store(run, "The port is 9090", "--replaces", old)
    told = run("history", old, "--json").json
    assert [(v["id"], v["content"], v["state"]) for v in told["versions"]] == [
        (old, "The port is 8080", "superseded"), (new, "The port is 9090", "current"),
    ]  # fmt: skip
    assert told["current"] == new
    shown = run("history", new).out
    assert shown.index("The port is 8080") < shown.index("The port is 9090")
    assert told["versions"][0]["occurred_at"][:10] in shown
    reverted = run("revert", old, "--json").json
    assert (reverted["reverted_to"], reverted["superseded"]) == (old, new)
    assert [m["id"] for m in run("list", "--json").json["memories"]] == [reverted["id"]]
    assert run("revert", old).status == 2
    assert run("history", "nosuchid").status == 2


def test_deleting_the_current_version_says_what_becomes_of_its_history(run: Run) -> None:
    old = store(run, "The port is 8080")
    new = store(run, "The port is 9090", "--replaces", old)
    outcome = run("delete", new)
    assert f"sediment-mcp revert {old}" in outcome.out
    assert run("list", "--json").json["total"] == 0
    assert run("revert", old).status == 0
    assert [m["content"] for m in run("list", "--json").json["memories"]] == ["The port is 8080"]
    alone = store(run, "Nothing came before")
    assert "revert" not in run("delete", alone).out


# --- retention ----------------------------------------------------------------------------------


def test_rules_are_set_previewed_run_shown_and_cleared(run: Run, some: dict[str, str]) -> None:
    assert run("retention", "set", "--tag", "net", "--max-count", "1", "--json").json == {
        "rules": [{"tag": "net", "max_count": 1}]
    }
    run("retention", "set", "--kind", "working", "--max-age", "3")
    shown = run("retention", "show").out
    assert "tag net: at most 1 of them" in shown
    assert "kind working: at most 3 days old" in shown
    preview = run("retention", "preview", "--json").json
    expected = {some["router"], some["switch"]}
    assert {(m["id"], m["action"]) for m in preview["memories"]} == {(i, "trash") for i in expected}
    assert "The router is up" in run("retention", "preview").out
    assert len(run("retention", "preview", "--limit", "1", "--json").json["memories"]) == 1
    assert left(run, some) == set(some), "a preview removes nothing"
    removed = run("retention", "run", "--json").json
    assert (set(removed["trashed"]), removed["erased"]) == (expected, [])
    assert left(run, some) == {"beacon", "kettle", "stove"}
    assert run("restore", *sorted(expected)).status == 0
    assert len(run("retention", "clear", "--tag", "net", "--json").json["cleared"]) == 1
    assert "1 rule cleared" in run("retention", "clear").out
    assert run("retention", "show", "--json").json == {"rules": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "ACTION"),
        (("frobnicate",), "frobnicate"),
        (("set", "--max-age", "3"), "--kind or --tag"),
        (("set", "--tag", "x"), "--max-age DAYS"),
        (("set", "--tag", "x", "--kind", "working", "--max-age", "3"), "two rules"),
        (("set", "--kind", "odd", "--max-age", "3"), "semantic, episodic"),
        (("set", "--tag", "", "--max-age", "3"), "tags"),
        (("set", "--tag", "x", "--max-age", "0"), "--max-age is '0'"),
        (("set", "--tag", "x", "--max-age", "soon"), "whole number"),
        (("set", "--tag", "x", "--max-count", "-1"), "--max-count"),
        (("run", "--tag", "x"), "leave it out"),
        (("preview", "--limit", "0"), "--limit"),
    ],
)
def test_a_wrong_rule_is_refused(run: Run, arguments: tuple[str, ...], words: str) -> None:
    outcome = run("retention", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.err
    assert run("retention", "show", "--json").json == {"rules": []}


def test_what_has_long_expired_is_erased_by_a_run(run: Run, own_place: Path) -> None:
    note = store(run, "Lunch with Ada", "--kind", "working")
    with contextlib.closing(sqlite3.connect(own_place / "memories.db")) as database:
        database.execute("UPDATE memories SET expires_at = 1")
        database.commit()
    assert "erased for good (expired 7 days ago)" in run("retention", "preview").out
    assert run("retention", "run", "--json").json == {"erased": [note], "trashed": []}
    assert run("history", note).status == 2
