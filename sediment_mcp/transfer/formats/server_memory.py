"""Read the knowledge graph of `@modelcontextprotocol/server-memory`.

It is its `memory.jsonl`, or the JSON that `read_graph` answers with. An entity has a name, a type and
observations: each of those becomes a memory that names the entity, tagged with the type. A relation becomes
a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from sediment_mcp.transfer.normalize import normalize_memory, parse_json
from sediment_mcp.transfer.records import Format, Item, Problem
from sediment_mcp.transfer.source import NotText, ReadLimits, Source, decode_text

SOURCE_NAME = "server-memory"
GRAPH_LISTS = (("entity", "entities"), ("relation", "relations"))


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of `memory.jsonl`."""
    return (fields.get("type") == "entity" and "name" in fields) or (
        fields.get("type") == "relation" and {"from", "to"} <= fields.keys()
    )


def is_graph(document: object) -> bool:
    """Return True if this is a whole graph in one JSON object."""
    return isinstance(document, dict) and {"entities", "relations"} <= cast("dict[str, Any]", document).keys()


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield the memories of a file of lines, or of one that is a graph as a whole.

    Raises:
        BadArgument: a graph is too large.
    """
    if source.head().lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b'{"type"'):
        yield from _read_lines(source, limits)
        return
    try:
        graph = _parse_object(decode_text(source.read_all(limits.max_document_bytes))[0])
    except NotText as error:
        yield Problem(source.name, str(error))
        return
    if graph is not None and is_graph(graph):
        yield from _read_graph(graph)
    else:
        source.stream.seek(0)
        yield from _read_lines(source, limits)


FORMAT = Format(read, matches_line=is_line, matches_document=is_graph)


def _read_graph(graph: Mapping[str, Any]) -> Iterator[Item]:
    for kind, name in GRAPH_LISTS:
        if not isinstance(graph[name], list):
            yield Problem(name, "is no JSON list.")
            continue
        for number, value in enumerate(cast("list[Any]", graph[name]), start=1):
            fields = cast("dict[str, Any]", value) if isinstance(value, dict) else None
            yield from _read_object(f"{kind} {number}", fields, kind)


def _read_lines(source: Source, limits: ReadLimits) -> Iterator[Item]:
    for number, line in source.lines(limits.max_entity_chars):
        if line is None or line.strip():
            fields = _parse_object(line or "")
            yield from _read_object(f"line {number}", fields, fields.get("type") if fields else None)


def _parse_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is, if it is one."""
    value = parse_json(text)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _read_object(location: str, fields: Mapping[str, Any] | None, kind: object) -> Iterator[Item]:
    if fields is None:
        yield Problem(location, "is no JSON object: it may have been cut off.")
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
    texts = cast("Iterable[Any]", observations) if isinstance(observations, list) else ()
    summary = f"{name} is of type {entity_type}." if entity_type else name
    metadata = {"source": SOURCE_NAME, "entity": name}
    for sentence in [_name_entity(name, text) for text in texts] or [summary]:
        yield from normalize_memory(location, sentence, tags=[entity_type], metadata=metadata)


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
    metadata = {"source": SOURCE_NAME, "from": first, "relation": relation, "to": last}
    yield from normalize_memory(location, sentence, tags=["relation"], metadata=metadata)
