"""Add the words and vectors of session neighbours to candidates, with less weight.

The words of a question are often in the turn before its answer. The results are computed for the candidates
of one query and not stored. All functions are pure, from arrays to arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.indexes.bm25 import calculate_bm25

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOUR_WEIGHTS = (0.7, 0.4)  # of a neighbour at distance one and two
BM25_K1 = 1.2
BM25_B = 0.4  # below the usual 0.75, because memories are short and their length says little

Link = tuple[float, list[int], list[int]]
"""A weight, rows, and for each of them a neighbour's row that counts so much; no row stands twice."""


def link_neighbours(
    neighbours: Sequence[Sequence[Sequence[int]]], row_of_key: Mapping[int, int]
) -> list[Link]:
    """Return which rows are neighbours of which, for `add_neighbours`.

    ``neighbours[i][d]`` are those, at most two, at distance d + 1 from row i, by the memories' keys, of which
    ``row_of_key`` knows the rows of some.
    """
    links: list[Link] = [(weight, [], []) for weight in NEIGHBOUR_WEIGHTS for _ in range(2)]
    for row, sides in enumerate(neighbours):
        for step, side in enumerate(sides):
            for which, memory_key in enumerate(side):
                if memory_key in row_of_key:
                    _, rows, neighbour_rows = links[2 * step + which]
                    rows.append(row)
                    neighbour_rows.append(row_of_key[memory_key])
    return [link for link in links if link[1]]


def add_neighbours(rows: NDArray[np.float32], links: Sequence[Link]) -> NDArray[np.float32]:
    """Return each row of shape (n, width) plus its neighbours' rows by their weight."""
    summed = rows.copy()
    for weight, own, neighbours in links:
        summed[own] += weight * rows[neighbours]
    return summed


def score_terms(
    counts: NDArray[np.float32], lengths: NDArray[np.float32], mean_length: float, idf: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the BM25 score of n texts from the ``counts`` (n, terms) of a query's terms.

    ``lengths`` (n, 1) are in terms, ``idf`` is of shape (terms,). Formula: `bm25`.
    """
    parts = calculate_bm25(counts, lengths, max(mean_length, 1.0), idf, k1=BM25_K1, b=BM25_B)
    return parts.sum(axis=1)


def compute_cosines(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of each row with a unit vector; 0 for rows of zeros."""
    norms = np.linalg.norm(rows, axis=1)
    return ((rows @ vector) / np.where(norms > 0, norms, 1.0)).astype(np.float32)
