"""JSON schemas of the tools, flat as hosts need them: no `$ref`, no `anyOf`, no null."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NotRequired,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

if TYPE_CHECKING:
    from sediment_mcp.operations.argument_types import JsonSchema
    from sediment_mcp.operations.arguments import Arguments, Parameter

TYPE_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def build_input_schema(arguments: type[Arguments]) -> JsonSchema:
    """Return the JSON schema of a tool's arguments."""
    required = [name for name, declared in arguments.parameters.items() if declared.is_required]
    return {
        "type": "object",
        "properties": {name: _describe(declared) for name, declared in arguments.parameters.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _describe(declared: Parameter) -> JsonSchema:
    schema = declared.type.build_schema()
    if declared.description:
        schema["description"] = declared.description
    if not declared.is_required and declared.default not in (None, False, [], {}):
        schema["default"] = declared.default
    return schema


def build_output_schema(result: type) -> JsonSchema:
    """Return the JSON schema of a tool's result, which is a typed dictionary."""
    fields = get_type_hints(result, include_extras=True)
    return {
        "type": "object",
        "properties": {name: _describe_type(kind) for name, kind in fields.items()},
        "required": [name for name, kind in fields.items() if get_origin(kind) is not NotRequired],
    }


def _describe_type(kind: Any) -> JsonSchema:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return _describe_type(parts[0])
    if origin is Literal:
        return {"type": "string", "enum": list(parts)}
    if origin is list:
        return {"type": "array", "items": _describe_type(parts[0])}
    if origin is dict:
        values = {} if parts[1] is Any else {"additionalProperties": _describe_type(parts[1])}
        return {"type": "object", **values}
    return build_output_schema(kind) if is_typeddict(kind) else {"type": TYPE_NAMES[kind]}
