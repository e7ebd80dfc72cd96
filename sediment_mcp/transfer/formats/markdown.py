"""Export memories for people: Markdown, one file a memory, or one a tag.

The file of a memory has all its attributes as front matter and can be imported again; the file of a tag is
for reading.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.system.files import PRIVATE_DIRECTORY, write_private
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.transfer.formats.front_matter import compose_front_matter
from sediment_mcp.transfer.formats.sediment_jsonl import FORMAT_VERSION, encode_memory
from sediment_mcp.transfer.records import Selection

if TYPE_CHECKING:
    from sediment_mcp.app import Application

CONTENT_FIELD = "sediment-mcp"  # of the front matter; it says what the file holds: one of the next two
MEMORY, TAG_PAGE = "memory", "by tag"
UNTAGGED = "untagged"
MAX_NAME_CHARS = 60  # of a file's name, besides its id and ending
MAX_NAME_BYTES = 120  # file systems count bytes, up to 255
RESERVED_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?", re.IGNORECASE)


class MarkdownResult(TypedDict):
    """How many memories were written into how many files."""

    memories: int
    files: int


def write_markdown(
    app: Application,
    folder: Path,
    selection: Selection,
    *,
    by_tag: bool = False,
    force: bool = False,
    progress: Progress = ignore_progress,
) -> MarkdownResult:
    """Write each selected memory into its own file, or into the file of each of its tags.

    ``by_tag`` leaves out what is superseded, expired or deleted, and sorts by date. ``force`` writes into a
    folder that holds something already.

    Raises:
        BadArgument: the folder is not empty, and ``force`` is not given.
        StorageError: the folder cannot be written.
        Stopped: ``progress`` asked for it.
    """
    _prepare_folder(folder, force)
    write = _write_by_tag if by_tag else _write_memories
    return write(app, folder, selection, progress)


def _write_memories(
    app: Application, folder: Path, selection: Selection, progress: Progress
) -> MarkdownResult:
    with app.storage.read() as session:
        total = session.bulk.count(selection.filters, include_deleted=selection.include_deleted)
        selected = session.bulk.memories(selection.filters, include_deleted=selection.include_deleted)
        for done, memory in enumerate(selected, start=1):
            name = f"{make_file_name(_get_first_line(memory.content))}-{memory.id}.md"
            _write(folder / name, compose_front_matter(_list_fields(memory), memory.content + "\n"))
            progress(done, total)
    return MarkdownResult(memories=total, files=total)


def _write_by_tag(app: Application, folder: Path, selection: Selection, progress: Progress) -> MarkdownResult:
    by_tag: defaultdict[str, list[Memory]] = defaultdict(list)
    for memory in _read_current(app, selection):
        for tag in memory.tags or (UNTAGGED,):
            by_tag[tag].append(memory)
    names = make_distinct_names(by_tag)
    for done, (tag, memories) in enumerate(by_tag.items(), start=1):
        _write(folder / f"{names[tag]}.md", _compose_tag_page(tag, memories))
        progress(done, len(by_tag))
    ids = {memory.id for memories in by_tag.values() for memory in memories}
    return MarkdownResult(memories=len(ids), files=len(by_tag))


def _read_current(app: Application, selection: Selection) -> Iterator[Memory]:
    now = app.now()
    filters = replace(selection.filters, include_superseded=False)
    with app.storage.read() as session:
        for memory in session.bulk.memories(filters, include_deleted=False):
            if memory.state(now) == "live":
                yield memory


def _list_fields(memory: Memory) -> dict[str, Any]:
    fields = {name: value for name, value in encode_memory(memory).items() if value not in (None, [], {})}
    del fields["content"]
    return {CONTENT_FIELD: MEMORY, "format": FORMAT_VERSION, **fields}


def _compose_tag_page(tag: str, memories: Iterable[Memory]) -> str:
    sections = [f"# {tag}\n"]
    for memory in sorted(memories, key=lambda memory: memory.occurred_at, reverse=True):
        heading = f"## {memory.occurred_at:%Y-%m-%d} · {memory.kind} · {memory.id}"
        sections.append(f"{heading}\n\n{memory.content}\n")
    return compose_front_matter({CONTENT_FIELD: TAG_PAGE, "tag": tag}, "\n".join(sections))


# --- names --------------------------------------------------------------------------------------


def _get_first_line(content: str) -> str:
    return next((line for line in content.splitlines() if line.strip()), "")


def make_file_name(text: str) -> str:
    """Return a file name for any text that is safe on every system.

    It consists of letters, digits and dashes, is never empty, never the name of a device, and never leads
    out of the folder.
    """
    words = re.findall(r"[^\W_]+", text.lower())
    name = "-".join(words)[:MAX_NAME_CHARS].strip("-") or "memory"
    while len(name.encode()) > MAX_NAME_BYTES:
        name = name[:-1]
    return f"{name}-" if RESERVED_NAMES.fullmatch(name) else name


def make_distinct_names(texts: Iterable[str]) -> Mapping[str, str]:
    """Return a safe file name for each text, no two alike even where capitals do not count."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        name = plain = make_file_name(text)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names[text] = name
    return names


# --- files --------------------------------------------------------------------------------------


def _prepare_folder(folder: Path, force: bool) -> None:
    try:
        _refuse_foreign_link(folder)
        folder.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if not force and next(folder.iterdir(), None) is not None:
            raise BadArgument(f"{folder} is not empty: give a new folder, or add --force to write into it.")
    except OSError as error:
        raise _translate_error(folder, error) from error


def _refuse_foreign_link(folder: Path) -> None:
    """Refuse a link that somebody else has made; it may lead into a folder of the user's."""
    if folder.is_symlink() and sys.platform != "win32" and folder.lstat().st_uid != os.geteuid():
        raise OSError(errno.ELOOP, "it is a link that another user has made")


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise _translate_error(path, error) from error


def _translate_error(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written ({error.strerror}): choose another place.")
