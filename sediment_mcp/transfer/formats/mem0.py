"""Read memories of mem0: `get_all`'s results, a platform export, or a bare list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sediment_mcp.system.time_zone import end_of
from sediment_mcp.system.timestamps import isoformat
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

SOURCE_NAME = "mem0"
LIST_FIELDS = ("results", "memories", "records")
OWNER_FIELDS = ("user_id", "agent_id", "app_id", "actor_id", "role")


def is_export(document: object) -> bool:
    """Return True if the document holds memories as mem0 writes them."""
    first = next(iter(_find_memories(document)), None)
    return isinstance(first, dict) and "memory" in first


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield each memory of the document.

    Raises:
        BadArgument: the source is too large.
    """
    return read_json_objects(source, _find_memories, _read_memory, limits)


FORMAT = Format(read, matches_document=is_export)


def _find_memories(document: object) -> list[Any]:
    while isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        lists = (fields[name] for name in LIST_FIELDS if isinstance(fields.get(name), list))
        document = next(lists, fields.get("data"))
    return cast("list[Any]", document) if isinstance(document, list) else []


def _read_memory(location: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    metadata = fields.get("metadata")
    own = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    owners = {name: fields[name] for name in OWNER_FIELDS if fields.get(name)}
    occurred_at, left, notes = take_time(fields, ["created_at"])
    end, left_end, end_notes = take_time(fields, ["expiration_date"], end_of)
    yield from normalize_memory(
        location,
        fields.get("memory") or fields.get("content"),
        tags=[*split_tags(fields.get("categories")), *split_tags(fields.get("tags"))],
        metadata={**own, **owners, **left, **left_end, "source": SOURCE_NAME},
        occurred_at=occurred_at or parse_time(fields.get("updated_at")),
        notes=[*notes, *end_notes],
        session=normalize_session(fields.get("run_id")),
        expires_at=isoformat(end),
    )
