"""Which format is it? Seen from the content; a name's ending only tells Markdown from other text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.formats import mcp_memory_service, mem0, notes, sediment_jsonl, server_memory
from sediment_mcp.transfer.records import Item
from sediment_mcp.transfer.source import NoText, Source, text_of

READERS: dict[str, Callable[[Source], Iterator[Item]]] = {
    "sediment": sediment_jsonl.read,
    "server-memory": server_memory.read,
    "mcp-memory-service": mcp_memory_service.read,
    "mem0": mem0.read,
    "markdown": notes.read_file,
    "text": notes.read_file,
}
"""Format → what reads a file of it. A folder is always one of notes."""

NAMES = ", ".join(READERS)


def reader(source: Source, name: str | None) -> Callable[[Source], Iterator[Item]]:
    """What reads this source; ``name`` is the format where the user says it.

    Raises:
        BadArgument: the format is unknown, or cannot be told.
    """
    if name is not None and name not in READERS:
        raise BadArgument(f"format {name} does not exist: use one of {NAMES}.")
    return READERS[name or format_of(source)]


def format_of(source: Source) -> str:
    """The name of the format.

    Raises:
        BadArgument: it is none of those known.
    """
    head = source.head()
    try:
        text, _ = text_of(head)
    except NoText as error:
        raise BadArgument(f"{source.name} {error} Give a file of text.") from None
    text = text.lstrip("\ufeff \t\r\n")
    if text[:1] not in ("{", "[") or notes.is_markdown(source.path):
        return "markdown" if text.startswith("---") or notes.is_markdown(source.path) else "text"
    found = _format_of_line(text.partition("\n")[0]) or _format_of_document(source)
    if found is None:
        raise BadArgument(
            f"{source.name} is JSON of an unknown shape: name its format with --format ({NAMES})."
        )
    return found


def _format_of_line(line: str) -> str | None:
    """The format of a file of JSON lines, by its first."""
    value = _parsed(line)
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    if fields.get("format") == sediment_jsonl.FORMAT or (
        fields.get("type") == "memory" and "content" in fields
    ):
        return "sediment"
    return "server-memory" if server_memory.is_line(fields) else None


def _format_of_document(source: Source) -> str | None:
    """The format of a file that is JSON as a whole."""
    text, _ = text_of(source.whole())
    source.stream.seek(0)
    value = _parsed(text)
    if mcp_memory_service.is_export(value):
        return "mcp-memory-service"
    if mem0.is_export(value):
        return "mem0"
    return "server-memory" if server_memory.is_graph(value) else None


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
