"""The commands about backups: backup, restore-backup."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.command_line import Run, Terminal, own_place, run, store

from sediment_mcp import config

__all__ = ["own_place", "run"]  # fixtures


@pytest.fixture(autouse=True)
def without_model(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.MODEL, config.NO_MODEL)


def list_names(run: Run) -> list[str]:
    return [one["name"] for one in run("backup", "--list", "--json").json["backups"]]


def texts(run: Run) -> set[str]:
    return {memory["content"] for memory in run("list", "--json").json["memories"]}


def test_a_backup_is_made_shown_and_gone_back_to(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no backup yet" in run("backup", "--list").out
    store(run, "The kettle is on")
    made = run("backup")
    assert made.status == 0
    (name,) = list_names(run)
    assert name.startswith("made-")
    assert "1 memory" in run("backup", "--list").out
    store(run, "The stove is off")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    asked = run("restore-backup")
    assert asked.status == 1
    assert "1 goes to the trash" in " ".join(asked.err.split())
    assert texts(run) == {"The kettle is on", "The stove is off"}
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    done = run("restore-backup")
    assert done.status == 0
    assert "before-restore-" in done.out
    assert texts(run) == {"The kettle is on"}
    before = next(one for one in list_names(run) if one.startswith("before-restore-"))
    assert run("restore-backup", before, "--yes").status == 0
    assert texts(run) == {"The kettle is on", "The stove is off"}


def test_nobody_there_to_be_asked_is_told_of_yes(run: Run) -> None:
    store(run, "The kettle is on")
    run("backup")
    outcome = run("restore-backup")
    assert outcome.status == 2
    assert "--yes" in outcome.err


def test_a_file_of_ones_own_can_be_made_and_gone_back_to(run: Run, tmp_path: Path) -> None:
    store(run, "The kettle is on")
    file = tmp_path / "mine.db"
    assert run("backup", str(file)).status == 0
    assert run("backup", str(file)).status == 2
    assert list_names(run) == []
    store(run, "The stove is off")
    assert run("restore-backup", str(file), "--yes").status == 0
    assert texts(run) == {"The kettle is on"}
    assert run("restore-backup", "nosuch", "--yes").status == 2
    assert run("backup", str(file), "--list").status == 2
    assert file.exists()
