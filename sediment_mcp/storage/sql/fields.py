"""The columns of a memory, defined once.

Every column list, decoder and copy is derived from `MEMORY_FIELDS`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sediment_mcp.domain.memory import Memory, NewMemory
from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.system.timestamps import from_micros, to_micros

REMEMBERED_TAG_LISTS = 4096  # decoded tag lists that are cached, because they repeat


def dump_json(value: object) -> str:
    """Return compact JSON, the form in which tags and metadata are kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(REMEMBERED_TAG_LISTS)
def _load_tags(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text != "[]" else ()


def _load_metadata(text: str) -> dict[str, Any]:
    return json.loads(text) if text != "{}" else {}


def _return_unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute of a memory and its column.

    ``encode`` and ``decode`` convert between the two. ``is_mutable`` says that the attribute may change after
    the memory was stored, ``is_restored`` that restoring a backup also restores its value.
    """

    name: str
    column: str
    encode: Callable[[Any], Any] = _return_unchanged
    decode: Callable[[Any], Any] = _return_unchanged
    is_mutable: bool = False
    is_restored: bool = False

    @property
    def is_time(self) -> bool:
        """Whether the attribute is a moment."""
        return self.decode is from_micros


MEMORY_FIELDS: tuple[Field, ...] = (
    Field("content", "content"),
    Field("kind", "kind", is_restored=True),
    Field("tags", "tags", dump_json, _load_tags, is_mutable=True, is_restored=True),
    Field("project", "project", is_restored=True),
    Field("session", "session", is_restored=True),
    Field("importance", "importance", float, is_mutable=True, is_restored=True),
    Field("metadata", "metadata", dump_json, _load_metadata, is_mutable=True, is_restored=True),
    Field("occurred_at", "occurred_at", to_micros, from_micros, is_mutable=True, is_restored=True),
    Field("created_at", "created_at", to_micros, from_micros),
    Field("changed_at", "changed_at", to_micros, from_micros),
    Field("expires_at", "expires_at", to_micros, from_micros, is_mutable=True, is_restored=True),
    Field("superseded_by", "superseded_by", is_mutable=True, is_restored=True),
    Field("deleted_at", "deleted_at", to_micros, from_micros, is_mutable=True, is_restored=True),
    Field("restored_at", "restored_at", to_micros, from_micros, is_mutable=True),
)
"""Every attribute but the three keys, in the order of `Memory`."""

KEY_COLUMNS = ("number", "id", "seq")
CONTENT_HASH_COLUMN = "text_key"  # derived from the content, to find the same text again
CONTENT_COLUMNS = (CONTENT_HASH_COLUMN, *(field.column for field in MEMORY_FIELDS))
"""The columns of a memory's content and attributes, in the order of insertion."""
RESTORED_COLUMNS = tuple(field.column for field in MEMORY_FIELDS if field.is_restored)
MUTABLE_FIELDS = tuple(field for field in MEMORY_FIELDS if field.is_mutable)

SELECT_MEMORY = ", ".join(
    f"memories.{column}" for column in (*KEY_COLUMNS, *(field.column for field in MEMORY_FIELDS))
)
SELECT_CHUNK = 'chunks.number, chunks.memory, chunks.start, chunks."end"'
SELECT_FOUND_CHUNK = (
    'chunks.number, chunks.memory, chunks.start, chunks."end", content, occurred_at, importance, project'
)
"""The columns of `FoundChunk`, in its order."""
MEMORY_WIDTH = len(KEY_COLUMNS) + len(MEMORY_FIELDS)
"""How many columns `SELECT_MEMORY` has."""


_DECODERS = tuple(
    (position, field.decode)
    for position, field in enumerate(MEMORY_FIELDS, start=len(KEY_COLUMNS))
    if field.decode is not _return_unchanged
)
_CREATED, _CHANGED, _DELETED = (
    next(
        position for position, field in enumerate(MEMORY_FIELDS, start=len(KEY_COLUMNS)) if field.name == name
    )
    for name in ("created_at", "changed_at", "deleted_at")
)


def decode_memory(row: tuple[Any, ...]) -> Memory:
    """Return the memory of a row that begins with the columns of `SELECT_MEMORY`.

    Raises:
        DamagedDatabase: a value is not valid JSON or not a valid time, because a page was overwritten.
    """
    values = list(row[:MEMORY_WIDTH])
    try:
        # An older version that runs beside this one does not write the time of a change.
        values[_CHANGED] = max(values[_CHANGED], values[_CREATED], values[_DELETED] or 0)
        for position, decode in _DECODERS:
            values[position] = decode(values[position])
    except (ValueError, TypeError, OverflowError) as error:
        raise DamagedDatabase from error
    return Memory(*values)


def encode_content(memory: NewMemory) -> list[Any]:
    """Return the values of `CONTENT_COLUMNS`."""
    return [memory.content_hash, *(field.encode(getattr(memory, field.name)) for field in MEMORY_FIELDS)]


def encode_mutable(memory: Memory) -> list[Any]:
    """Return the values of the columns of `MUTABLE_FIELDS`."""
    return [field.encode(getattr(memory, field.name)) for field in MUTABLE_FIELDS]
