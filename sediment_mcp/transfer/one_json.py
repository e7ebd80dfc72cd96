"""Exports that are one JSON document, which is read whole: what those of other programs have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from sediment_mcp.transfer.records import Item, Problem
from sediment_mcp.transfer.source import Source, text_of


def objects(
    source: Source,
    listed: Callable[[object], list[Any]],
    items: Callable[[str, Mapping[str, Any]], Iterator[Item]],
) -> Iterator[Item]:
    """What ``items`` makes of each object that ``listed`` finds in the document, each with its place."""
    try:
        value: object = json.loads(text_of(source.whole())[0])
    except (ValueError, RecursionError):
        yield Problem(source.name, "is no JSON: it may have been cut off.")
        return
    for number, fields in enumerate(listed(value), start=1):
        if isinstance(fields, dict):
            yield from items(f"memory {number}", cast("dict[str, Any]", fields))
        else:
            yield Problem(f"memory {number}", "is no JSON object.")
