"""Fuse the scores of two indexes into one relevance for each candidate.

All functions are pure.

Cosine and BM25, each of the chunk and of the chunk in its context, are brought to the same spread over the
query's candidates and added:

    relevance = fuse(spread of cosines, spread of BM25)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from sediment_mcp.domain.memory import Candidate

LEXICAL_WEIGHT = 0.4


def fuse_scores(candidates: Sequence[Candidate]) -> list[float]:
    """Return the fused relevance of each candidate, 0 or more, in standard deviations.

    Without any embedding, words alone decide.
    """
    in_context = [c.bm25 if c.context_bm25 is None else c.context_bm25 for c in candidates]
    lexical = _average(spread([c.bm25 for c in candidates]), spread(in_context))
    cosines = [_average_cosine(candidate) for candidate in candidates if candidate.cosine is not None]
    if not cosines:
        return lexical
    semantic = iter(spread(cosines))
    return [
        fuse(estimate_semantic(candidate, words) if candidate.cosine is None else next(semantic), words)
        for candidate, words in zip(candidates, lexical, strict=True)
    ]


def spread(values: Sequence[float]) -> list[float]:
    """Return (x - min) / standard deviation; 0 for each where all are equal.

    The z-score, shifted so that the least is 0: an index whose scores differ clearly counts more than one
    whose scores are nearly equal. M. Montague and J. A. Aslam, "Relevance score normalization for
    metasearch", CIKM 2001 ("zero-mean, unit-variance").
    """
    if not values:
        return []
    mean = sum(values) / len(values)
    deviation = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    low = min(values)
    return [(value - low) / deviation if deviation > 1e-9 else 0.0 for value in values]


def divide_by_maximum(values: Sequence[float]) -> list[float]:
    """Return x / max for values that are 0 or more; 0 for each if all are 0."""
    high = max(values, default=0.0)
    return [value / high if high > 0 else 0.0 for value in values]


def fuse(semantic: float, lexical: float) -> float:
    """Return the weighted sum of two normalised scores.

    E. A. Fox and J. A. Shaw, "Combination of multiple searches", TREC-2, 1994 (CombSUM), with weights.
    """
    return (1 - LEXICAL_WEIGHT) * semantic + LEXICAL_WEIGHT * lexical


def estimate_semantic(candidate: Candidate, lexical: float) -> float:
    """Return the semantic part of a memory that has no embedding yet, while others have one.

    A memory that was just stored and holds the query's words must not be ranked too low, and one that shares
    a single word not too high. So its lexical score counts as far as its words cover the query.
    """
    return lexical * candidate.coverage


def _average(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(first, second, strict=True)]


def _average_cosine(candidate: Candidate) -> float:
    """Return the mean of the cosines of the chunk alone and of the chunk in its context."""
    own = candidate.cosine or 0.0
    return own if candidate.context_cosine is None else (own + candidate.context_cosine) / 2
