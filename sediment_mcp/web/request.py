"""Request context and arguments: what every request of the page needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sediment_mcp.app import Application
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.argument_types import ArgumentType, WrongValue
from sediment_mcp.operations.arguments import MAX_IDS, MEMORY_ID, SOME_MEMORY_IDS

RequestArguments = dict[str, Any]
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What all requests of one page share."""

    app: Application
    project: str | None  # the one that the page was opened in


RequestHandler = Callable[[RequestContext, RequestArguments], Any]


def take_project(context: RequestContext, arguments: RequestArguments) -> str | None:
    """Take the project out of the arguments: the one that they name, else the page's own."""
    name = arguments.pop("project", None)
    return name if isinstance(name, str) and name else context.project


def parse_ids(arguments: RequestArguments) -> list[str]:
    """Return the memory ids in ``ids``.

    Raises:
        BadArgument: There are none, too many, or something that is no id.
    """
    remedy = f"a list of 1 to {MAX_IDS} memory ids: choose memories and try again."
    return parse_value(SOME_MEMORY_IDS, arguments.get("ids"), f"ids is missing, or not {remedy}")


def parse_id(arguments: RequestArguments) -> str:
    """Return the memory id in ``id``.

    Raises:
        BadArgument: There is none, or something that is no id.
    """
    return parse_value(
        MEMORY_ID, arguments.get("id"), "id is missing, or not the id of a memory: open one and try again."
    )


def parse_value(value_type: ArgumentType[ValueT], value: object, sentence: str) -> ValueT:
    """Return the value as its type reads it.

    Raises:
        BadArgument: The type refuses it; ``sentence`` is the message.
    """
    try:
        return value_type.read(value)
    except WrongValue:
        raise BadArgument(sentence) from None
