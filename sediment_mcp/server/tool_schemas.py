"""JSON schemas of the tools.

Some hosts refuse `$ref`, `anyOf` and null as a default, so the schemas contain none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from sediment_mcp.operations.arguments import Arguments

DROPPED_KEYS = ("title", "anyOf", "properties")  # the last two are rebuilt
NULL = {"type": "null"}

JsonSchema = dict[str, Any]


def build_input_schema(arguments: type[Arguments]) -> JsonSchema:
    """Return the flat JSON schema of a tool's arguments; nothing in it may be null."""
    return _flatten(arguments.model_json_schema(), nullable=False)


def build_output_schema(result: type) -> JsonSchema:
    """Return the flat JSON schema of a tool's result."""
    return _flatten(TypeAdapter[Any](result).json_schema(mode="serialization"), nullable=True)


def _flatten(schema: JsonSchema, *, nullable: bool) -> JsonSchema:
    """Inline references and unions with null.

    Titles and the types' descriptions are removed too, because a host sends every character to the model in
    every conversation.
    """
    definitions = cast("JsonSchema", schema.pop("$defs", {}))

    def flatten(node: Any) -> Any:
        if isinstance(node, list):
            return [flatten(item) for item in cast("list[Any]", node)]
        return flatten_object(cast("JsonSchema", node)) if isinstance(node, dict) else node

    def flatten_object(node: JsonSchema) -> JsonSchema:
        if "$ref" in node:
            return flatten(definitions[node["$ref"].rpartition("/")[2]])
        flat = {key: flatten(value) for key, value in node.items() if _is_kept(key, value)}
        if "properties" in node:
            flat["properties"] = {name: flatten(value) for name, value in node["properties"].items()}
            flat.pop("description", None)
        for option in node.get("anyOf", ()):
            if option != NULL:
                flat = flatten(option) | flat
            elif nullable:
                flat["type"] = [flat["type"], "null"]
        return flat

    return flatten(schema)


def _is_kept(key: str, value: object) -> bool:
    return key not in DROPPED_KEYS and not (key == "default" and value in (None, [], {}))
