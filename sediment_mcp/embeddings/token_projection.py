"""Choose the tokens of a text whose vectors are kept, and make these vectors short.

What a model computes for each token on the way to an embedding tells which words of two texts mean the same
(late interaction: Khattab and Zaharia, "ColBERT", SIGIR 2020). To be kept for every memory it is projected to
64 dimensions, on the principal components of such vectors of neutral text (scripts/minilm/projection.py), and
left out for tokens that say nothing of what a text is about.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSION = 64
MAX_TOKENS = 63
"""Tokens of a text that are kept: 4,032 bytes, which with their row fit into one page of the database."""
MIN_NORM = np.float32(1e-12)

FUNCTION_WORDS = (
    "a an the this that these those some any each every either neither both such same own other another i "
    "me my mine myself you your yours yourself he him his himself she her hers herself it its itself we us "
    "our ours ourselves they them their theirs themselves one ones someone something anyone anything "
    "everyone everything who whom whose which what when where why how am is are was were be been being do "
    "does did doing done have has had having can could will would shall should might must ought let s t re "
    "ve ll don didn doesn isn wasn aren weren couldn wouldn shouldn hadn hasn haven ain and or but nor so "
    "yet if then else than because as while although though unless until since whether of in on at by for "
    "with about against between into through during before after above below to from up down out off over "
    "under again further upon within without toward towards among across along around behind beside besides "
    "beyond near onto per via there here just only very too also even still quite rather really much many "
    "more most less least few well oh yes yeah okay ok hey hi hello please"
)
"""English words of which every text is full, whatever it is about. Negations are not among them."""


def find_content_pieces(vocabulary: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each word piece whether it is no punctuation, mark or function word."""
    left_out = set(FUNCTION_WORDS.split())
    return np.array(
        [piece.removeprefix("##").isalnum() and piece not in left_out for piece in vocabulary], np.bool_
    )


class TokenProjection:
    """The mean and the basis on which token vectors are projected; any thread may use it."""

    def __init__(self, encoded: bytes) -> None:
        """Read an array of shape (1 + 64, width) in numpy's file format: the mean, then the basis.

        Raises:
            ValueError: it is something else.
        """
        rows = np.load(io.BytesIO(encoded), allow_pickle=False).astype(np.float32)
        if rows.ndim != 2 or len(rows) != 1 + DIMENSION:
            raise ValueError(f"The projection has the shape {rows.shape}.")
        self._basis = np.ascontiguousarray(rows[1:].T)
        self._shift = rows[0] @ self._basis

    def project(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project what the model computed, of shape (tokens, width), to unit vectors (tokens, 64)."""
        short = states @ self._basis - self._shift
        return short / np.maximum(np.linalg.norm(short, axis=1, keepdims=True), MIN_NORM)


def select_rarest(ids: NDArray[np.int64], positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the positions whose vectors are kept, `MAX_TOKENS` at most, in order.

    Of more, those of the rarest word pieces are kept, which say most about the text: a vocabulary is sorted
    by frequency, so they have the highest ids.
    """
    if len(positions) <= MAX_TOKENS:
        return positions
    order = np.argsort(-ids[positions], kind="stable")[:MAX_TOKENS]
    return np.sort(positions[order])
