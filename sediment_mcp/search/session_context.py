"""What candidates say by themselves, and together with what stands beside them in their sessions.

An answer often has its question's words in the turn before it, so words and vectors of the neighbours
are added to a candidate's own, with less weight. Nothing of this is kept: it is done for the
candidates of one query. Pure: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BESIDE = (0.7, 0.4)  # the weight of a neighbour at distance one and two
Link = tuple[float, list[int], list[int]]
"""A weight, rows, and for each of them one beside it that counts so much; no row stands twice."""
K1, B = 1.2, 0.4  # b below the usual 0.75, because memories are short and their length says little


def links(neighbours: Sequence[Sequence[Sequence[int]]], place: Mapping[int, int]) -> list[Link]:
    """Which rows stand beside which, for `with_neighbours`. ``neighbours[i][d]`` are those, at most two, at
    distance d + 1 from row i, by numbers of which ``place`` knows the rows of some."""
    found: list[Link] = [(weight, [], []) for weight in BESIDE for _ in range(2)]
    for row, sides in enumerate(neighbours):
        for step, side in enumerate(sides):
            for which, number in enumerate(side):
                if number in place:
                    _, rows, beside = found[2 * step + which]
                    rows.append(row)
                    beside.append(place[number])
    return [link for link in found if link[1]]


def with_neighbours(rows: NDArray[np.float32], links: Sequence[Link]) -> NDArray[np.float32]:
    """Each row of shape (n, width) plus its neighbours' rows by their weight."""
    summed = rows.copy()
    for weight, own, beside in links:
        summed[own] += weight * rows[beside]
    return summed


def bm25(
    occurrences: NDArray[np.float32],
    lengths: NDArray[np.float32],
    mean_length: float,
    idf: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The score of n texts from ``occurrences`` (n, terms) of a query's terms and ``lengths`` (n,).

    S. Robertson and H. Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009, eq. 3.15.
    """
    norm = K1 * (1 - B + B * lengths / max(mean_length, 1.0))
    return (idf * occurrences * (K1 + 1) / (occurrences + norm[:, None])).sum(axis=1)


def cosines(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each row with a unit vector; 0 for rows of zeros."""
    norms = np.linalg.norm(rows, axis=1)
    return ((rows @ vector) / np.where(norms > 0, norms, 1.0)).astype(np.float32)
