"""Turn the values of options and arguments into those of the operations.

They stay text until an operation checks them, so that a wrong one is answered in the same sentences as in a
tool call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sediment_mcp.cli.confirm import say
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.operations.argument_types import ArgumentType
    from sediment_mcp.operations.arguments import ArgumentsT

ValueT = TypeVar("ValueT")


def parse_arguments(model: type[ArgumentsT], values: Mapping[str, Any]) -> ArgumentsT:
    """Check the options that were given as a tool call's arguments are checked.

    Raises:
        BadArgument: one sentence for each argument that is wrong.
    """
    from sediment_mcp.operations import arguments

    given = {
        name: _split_tags(name, _repair(value))
        for name, value in values.items()
        if name in model.parameters and value is not None and value is not False and value != ()
    }
    for name, value in given.items():
        if not model.parameters[name].is_required:
            _refuse_nothing(name, value)
    return arguments.parse_arguments(model, given)


def _split_tags(name: str, value: Any) -> Any:
    """Return the tags of each option as a list: `--tag alpha,beta` is two."""
    if name != "tags" or not isinstance(value, list):
        return value
    from sediment_mcp.operations.argument_values import split_list

    tags: list[Any] = []
    for text in cast("list[str]", value):
        found = split_list(text)
        tags += cast("list[Any]", found) or [text]
    return tags


def _refuse_nothing(name: str, value: Any) -> None:
    """Refuse a value that would count as not given in a tool call.

    A script whose variable is empty would otherwise list, export or delete more than it meant to.

    Raises:
        BadArgument: the value, or one of a list, is blank or a word for null.
    """
    from sediment_mcp.operations.argument_values import is_nothing

    items = cast("list[Any]", value) if isinstance(value, list) else [value] if value else []
    for item in items:
        if is_nothing(item):
            raise BadArgument(f"{name} is {item!r}, which says nothing: give a value, or leave it out.")


def parse_value(name: str, value_type: ArgumentType[ValueT], value: object) -> ValueT:
    """Check one value as a tool call's argument of this type is checked.

    Raises:
        BadArgument: the value is wrong.
    """
    from sediment_mcp.operations import arguments

    return arguments.parse_value(name, value_type, _split_tags(name, _repair(value)))


def _repair(value: Any) -> Any:
    """Decode text from the shell that is in another encoding than Python took it for."""
    if isinstance(value, tuple | list):
        return [decode_argument(item) for item in cast("Sequence[str]", value)]
    return decode_argument(value) if isinstance(value, str) else value


def decode_argument(value: str) -> str:
    """Return an argument as text; what Python could not decode is surrogate escapes in it.

    Raises:
        BadArgument: there is no saying in which encoding it is.
    """
    if value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value):
        return value
    import os

    from sediment_mcp.system.encodings import NotText, decode_text
    from sediment_mcp.system.text import valid_text

    try:
        decoded = decode_text(os.fsencode(value))
    except UnicodeEncodeError:  # halves that were typed, and not made of bytes
        return valid_text(value)
    except NotText as error:
        raise BadArgument(
            f"An argument {error} Arguments have no such option: pipe the text to sediment-mcp store -."
        ) from None
    if decoded.note:
        say(f"An argument {decoded.note}")
    return decoded.text
