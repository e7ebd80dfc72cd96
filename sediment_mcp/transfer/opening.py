"""Open what the user names as a stream of items: a file, a folder, an archive, or stdin."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.system.encodings import NotText, check_encoding
from sediment_mcp.transfer import archives
from sediment_mcp.transfer.detect import FORMAT_NAMES, detect_format, match_transcript
from sediment_mcp.transfer.formats import FORMATS, TRANSCRIPTS, notes
from sediment_mcp.transfer.normalize import guard
from sediment_mcp.transfer.records import Item, Problem
from sediment_mcp.transfer.source import DEFAULT_LIMITS, ReadLimits, Source, is_sqlite, open_source
from sediment_mcp.transfer.turns import WhichTurns, build_items

EXPORT = "sediment"  # the format that says that the source is an export of the user's own
TRANSCRIPT_NAME = re.compile(
    r".*\.jsonl|session-.*\.json|logs\.json|state\.vscdb|claude-mem\.db|" + archives.EXPORT_NAME.pattern
)
"""Names of files in a folder that may be transcripts; their content decides."""

OTHER_PARTS = ("memories.json", "projects.json")  # of an export, besides conversations
OTHER_FORMATS = ("claude-mem", "claude-projects", "cursor")
OTHER_AGENTS = "subagents"  # the folder in which transcripts of agents lie that other agents have called


@dataclass(frozen=True, slots=True)
class OpenedItems:
    """Items to import, read while they are iterated.

    Attributes:
        items: the items in the order of the source.
        position: returns (done, total) of the reading: bytes of a file, files of a folder.
    """

    items: Iterator[Item]
    position: Callable[[], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """How sources are read: the format named, what of conversations, and limits."""

    format_name: str | None
    which: WhichTurns
    limits: ReadLimits
    encoding: str | None

    @property
    def as_export(self) -> bool:
        return self.format_name == EXPORT

    def read(self, source: Source) -> Iterator[Item]:
        """Yield the items of a source.

        Raises:
            BadArgument: its format is not known.
        """
        name = self.format_name or detect_format(source, self.limits)
        if name in TRANSCRIPTS:
            turns = TRANSCRIPTS[name].read_turns(source, self.limits)
            return build_items(guard(source.name, turns), self.which)
        return FORMATS[name].read(source, self.limits)


def open_items(
    path_or_stream: Path | BinaryIO,
    format_name: str | None,
    ask_passphrase: Callable[[], str],
    *,
    which: WhichTurns = "user",
    limits: ReadLimits = DEFAULT_LIMITS,
    encoding: str | None = None,
) -> OpenedItems:
    """Open a file, a folder of notes and transcripts, or a stream such as standard input.

    Args:
        path_or_stream: what to open.
        format_name: a key of `FORMATS` or `TRANSCRIPTS`; None: detect it. A folder has notes, transcripts,
            or exported memories.
        ask_passphrase: called if the file is encrypted.
        which: what to take of conversations.
        limits: how much is read at once before it is refused.
        encoding: that of the text, in a folder of the notes that are not UTF-8; None: detect it.

    Raises:
        BadArgument: it or the encoding does not exist, its format is not known, or its passphrase is wrong.
        StorageError: it cannot be read.
    """
    reading = _Reading(format_name, which, limits, find_codec(encoding))
    if isinstance(path_or_stream, Path) and path_or_stream.is_dir():
        return _open_folder(path_or_stream, reading)
    source = open_source(path_or_stream, ask_passphrase, limits, reading.encoding)
    if format_name is not None and format_name not in (*FORMATS, *TRANSCRIPTS):
        raise BadArgument(f"format {format_name} does not exist: use one of {FORMAT_NAMES}.")
    if names := archives.find_exports(source):
        return _open_archive(source, names, reading)
    if reading.as_export and _is_front_matter(source):
        items = notes.read(source, limits, as_export=True)
    else:
        items = reading.read(source)
    return OpenedItems(guard(source.name, items), lambda: (source.position, source.size))


def find_codec(encoding: str | None) -> str | None:
    """Return Python's name of an encoding that the user has named, None if none was.

    Raises:
        BadArgument: there is none of this name.
    """
    try:
        return check_encoding(encoding) if encoding else None
    except (LookupError, ValueError):
        raise BadArgument(
            f"encoding {encoding} does not exist: use one such as utf-8, utf-16, cp1252, gb18030, shift_jis."
        ) from None


def _is_front_matter(source: Source) -> bool:
    return source.head().lstrip(b"\xef\xbb\xbf").startswith(b"---")


# --- archives -----------------------------------------------------------------------------------


def _open_archive(source: Source, names: Sequence[str], reading: _Reading) -> OpenedItems:
    """Open the files of an export in an archive, one after the other."""
    done = 0

    def read_members() -> Iterator[Item]:
        nonlocal done
        for name in names:
            member = archives.read_member(source, name, reading.limits)
            if isinstance(member, Problem):
                yield member
            else:
                yield from _read_part(name, member, reading)
            done += 1

    return OpenedItems(read_members(), lambda: (done, len(names)))


def _read_part(name: str, source: Source, reading: _Reading) -> Iterator[Item]:
    """Yield the items of one of several sources, whose name stands in each location."""
    try:
        items = reading.read(source)
        for item in guard(name, items):
            yield item if item.location == name else replace(item, location=f"{name}, {item.location}")
    except BadArgument as error:
        yield Problem(name, str(error).removeprefix(f"{source.name} "))


# --- folders ------------------------------------------------------------------------------------


def _open_folder(folder: Path, reading: _Reading) -> OpenedItems:
    transcripts = [] if reading.as_export else list_transcripts(folder)
    found = [*notes.list_notes(folder), *transcripts]
    return open_files(found, reading.which, folder=folder, reading=reading)


def open_files(
    files: Sequence[Path | Problem],
    which: WhichTurns,
    *,
    folder: Path | None = None,
    reading: _Reading | None = None,
) -> OpenedItems:
    """Open files one after the other; those that cannot be read are told, and the rest goes on.

    ``folder`` is what locations are told relative to.
    """
    reading = reading or _Reading(None, which, DEFAULT_LIMITS, None)
    done = 0

    def read_files() -> Iterator[Item]:
        nonlocal done
        for file in files:
            yield from [file] if isinstance(file, Problem) else _read_file(file, folder, reading)
            done += 1

    return OpenedItems(read_files(), lambda: (done, len(files)))


def _read_file(path: Path, folder: Path | None, reading: _Reading) -> Iterator[Item]:
    location = (path.relative_to(folder) if folder else path).as_posix()
    if notes.is_note_name(path.name):
        items = notes.read_note(
            path, folder or path.parent, reading.limits, reading.encoding, as_export=reading.as_export
        )
        yield from guard(location, items)
        return
    try:
        with path.open("rb") as stream:
            yield from _read_part(location, Source(path, location, stream, path.stat().st_size), reading)
    except OSError as error:
        yield Problem(location, f"cannot be read ({error.strerror}).")


def list_transcripts(folder: Path) -> list[Path]:
    """Return the transcripts, and the parts of exports, in a folder and in those in it, by name.

    Hidden files and folders, and links, are left out.
    """
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != OTHER_AGENTS)
        found += [here / name for name in sorted(files) if _is_transcript(here / name)]
    return found


def _is_transcript(path: Path) -> bool:
    if not TRANSCRIPT_NAME.fullmatch(path.name) or path.name.startswith(".") or path.is_symlink():
        return False
    try:
        with path.open("rb") as stream:
            source = Source(path, path.name, stream, path.stat().st_size)
            if is_sqlite(source.head()) or path.name in OTHER_PARTS:
                return detect_format(source) in OTHER_FORMATS
            return match_transcript(source.decode_head().lstrip("\ufeff\0 \t\r\n")) is not None
    except (OSError, NotText, BadArgument, StorageError):
        return False
