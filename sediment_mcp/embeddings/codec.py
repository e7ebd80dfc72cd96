"""Encode embeddings and token vectors for storage, and decode them.

An embedding is kept as little-endian float16 values, half the size of the float32 values that a model
computes. The rounding changes a cosine by less than 0.001.

The token vectors of a text are kept as rows of 8-bit integers, one after the other: unit vectors times
`TOKEN_SCALE`, rounded. That changes a value by at most half a step, 0.004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LENGTH_TOLERANCE = 0.01  # of a unit vector, to the precision of float16
TOKEN_SCALE = 127  # what 1 is in a token vector
TOKEN_LENGTH_TOLERANCE = 0.06  # of a unit vector of 64 dimensions, each half a step off, and a little more


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


# --- token vectors ------------------------------------------------------------------------------


def quantize_tokens(tokens: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return unit vectors of shape (tokens, dimension) as integers of 8 bits."""
    import numpy as np

    return np.rint(tokens * TOKEN_SCALE).astype(np.int8)


def encode_tokens(tokens: Sequence[NDArray[np.int8]]) -> list[bytes]:
    """Encode the token vectors of texts, each as one item; no token vectors as no bytes."""
    return [rows.tobytes() for rows in tokens]


def decode_tokens(encoded: Sequence[bytes], dimension: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Decode what `encode_tokens` returned, of all texts into one array.

    Returns the integers, of shape (tokens, dimension), and offsets of shape (len(encoded) + 1,): those of
    text i are the rows from offsets[i] to offsets[i + 1]. Divided by `TOKEN_SCALE` they are unit vectors.
    """
    import numpy as np

    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(one) // dimension for one in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.int8).reshape(-1, dimension), offsets


def are_unit_tokens(encoded: bytes, dimension: int) -> bool:
    """Return whether these are encoded token vectors of length one."""
    import numpy as np

    if not dimension or len(encoded) % dimension:
        return False
    rows, _ = decode_tokens([encoded], dimension)
    lengths = np.linalg.norm(rows.astype(np.float32), axis=1) / TOKEN_SCALE
    return bool(np.all(np.abs(lengths - 1) < TOKEN_LENGTH_TOLERANCE))
