"""The JSON export of mcp-memory-service: an object with `export_metadata` and `memories`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sediment_mcp.transfer.normalize import fitted, moment, session
from sediment_mcp.transfer.one_json import objects
from sediment_mcp.transfer.records import Item
from sediment_mcp.transfer.source import Source

SOURCE = "mcp-memory-service"
KINDS = {
    "semantic": "semantic",
    "procedural": "procedural",
    "procedure": "procedural",
    "episodic": "episodic",
    "event": "episodic",
}
"""Its memory types that are kinds here; any other becomes a tag."""


def is_export(value: object) -> bool:
    """Whether this is such an export, or a bare list of its memories."""
    if isinstance(value, dict) and "export_metadata" in value:
        return True
    first: object = next(iter(_memories(cast("object", value))), None)
    return isinstance(first, dict) and {"content", "content_hash"} <= cast("dict[str, Any]", first).keys()


def _memories(value: object) -> list[Any]:
    if isinstance(value, dict):
        return _memories(cast("dict[str, Any]", value).get("memories"))
    return cast("list[Any]", value) if isinstance(value, list) else []


def read(source: Source) -> Iterator[Item]:
    return objects(source, _memories, _items)


def _items(place: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    type_ = fields.get("memory_type") or fields.get("type")
    occurred_at = moment(fields.get("created_at")) or moment(fields.get("created_at_iso"))
    metadata = fields.get("metadata")
    own = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    kind = KINDS.get(str(type_), "semantic")
    kept = {**own, "source": SOURCE, "store": fields.get("store"), "machine": fields.get("export_source")}
    yield from fitted(
        place,
        fields.get("content"),
        tags=[*tags_of(fields.get("tags")), *([type_] if type_ not in KINDS else [])],
        metadata=kept,
        occurred_at=occurred_at,
        kind="semantic" if occurred_at is None and kind == "episodic" else kind,  # events have a time
        **session(own.get("session_id") or own.get("conversation_id")),
    )


def tags_of(value: object) -> list[object]:
    """Tags as a list, or as one text with commas between them."""
    if isinstance(value, str):
        return list(value.split(","))
    return cast("list[object]", value) if isinstance(value, list) else []
