"""Similar pairs: memories that may contradict or repeat each other, for a person to decide.

The answer that both memories may stay is kept. An edit of the text makes a new version with a new id, so the
pair is shown again.
"""

from __future__ import annotations

import json
from typing import Any

from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.argument_collections import Pair
from sediment_mcp.operations.argument_types import Integer
from sediment_mcp.operations.kept_pairs import keep_pair, list_kept_pairs
from sediment_mcp.operations.results import describe_memory
from sediment_mcp.search.similar import SimilarPair, find_similar_pairs
from sediment_mcp.web.request import RequestArguments, RequestContext, parse_ids
from sediment_mcp.web.text_diff import diff_texts

MEMORIES_PER_REQUEST = 100  # some milliseconds each

_POSITION = Pair(Integer(-(2**63), 2**63 - 1))


def list_similar_pairs(
    context: RequestContext, arguments: RequestArguments, limit: int = MEMORIES_PER_REQUEST
) -> dict[str, Any]:
    """Return pairs of similar memories, the most similar first.

    The next ``limit`` memories of the list are compared, each with older ones.

    ``meaning`` in the result is false while there is no model, without which nothing can be compared.
    """
    app, after = context.app, _parse_cursor(arguments.get("cursor"))
    if (embedder := app.model.get()) is None:
        return {"meaning": False, "pairs": [], "looked_at": 0}
    found = find_similar_pairs(
        app.retriever, app.storage.read, embedder.identity, app.now(), after=after, limit=limit
    )
    kept = list_kept_pairs(app)
    undecided = sorted(
        (pair for pair in found.pairs if _make_key(pair.newer.id, pair.older.id) not in kept),
        key=lambda pair: -pair.cosine,
    )
    return {
        "meaning": True,
        "pairs": [_describe_pair(pair, context.project) for pair in undecided],
        "looked_at": found.compared_count,
        **({"next_cursor": json.dumps(found.last)} if found.last else {}),
    }


def keep_both_memories(context: RequestContext, arguments: RequestArguments) -> dict[str, list[str]]:
    """Record the answer that these two memories may both stay."""
    ids = parse_ids(arguments)
    if len(set(ids)) != 2:
        raise BadArgument("Two memories are needed: give two ids.")
    keep_pair(context.app, *ids)
    return {"kept": ids}


def _make_key(first_id: str, second_id: str) -> tuple[str, str]:
    return (first_id, second_id) if first_id < second_id else (second_id, first_id)


def _parse_cursor(cursor: Any) -> tuple[int, int] | None:
    """Return the position in the list, newest first, where the request continues."""
    if not cursor:
        return None
    try:
        return _POSITION.read(json.loads(cursor))
    except (ValueError, TypeError, RecursionError):
        raise BadArgument("cursor is not one that the list of pairs gave: leave it out.") from None


def _describe_pair(pair: SimilarPair, project: str | None) -> dict[str, Any]:
    return {
        "similarity": round(min(1.0, pair.cosine), 4),
        "newer": describe_memory(pair.newer, pair.newer.content, project),
        "older": describe_memory(pair.older, pair.older.content, project),
        "difference": diff_texts(pair.older.content, pair.newer.content),
    }
