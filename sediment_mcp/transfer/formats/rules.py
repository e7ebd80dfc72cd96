"""Read files of rules and notes of assistants: CLAUDE.md, AGENTS.md, ``.mdc``, MEMORY.md.

Such a file says many things, so each of its sections becomes a memory that begins with its headings. It
belongs to the project in whose folder it lies; one in a folder of the assistant itself belongs to none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sediment_mcp.transfer.host_folders import find_slug_folder
from sediment_mcp.transfer.normalize import normalize_memory
from sediment_mcp.transfer.records import Item, Origin, add_origin

RULE_NAMES = frozenset(
    {
        "claude.md", "claude.local.md", "agents.md", "agents.override.md", "gemini.md", "qwen.md",
        "copilot-instructions.md", ".cursorrules", ".windsurfrules", ".clinerules", "memory.md",
    }
)  # fmt: skip
RULE_SUFFIX = ".mdc"  # of Cursor's rules
MEMORY_FOLDER = "memory"  # of Claude Code, below projects/SLUG
HOST_FOLDERS = (".claude", ".cursor", ".codex", ".gemini", ".qwen", ".github", ".config")
_HEADING = re.compile(r"(?P<marks>#{1,6})[ \t]+(?P<title>\S.*)")
_FENCE = re.compile(r"\s{0,3}(?P<fence>`{3,}|~{3,})")
_POINTER = re.compile(r"\s*[-*+]\s+\[[^\[\]\n]{1,200}\]\([^()\n]{1,500}\.md\)")


def is_rules(path: Path) -> bool:
    """Return True if the file's name says that it holds rules or notes of an assistant."""
    return path.name.lower() in RULE_NAMES or path.suffix.lower() == RULE_SUFFIX


def find_origin(path: Path) -> Origin:
    """Return the folder whose project a file of rules belongs to."""
    if (origin := find_memory_origin(path)) is not None:
        return origin
    folder = path.absolute().parent
    while folder.name in HOST_FOLDERS or folder.parent.name in HOST_FOLDERS:
        folder = folder.parent
    return Origin(str(folder))


def find_memory_origin(path: Path) -> Origin | None:
    """Return the folder that a note in Claude Code's own memory is about; else None."""
    place = path.absolute().parent
    is_memory = place.name == MEMORY_FOLDER and place.parent.parent.name == "projects"
    return Origin(find_slug_folder(place.parent.name)) if is_memory else None


@dataclass(slots=True)
class _Section:
    """A section: the line it begins in, its headings from the outermost, and its lines."""

    line: int
    titles: tuple[str, ...]
    lines: list[str] = field(default_factory=list[str])


def read_rules(
    path: Path, location: str, text: str, fields: dict[str, Any], modified_at: datetime | None
) -> Iterator[Item]:
    """Yield a memory a section; ``fields`` are those of the front matter.

    A list of links to other files of the folder is an index, and left out.
    """
    origin = find_origin(path)
    for section in _split_sections(_remove_comments(text)):
        body = "\n".join(line for line in section.lines if not _POINTER.match(line)).strip()
        if not body:
            continue
        titles = " / ".join(section.titles)
        items = normalize_memory(
            f"{location}, line {section.line}",
            f"{titles}\n\n{body}" if titles else body,
            metadata={"file": location, "source": "rules", **fields},
            occurred_at=modified_at,
            kind="semantic" if path.name.lower() == "memory.md" else "procedural",
        )
        yield from add_origin(items, origin)


def _remove_comments(text: str) -> str:
    """Return the text without comments of HTML; one that is not closed is text."""
    parts: list[str] = []
    end = 0
    while (start := text.find("<!--", end)) >= 0 and (close := text.find("-->", start)) >= 0:
        parts.append(text[end:start])
        end = close + len("-->")
    return "".join([*parts, text[end:]])


def _split_sections(text: str) -> Iterator[_Section]:
    section, titles, fence = _Section(1, ()), dict[int, str](), ""
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if mark is not None and (not fence or mark["fence"].startswith(fence)):
            fence = "" if fence else mark["fence"]
        heading = None if fence or mark else _HEADING.match(line)
        if heading is None:
            section.lines.append(line)
            continue
        yield section
        level = len(heading["marks"])
        titles = {depth: title for depth, title in titles.items() if depth < level}
        titles[level] = heading["title"].rstrip("# \t")
        section = _Section(number, tuple(titles.values()))
    yield section
