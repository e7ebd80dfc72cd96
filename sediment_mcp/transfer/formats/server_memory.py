"""The knowledge graph of `@modelcontextprotocol/server-memory`: its `memory.jsonl`, or the JSON that its
`read_graph` answers with.

An entity has a name, a type and observations: each of those becomes a memory that names the entity, tagged
with the type. A relation becomes a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from sediment_mcp.transfer.normalize import fitted
from sediment_mcp.transfer.records import Item, Problem
from sediment_mcp.transfer.source import Source, text_of

SOURCE = "server-memory"
MAX_LINE = 64 * 1024 * 1024  # characters; a line holds an entity with all its observations


def is_line(fields: Mapping[str, Any]) -> bool:
    """Whether this is a line of `memory.jsonl`."""
    return (fields.get("type") == "entity" and "name" in fields) or (
        fields.get("type") == "relation" and {"from", "to"} <= fields.keys()
    )


def is_graph(value: object) -> bool:
    """Whether this is a whole graph in one JSON object."""
    return isinstance(value, dict) and {"entities", "relations"} <= cast("dict[str, Any]", value).keys()


def read(source: Source) -> Iterator[Item]:
    """Everything in a file of lines, or in one that is a graph as a whole."""
    if source.head().lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b'{"type"'):
        yield from _read_lines(source)
        return
    value = _parsed(text_of(source.whole())[0])
    if not is_graph(value):
        source.stream.seek(0)
        yield from _read_lines(source)
        return
    for kind, name in (("entity", "entities"), ("relation", "relations")):
        for number, fields in enumerate(cast("dict[str, Any]", value)[name], start=1):
            whole = cast("dict[str, Any]", fields) if isinstance(fields, dict) else None
            yield from _items(f"{kind} {number}", whole, kind)


def _read_lines(source: Source) -> Iterator[Item]:
    for number, line in source.lines(MAX_LINE):
        if line is None or line.strip():
            fields = _parsed(line or "")
            yield from _items(f"line {number}", fields, fields.get("type") if fields else None)


def _parsed(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, if it is one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _items(place: str, fields: Mapping[str, Any] | None, kind: object) -> Iterator[Item]:
    if fields is None:
        yield Problem(place, "is no JSON object: it may have been cut off.")
    elif kind == "entity":
        yield from _entity(place, fields)
    elif kind == "relation":
        yield from _relation(place, fields)
    else:
        yield Problem(place, "is neither an entity nor a relation.")


def _entity(place: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    name, type_, observations = fields.get("name"), fields.get("entityType"), fields.get("observations")
    if not isinstance(name, str) or not name.strip():
        yield Problem(place, "is an entity without a name.")
        return
    texts = cast("Iterable[Any]", observations) if isinstance(observations, list) else ()
    sentences = [_naming(name, text) for text in texts] or [f"{name} is of type {type_}." if type_ else name]
    for sentence in sentences:
        yield from fitted(place, sentence, tags=[type_], metadata={"source": SOURCE, "entity": name})


def _naming(name: str, observation: object) -> object:
    """The observation with the entity's name before it, unless it names the entity itself."""
    if not isinstance(observation, str) or name.casefold() in observation.casefold():
        return observation
    return f"{name}: {observation}"


def _relation(place: str, fields: Mapping[str, Any]) -> Iterator[Item]:
    ends = fields.get("from"), fields.get("relationType"), fields.get("to")
    if not all(isinstance(end, str) and end.strip() for end in ends):
        yield Problem(place, "is a relation without from, relationType or to.")
        return
    first, relation, last = cast("tuple[str, str, str]", ends)
    sentence = f"{first} {relation.replace('_', ' ')} {last}."
    metadata = {"source": SOURCE, "from": first, "relation": relation, "to": last}
    yield from fitted(place, sentence, tags=["relation"], metadata=metadata)
