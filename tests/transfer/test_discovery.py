"""What other assistants have left on a machine is found, counted, and imported where it lies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.host import Host
from support.transcripts import (
    CHAT,
    COPILOT,
    META,
    claude,
    codex_message,
    cursor,
    gemini,
    json_lines,
    write_claude_mem,
    write_cursor_database,
)
from support.transferring import state

from sediment_mcp.transfer.discovery import find_transcripts
from sediment_mcp.transfer.host_folders import find_slug_folder
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import import_memories
from sediment_mcp.transfer.opening import open_files
from sediment_mcp.transfer.prepare import ImportOptions


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home directory in which each program has left something."""
    home = tmp_path / "home"
    claude_project = home / ".claude" / "projects" / "-nowhere-shop"
    write(claude_project / "s1.jsonl", json_lines(claude("One.", 1)))
    write(claude_project / "s2.jsonl", json_lines(claude("Two.", 2)))
    write(claude_project / "agent-x.jsonl", json_lines(claude("An agent.", 3)))
    write(claude_project / "empty.jsonl", "")
    write(claude_project / "memory" / "MEMORY.md", "# Habits\nTea.")
    write(
        home / ".codex" / "sessions" / "2026" / "05" / "01" / "rollout-a.jsonl",
        json_lines(META, codex_message("Three.")),
    )
    write(home / ".copilot" / "session-state" / "p1" / "events.jsonl", json_lines(*COPILOT))
    write(home / ".gemini" / "tmp" / "a" / "chats" / "session-a.jsonl", json_lines(CHAT, gemini("Four.")))
    write(home / ".gemini" / "tmp" / "a" / "logs.json", "[]")
    log = [{"sessionId": "g", "messageId": 0, "type": "user", "message": "Five.", "timestamp": "2026-05-01"}]
    write(home / ".gemini" / "tmp" / "b" / "logs.json", json.dumps(log))
    transcripts = home / ".cursor" / "projects" / "nowhere-shop" / "agent-transcripts"
    write(transcripts / "t1" / "t1.jsonl", json_lines(cursor("Six.")))
    write(transcripts / "c1" / "c1.jsonl", json_lines(cursor("In the database too.")))
    write(transcripts / "t1" / "subagents" / "x.jsonl", json_lines(cursor("An agent.")))
    write_cursor_database(home / ".config" / "Cursor" / "User")
    write_claude_mem(home / ".claude-mem" / "claude-mem.db")
    return home


def test_what_each_program_has_left_is_counted(home: Path) -> None:
    found = find_transcripts(home, {}, "linux")
    assert [one.describe() for one in found] == [
        "2 Claude Code sessions",
        "1 Claude Code memory file",
        "1 Codex session",
        "1 Copilot CLI session",
        "2 Gemini CLI chats",
        "5 Cursor conversations",
        "4 claude-mem entries",
    ]


def test_what_was_found_is_imported_once(home: Path, host: Host) -> None:
    files = [file for one in find_transcripts(home, {}, "linux") for file in one.files]
    reports = []
    for _ in range(2):
        report = ImportReport()
        opened = open_files(files, "user")
        import_memories(host.app, opened.items, ImportOptions(), report, position=opened.position)
        assert opened.position() == (len(files), len(files))
        reports.append(report)
    assert reports[0].imported == len(state(host)) == 14
    assert (reports[1].imported, reports[1].known) == (0, 14)


def test_folders_that_variables_name_are_looked_into(home: Path, tmp_path: Path) -> None:
    os.rename(home / ".claude", tmp_path / "claude")
    os.rename(home / ".codex", tmp_path / "codex")
    given = {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude"), "CODEX_HOME": str(tmp_path / "codex")}
    titles = [one.title for one in find_transcripts(home, given, "linux")]
    assert titles[:3] == ["Claude Code", "Claude Code", "Codex"]


def test_a_machine_without_other_assistants_has_nothing(tmp_path: Path) -> None:
    for platform in ("linux", "darwin", "win32"):
        assert find_transcripts(tmp_path / "none", {}, platform) == []


def test_the_folder_behind_a_name_of_a_host_is_found_where_it_is(tmp_path: Path) -> None:
    place = tmp_path / "my-shop" / ".hidden" / "a_b.c d"
    place.mkdir(parents=True)
    (tmp_path / "my").mkdir()
    slug = "".join(letter if letter.isalnum() else "-" for letter in str(place))
    assert find_slug_folder(slug) == str(place)
    assert find_slug_folder(slug.removeprefix("-")) == str(place)
    for other in ("", "-", "nowhere-at-all", slug + "-x", "x" * 2000):
        assert find_slug_folder(other) is None
