"""Words and vectors of neighbours: each formula by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sediment_mcp.search import session_context
from sediment_mcp.search.session_context import add_neighbours, compute_cosines, link_neighbours, score_terms


def array(*values):
    return np.array(values, np.float32)


def test_neighbours_are_added_by_their_weight():
    rows = array([1, 0], [10, 0], [100, 1])
    found = link_neighbours([((31,), (32,)), ((30, 32), ()), ()], {30: 0, 31: 1, 32: 2})
    by_hand = array([1 + 0.7 * 10 + 0.4 * 100, 0.4], [10 + 0.7 * 101, 0.7], [100, 1])
    np.testing.assert_allclose(add_neighbours(rows, found), by_hand, rtol=1e-6)


def test_neighbours_that_are_no_candidates_add_nothing():
    assert link_neighbours([((7, 8), (9,)), ()], {30: 0, 31: 1}) == []


def test_without_neighbours_nothing_changes():
    rows = array([1, 2], [3, 4])
    assert add_neighbours(rows, link_neighbours([(), ()], {})).tolist() == rows.tolist()


def test_bm25_by_hand():
    # k1 1.2, b 0.4: at mean length the norm is 1.2, at twice the mean 1.2 * 1.4
    scores = score_terms(array([2, 0], [1, 1]), array([10], [20]), 10, array(3, 5))
    first = 3 * 2 * 2.2 / (2 + 1.2)
    second = (3 + 5) * 1 * 2.2 / (1 + 1.2 * 1.4)
    assert scores.tolist() == pytest.approx([first, second], rel=1e-5)


def test_no_term_in_common_is_zero():
    assert score_terms(array([0.0]), array([0]), 0, array(1)).tolist() == [0.0]


def test_cosines_by_hand_and_zero_without_an_embedding():
    assert compute_cosines(array([3, 4], [0, 0]), array(1, 0)).tolist() == pytest.approx([0.6, 0])


def test_the_nearer_neighbour_weighs_more():
    assert 1 > session_context.NEIGHBOUR_WEIGHTS[0] > session_context.NEIGHBOUR_WEIGHTS[1] > 0
