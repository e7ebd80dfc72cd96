"""Compare a query with texts by tokens: for each of its own, the nearest of the text's.

    match = sum over the query's tokens of weight · (greatest cosine with a token of the text)

That is the MaxSim of O. Khattab and M. Zaharia, "ColBERT: efficient and effective passage search via
contextualized late interaction over BERT", SIGIR 2020, with weights. The token vectors are those that the
embedding model computes on its way to an embedding (docs/decisions/0018-token-vectors.md). They are read for
the candidates of a query only. All functions are pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.embeddings.codec import TOKEN_SCALE, decode_tokens
from sediment_mcp.indexes.analyzer import extract_terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.search.session_context import Links

NEIGHBOUR_SHARES = (0.9, 0.8)
"""What a token that stands in a neighbour's text counts, at distance one and two in the session."""


@dataclass(frozen=True, slots=True)
class QueryTokens:
    """The token vectors of a query, unit vectors of shape (q, width).

    ``weights``, of shape (q,), add up to 1.
    """

    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]


def weigh_query_tokens(
    query: str, vectors: NDArray[np.float32], spans: NDArray[np.int64], shares: Mapping[str, float]
) -> QueryTokens | None:
    """Return the token vectors with the weights of the words that they are of.

    ``spans`` (q, 2) are begin and end of each token in the query, ``shares`` the weights of the query's terms
    (see `QueryTerms`). A word that is no term that is searched for counts as the most common of them. None:
    there is no token.
    """
    if not len(vectors):
        return None
    least = min(shares.values(), default=1.0)
    known: dict[str, float] = {}
    weights: list[float] = []
    for start, end in spans.tolist():
        word = _read_word(query, start, end)
        if word not in known:
            known[word] = max([shares.get(term, 0.0) for term in extract_terms(word)], default=0.0) or least
        weights.append(known[word])
    array = np.array(weights, np.float32)
    return QueryTokens(vectors, array / array.sum())


def _read_word(query: str, start: int, end: int) -> str:
    """Return the word that a part of it, ``query[start:end]``, stands in."""
    while start > 0 and query[start - 1].isalnum():
        start -= 1
    while end < len(query) and query[end].isalnum():
        end += 1
    return query[start:end]


def compare_tokens(query: QueryTokens, encoded: Sequence[bytes]) -> NDArray[np.float32]:
    """Return for each text and token of the query the greatest cosine with a token of the text.

    ``encoded`` are the token vectors of n texts (see `codec`). Returns an array of shape (n, q), whose row is
    NaN for a text without token vectors.
    """
    nearest = np.full((len(encoded), len(query.vectors)), np.nan, np.float32)
    rows, offsets = decode_tokens(encoded, query.vectors.shape[1])
    has_tokens = np.flatnonzero(np.diff(offsets))
    if len(has_tokens):
        cosines = rows.astype(np.float32) @ (query.vectors.T / np.float32(TOKEN_SCALE))
        nearest[has_tokens] = np.maximum.reduceat(cosines, offsets[has_tokens], axis=0)
    return nearest


def include_neighbours(nearest: NDArray[np.float32], links: Links) -> NDArray[np.float32]:
    """Return the greatest cosines (n, q) with a text's tokens or, at less, its neighbours'.

    A text without token vectors has none in its context either.
    """
    included = nearest.copy()
    for link in links:
        lent = NEIGHBOUR_SHARES[link.distance - 1] * nearest[link.neighbours]
        included[link.rows] = np.maximum(included[link.rows], np.where(np.isnan(lent), -1.0, lent))
    return included


def sum_matches(nearest: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the weighted sum (n,) of the greatest cosines (n, q); NaN without token vectors."""
    return (nearest @ weights).astype(np.float64)
