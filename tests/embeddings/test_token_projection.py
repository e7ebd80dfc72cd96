"""Which tokens of a text are kept, and what their vectors are projected on."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.embeddings import minilm
from sediment_mcp.embeddings.token_projection import (
    DIMENSION,
    FUNCTION_WORDS,
    MAX_TOKENS,
    TokenProjection,
    find_content_pieces,
    select_rarest,
)

SCRIPTS = Path(__file__).parents[2] / "scripts" / "minilm"
SHIPPED = (minilm.FOLDER / minilm.PROJECTION).read_bytes()


def test_punctuation_marks_and_function_words_are_no_content() -> None:
    pieces = ["[CLS]", "[UNK]", "the", "of", ",", "'", "harbour", "##s", "not", "42"]
    assert find_content_pieces(pieces).tolist() == [False] * 6 + [True] * 4


def test_every_function_word_is_one_word_piece_of_the_default_model() -> None:
    """One that is not would be left out nowhere."""
    vocabulary = (minilm.FOLDER / minilm.VOCABULARY).read_text(encoding="utf-8").splitlines()
    words = FUNCTION_WORDS.split()
    assert len(words) == len(set(words))
    assert set(words) <= set(vocabulary)


@given(st.lists(st.integers(0, 30_000), max_size=200))
def test_the_rarest_are_kept_in_their_order(ids: list[int]) -> None:
    positions = np.arange(len(ids))
    kept = select_rarest(np.array(ids, np.int64), positions).tolist()
    assert len(kept) == min(len(ids), MAX_TOKENS)
    assert kept == sorted(kept)
    left = set(range(len(ids))) - set(kept)
    assert not left or max(ids[place] for place in left) <= min(ids[place] for place in kept)


def test_the_shipped_directions_stand_at_right_angles() -> None:
    rows = np.load(io.BytesIO(SHIPPED), allow_pickle=False).astype(np.float64)
    assert rows.shape == (1 + DIMENSION, minilm.DIMENSION)
    assert rows[1:] @ rows[1:].T == pytest.approx(np.eye(DIMENSION), abs=2e-3)


def test_the_mean_is_taken_away_and_the_rest_is_of_length_one() -> None:
    basis = np.eye(DIMENSION, 80, dtype="<f2")
    mean = np.full((1, 80), 0.5, "<f2")
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([mean, basis]))
    states = np.full((2, 80), 0.5, np.float32)
    states[0, 3] += 2
    projected = TokenProjection(buffer.getvalue()).project(states)
    assert projected[0] == pytest.approx(np.eye(DIMENSION)[3])
    assert not projected[1].any()


def test_a_projection_of_another_shape_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 4), "<f2"))
    with pytest.raises(ValueError, match="shape"):
        TokenProjection(buffer.getvalue())


def test_the_script_finds_the_directions_of_the_greatest_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    fit = import_module("projection").fit_projection
    chance = np.random.default_rng(1)
    rows = (chance.standard_normal((4_000, 5)) * [1, 9, 3, 0.1, 0.2] + [5, 0, 0, 0, -2]).astype(np.float32)
    fitted = fit(np.array_split(rows, 7), 3).astype(np.float64)
    assert fitted[0] == pytest.approx(rows.mean(axis=0), abs=1e-2)
    assert fitted[1:] == pytest.approx(np.eye(5)[[1, 2, 0]], abs=0.05)
    assert fit(np.array_split(rows, 7), 3).tobytes() == fit(np.array_split(rows, 7), 3).tobytes()
