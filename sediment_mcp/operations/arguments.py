"""The arguments of the four tools, as pydantic models.

They validate what a host or the command line sends, and their JSON schemas are what `tools/list` shows. A
model reads these schemas in every conversation, so the descriptions are short.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAG, MAX_TAGS, Kind
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.argument_names import explain_unknown, find_host_names
from sediment_mcp.operations.argument_values import (
    is_nothing,
    parse_choice,
    parse_id,
    parse_ids,
    parse_number,
    parse_object,
    parse_tags,
    parse_text,
)
from sediment_mcp.system.text import format_value, join_messages
from sediment_mcp.system.time_zone import Days, end_of, midnight_of, start_of
from sediment_mcp.system.timestamps import parse_iso

MAX_CONTENT_CHARS = 100_000
MAX_SESSION_CHARS = 256
NOT_A_TIME = "must be an ISO 8601 time such as 2026-05-08T14:30:00Z, or a date such as 2026-05-08"
MAX_WRAPPINGS = 3  # objects around the arguments of a call
WRAPPERS = ("arguments", "args", "kwargs", "params", "parameters", "input")
TOOL_NAME = "name"  # beside arguments in a call that is wrapped as a whole
MAX_IDS = 100  # in one call


# --- types of arguments -------------------------------------------------------------------------


def _parse_time(convert: Callable[[Days], datetime]) -> BeforeValidator:
    """Return a validator that parses ISO 8601.

    ``convert`` gives the time that a date alone stands for.
    """

    def parse(value: object) -> datetime:
        try:
            time = parse_iso(value) if isinstance(value, str) else None
        except (ValueError, OverflowError):
            time = None
        if time is None:
            raise ValueError(NOT_A_TIME)
        return convert(time) if isinstance(time, Days) else time

    return BeforeValidator(parse)


def _check_not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must hold more than white space")
    return value


def _check_size(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must be plain JSON: no NaN, no broken Unicode, no deep nesting") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes of JSON, is {size}")
    return value


_TIME = WithJsonSchema({"type": "string"})  # no format: "date-time" would forbid a date alone
Timestamp = Annotated[datetime, _parse_time(midnight_of), _TIME]
Start = Annotated[datetime, _parse_time(start_of), _TIME]
End = Annotated[datetime, _parse_time(end_of), _TIME]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG)]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), BeforeValidator(parse_tags)]
MemoryId = Annotated[str, Field(min_length=1, max_length=64), BeforeValidator(parse_id)]
MemoryIds = Annotated[list[MemoryId], Field(max_length=MAX_IDS), BeforeValidator(parse_ids)]
Session = Annotated[str, Field(min_length=1, max_length=MAX_SESSION_CHARS), BeforeValidator(parse_text)]
Metadata = Annotated[dict[str, Any], BeforeValidator(parse_object), AfterValidator(_check_size)]
KindName = Annotated[Kind, BeforeValidator(parse_choice)]
Scope = Annotated[Literal["all", "project", "global"], BeforeValidator(parse_choice)]
OwnScope = Annotated[Literal["project", "global"], BeforeValidator(parse_choice)]
Order = Annotated[Literal["newest", "oldest"], BeforeValidator(parse_choice)]


# --- the models ---------------------------------------------------------------------------------


class Arguments(BaseModel):
    """Base of the argument models.

    Unknown names are refused, because a filter that is silently ignored gives a wrong answer. Only names that
    hosts add to every call are ignored (`argument_names`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


class StoreMemory(Arguments):
    """Arguments of `store_memory`."""

    content: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_CONTENT_CHARS,
            description="One fact, in full sentences that stand alone.",
        ),
        AfterValidator(_check_not_blank),
    ]
    kind: Annotated[
        KindName,
        Field(description="semantic: fact; episodic: event; procedural: how-to; working: note for a day"),
    ] = "semantic"
    tags: Tags = []
    scope: Annotated[
        OwnScope | None,
        Field(
            description="Who it belongs to. Default: the project, if one is known. global: true everywhere"
        ),
    ] = None
    session: Annotated[
        Session | None, Field(description="Name of this conversation; groups its memories")
    ] = None
    importance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(parse_number)] = 0.5
    occurred_at: Annotated[
        Timestamp | None,
        Field(description="ISO 8601 time or date; when it happened or became true; default now"),
    ] = None
    expires_at: Annotated[End | None, Field(description="Forgotten after this time or date")] = None
    replaces: Annotated[
        MemoryIds, Field(description="Ids of memories that this one corrects; they become history")
    ] = []
    metadata: Metadata = {}


class QueryMemory(Arguments):
    """Arguments of `query_memory`."""

    query: Annotated[
        str,
        Field(min_length=1, max_length=10_000, description="A question or key words; any text"),
        AfterValidator(_check_not_blank),
    ]
    limit: Annotated[int, Field(ge=1, le=100)] = 5
    scope: Annotated[
        Scope,
        Field(description="all ranks other projects' memories lower"),
    ] = "all"
    tags: Annotated[Tags, Field(description="All must be on the memory")] = []
    kind: KindName | None = None
    session: Session | None = None
    since: Annotated[Start | None, Field(description="Earliest occurred_at, time or date")] = None
    until: Annotated[End | None, Field(description="Latest; a date includes that day")] = None
    include_superseded: Annotated[bool, Field(description="History too")] = False
    max_chars: Annotated[int, Field(ge=500, le=100_000, description="Budget for all content returned")] = 8000


class ListMemories(Arguments):
    """Arguments of `list_memories`."""

    ids: Annotated[
        MemoryIds,
        Field(
            description="These memories, whole up to 100,000 characters in all, in order; filters are ignored"
        ),
    ] = []
    scope: Scope = "all"
    tags: Tags = []
    kind: KindName | None = None
    session: Session | None = None
    since: Start | None = None
    until: End | None = None
    include_superseded: bool = False
    order: Annotated[Order, Field(description="By occurred_at")] = "newest"
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str | None, Field(max_length=1000, description="next_cursor of the page before")] = None


class DeleteMemory(Arguments):
    """Arguments of `delete_memory`."""

    ids: Annotated[MemoryIds, Field(min_length=1)]
    permanent: Annotated[bool, Field(description="Erase the text for good; cannot be undone")] = False


# --- parsing ------------------------------------------------------------------------------------


def unwrap_arguments(model: type[Arguments], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments themselves where a model or a host has wrapped them once more.

    They may come as JSON text, and as a member of an object that is named after arguments, beside which
    stands nothing but the tool's name and what hosts add.

    Raises:
        BadArgument: there is text or a list in the place of arguments.
    """
    for _ in range(MAX_WRAPPINGS):
        of_host = find_host_names(arguments, model.model_fields)
        (name, *others) = [key for key in arguments if key not in (*of_host, TOOL_NAME)] or [""]
        if others or name not in WRAPPERS or name in model.model_fields:
            return arguments
        inner = parse_object(arguments[name])
        if is_nothing(inner) or inner == []:
            inner = {}
        if not isinstance(inner, dict):
            raise BadArgument(f"{name} must be a JSON object: use {', '.join(model.model_fields)}.")
        arguments = {key: arguments[key] for key in of_host} | cast("dict[str, Any]", inner)
    return arguments


def parse_arguments(model: type[ArgumentsT], arguments: Mapping[str, Any]) -> ArgumentsT:
    """Validate a call's arguments.

    Null counts as "not given", and so do blank text and words for null where the argument is not required.
    What a host has added is left out.

    Raises:
        BadArgument: one sentence for each argument that is wrong.
    """
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    of_host = find_host_names(arguments, model.model_fields)
    present = {
        name: value
        for name, value in arguments.items()
        if name not in of_host and value is not None and (name in required or not is_nothing(value))
    }
    try:
        return model.model_validate(present)
    except ValidationError as error:
        raise BadArgument(
            join_messages([_explain(model, e) for e in error.errors(include_url=False)])
        ) from None


def _explain(model: type[Arguments], error: Any) -> str:
    path = format_value(".".join(str(part) for part in error["loc"]) or "arguments")
    limits = error.get("ctx", {})
    match error["type"]:
        case "missing":
            fault = "is missing: give it and call again"
        case "extra_forbidden":
            return explain_unknown(str(error["loc"][0]), path, model.model_fields)
        case "value_error":
            fault = str(limits["error"])
        case "string_too_short" | "too_short":
            fault = f"is empty: give at least one {'item' if error['type'] == 'too_short' else 'character'}"
        case "string_too_long":
            fault = f"is too long: it must be at most {limits['max_length']} characters"
        case "too_long":
            fault = f"has too many items: there must be at most {limits['max_length']}"
        case "string_unicode":
            fault = "holds half of a surrogate pair: send whole Unicode characters"
        case "dict_type":
            fault = 'must be a JSON object, such as {"source": "chat"}'
        case _:
            fault = error["msg"].replace("Input should", "must").replace("input should", "must")
    return f"{path} {fault}."
