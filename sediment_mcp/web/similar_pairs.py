"""Pairs of memories that may contradict or repeat each other, for a person to decide.

That two may both stay is remembered in a file beside the memories. An edit makes a new version with a new id,
so that a pair of which one was edited is asked about again. Nothing is lost with the file but these answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.operations.arguments import ListMemories, parse
from sediment_mcp.operations.results import described
from sediment_mcp.search.similar import Pair, alike
from sediment_mcp.system.files import write_atomically
from sediment_mcp.web.request import Asked, Desk, ids_of
from sediment_mcp.web.text_diff import difference

KEPT = "kept-pairs.json"
MOST_KEPT = 10_000  # answers; the oldest are forgotten first
LOOKED_AT = 100  # memories a request, some milliseconds each


def pairs(desk: Desk, asked: Asked) -> dict[str, Any]:
    """The alike among the next `LOOKED_AT` memories, each beside an older one, the most alike first.
    ``meaning`` is false while there is no model, without which nothing can be compared."""
    after = parse(ListMemories, {"cursor": asked.get("cursor")}).cursor
    found = alike(desk.library, _position(after), LOOKED_AT)
    if found is None:
        return {"meaning": False, "pairs": [], "looked_at": 0, "next_cursor": None}
    kept = set(_kept(desk.library.config.data_dir / KEPT))
    told = sorted(
        (pair for pair in found.pairs if _key(pair.newer.id, pair.older.id) not in kept),
        key=lambda pair: -pair.cosine,
    )
    return {
        "meaning": True,
        "pairs": [_described(pair) for pair in told],
        "looked_at": found.looked_at,
        "next_cursor": found.last and json.dumps(found.last),
    }


def keep_both(desk: Desk, asked: Asked) -> dict[str, list[str]]:
    """Remember that these two may both stay."""
    ids = ids_of(asked)
    if len(set(ids)) != 2:
        raise BadArgument("Two memories are needed: give two ids.")
    path = desk.library.config.data_dir / KEPT
    kept = [*(pair for pair in _kept(path) if pair != _key(*ids)), _key(*ids)]
    try:
        write_atomically(path, json.dumps(kept[-MOST_KEPT:]).encode())
    except OSError as error:
        raise StorageError(
            f"The answer could not be kept ({error.strerror}): check the data directory and the disk."
        ) from None
    return {"kept": ids}


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _kept(path: Path) -> list[tuple[str, str]]:
    """The pairs that may stay; what cannot be read counts as never answered."""
    try:
        answers: Any = json.loads(path.read_bytes())
        return [_key(str(one), str(other)) for one, other in answers]
    except (OSError, ValueError, TypeError):
        return []


def _position(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    try:
        time, number = json.loads(cursor)
        return int(time), int(number)
    except (ValueError, TypeError):
        raise BadArgument("cursor is not one that the list of pairs gave: leave it out.") from None


def _described(pair: Pair) -> dict[str, Any]:
    return {
        "similarity": round(min(1.0, pair.cosine), 4),
        "newer": described(pair.newer, pair.newer.content, truncated=False),
        "older": described(pair.older, pair.older.content, truncated=False),
        "difference": difference(pair.older.content, pair.newer.content),
    }
