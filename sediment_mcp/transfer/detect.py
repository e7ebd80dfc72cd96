"""Detect the format of a source, and open what the user names as a stream of items.

The content decides; the suffix of a file's name only tells Markdown from other text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.formats import FORMATS, notes
from sediment_mcp.transfer.normalize import parse_json
from sediment_mcp.transfer.records import Item, Problem
from sediment_mcp.transfer.source import DEFAULT_LIMITS, NotText, ReadLimits, Source, decode_text, open_source

FORMAT_NAMES = ", ".join(FORMATS)


@dataclass(frozen=True, slots=True)
class OpenedItems:
    """Items to import, read while they are iterated.

    Attributes:
        items: the items in the order of the source.
        position: returns (done, total) of the reading: bytes of a file, files of a folder.
    """

    items: Iterator[Item]
    position: Callable[[], tuple[int, int]]


def open_items(
    path_or_stream: Path | BinaryIO,
    format_name: str | None,
    ask_passphrase: Callable[[], str],
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> OpenedItems:
    """Open a file, a folder of notes, or a stream such as standard input.

    Args:
        path_or_stream: what to open.
        format_name: a key of `FORMATS`; None: detect it. A folder is always one of notes.
        ask_passphrase: called if the file is encrypted.
        limits: how much is read at once before it is refused.

    Raises:
        BadArgument: it does not exist, its format is not known, or its passphrase is wrong.
        StorageError: it cannot be read.
    """
    if isinstance(path_or_stream, Path) and path_or_stream.is_dir():
        return _open_folder(path_or_stream, limits)
    source = open_source(path_or_stream, ask_passphrase, limits)
    if format_name is not None and format_name not in FORMATS:
        raise BadArgument(f"format {format_name} does not exist: use one of {FORMAT_NAMES}.")
    chosen = FORMATS[format_name or detect_format(source, limits)]
    return OpenedItems(chosen.read(source, limits), lambda: (source.position, source.size))


def _open_folder(folder: Path, limits: ReadLimits) -> OpenedItems:
    found = notes.list_notes(folder)
    done = 0

    def read_notes() -> Iterator[Item]:
        nonlocal done
        for note in found:
            yield from [note] if isinstance(note, Problem) else notes.read_note(note, folder, limits)
            done += 1

    return OpenedItems(read_notes(), lambda: (done, len(found)))


def detect_format(source: Source, limits: ReadLimits = DEFAULT_LIMITS) -> str:
    """Return the name of the source's format, a key of `FORMATS`.

    Raises:
        BadArgument: it is none of those known.
    """
    text = _decode(source, source.head(), is_complete=False).lstrip("\ufeff \t\r\n")
    is_markdown = notes.is_markdown(source.path)
    if is_markdown or text[:1] not in ("{", "["):
        return "markdown" if is_markdown or text.startswith("---") else "text"
    found = _match_line(text.partition("\n")[0]) or _match_document(source, limits)
    if found is None:
        raise BadArgument(
            f"{source.name} is JSON of an unknown shape: name its format with --format ({FORMAT_NAMES})."
        )
    return found


def _match_line(line: str) -> str | None:
    """Return the format of a source whose first line this is, a JSON object."""
    value = parse_json(line)
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    return next((name for name, one in FORMATS.items() if one.matches_line(fields)), None)


def _match_document(source: Source, limits: ReadLimits) -> str | None:
    """Return the format of a source that is one JSON document."""
    data = source.read_all(limits.max_document_bytes)
    source.stream.seek(0)
    document = parse_json(_decode(source, data))
    return next((name for name, one in FORMATS.items() if one.matches_document(document)), None)


def _decode(source: Source, data: bytes, *, is_complete: bool = True) -> str:
    try:
        return decode_text(data, is_complete=is_complete)[0]
    except NotText as error:
        raise BadArgument(f"{source.name} {error} Give a file of text.") from None
