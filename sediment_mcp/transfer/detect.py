"""Detect the format of a source, and open what the user names as a stream of items.

The content decides; the suffix of a file's name only tells Markdown from other text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from sediment_mcp.errors import BadArgument
from sediment_mcp.system.encodings import NotText, check_encoding
from sediment_mcp.transfer.formats import FORMATS, lists, notes
from sediment_mcp.transfer.json_text import (
    JSON_SUFFIXES,
    BadJson,
    ParsedJson,
    looks_like_json,
    parse_json,
    split_values,
)
from sediment_mcp.transfer.normalize import guard
from sediment_mcp.transfer.records import Item, Problem
from sediment_mcp.transfer.source import DEFAULT_LIMITS, ReadLimits, Source, open_source

EXPORT = "sediment"  # the format that says that the source is an export of the user's own
MAX_LINES = 20  # of a source by which its format is detected
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
    encoding: str | None = None,
) -> OpenedItems:
    """Open a file, a folder of notes, or a stream such as standard input.

    Args:
        path_or_stream: what to open.
        format_name: a key of `FORMATS`; None: detect it. A folder is one of notes, or of exported memories.
        ask_passphrase: called if the file is encrypted.
        limits: how much is read at once before it is refused.
        encoding: that of the text, in a folder of the notes that are not UTF-8; None: detect it.

    Raises:
        BadArgument: it or the encoding does not exist, its format is not known, or its passphrase is wrong.
        StorageError: it cannot be read.
    """
    codec = find_codec(encoding)
    if isinstance(path_or_stream, Path) and path_or_stream.is_dir():
        return _open_folder(path_or_stream, limits, codec, as_export=format_name == EXPORT)
    source = open_source(path_or_stream, ask_passphrase, limits, codec)
    if format_name is not None and format_name not in FORMATS:
        raise BadArgument(f"format {format_name} does not exist: use one of {FORMAT_NAMES}.")
    if format_name == EXPORT and _is_front_matter(source):
        items = notes.read(source, limits, as_export=True)
    else:
        items = FORMATS[format_name or detect_format(source, limits)].read(source, limits)
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


def _open_folder(folder: Path, limits: ReadLimits, encoding: str | None, *, as_export: bool) -> OpenedItems:
    found = notes.list_notes(folder)
    done = 0

    def read_notes() -> Iterator[Item]:
        nonlocal done
        for note in found:
            if isinstance(note, Problem):
                yield note
            else:
                items = notes.read_note(note, folder, limits, encoding, as_export=as_export)
                yield from guard(note.relative_to(folder).as_posix(), items)
            done += 1

    return OpenedItems(read_notes(), lambda: (done, len(found)))


def detect_format(source: Source, limits: ReadLimits = DEFAULT_LIMITS) -> str:
    """Return the name of the source's format, a key of `FORMATS`.

    Raises:
        BadArgument: it is none of those known.
    """
    text = _decode(source).lstrip("\ufeff\0 \t\r\n")
    suffix = source.path.suffix.lower()
    if notes.is_markdown(source.path) or text.startswith("---"):
        return "list" if lists.is_dated_list(text, min_share=1) else "markdown"
    if text[:1] in ("{", "[") or (suffix in JSON_SUFFIXES and text.startswith("/")):
        found = _match_json(source, text, limits)
        if found is not None:
            return found
    if suffix in JSON_SUFFIXES:
        found = next(filter(None, map(_match_line, text.splitlines()[:MAX_LINES])), None)
        if found is not None:  # after a comment, a fence, the mark of a merge or the half of an object
            return found
    is_list = lists.is_dated_list(text) or lists.is_table(text)
    return "list" if is_list or suffix in (*lists.YAML_SUFFIXES, *lists.CSV_SUFFIXES) else "text"


def _match_json(source: Source, text: str, limits: ReadLimits) -> str | None:
    """Return the format of a text that begins with a bracket; None if it is no JSON."""
    lines = [line for line in text.splitlines()[:MAX_LINES] if line.strip()]
    found = _match_line(lines[0])
    if found is not None and found != "list":
        return found
    document = _parse_document(source, limits)
    if isinstance(document, ParsedJson):
        found = next((name for name, one in FORMATS.items() if one.matches_document(document.value)), found)
    found = found or next(filter(None, map(_match_line, lines)), None)
    if found is not None:
        return found
    if isinstance(document, ParsedJson) and not isinstance(document.value, (dict, list)):
        return None
    if isinstance(document, ParsedJson):
        raise BadArgument(
            f"{source.name} is JSON of an unknown shape: name its format with --format ({FORMAT_NAMES})."
        )
    if looks_like_json(text) or source.path.suffix.lower() in JSON_SUFFIXES[:3]:
        raise BadArgument(
            f"{source.name} is no valid JSON ({document}): mend it, or name its format with --format "
            f"({FORMAT_NAMES})."
        )
    return None


def _match_line(line: str) -> str | None:
    """Return the format of a source that has this line, with a JSON object of that format in it."""
    for part in islice(split_values(line), MAX_LINES):
        if isinstance(part, ParsedJson) and isinstance(part.value, dict):
            fields = cast("dict[str, Any]", part.value)
            found = next((name for name, one in FORMATS.items() if one.matches_line(fields)), None)
            if found is not None:
                return found
    return None


def _parse_document(source: Source, limits: ReadLimits) -> ParsedJson | str:
    """Return the JSON value that a source is as a whole, or why it is none."""
    try:
        decoded = source.decode_all(limits.max_document_bytes)
    except NotText as error:
        raise BadArgument(f"{source.name} {error}") from None
    finally:
        source.stream.seek(0)
    try:
        return parse_json(decoded.text)
    except BadJson as error:
        return f"{error}; it {decoded.note}" if decoded.note else str(error)


def _decode(source: Source) -> str:
    try:
        return source.decode_head()
    except NotText as error:
        raise BadArgument(f"{source.name} {error}") from None
