"""Encode embeddings for storage, as little-endian float16 values, and decode them.

That is half the size of the float32 values that a model computes. The rounding changes a cosine by less than
0.001.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LENGTH_TOLERANCE = 0.01  # of a unit vector, to the precision of float16


def encode_vectors(vectors: NDArray[np.float32]) -> list[bytes]:
    """Encode vectors of shape (n, dimension), each row as one item; a row of zeros as no bytes."""
    return [row.tobytes() if row.any() else b"" for row in vectors.astype("<f2")]


def decode_vectors(encoded: Sequence[bytes]) -> NDArray[np.float32]:
    """Decode what `encode_vectors` returned, to shape (n, dimension)."""
    import numpy as np

    return view_vectors(encoded).astype(np.float32)


def view_vectors(encoded: Sequence[bytes]) -> NDArray[np.float16]:
    """Return what `encode_vectors` returned as float16, of shape (n, dimension)."""
    import numpy as np

    return np.frombuffer(b"".join(encoded), "<f2").reshape(len(encoded), -1)


def are_unit_vectors(encoded: Sequence[bytes]) -> bool:
    """Return whether these are encoded vectors of length one.

    Nothing else may enter an index: a single NaN would make its answers wrong.
    """
    import numpy as np

    lengths = np.linalg.norm(decode_vectors(encoded), axis=1)
    return bool(np.all(np.abs(lengths - 1) < LENGTH_TOLERANCE))
