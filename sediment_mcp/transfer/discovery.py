"""Find what other assistants have left on this machine that can be imported.

Nothing is read here but the names of files and the keys of databases; places are those that the programs use
by default, or that a variable of theirs names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sqlite.foreign_file import open_foreign
from sediment_mcp.system.text import format_count
from sediment_mcp.transfer.formats import claude_mem, cursor

MAX_FILES = 100_000  # of one program
AGENT_PREFIX = "agent-"  # of transcripts of agents that another one has called


@dataclass(frozen=True, slots=True)
class Found:
    """What one program has left here.

    Attributes:
        title: the program's name.
        noun: what is counted.
        count: how many of these there are.
        files: the files to import.
    """

    title: str
    noun: str
    count: int
    files: tuple[Path, ...]

    def describe(self) -> str:
        """Return how much it is, such as "212 Claude Code sessions"."""
        number, _, noun = format_count(self.count, self.noun).partition(" ")
        return f"{number} {self.title} {noun}"


def find_transcripts(home: Path, environment: Mapping[str, str], platform: str = sys.platform) -> list[Found]:
    """Return what is found for each program that has left anything."""
    claude = Path(environment.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    codex = Path(environment.get("CODEX_HOME") or home / ".codex")
    gemini, cursor_folder = home / ".gemini" / "tmp", home / ".cursor" / "projects"
    sessions = _list_files(claude / "projects", "*/*.jsonl")
    rollouts = [
        *_list_files(codex / "sessions", "**/rollout-*.jsonl"),
        *_list_files(codex / "archived_sessions", "**/rollout-*.jsonl"),
    ]
    found = [
        _count("Claude Code", "session", [p for p in sessions if not p.name.startswith(AGENT_PREFIX)]),
        _count("Claude Code", "memory file", _list_files(claude / "projects", "*/memory/*.md")),
        _count("Codex", "session", rollouts),
        _count("Copilot CLI", "session", _list_files(home / ".copilot" / "session-state", "*/events.jsonl")),
        _count("Gemini CLI", "chat", _list_gemini_chats(gemini)),
        _find_cursor(_find_cursor_database(home, environment, platform), cursor_folder),
        _find_claude_mem(home / ".claude-mem" / "claude-mem.db"),
    ]
    return [one for one in found if one.count]


def _count(title: str, noun: str, files: Iterable[Path]) -> Found:
    kept = tuple(files)
    return Found(title, noun, len(kept), kept)


def _list_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that match a pattern and hold anything, by name."""
    found: list[Path] = []
    try:
        for path in folder.glob(pattern):
            if path.is_file() and not path.is_symlink() and path.stat().st_size:
                found.append(path)
            if len(found) >= MAX_FILES:
                break
    except OSError:
        pass
    return sorted(found)


def _list_gemini_chats(folder: Path) -> list[Path]:
    """Return the chats, and of projects whose chats are gone the list of what the user typed."""
    chats = _list_files(folder, "*/chats/session-*.json") + _list_files(folder, "*/chats/session-*.jsonl")
    with_chats = {path.parent.parent for path in chats}
    logs = [path for path in _list_files(folder, "*/logs.json") if path.parent not in with_chats]
    return sorted([*chats, *logs])


def _find_cursor_database(home: Path, environment: Mapping[str, str], platform: str) -> Path:
    if platform == "win32":
        data = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    elif platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        data = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return data / "Cursor" / "User" / "globalStorage" / "state.vscdb"


def _find_cursor(database: Path, projects: Path) -> Found:
    """Return the conversations in the database, and the transcripts of those that are not in it."""
    known = set(_read_names(database))
    transcripts = [
        path
        for path in _list_files(projects, "*/agent-transcripts/**/*.jsonl")
        if path.stem not in known and path.parent.name != "subagents"
    ]
    files = ([database] if known else []) + transcripts
    return Found("Cursor", "conversation", len(known) + len(transcripts), tuple(files))


def _read_names(database: Path) -> list[str]:
    try:
        return cursor.list_conversations(database) if os.path.isfile(database) else []
    except BadArgument:
        return []


def _find_claude_mem(path: Path) -> Found:
    try:
        with open_foreign(path) as database:
            tables = (claude_mem.PROMPTS, claude_mem.OBSERVATIONS, claude_mem.SUMMARIES)
            count = sum(map(database.count, tables))
    except BadArgument:
        count = 0
    return Found("claude-mem", "entry", count, (path,) if count else ())
