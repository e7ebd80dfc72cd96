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

from sediment_mcp.domain.memory import TEAM
from sediment_mcp.operations.argument_types import ScopeChoice

if TYPE_CHECKING:
    from sediment_mcp.operations.argument_types import JsonSchema
    from sediment_mcp.operations.arguments import Arguments, Parameter

TYPE_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def build_input_schema(arguments: type[Arguments], *, has_team: bool = False) -> JsonSchema:
    """Return the JSON schema of a tool's arguments, to a caller who has a team or none."""
    required = [name for name, declared in arguments.parameters.items() if declared.is_required]
    return {
        "type": "object",
        "properties": {
            name: _describe(declared, has_team) for name, declared in arguments.parameters.items()
        },
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _describe(declared: Parameter, has_team: bool) -> JsonSchema:
    value_type, description = declared.type, declared.description
    if has_team:
        value_type = value_type.team if isinstance(value_type, ScopeChoice) else value_type
        description = declared.for_team
    schema = value_type.build_schema()
    if description:
        schema["description"] = description
    if not declared.is_required and declared.default not in (None, False, [], {}):
        schema["default"] = declared.default
    return schema


def build_output_schema(result: type, *, has_team: bool = False) -> JsonSchema:
    """Return the JSON schema of a tool's result, which is a typed dictionary.

    To a caller without a team, nothing in it names one.
    """
    fields = get_type_hints(result, include_extras=True)
    return {
        "type": "object",
        "properties": {name: _describe_type(kind, has_team) for name, kind in fields.items()},
        "required": [name for name, kind in fields.items() if get_origin(kind) is not NotRequired],
    }


def _describe_type(kind: Any, has_team: bool) -> JsonSchema:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return _describe_type(parts[0], has_team)
    if origin is Literal:
        return {"type": "string", "enum": [word for word in parts if has_team or word != TEAM]}
    if origin is list:
        return {"type": "array", "items": _describe_type(parts[0], has_team)}
    if origin is dict:
        values = {} if parts[1] is Any else {"additionalProperties": _describe_type(parts[1], has_team)}
        return {"type": "object", **values}
    if is_typeddict(kind):
        return build_output_schema(kind, has_team=has_team)
    return {"type": TYPE_NAMES[kind]}
