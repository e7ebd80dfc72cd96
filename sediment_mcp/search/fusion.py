"""Fuse the scores of two indexes into one relevance, where there are no token vectors.

All functions are pure.

Cosine and BM25, each of the chunk and of the chunk in its context, are brought to the same spread over the
query's candidates and added:

    relevance = 0.6 * spread of cosines + 0.4 * spread of BM25

That is the order while there is no model, or no token vectors of it yet; `blend` is the one with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sediment_mcp.search.candidates import Candidates, Column

LEXICAL_WEIGHT = 0.4


def fuse_scores(candidates: Candidates) -> dict[str, Column]:
    """Return the parts of each candidate's relevance, "meaning" and "words".

    They are in standard deviations.

    Without any embedding, words alone decide. A memory that has no embedding yet, while others have one, must
    not be ranked too low if it holds the query's words, nor too high if it shares a single one: its words
    take the place of its meaning as far as they cover the query.

    E. A. Fox and J. A. Shaw, "Combination of multiple searches", TREC-2, 1994 (CombSUM), with weights.
    """
    lexical = (spread(candidates.bm25) + spread(candidates.context_bm25)) / 2
    is_embedded = candidates.is_embedded
    if not is_embedded.any():
        return {"words": lexical}
    cosines = (candidates.cosines[is_embedded] + candidates.context_cosines[is_embedded]) / 2
    semantic = lexical * candidates.coverages
    semantic[is_embedded] = spread(cosines)
    return {"meaning": (1 - LEXICAL_WEIGHT) * semantic, "words": LEXICAL_WEIGHT * lexical}


def spread(values: Column) -> Column:
    """Return (x - min) / standard deviation; 0 for each where all are equal.

    The z-score, shifted so that the least is 0: an index whose scores differ clearly counts more than one
    whose scores are nearly equal. M. Montague and J. A. Aslam, "Relevance score normalization for
    metasearch", CIKM 2001 ("zero-mean, unit-variance").
    """
    deviation = values.std() if len(values) else 0.0
    return (values - values.min()) / deviation if deviation > 1e-9 else np.zeros_like(values)


def divide_by_maximum(values: Column) -> Column:
    """Return x / max for values that are 0 or more; 0 for each if all are 0."""
    high = values.max(initial=0.0)
    return values / high if high > 0 else np.zeros_like(values)
