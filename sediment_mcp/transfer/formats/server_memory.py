"""Read the knowledge graph of `@modelcontextprotocol/server-memory`.

It is its `memory.jsonl`, or the JSON that `read_graph` answers with. An entity has a name, a type and
observations: each of those becomes a memory that names the entity, tagged with the type. A relation becomes
a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sediment_mcp.system.encodings import NotText
from sediment_mcp.system.text import format_value
from sediment_mcp.transfer.json_text import BadJson, Fragment, parse_json, split_values
from sediment_mcp.transfer.normalize import add_notes, guard, normalize_memory, take_time
from sediment_mcp.transfer.records import Format, Item, Problem
from sediment_mcp.transfer.source import ReadLimits, Source

SOURCE_NAME = "server-memory"
GRAPH_LISTS = (("entity", "entities"), ("relation", "relations"))
ENTITY_FIELDS = {"type", "name", "entityType", "observations"}
RELATION_FIELDS = {"type", "from", "to", "relationType"}
TEXT_FIELDS = ("content", "contents", "text", "observation", "value")  # of an observation that is an object
CUT_OFF = "holds what is no whole JSON object, it may have been cut off"
TIME_FIELDS = ("created_at", "createdAt", "timestamp", "date", "time")


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of `memory.jsonl`."""
    return (fields.get("type") == "entity" and "name" in fields) or (
        fields.get("type") == "relation" and {"from", "to"} <= fields.keys()
    )


def is_document(document: object) -> bool:
    """Return True if this is a graph, or a list of entities and relations."""
    if not isinstance(document, list):
        return is_graph(document)
    first = next(iter(cast("list[object]", document)), None)
    return isinstance(first, dict) and is_line(cast("dict[str, Any]", first))


def is_graph(document: object) -> bool:
    """Return True if this is a whole graph in one JSON object."""
    return isinstance(document, dict) and {"entities", "relations"} <= cast("dict[str, Any]", document).keys()


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield the memories of a file of lines, or of one that is a graph as a whole.

    Raises:
        BadArgument: a graph is too large.
    """
    if source.head().lstrip(b"\xef\xbb\xbf \r\n\t\0").startswith(b'{"type"'):
        yield from _read_lines(source, limits)
        return
    try:
        decoded = source.decode_all(limits.max_document_bytes)
        document = parse_json(decoded.text)
    except NotText as error:
        yield Problem(source.name, str(error))
        return
    except BadJson:
        source.stream.seek(0)
        yield from _read_lines(source, limits)
        return
    notes = (*decoded.notes, *document.notes)
    if is_graph(document.value):
        yield from add_notes(_read_graph(document.value), notes)
    else:
        yield from add_notes(_read_values(document.value), notes)


FORMAT = Format(read, matches_line=is_line, matches_document=is_document)


def _read_graph(graph: Mapping[str, Any]) -> Iterator[Item]:
    for kind, name in GRAPH_LISTS:
        if not isinstance(graph[name], list):
            yield Problem(name, "is no JSON list.")
            continue
        for number, value in enumerate(cast("list[Any]", graph[name]), start=1):
            fields = cast("dict[str, Any]", value) if isinstance(value, dict) else None
            yield from guard(f"{kind} {number}", _read_object(f"{kind} {number}", fields, kind))


def _read_values(document: object) -> Iterator[Item]:
    """Yield the memories of an entity or a relation, or of a list of them."""
    values = cast("list[object]", document) if isinstance(document, list) else [document]
    for number, value in enumerate(values, start=1):
        yield from _read_value(f"object {number}", value)


def _read_lines(source: Source, limits: ReadLimits) -> Iterator[Item]:
    for number, line in source.lines(limits.max_entity_chars):
        if line is None:
            yield Problem(f"line {number}", f"is longer than {limits.max_entity_chars:,} characters.")
            continue
        for part in split_values(line):
            if isinstance(part, Fragment):
                yield Problem(f"line {number}", f"{CUT_OFF}: {format_value(part.text)}")
            else:
                yield from add_notes(_read_value(f"line {number}", part.value), part.notes)


def _read_value(location: str, value: object) -> Iterator[Item]:
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else None
    yield from guard(location, _read_object(location, fields, fields.get("type") if fields else None))


def _read_object(location: str, fields: Mapping[str, Any] | None, kind: object) -> Iterator[Item]:
    if fields is None:
        yield Problem(location, "is no JSON object.")
    elif kind == "entity":
        yield from _read_entity(location, fields)
    elif kind == "relation":
        yield from _read_relation(location, fields)
    else:
        yield Problem(location, "is neither an entity nor a relation.")


def _read_entity(location: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    name, entity_type, observations = (fields.get(key) for key in ("name", "entityType", "observations"))
    if not isinstance(name, str) or not name.strip():
        yield Problem(location, "is an entity without a name.")
        return
    other = {key: value for key, value in fields.items() if key not in ENTITY_FIELDS}
    metadata = {**other, "source": SOURCE_NAME, "entity": name}
    if observations is not None and not isinstance(observations, (list, str)):
        yield Problem(location, "has observations that are no list.")
    texts = cast("list[Any]", observations) if isinstance(observations, list) else [observations]
    texts = [text for text in texts if text not in (None, "")]
    summary = f"{name} is of type {entity_type}." if entity_type else name
    if not texts:
        yield from normalize_memory(location, summary, tags=[entity_type], metadata=metadata)
    for text in texts:
        yield from _read_observation(location, name, entity_type, text, metadata)


def _read_observation(
    location: str, name: str, entity_type: object, observation: object, metadata: Mapping[str, Any]
) -> Iterator[Item]:
    """Read an observation: a text, or an object that holds one, as some forks write."""
    fields = cast("dict[str, Any]", observation) if isinstance(observation, dict) else {}
    key = next((key for key in TEXT_FIELDS if isinstance(fields.get(key), str)), None)
    text: object = fields[key] if key else cast("object", observation)
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        text = str(text)
    occurred_at, _, notes = take_time(fields, TIME_FIELDS)
    other = {field: value for field, value in fields.items() if field != key}
    yield from normalize_memory(
        location,
        _name_entity(name, text),
        tags=[entity_type],
        metadata={**other, **metadata},
        occurred_at=occurred_at,
        notes=notes,
    )


def _name_entity(name: str, observation: object) -> object:
    """Put the entity's name before the observation, unless it names the entity itself."""
    if not isinstance(observation, str) or name.casefold() in observation.casefold():
        return observation
    return f"{name}: {observation}"


def _read_relation(location: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    ends = fields.get("from"), fields.get("relationType"), fields.get("to")
    if not all(isinstance(end, str) and end.strip() for end in ends):
        yield Problem(location, "is a relation without from, relationType or to.")
        return
    first, relation, last = cast("tuple[str, str, str]", ends)
    sentence = f"{first} {relation.replace('_', ' ')} {last}."
    other = {key: value for key, value in fields.items() if key not in RELATION_FIELDS}
    metadata = {**other, "source": SOURCE_NAME, "from": first, "relation": relation, "to": last}
    yield from normalize_memory(location, sentence, tags=["relation"], metadata=metadata)
