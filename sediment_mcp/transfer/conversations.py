"""Read exports of conversations: one JSON list of many, each read by itself.

A list of years of conversations is hundreds of megabytes, and as a Python value ten times that: so each of
them becomes a value alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from sediment_mcp.system.encodings import NotText
from sediment_mcp.transfer.records import Problem, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source

CUT_OFF = "is no whole JSON object, and so nothing after it can be read: the file may have been cut off."
_SPACE = " \t\r\n"


def read_conversations(
    source: Source,
    limits: ReadLimits,
    read_conversation: Callable[[str, Mapping[str, Any]], Iterator[TurnItem]],
) -> Iterator[TurnItem]:
    """Yield what was said in each conversation of a JSON list, or in a single one.

    ``read_conversation`` is called with the location of each and the object.

    Raises:
        BadArgument: the source is too large to be read as a whole.
    """
    try:
        text = source.decode_all(limits.max_document_bytes).text
    except NotText as error:
        yield Problem(source.name, str(error))
        return
    for number, value in enumerate(iterate_list(text), start=1):
        place = f"conversation {number}"
        if isinstance(value, dict):
            yield from read_conversation(place, cast("dict[str, Any]", value))
        else:
            yield Problem(place, CUT_OFF if value is None else "is no JSON object.")


def iterate_list(text: str) -> Iterator[Any]:
    """Yield each item of a JSON list, or of values one after another.

    For a broken one None is yielded, at the end. Takes time proportional to the length of the text.
    """
    decoder = json.JSONDecoder()
    place = _skip(text, 0, _SPACE + "\ufeff\0")
    is_list = text[place : place + 1] == "["
    place = _skip(text, place + is_list, _SPACE + ",")
    while place < len(text) and not (is_list and text[place] == "]"):
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            yield None
            return
        yield value if value is not None else ""
        place = _skip(text, place, _SPACE + ",")
    if is_list and place >= len(text):
        yield None


def _skip(text: str, place: int, characters: str) -> int:
    while place < len(text) and text[place] in characters:
        place += 1
    return place
