"""Embeddings as they are kept: what the encoding keeps, and what is no unit vector."""

from __future__ import annotations

import numpy as np
import pytest

from sediment_mcp.embeddings.codec import are_unit_vectors, decode_vectors, encode_vectors

ROWS = np.array([[0.6, 0.8], [1.0, 0.0], [0.0, -1.0]], np.float32)


def test_vectors_survive_the_encoding_to_the_precision_of_float16() -> None:
    decoded = decode_vectors(encode_vectors(ROWS))
    assert decoded == pytest.approx(ROWS, abs=1e-3)
    assert (decoded.shape, decoded.dtype) == (ROWS.shape, np.float32)


def test_a_vector_takes_two_bytes_a_dimension_the_lower_one_first() -> None:
    assert encode_vectors(np.array([[1.0, -2.0]], np.float32)) == [b"\x00\x3c\x00\xc0"]


@pytest.mark.parametrize("row", [[0.0, 0.0], [3.0, 4.0], [np.nan, 1.0], [np.inf, 0.0], [0.6, 0.77]])
def test_only_vectors_of_length_one_are_unit_vectors(row: list[float]) -> None:
    assert are_unit_vectors(encode_vectors(ROWS))
    assert not are_unit_vectors(encode_vectors(np.array([[1.0, 0.0], row], np.float32)))
