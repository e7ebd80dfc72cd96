"""What mem0 gives out: `get_all`'s results, an export of its platform, or a bare list of memories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, cast

from sediment_mcp.transfer.formats.mcp_memory_service import tags_of
from sediment_mcp.transfer.normalize import fitted, moment, session
from sediment_mcp.transfer.one_json import objects
from sediment_mcp.transfer.records import Item
from sediment_mcp.transfer.source import Source

SOURCE = "mem0"
LISTS = ("results", "memories", "records")
OWNERS = ("user_id", "agent_id", "app_id", "actor_id", "role")


def is_export(value: object) -> bool:
    """Whether this holds memories as mem0 writes them."""
    first = next(iter(_memories(value)), None)
    return isinstance(first, dict) and "memory" in first


def _memories(value: object) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    found = next((fields[name] for name in LISTS if isinstance(fields.get(name), list)), None)
    return (
        cast("list[Any]", found)
        if found is not None
        else _memories(fields["data"])
        if "data" in fields
        else []
    )


def read(source: Source) -> Iterator[Item]:
    return objects(source, _memories, _items)


def _items(place: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    metadata = fields.get("metadata")
    own = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    owners = {name: fields[name] for name in OWNERS if fields.get(name)}
    ends = moment(fields.get("expiration_date"))
    yield from fitted(
        place,
        fields.get("memory") or fields.get("content"),
        tags=[*tags_of(fields.get("categories")), *tags_of(fields.get("tags"))],
        metadata={**own, **owners, "source": SOURCE},
        occurred_at=moment(fields.get("created_at")) or moment(fields.get("updated_at")),
        **session(fields.get("run_id")),
        **({"expires_at": (ends + timedelta(hours=12)).isoformat()} if ends else {}),
    )
