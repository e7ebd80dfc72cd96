"""A query and texts, compared token by token: the same as one pair of tokens at a time."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sediment_mcp.embeddings.codec import TOKEN_SCALE, encode_tokens, quantize_tokens
from sediment_mcp.search.late_interaction import (
    NEIGHBOUR_SHARES,
    QueryTokens,
    compare_tokens,
    include_neighbours,
    sum_matches,
    weigh_query_tokens,
)
from sediment_mcp.search.session_context import Link

DIRECTIONS = st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: sum(x * x for x in v) > 0.1)


def units(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.array([[x / sqrt(sum(y * y for y in row)) for x in row] for row in rows], np.float32).reshape(
        -1, 3
    )


@given(st.lists(DIRECTIONS, min_size=1, max_size=4), st.lists(st.lists(DIRECTIONS, max_size=5), max_size=6))
def test_each_token_of_the_query_takes_the_nearest_of_the_text(
    asked: list[list[float]], texts: list[list[list[float]]]
) -> None:
    query = QueryTokens(units(asked), np.full(len(asked), 1 / len(asked), np.float32))
    kept = [quantize_tokens(units(rows)) for rows in texts]
    nearest = compare_tokens(query, encode_tokens(kept))
    assert nearest.shape == (len(texts), len(asked))
    for found, rows in zip(nearest.tolist(), kept, strict=True):
        for value, token in zip(found, query.vectors.tolist(), strict=True):
            cosines = [
                sum(x * y / TOKEN_SCALE for x, y in zip(row, token, strict=True)) for row in rows.tolist()
            ]
            assert isnan(value) if not cosines else value == pytest.approx(max(cosines), abs=1e-4)


def test_a_neighbour_lends_its_tokens_at_less_and_takes_none_away() -> None:
    nearest = np.array([[0.2, 0.9], [1.0, 0.5], [np.nan, np.nan], [0.6, 0.0]], np.float32)
    rows, others = np.array([0, 2, 3]), np.array([1, 0, 2])
    included = include_neighbours(nearest, [Link(-1, rows, others), Link(2, np.array([0]), np.array([3]))])
    assert included[0].tolist() == pytest.approx([NEIGHBOUR_SHARES[0], 0.9])
    assert np.isnan(included[2]).all(), "what has no token vectors is judged by its meaning"
    assert included[[1, 3]].tolist() == nearest[[1, 3]].tolist(), (
        "a neighbour without token vectors lends none"
    )


def test_the_match_is_the_weighted_sum() -> None:
    matches = sum_matches(
        np.array([[0.2, 0.8], [np.nan, np.nan]], np.float32), np.array([0.25, 0.75], np.float32)
    )
    assert matches[0] == pytest.approx(0.65)
    assert isnan(matches[1])


def test_a_token_weighs_as_the_word_it_is_part_of() -> None:
    query = "Where is PgBouncer set?"
    spans = np.array([[9, 11], [11, 18], [19, 22]])
    weighed = weigh_query_tokens(query, np.eye(3, dtype=np.float32), spans, {"pgbouncer": 4.0, "set": 2.0})
    assert weighed is not None
    assert weighed.weights.tolist() == pytest.approx([0.4, 0.4, 0.2])


def test_a_word_that_is_not_searched_for_weighs_as_the_most_common_one() -> None:
    weighed = weigh_query_tokens(
        "red kettle", np.eye(2, dtype=np.float32), np.array([[0, 3], [4, 10]]), {"kettl": 3.0}
    )
    assert weighed is not None
    assert weighed.weights.tolist() == [0.5, 0.5]


def test_a_query_without_token_vectors_is_compared_without() -> None:
    assert weigh_query_tokens("?", np.zeros((0, 64), np.float32), np.zeros((0, 2), np.int64), {}) is None
