"""Markdown and plain text: a file of it, or a folder of notes. Each file is a memory.

Front matter is respected: title, aliases, tags, the day it is about. A file that `markdown` has written comes
back as the memory that it was.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.formats.front_matter import BadFrontMatter, divide
from sediment_mcp.transfer.formats.markdown import BY_TAG, FORMAT, MARK
from sediment_mcp.transfer.formats.mcp_memory_service import tags_of
from sediment_mcp.transfer.formats.sediment_jsonl import exported
from sediment_mcp.transfer.normalize import fitted, moment, session
from sediment_mcp.transfer.records import Item, Problem, Record
from sediment_mcp.transfer.source import NoText, Source, text_of

ENDINGS = (".md", ".markdown", ".mdown", ".txt")
MAX_NOTE = 10 * 1024 * 1024  # bytes; what is longer is no note
DATES = ("date", "created", "created_at", "day", "published")
USED = {*DATES, "title", "aliases", "alias", "tags", "tag", "keywords", "session", "importance", "kind"}


def is_markdown(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS[:-1]


# --- folders ------------------------------------------------------------------------------------


def notes_in(folder: Path) -> list[Path | Problem]:
    """The notes of a folder and of those in it, by name. Hidden ones and other kinds of files are left out;
    links are not followed, because they may lead in a circle or out of the folder."""
    found: list[Path | Problem] = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in links)
        names = [name for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")]
        for name in sorted([*names, *links]):
            path = here / name
            problem = _problem(path)
            found.append(Problem(path.relative_to(folder).as_posix(), problem) if problem else path)
    return found


def _problem(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"cannot be read ({error.strerror})."
    if stat.S_ISLNK(mode):
        return "is a link, and links are not followed: import what it leads to by itself."
    return None if stat.S_ISREG(mode) else "is no ordinary file."


def read_note(path: Path, folder: Path) -> Iterator[Item]:
    """One file of a folder; what is wrong with it is a problem of its own."""
    place = path.relative_to(folder).as_posix()
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_NOTE + 1)
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError) as error:
        yield Problem(place, f"cannot be read ({getattr(error, 'strerror', None) or 'its date is broken'}).")
        return
    yield from _read(place, data, written)


# --- files --------------------------------------------------------------------------------------


def read_file(source: Source) -> Iterator[Item]:
    """A single file, or standard input."""
    written = None
    if source.path.is_file():
        written = datetime.fromtimestamp(source.path.stat().st_mtime, UTC)
    yield from _read(source.path.name, source.stream.read(MAX_NOTE + 1), written)


def _read(place: str, data: bytes, written: datetime | None) -> Iterator[Item]:
    if len(data) > MAX_NOTE:
        yield Problem(place, f"is larger than {MAX_NOTE:,} bytes: that is no note, split it first.")
        return
    try:
        text, note = text_of(data)
        fields, body = divide(text)
        if MARK in fields and ("id" in fields or fields[MARK] == BY_TAG):
            yield _own(place, fields, body)
        else:
            yield from _note(place, fields, body, written, [note] if note else [])
    except (NoText, BadFrontMatter) as error:
        yield Problem(place, str(error))
    except BadArgument as error:
        yield Problem(place, str(error))


def _own(place: str, fields: dict[str, Any], body: str) -> Item:
    """A memory that was exported as Markdown: the text up to the line's end that was put after it."""
    if fields.pop(MARK) == BY_TAG:
        return Problem(place, "is a list by tag, for reading: import the JSON lines, or one file a memory.")
    if fields.pop("format", FORMAT) not in range(1, FORMAT + 1):
        return Problem(place, "was written by a newer sediment-mcp: update sediment-mcp.")
    return Record(place, exported({**fields, "content": body.removesuffix("\n")}))


def _note(
    place: str, fields: Mapping[str, Any], body: str, written: datetime | None, notes: list[str]
) -> Iterator[Item]:
    title = str(fields.get("title") or "").strip()
    tags = [tag for name in ("tags", "tag", "keywords") for tag in _tags(fields.get(name))]
    rest = {name: value for name, value in fields.items() if name not in USED}
    named = {name: fields[name] for name in ("title", "aliases", "alias") if fields.get(name)}
    occurred_at = next((time for name in DATES if (time := moment(fields.get(name)))), written)
    yield from fitted(
        place,
        _titled(title, tags_of(fields.get("aliases") or fields.get("alias")), body),
        tags=tags,
        metadata={"file": place, **named, **rest},
        occurred_at=occurred_at,
        notes=notes,
        **session(fields.get("session")),
        **_checked(fields),
    )


def _tags(value: object) -> list[object]:
    """Tags as a list, or as one text with commas or spaces between them."""
    if isinstance(value, str) and "," not in value:
        return list(value.split())
    return tags_of(value)


def _titled(title: str, aliases: list[object], body: str) -> str:
    """The text as it is, after its title where it does not say that itself: a memory stands alone."""
    if not body.strip():
        return ""
    head = f"# {title}\n\n" if title and title.casefold() not in body[:1000].casefold() else ""
    names = ", ".join(str(alias).strip() for alias in aliases)
    return f"{head}Also called: {names}.\n\n{body}" if names else f"{head}{body}"


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Kind and importance where they are what they must be; any note may use these words for its own."""
    kind, importance = fields.get("kind"), fields.get("importance")
    found: dict[str, Any] = {"kind": kind} if kind in ("semantic", "episodic", "procedural") else {}
    is_share = (
        isinstance(importance, (int, float)) and not isinstance(importance, bool) and 0 <= importance <= 1
    )
    return found | ({"importance": importance} if is_share else {})
