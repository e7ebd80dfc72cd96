"""Ask several stores one question, and merge what they answer by score.

A store is searched as if it were alone, so that what one holds never changes the order within another. Only
how probable it is that a memory answers depends on all of them: it was found among the memories of all.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import ScoredMemory
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from sediment_mcp.domain.filters import Filters
    from sediment_mcp.search.retriever import Retrieval, Retriever


def retrieve(retrievers: Sequence[Retriever], text: str, filters: Filters, limit: int) -> Retrieval:
    """Return the ``limit`` memories of all stores that answer a query best; it is embedded once."""
    if len(retrievers) == 1:
        return retrievers[0].retrieve(text, filters, limit)
    embed = cache(retrievers[0].embed)
    embed(text)  # so that the model is there, or was waited for, before anything is counted
    counts = [retriever.count_chunks() for retriever in retrievers]
    found = [
        retriever.retrieve(text, filters, limit, embed=embed, others=sum(counts) - count)
        for retriever, count in zip(retrievers, counts, strict=True)
    ]
    first = found[0]
    return replace(
        first,
        memories=merge_ranked([one.memories for one in found], limit),
        is_semantic=all(one.is_semantic for one in found),
        problem=next((one.problem for one in found if one.problem), ""),
        note=next((one.note for one in found if one.note), ""),
    )


def merge_ranked(rankings: Sequence[Sequence[ScoredMemory]], limit: int) -> list[ScoredMemory]:
    """Return the ``limit`` best of several rankings by score, each in the order that it has.

    Ties go to the newer ``occurred_at``, then to the earlier ranking. As within one store, a memory that
    holds all words of the query takes the last place if none does before it.
    """
    marked = [[replace(one, store=store) for one in ranked] for store, ranked in enumerate(rankings)]
    merged = list(heapq.merge(*marked, key=lambda one: (-one.score, -to_micros(one.memory.occurred_at))))
    places = [place for place, one in enumerate(merged) if _holds_all_words(one)]
    if limit < 2 or not places or places[0] < limit:
        return merged[:limit]
    return [*merged[: limit - 1], merged[places[0]]]


def _holds_all_words(scored: ScoredMemory) -> bool:
    from sediment_mcp.search.ranking import WHOLE_COVERAGE

    signals = scored.signals
    return signals.get("lexical", 0.0) > 0 and signals.get("coverage", 0.0) >= WHOLE_COVERAGE
