"""Add the words and vectors of session neighbours to candidates, with less weight.

The words of a question are often in the turn before its answer. The results are computed for the candidates
of one query and not stored. All functions are pure, from arrays to arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sediment_mcp.indexes.bm25 import calculate_bm25

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOUR_DISTANCE = 2  # in the session, on each side
NEIGHBOUR_WEIGHTS = (0.7, 0.4)  # of a neighbour at distance one and two
BM25_K1 = 1.2
BM25_B = 0.4  # below the usual 0.75, because memories are short and their length says little
NOBODY = -1  # the key where a session has no memory


class Link(NamedTuple):
    """Rows, and for each of them the row of a neighbour in the session; no row stands twice.

    ``offset`` is where the neighbours stand: -1 is right before, 2 the second after. ``rows`` and
    ``neighbours`` are of shape (m,), positions among the candidates.
    """

    offset: int
    rows: NDArray[np.intp]
    neighbours: NDArray[np.intp]

    @property
    def distance(self) -> int:
        """How far the neighbours are, on either side."""
        return abs(self.offset)


Links = Sequence[Link]


class Neighbourhood(NamedTuple):
    """The keys of memories, and those of the memories around them in their session.

    ``keys`` is of shape (n,), ``around`` (n, 2 * `NEIGHBOUR_DISTANCE` + 1): from the farthest before to the
    farthest after each memory, itself in the middle, `NOBODY` beyond the ends of a session.
    """

    keys: NDArray[np.int64]
    around: NDArray[np.int64]


def read_neighbourhood(lines: Iterable[tuple[int, Sequence[int]]]) -> Neighbourhood:
    """Return who stands around whom, near the memories whose ``lines`` are given.

    Each is the key of a memory and the keys in its session in order, itself and up to twice
    `NEIGHBOUR_DISTANCE` on each side, so that the neighbours of its neighbours are known too.
    """
    reach = 2 * NEIGHBOUR_DISTANCE
    padded = [
        [NOBODY] * (reach - own) + list(line) + [NOBODY] * (reach + 1 + own - len(line))
        for own, line in ((line.index(key), line) for key, line in lines)
    ]
    width = 2 * NEIGHBOUR_DISTANCE + 1
    array = np.array(padded, np.int64).reshape(-1, 2 * reach + 1)
    around = np.stack([array[:, start : start + width] for start in range(width)], axis=1).reshape(-1, width)
    keys, firsts = np.unique(around[:, NEIGHBOUR_DISTANCE], return_index=True)  # lines may overlap
    is_somebody = keys != NOBODY
    return Neighbourhood(keys[is_somebody], around[firsts[is_somebody]])


def link_neighbours(neighbourhood: Neighbourhood, memory_keys: NDArray[np.int64]) -> list[Link]:
    """Return which of the candidates with these ``memory_keys`` (n,) are neighbours of which."""
    if not len(memory_keys):
        return []
    order = np.argsort(memory_keys)

    def find_rows(keys: NDArray[np.int64]) -> NDArray[np.intp]:
        places = order[np.searchsorted(memory_keys, keys, sorter=order).clip(max=len(order) - 1)]
        return np.where(memory_keys[places] == keys, places, -1)

    own, around = find_rows(neighbourhood.keys), find_rows(neighbourhood.around)
    links: list[Link] = []
    for distance in range(1, NEIGHBOUR_DISTANCE + 1):
        for offset in (-distance, distance):
            neighbours = around[:, NEIGHBOUR_DISTANCE + offset]
            both = np.flatnonzero((own >= 0) & (neighbours >= 0))
            if len(both):
                links.append(Link(offset, own[both], neighbours[both]))
    return links


def add_neighbours(rows: NDArray[np.float32], links: Links) -> NDArray[np.float32]:
    """Return each row of shape (n, width) plus its neighbours' rows by their weight."""
    if not links:
        return rows
    summed = rows.copy()
    for link in links:
        summed[link.rows] += NEIGHBOUR_WEIGHTS[link.distance - 1] * rows[link.neighbours]
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
