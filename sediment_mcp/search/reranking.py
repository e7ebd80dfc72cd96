"""Put the first results of a query in a cross-encoder's order, where theirs is doubtful.

`embeddings.reranker` scores them. What a cross-encoder cannot see is left alone: the order in time of a
question for the present, and the days that a question names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import ScoredMemory
from sediment_mcp.search.ranking import Asking, RankedCandidate

if TYPE_CHECKING:
    from sediment_mcp.embeddings.reranker import Reranker

MAX_RERANKED = 20
SURE_LEAD = 1.2
"""How many times the second result's score the first one's is where no other is considered.

Measured on the given halves of developer memories, LoCoMo and DevMemBench: of the first results with that
lead, .94, .57 and .94 are right, of the others .50, .31 and .84; a third to a half of all questions have it.
"""
BY_MATCH = ("strong", "weak").index


def is_unsure(results: Sequence[RankedCandidate | ScoredMemory], asking: Asking) -> bool:
    """Return True if another of the results may answer better than the first one."""
    if len(results) < 2 or asking.is_about_present or asking.named:
        return False
    first, second = results[:2]
    return first.match == "weak" or first.score < SURE_LEAD * second.score


def append_next(ranked: list[RankedCandidate], deeper: Sequence[RankedCandidate]) -> list[RankedCandidate]:
    """Return results with those that come after them in a deeper ranking, `MAX_RERANKED` in all."""
    taken = {one.position for one in ranked}
    following = [one for one in deeper if one.position not in taken]
    lowest = ranked[-1].score if ranked else 1.0
    following = [replace(one, score=min(one.score, lowest)) for one in following]
    return [*ranked, *following[: max(0, MAX_RERANKED - len(ranked))]]


def rerank(
    reranker: Reranker, query: str, asking: Asking, results: list[ScoredMemory]
) -> tuple[list[ScoredMemory], str]:
    """Return the results in the reranker's order or as they are, and a note for the user.

    Only the first `MAX_RERANKED` change places, and only if the reranker has scored all of them.
    """
    if not is_unsure(results, asking):
        return results, ""
    first = results[:MAX_RERANKED]
    values, problem = reranker.score(query, [one.memory.content[slice(*one.passage)] for one in first])
    return [*reorder(first, values), *results[MAX_RERANKED:]] if values else results, problem


def reorder(results: Sequence[ScoredMemory], values: Sequence[float]) -> list[ScoredMemory]:
    """Return the results by falling value, equal ones in the order that they have.

    Scores and matches stay with the places: how well the best one fits has been measured, and the values
    only say which one it is. So both still fall along the order.
    """
    order = sorted(range(len(results)), key=lambda place: -values[place])
    matches = sorted((one.match for one in results), key=BY_MATCH)
    scores = sorted((one.score for one in results), reverse=True)
    return [
        replace(
            results[place],
            score=score,
            match=match,
            signals={**results[place].signals, "reranker": round(values[place], 4)},
        )
        for place, score, match in zip(order, scores, matches, strict=True)
    ]
