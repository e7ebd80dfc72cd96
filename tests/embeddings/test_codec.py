"""Embeddings and token vectors as they are kept: what the encoding keeps, and what is no unit vector."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sediment_mcp.embeddings.codec import (
    TOKEN_SCALE,
    are_unit_tokens,
    are_unit_vectors,
    decode_tokens,
    decode_vectors,
    encode_tokens,
    encode_vectors,
    quantize_tokens,
)

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


# --- token vectors ------------------------------------------------------------------------------

HALF_A_STEP = 0.5 / TOKEN_SCALE


def draw_tokens(count: int, dimension: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.lists(st.integers(0, 70), max_size=8), st.sampled_from([1, 2, 32, 64]), st.integers(0, 2**32 - 1))
def test_token_vectors_of_many_texts_come_back_half_a_step_off_at_most(
    counts: list[int], dimension: int, seed: int
) -> None:
    texts = [draw_tokens(count, dimension, seed + place) for place, count in enumerate(counts)]
    encoded = encode_tokens([quantize_tokens(tokens) for tokens in texts])
    matrix, offsets = decode_tokens(encoded, dimension)
    assert (matrix.dtype, matrix.shape) == (np.int8, (sum(counts), dimension))
    assert np.diff(offsets).tolist() == counts
    for tokens, start, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        assert np.abs(matrix[start:end] / TOKEN_SCALE - tokens).max(initial=0) <= HALF_A_STEP + 1e-6
    assert all(are_unit_tokens(one, dimension) for one in encoded)


@given(st.integers(0, 2**32 - 1))
def test_a_cosine_of_token_vectors_changes_little(seed: int) -> None:
    first, second = draw_tokens(2, 64, seed)
    (kept, _), exact = decode_tokens(encode_tokens([quantize_tokens(first[None])]), 64), first @ second
    assert abs(kept[0] / TOKEN_SCALE @ second - exact) <= HALF_A_STEP * np.abs(second).sum() + 1e-6


@pytest.mark.parametrize("damaged", [b"\x7f", bytes(64), b"\x7f" * 64, bytes([127, *[0] * 62])], ids=len)
def test_what_is_cut_short_or_of_another_length_is_no_token_vector(damaged: bytes) -> None:
    assert are_unit_tokens(bytes([127, *[0] * 63]), 64)
    assert not are_unit_tokens(damaged, 64)
