"""An export for people: Markdown, one file a memory, or one a tag.

A file a memory has all its attributes as front matter and can be imported again; a file a tag is for reading.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.storage.sql import bulk
from sediment_mcp.system.files import PRIVATE_DIRECTORY, write_private
from sediment_mcp.system.progress import Progress, unwatched
from sediment_mcp.transfer.exporter import Selection
from sediment_mcp.transfer.formats.front_matter import compose
from sediment_mcp.transfer.formats.sediment_jsonl import described

if TYPE_CHECKING:
    from sediment_mcp.app import Library

MARK = "sediment-mcp"
"""The field of the front matter that says what the file is: `MEMORY` or `BY_TAG`."""
MEMORY, BY_TAG = "memory", "by tag"
FORMAT = 2  # 1 did not say when a memory was last changed
UNTAGGED = "untagged"
LONGEST_NAME = 60  # characters of a file's name, besides its id and ending
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?", re.IGNORECASE)


class MarkdownResult(TypedDict):
    """How many memories stand in how many files."""

    memories: int
    files: int


def write_memories(
    library: Library,
    folder: Path,
    selection: Selection,
    *,
    force: bool = False,
    progress: Progress = unwatched,
) -> MarkdownResult:
    """Write each selected memory into a file of its own.

    Raises:
        BadArgument: the folder holds something already, and it was not said that this may be overwritten.
        StorageError: the folder cannot be written.
    """
    _prepare(folder, force)
    with library.read() as store:
        total = bulk.count(store, selection.filters, trash=selection.trash)
        chosen = bulk.memories(store, selection.filters, trash=selection.trash)
        for done, memory in enumerate(chosen, start=1):
            name = f"{safe_name(_first_words(memory.content))}-{memory.id}.md"
            _write(folder / name, compose(_fields(memory), memory.content + "\n"))
            progress(done, total)
    return MarkdownResult(memories=total, files=total)


def write_by_tag(
    library: Library,
    folder: Path,
    selection: Selection,
    *,
    force: bool = False,
    progress: Progress = unwatched,
) -> MarkdownResult:
    """Write a file for each tag, with all its memories that are current, by date; see `write_memories`."""
    selection = Selection(replace(selection.filters, include_superseded=False), trash=False)
    now = library.now()
    _prepare(folder, force)
    by_tag: defaultdict[str, list[Memory]] = defaultdict(list)
    with library.read() as store:
        for memory in bulk.memories(store, selection.filters, trash=False):
            is_expired = memory.expires_at is not None and memory.expires_at <= now
            for tag in () if is_expired else memory.tags or (UNTAGGED,):
                by_tag[tag].append(memory)
    names = distinct_names(by_tag)
    for done, (tag, memories) in enumerate(by_tag.items(), start=1):
        _write(folder / f"{names[tag]}.md", _page(tag, memories))
        progress(done, len(by_tag))
    shown = {memory.number for memories in by_tag.values() for memory in memories}
    return MarkdownResult(memories=len(shown), files=len(by_tag))


def _fields(memory: Memory) -> dict[str, Any]:
    said = {name: value for name, value in described(memory).items() if value not in (None, [], {})}
    del said["content"]
    return {MARK: MEMORY, "format": FORMAT, **said}


def _page(tag: str, memories: Iterable[Memory]) -> str:
    parts = [f"# {tag}\n"]
    for memory in sorted(memories, key=lambda memory: memory.occurred_at, reverse=True):
        parts.append(f"## {memory.occurred_at:%Y-%m-%d} · {memory.kind} · {memory.id}\n\n{memory.content}\n")
    return compose({MARK: BY_TAG, "tag": tag}, "\n".join(parts))


# --- names --------------------------------------------------------------------------------------


def _first_words(content: str) -> str:
    return next((line for line in content.splitlines() if line.strip()), "")


def safe_name(text: str) -> str:
    """A file name for any text, on any system: letters, digits and dashes, never empty, never the name of a
    device, and never a way out of the folder."""
    words = re.findall(r"[^\W_]+", text.lower())
    name = "-".join(words)[:LONGEST_NAME].strip("-") or "memory"
    while len(name.encode()) > 2 * LONGEST_NAME:  # systems count bytes, up to 255
        name = name[:-1]
    return f"{name}-" if RESERVED.fullmatch(name) else name


def distinct_names(texts: Iterable[str]) -> Mapping[str, str]:
    """A safe name for each text, no two alike, not even where capitals do not count."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        name = plain = safe_name(text)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names[text] = name
    return names


# --- writing ------------------------------------------------------------------------------------


def _prepare(folder: Path, force: bool) -> None:
    try:
        folder.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if not force and next(folder.iterdir(), None) is not None:
            raise BadArgument(f"{folder} is not empty: give a new folder, or add --force to write into it.")
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written ({error.strerror}): choose another place.")
