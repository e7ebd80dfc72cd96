"""Read Markdown and plain text: a file, or a folder of notes.

Each file is a memory.

Front matter is respected: title, aliases, tags, the day it is about. A file that `markdown` has written is
read as the memory that it was where the user says that it is an export: else anybody's note could say so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sediment_mcp.errors import BadArgument
from sediment_mcp.system.encodings import NotText, decode_text, find_byte_order_mark
from sediment_mcp.transfer.formats import rules
from sediment_mcp.transfer.formats.front_matter import split_front_matter
from sediment_mcp.transfer.formats.lists import is_plain_list
from sediment_mcp.transfer.formats.markdown import CONTENT_FIELD, TAG_PAGE
from sediment_mcp.transfer.formats.sediment_jsonl import FORMAT_VERSION, decode_memory
from sediment_mcp.transfer.normalize import (
    add_notes,
    normalize_memory,
    normalize_session,
    split_tags,
    take_time,
)
from sediment_mcp.transfer.records import Format, Item, MemoryRecord, Problem, add_origin
from sediment_mcp.transfer.source import ReadLimits, Source

TEXT_SUFFIX = ".txt"
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown")
DATE_FIELDS = ("date", "created", "created_at", "day", "published", "modified")
TAG_FIELDS = ("tags", "tag", "keywords")
NAME_FIELDS = ("title", "aliases", "alias")  # they go into the text, and stay in the metadata
READ_FIELDS = {*DATE_FIELDS, *TAG_FIELDS, *NAME_FIELDS}
NOTE_KINDS = ("semantic", "episodic", "procedural")
TRUST = "--format sediment says that it is an export of your own, and reads all that it says."
LIST_NOTE = "is a list: it became one memory; --format list makes one of each line."
TITLE_SEARCH_CHARS = 1000  # of a text's beginning, in which its title need not be repeated


def is_markdown(path: Path) -> bool:
    """Return True if the file's name says that it is Markdown."""
    return path.suffix.lower() in MARKDOWN_SUFFIXES or rules.is_rules(path)


# --- folders ------------------------------------------------------------------------------------


def list_notes(folder: Path) -> list[Path | Problem]:
    """Return the notes of a folder and of those in it, by name.

    Hidden ones and other kinds of files are left out. Links are not followed, because they may lead in a
    circle or out of the folder.
    """
    found: list[Path | Problem] = []
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in links)
        names = [name for name in files if is_note_name(name)]
        for name in sorted([*names, *links]):
            path = here / name
            problem = _find_problem(path)
            found.append(Problem(path.relative_to(folder).as_posix(), problem) if problem else path)
    return found


def is_note_name(name: str) -> bool:
    """Return True if a file of this name is a note, and not hidden."""
    suffixes = (*MARKDOWN_SUFFIXES, TEXT_SUFFIX, rules.RULE_SUFFIX)
    return name.lower().endswith(suffixes) and not name.startswith(".")


def _find_problem(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"cannot be read ({error.strerror})."
    if stat.S_ISLNK(mode):
        return "is a link, and links are not followed: import what it leads to by itself."
    return None if stat.S_ISREG(mode) else "is no ordinary file."


def read_note(
    path: Path, folder: Path, limits: ReadLimits, encoding: str | None = None, *, as_export: bool = False
) -> Iterator[Item]:
    """Yield the memory, or several, of one file of a folder, or a `Problem`.

    ``encoding`` is that of the files that are not UTF-8; None: it is guessed for each. ``as_export`` says
    that the folder is an export, so that front matter may say everything about a memory.
    """
    location = path.relative_to(folder).as_posix()
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.max_note_bytes + 1)
        modified_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its date is broken"
        yield Problem(location, f"cannot be read ({reason}).")
        return
    own = None if _has_own_encoding(data) else encoding
    yield from _read_bytes(path, location, data, modified_at, limits, encoding=own, as_export=as_export)


def _has_own_encoding(data: bytes) -> bool:
    """Return True if the text has a byte order mark, or is UTF-8 and not only ASCII."""
    try:
        return bool(find_byte_order_mark(data[:4])[0]) or (not data.isascii() and bool(data.decode()))
    except UnicodeDecodeError:
        return False


# --- files --------------------------------------------------------------------------------------


def read(source: Source, limits: ReadLimits, *, as_export: bool = False) -> Iterator[Item]:
    """Yield the memory, or several, of a single file or of standard input; see `read_note`."""
    modified_at = None
    if source.path.is_file():
        modified_at = datetime.fromtimestamp(source.path.stat().st_mtime, UTC)
    data = source.stream.read(limits.max_note_bytes + 1)
    name, encoding = source.path.name, source.encoding
    yield from _read_bytes(
        source.path, name, data, modified_at, limits, encoding=encoding, as_export=as_export
    )


FORMAT = Format(read)


def _read_bytes(
    path: Path,
    location: str,
    data: bytes,
    modified_at: datetime | None,
    limits: ReadLimits,
    *,
    encoding: str | None,
    as_export: bool,
) -> Iterator[Item]:
    if len(data) > limits.max_note_bytes:
        reason = f"is larger than {limits.max_note_bytes:,} bytes: that is no note, split it first."
        yield Problem(location, reason)
        return
    try:
        decoded = decode_text(data, encoding)
        front = split_front_matter(decoded.text)
        fields = front.fields
        is_exported = CONTENT_FIELD in fields and "id" in fields
        if (is_exported and as_export) or fields.get(CONTENT_FIELD) == TAG_PAGE:
            yield _read_exported(location, fields, front.text)
        elif is_exported and (fields.get("deleted_at") or fields.get("superseded_by")):
            yield Problem(location, f"was deleted or replaced where it was exported: {TRUST}")
        else:
            notes = [*decoded.notes, *front.notes]
            notes += [LIST_NOTE] if is_plain_list(front.text) and not is_markdown(Path(location)) else []
            notes += [f"is read as a note: {TRUST}"] if is_exported else []
            text = front.text.removesuffix("\n") if is_exported else front.text
            if rules.is_rules(path):
                yield from add_notes(
                    rules.read_rules(path, location, text, fields, modified_at), tuple(notes)
                )
            else:
                items = _read_text(location, fields, text, modified_at, notes)
                yield from add_origin(items, rules.find_memory_origin(path))
    except (NotText, BadArgument) as error:
        yield Problem(location, str(error))


def _read_exported(location: str, fields: dict[str, Any], body: str) -> Item:
    """Read an exported memory, without the line end that was put after its text."""
    if fields.pop(CONTENT_FIELD) == TAG_PAGE:
        return Problem(
            location, "is a list by tag, for reading: import the JSON lines, or one file a memory."
        )
    if fields.pop("format", FORMAT_VERSION) not in range(1, FORMAT_VERSION + 1):
        return Problem(location, "was written by a newer sediment-mcp: update sediment-mcp.")
    return MemoryRecord(location, decode_memory({**fields, "content": body.removesuffix("\n")}))


def _read_text(
    location: str, fields: Mapping[str, Any], body: str, modified_at: datetime | None, notes: list[str]
) -> Iterator[Item]:
    names = {name: fields[name] for name in NAME_FIELDS if fields.get(name)}
    attributes = _read_attributes(fields)
    other = {name: value for name, value in fields.items() if name not in READ_FIELDS | attributes.keys()}
    other |= {
        name: fields[name] for name in TAG_FIELDS if fields.get(name) and not _split_words(fields[name])
    }
    occurred_at, left, time_notes = take_time(fields, DATE_FIELDS)
    yield from normalize_memory(
        location,
        _compose_content(fields, body),
        tags=[tag for name in TAG_FIELDS for tag in _split_words(fields.get(name))],
        metadata={"file": location, **names, **other, **left},
        occurred_at=occurred_at or modified_at,
        notes=[*notes, *time_notes],
        **attributes,
    )


def _split_words(value: object) -> list[object]:
    """Return tags that are a list, or one text with commas or spaces between them."""
    if isinstance(value, str) and "," not in value:
        return list(value.split())
    return split_tags(value)


def _compose_content(fields: Mapping[str, Any], body: str) -> str:
    """Put title and other names before the text, unless it holds them.

    The text of a memory has to be understood without its file.
    """
    if not body.strip():
        return ""
    title = str(fields.get("title") or "").strip()
    is_titled = title.casefold() in body[:TITLE_SEARCH_CHARS].casefold()
    head = f"# {title}\n\n" if title and not is_titled else ""
    aliases = split_tags(fields.get("aliases") or fields.get("alias"))
    names = ", ".join(str(alias).strip() for alias in aliases)
    return f"{head}Also called: {names}.\n\n{body}" if names else f"{head}{body}"


def _read_attributes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return session, kind and importance if they are valid; any note may use these words."""
    kind, importance = fields.get("kind"), fields.get("importance")
    found: dict[str, Any] = {"kind": kind} if isinstance(kind, str) and kind in NOTE_KINDS else {}
    if isinstance(importance, (int, float)) and not isinstance(importance, bool) and 0 <= importance <= 1:
        found["importance"] = importance
    session = normalize_session(fields.get("session"))
    found |= {"session": session} if session is not None else {}
    return found
