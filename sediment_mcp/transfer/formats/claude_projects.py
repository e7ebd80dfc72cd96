"""Read ``projects.json`` and ``memories.json`` of an export from claude.ai.

What is read of a project is its description and the instructions that the user has written for it; of the
memories, what the assistant has kept of the user: one text of sections, and one for each project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sediment_mcp.transfer.normalize import add_notes, normalize_memory, parse_time, read_json_objects
from sediment_mcp.transfer.records import Format, Item, Origin, add_origin
from sediment_mcp.transfer.source import ReadLimits, Source

SOURCE_NAME = "claude.ai"
MEMORY_FIELDS = {"conversations_memory", "project_memories"}
PROJECT_FIELDS = {"uuid", "name", "prompt_template"}


def is_document(document: object) -> bool:
    """Return True if this is a list of projects, or of memories."""
    first = next(iter(_find_objects(document)), None)
    names = cast("dict[str, Any]", first).keys() if isinstance(first, dict) else set[str]()
    return not MEMORY_FIELDS.isdisjoint(names) or names >= PROJECT_FIELDS


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield what the user has said of each project, and what was kept of the user.

    Raises:
        BadArgument: the source is too large.
    """
    items = read_json_objects(source, _find_objects, _read_object, limits)
    return add_origin(items, Origin(None))  # projects there are none of this machine's


FORMAT = Format(read, matches_document=is_document)


def _find_objects(document: object) -> list[Any]:
    return cast("list[Any]", document) if isinstance(document, list) else []


def _read_object(location: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    if MEMORY_FIELDS.isdisjoint(fields):
        yield from _read_project(location, fields)
        return
    by_project = fields.get("project_memories")
    texts = cast("dict[str, Any]", by_project) if isinstance(by_project, dict) else {}
    for text in (fields.get("conversations_memory"), *texts.values()):
        if isinstance(text, str) and text.strip():
            yield from normalize_memory(location, text, metadata={"source": SOURCE_NAME})


def _read_project(location: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    parts = [fields.get(name) for name in ("description", "prompt_template")]
    texts = [part for part in parts if isinstance(part, str) and part.strip()]
    if not texts:
        return
    documents = fields.get("docs")
    count = len(cast("list[object]", documents)) if isinstance(documents, list) else 0
    items = normalize_memory(
        location,
        "\n\n".join([f"Project {fields.get('name')}:", *texts]),
        metadata={"source": SOURCE_NAME, "project": fields.get("name")},
        occurred_at=parse_time(fields.get("updated_at")) or parse_time(fields.get("created_at")),
    )
    yield from add_notes(items, (f"has {count} documents, which were left out.",) if count else ())
