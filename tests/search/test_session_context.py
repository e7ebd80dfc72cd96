"""Words and vectors of neighbours: each formula by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.search import session_context
from sediment_mcp.search.session_context import (
    NEIGHBOUR_DISTANCE,
    Link,
    add_neighbours,
    compute_cosines,
    link_neighbours,
    read_neighbourhood,
    score_terms,
)


def link(lines: dict[int, list[int]], memory_keys: list[int]) -> list[Link]:
    return link_neighbours(read_neighbourhood(lines.items()), np.array(memory_keys, np.int64))


def array(*values):
    return np.array(values, np.float32)


def test_neighbours_are_added_by_their_weight():
    rows = array([1, 0], [10, 0], [100, 1])
    found = link({31: [30, 31, 32]}, [30, 31, 32])
    by_hand = array([1 + 0.7 * 10 + 0.4 * 100, 0.4], [10 + 0.7 * 101, 0.7], [100 + 0.7 * 10 + 0.4 * 1, 1])
    np.testing.assert_allclose(add_neighbours(rows, found), by_hand, rtol=1e-6)


def test_neighbours_that_are_no_candidates_add_nothing():
    assert link({30: [7, 8, 30, 9]}, [30, 31]) == []
    assert link({30: [7, 8, 30, 9]}, []) == []


def test_without_neighbours_nothing_changes():
    rows = array([1, 2], [3, 4])
    assert add_neighbours(rows, link({}, [30, 31])).tolist() == rows.tolist()


@given(
    st.permutations(range(1, 15)),
    st.integers(1, 14),
    st.sets(st.integers(1, 14)),
    st.sets(st.integers(1, 14)),
)
def test_who_is_linked_stands_at_that_distance_in_a_session_near_a_memory_asked_for(
    keys: list[int], size: int, asked: set[int], candidates: set[int]
) -> None:
    """The keys make two sessions, of which the candidates are some."""
    sessions, reach = (keys[:size], keys[size:]), 2 * NEIGHBOUR_DISTANCE
    place = {key: (which, at) for which, line in enumerate(sessions) for at, key in enumerate(line)}
    lines = {
        key: sessions[place[key][0]][max(0, place[key][1] - reach) : place[key][1] + reach + 1]
        for key in asked
    }
    memory_keys = sorted(candidates)
    found = {
        (offset, memory_keys[row], memory_keys[other])
        for offset, rows, others in link(lines, memory_keys)
        for row, other in zip(rows.tolist(), others.tolist(), strict=True)
    }
    assert found == {
        (offset, one, other)
        for one in candidates
        for other in candidates
        if place[one][0] == place[other][0]
        and 0 < abs(offset := place[other][1] - place[one][1]) <= NEIGHBOUR_DISTANCE
        and any(
            place[key][0] == place[one][0] and abs(place[key][1] - place[one][1]) <= NEIGHBOUR_DISTANCE
            for key in asked
        )
    }


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
