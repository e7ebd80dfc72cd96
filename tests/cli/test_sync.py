"""The command sync: setting up, running, switching, mapping projects, leaving, and what is refused."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest
from support.command_line import Outcome, Run, Terminal, own_place, run, store
from support.devices import IDENTITY

from sediment_mcp.app import Application
from sediment_mcp.cli.confirm import FAILED, WRONG_ARGUMENTS
from sediment_mcp.config import DATA_DIR, MODEL, NO_MODEL, Config
from sediment_mcp.sync.settings import SyncSettings, write_settings

__all__ = ["own_place", "run"]


@pytest.fixture(autouse=True)
def _without_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL, NO_MODEL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "carried"


def pair(data: Path, folder: Path, device: str = "laptop") -> None:
    folder.mkdir(exist_ok=True)
    with contextlib.closing(Application(Config(data, model=NO_MODEL), is_resident=False)) as app:
        write_settings(app, SyncSettings(folder, device, IDENTITY))


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let a person type these lines where nothing is shown."""
    typed = iter(lines)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))


def assert_refused(outcome: Outcome, words: str) -> None:
    assert outcome.status == WRONG_ARGUMENTS
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.out == ""


def test_two_devices_are_set_up_and_exchange_what_they_store(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(run, "The kiln needs two hours")
    type_in(monkeypatch, "a passphrase", "a passphrase")
    made = run("sync", "init", str(folder), "--device", "laptop")
    assert made.status == 0, made.err
    [code] = made.out.splitlines()
    assert code.startswith("AGE-SECRET-KEY-1")
    assert code not in made.err
    assert "Write it down" in made.err
    assert "1 memory given" in made.err
    monkeypatch.setenv(DATA_DIR, str(tmp_path / "other"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("a passphrase\n"))
    joined = run("sync", "join", str(folder), "--device", "desktop")
    assert joined.status == 0, joined.err
    assert "1 memory taken over" in joined.err
    assert code not in joined.out + joined.err
    store(run, "The till prints in blue")
    assert run("sync", "--json").json["given"] == 1
    monkeypatch.setenv(DATA_DIR, str(tmp_path / "data"))
    assert "1 memory taken over" in run("sync", str(folder)).out.lower()
    assert "till" in run("query", "till").out
    assert run("sync").out == "Nothing is new.\n"


def test_a_recovery_code_in_a_file_is_taken(
    run: Run, folder: Path, tmp_path: Path, own_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(own_place, folder)
    assert run("sync").status == 0
    monkeypatch.setenv(DATA_DIR, str(tmp_path / "other"))
    (tmp_path / "code").write_text(IDENTITY)
    joined = run("sync", "join", str(folder), "--passphrase-file", str(tmp_path / "code"), "--json")
    assert joined.json["folder"] == str(folder)


def test_passphrases_that_differ_or_are_missing_make_no_folder(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, "a passphrase", "another")
    assert_refused(run("sync", "init", str(folder)), "differ")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert_refused(run("sync", "init", str(folder)), "or pipe it in")
    assert not folder.exists()


def test_a_folder_is_checked_before_the_passphrase_is_asked_for(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch)
    assert_refused(run("sync", "join", str(folder)), "There is no folder")
    folder.mkdir()
    assert_refused(run("sync", "join", str(folder)), "no sync folder")


def test_status_shows_devices_what_is_ignored_and_what_is_wrong(
    run: Run, folder: Path, own_place: Path
) -> None:
    pair(own_place, folder)
    store(run, "The kiln needs two hours")
    run("sync")
    (folder / "pad").mkdir()
    (folder / "laptop" / "00000001-00000001 (conflicted copy).age").touch()
    shown = run("sync", "status")
    assert "laptop  this one  1 file" in shown.out
    assert "pad  0 files, 0 bytes  holds nothing that can be read yet" in shown.out
    assert "laptop/00000001-00000001 (conflicted copy).age" in shown.out
    assert run("sync", "status", "--json").json["device"] == "laptop"
    assert "sync" in run("doctor").out
    (folder / "laptop").rename(folder.with_name("gone"))
    folder.rename(folder.with_name("away"))
    assert "Note: The folder" in run("sync", "status").out
    failed = run("sync")
    assert failed.status == FAILED
    assert "plug in its disk" in failed.err


def test_the_automatic_form_is_switched(run: Run, folder: Path, own_place: Path) -> None:
    pair(own_place, folder)
    assert run("sync", "on", "--json").json == {"automatic": True}
    assert run("sync", "status", "--json").json["automatic"] is True
    assert "no longer" in run("sync", "off").out
    assert run("sync", "status", "--json").json["automatic"] is False


def test_projects_are_listed_and_mapped(run: Run, folder: Path, own_place: Path, tmp_path: Path) -> None:
    pair(own_place, folder)
    assert "No project" in run("sync", "project").out
    mapped = run("sync", "project", "git@example.com:ann/shop.git", str(tmp_path), "--json").json
    assert mapped == {"name": "git:example.com/ann/shop", "project": str(tmp_path), "memories": 0}
    assert "git:example.com/ann/shop" in run("sync", "project").out
    assert_refused(run("sync", "project", "git:example.com/ann/shop"), "a shared name and a folder")


def test_leaving_ends_it(run: Run, folder: Path, own_place: Path) -> None:
    pair(own_place, folder)
    run("sync")
    assert "stays, for the others" in run("sync", "leave").out
    assert_refused(run("sync"), "sync init FOLDER")
    pair(own_place, folder)
    assert run("sync", "leave", "--remove-files", "--json").json["removed"] is True
    assert not (folder / "laptop").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("init",), "needs one folder"),
        (("join", "a", "b"), "needs one folder"),
        (("status", "x"), "takes nothing else"),
        (("a", "b"), "one folder at most"),
        (("status", "--watch"), "leave one of them out"),
        (("--every", "5"), "--every is for --watch"),
        (("--watch", "--every", "0"), "whole number from 1"),
        (("--device", "x"), "--device is for init and join"),
        (("on", "--passphrase-file", "x"), "--passphrase-file is for"),
        (("status", "--remove-files"), "--remove-files is for leave"),
        ((), "sync init FOLDER"),
        (("elsewhere",), "sync init elsewhere"),
        (("leave",), "does not synchronize yet"),
        (("on",), "does not synchronize yet"),
        (("status",), "does not synchronize yet"),
        (("project",), "does not synchronize yet"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    run: Run, words: tuple[str, ...], sentence: str
) -> None:
    assert_refused(run("sync", *words), sentence)


def test_memories_on_a_server_are_not_synchronized(run: Run) -> None:
    refused = run("sync", "status", "--database", "postgresql://127.0.0.1:1/none")
    assert_refused(refused, "already")
