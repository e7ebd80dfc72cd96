"""Detect the format of a source by its content.

The suffix of a file's name only tells Markdown from other text.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, cast

from sediment_mcp.errors import BadArgument
from sediment_mcp.system.encodings import NotText
from sediment_mcp.transfer.formats import FORMATS, TRANSCRIPTS, claude_mem, cursor, lists, notes
from sediment_mcp.transfer.json_text import (
    JSON_SUFFIXES,
    BadJson,
    ParsedJson,
    looks_like_json,
    parse_json,
    split_values,
)
from sediment_mcp.transfer.source import DEFAULT_LIMITS, ReadLimits, Source, is_sqlite

MAX_LINES = 20  # of a source by which its format is detected
FORMAT_NAMES = ", ".join([*FORMATS, *TRANSCRIPTS])


def detect_format(source: Source, limits: ReadLimits = DEFAULT_LIMITS) -> str:
    """Return the name of the source's format, a key of `FORMATS` or of `TRANSCRIPTS`.

    Raises:
        BadArgument: it is none of those known.
    """
    if is_sqlite(source.head()) and (found := _match_database(source)):
        return found
    text = _decode(source).lstrip("\ufeff\0 \t\r\n")
    suffix = source.path.suffix.lower()
    if (found := match_transcript(text)) is not None:
        return found
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


def match_transcript(head: str) -> str | None:
    """Return the format of conversations that a text begins in; a key of `TRANSCRIPTS`."""
    if head[:1] not in ("{", "["):
        return None
    for line in head.splitlines()[:MAX_LINES]:
        value = _parse_line(line) if line.startswith("{") else None
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            found = next((name for name, one in TRANSCRIPTS.items() if one.matches_line(fields)), None)
            if found is not None:
                return found
    return next((name for name, one in TRANSCRIPTS.items() if one.matches_head(head)), None)


def _parse_line(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _match_database(source: Source) -> str | None:
    """Return the format of an SQLite database of another program; None if it is not known."""
    if not source.path.is_file():
        return None
    try:
        if claude_mem.is_database(source.path):
            return "claude-mem"
        return "cursor" if cursor.is_database(source.path) else None
    except BadArgument:
        return None


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
