"""Read the export of mcp-memory-service: an object with `export_metadata` and `memories`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sediment_mcp.transfer.normalize import (
    normalize_memory,
    normalize_session,
    parse_time,
    read_json_objects,
    split_tags,
    take_time,
)
from sediment_mcp.transfer.records import Format, Item
from sediment_mcp.transfer.source import ReadLimits, Source

SOURCE_NAME = "mcp-memory-service"
KINDS = {  # its memory types that are kinds here; any other becomes a tag
    "semantic": "semantic",
    "procedural": "procedural",
    "procedure": "procedural",
    "episodic": "episodic",
    "event": "episodic",
}


def is_export(document: object) -> bool:
    """Return True if this is such an export, or a bare list of its memories."""
    if isinstance(document, dict) and "export_metadata" in document:
        return True
    first: object = next(iter(_find_memories(cast("object", document))), None)
    return isinstance(first, dict) and {"content", "content_hash"} <= cast("dict[str, Any]", first).keys()


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield each memory of the document.

    Raises:
        BadArgument: the source is too large.
    """
    return read_json_objects(source, _find_memories, _read_memory, limits)


FORMAT = Format(read, matches_document=is_export)


def _find_memories(document: object) -> list[Any]:
    while isinstance(document, dict):
        document = cast("dict[str, Any]", document).get("memories")
    return cast("list[Any]", document) if isinstance(document, list) else []


def _read_memory(location: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    memory_type = fields.get("memory_type") or fields.get("type")
    occurred_at, left, notes = take_time(fields, ["created_at"])
    occurred_at = occurred_at or parse_time(fields.get("created_at_iso"))
    metadata = fields.get("metadata")
    own = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    origin = {
        "source": SOURCE_NAME,
        "store": fields.get("store"),
        "machine": fields.get("export_source"),
    }
    kind = KINDS.get(str(memory_type), "semantic")
    yield from normalize_memory(
        location,
        fields.get("content"),
        tags=[*split_tags(fields.get("tags")), *([memory_type] if str(memory_type) not in KINDS else [])],
        metadata={**own, **left, **origin},
        occurred_at=occurred_at,
        notes=notes,
        kind="semantic" if occurred_at is None and kind == "episodic" else kind,  # events have a time
        session=normalize_session(own.get("session_id") or own.get("conversation_id")),
    )
