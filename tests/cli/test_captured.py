"""The command that shows, keeps and drops what was captured, and switches capture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import Run, own_place, run, store

from sediment_mcp import config
from sediment_mcp.operations.capture_state import CaptureState, read_state
from sediment_mcp.system.directory_encryption import DirectoryEncryption

__all__ = ["own_place", "run"]  # fixtures


def state_of(place: Path) -> CaptureState:
    return read_state(place, DirectoryEncryption(place))


@pytest.fixture(autouse=True)
def without_model(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is searched by meaning."""
    monkeypatch.setenv(config.MODEL, config.NO_MODEL)


def capture(run: Run, text: str, session: str = "s1") -> str:
    return store(run, text, "--kind", "episodic", "--tag", "captured", "--session", session)


def test_capture_is_off_until_it_is_switched_on(run: Run, own_place: Path) -> None:
    assert "Capture is off" in run("captured").err
    assert run("captured", "on", "--json").json == {"capture": "on"}
    since = state_of(own_place).since
    assert since is not None
    assert "off" not in run("captured").err
    assert run("captured", "on").status == 0
    assert state_of(own_place).since == since  # what it captures does not begin anew
    assert run("captured", "off").status == 0
    assert state_of(own_place).since is None


def test_captured_turns_are_shown_kept_and_dropped(run: Run) -> None:
    first, second, third = (capture(run, text) for text in ("one", "two", "three"))
    store(run, "a fact")
    shown = run("captured", "--json").json
    assert {memory["id"] for memory in shown["memories"]} == {first, second, third}
    kept = run("captured", "keep", first, "--text", "One is a fact.", "--json").json["kept"]
    assert kept[0]["superseded"] == [first]
    assert run("captured", "drop", second).status == 0
    left = run("captured", "--json").json["memories"]
    assert [memory["id"] for memory in left] == [third]
    contents = {memory["content"] for memory in run("list", "--json").json["memories"]}
    assert contents == {"One is a fact.", "three", "a fact"}


def test_all_of_a_session_is_dropped_once_it_is_confirmed(run: Run) -> None:
    capture(run, "one", "s1")
    other = capture(run, "two", "s2")
    refused = run("captured", "drop", "--session", "s1")
    assert (refused.status, "--yes" in refused.err) == (2, True)
    assert run("captured", "drop", "--session", "s1", "--yes").status == 0
    assert [memory["id"] for memory in run("captured", "--json").json["memories"]] == [other]
    assert run("captured", "drop", "--all", "--yes").status == 0
    assert run("captured", "--json").json["total"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keep",), "No ID"),
        (("drop",), "No ID"),
        (("drop", "abc", "--all"), "do not go together"),
        (("keep", "abc", "def", "--text", "x"), "one ID"),
        (("keep", "abc", "--all"), "--all says nothing to captured keep"),
        (("list", "abc"), "an ID says nothing to captured list"),
        (("on", "--session", "s"), "--session says nothing to captured on"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, words: tuple[str, ...], said: str) -> None:
    outcome = run("captured", *words)
    assert (outcome.status, said in outcome.err) == (2, True), outcome.err


def test_an_id_that_is_no_captured_turn_fails_with_a_sentence(run: Run) -> None:
    fact = store(run, "a fact")
    for action in ("keep", "drop"):
        outcome = run("captured", action, fact)
        assert (outcome.status, fact in outcome.err) == (2, True)


# --- what lies on the machine -------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home directory with a session of Claude Code."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "home" / ".claude" / "projects" / "-nowhere"
    project.mkdir(parents=True)
    line = {"type": "user", "uuid": "u1", "sessionId": "s1", "message": {"content": "We deploy on Tuesdays."}}
    (project / "s1.jsonl").write_text(json.dumps(line) + "\n")
    return tmp_path / "home"


@pytest.mark.usefixtures("home")
def test_what_lies_on_the_machine_is_said_and_brought_in_on_yes(run: Run) -> None:
    asked = run("import", "--found")
    assert asked.status == 2
    assert "Found here: 1 Claude Code session." in asked.err
    assert "--yes" in asked.err
    looked = run("import", "--found", "--dry-run", "--json")
    assert (looked.status, looked.json["imported"]) == (0, 1)
    assert run("list", "--json").json["total"] == 0
    assert run("import", "--found", "--yes", "--json").json["imported"] == 1
    assert run("import", "--found", "--yes", "--json").json["known"] == 1


def test_nothing_on_the_machine_is_said_too(run: Run, home: Path) -> None:
    (home / ".claude").rename(home / "elsewhere")
    outcome = run("import", "--found", "--yes")
    assert (outcome.status, "Nothing was found" in outcome.err) == (1, True)


@pytest.mark.usefixtures("home")
def test_a_file_and_what_was_found_do_not_go_together(run: Run) -> None:
    for words in ((), ("notes", "--found")):
        outcome = run("import", *words)
        assert (outcome.status, "--found" in outcome.err) == (2, True)


@pytest.mark.usefixtures("home")
def test_capture_is_on_once_it_is_asked_for_at_an_install(run: Run, own_place: Path) -> None:
    assert run("install", "claude-code", "--no-check").status == 0
    assert state_of(own_place).since is None
    assert run("install", "claude-code", "--no-check", "--capture", "--dry-run").status == 0
    assert state_of(own_place).since is None
    outcome = run("install", "claude-code", "--no-check", "--capture")
    assert (outcome.status, "Capture is on" in outcome.err) == (0, True)
    assert state_of(own_place).since is not None


@pytest.mark.usefixtures("home")
def test_an_install_says_what_could_be_brought_in(run: Run) -> None:
    outcome = run("install", "cursor", "--no-check")
    assert outcome.status == 0
    assert "Found here: 1 Claude Code session. `sediment-mcp import --found` brings them in." in outcome.err
