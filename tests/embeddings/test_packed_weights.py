"""The file of packed weights: what is read of it is what was written, and anything else is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.packed_file import PIECES, write_packed_file

from sediment_mcp.embeddings.packed_weights import BLOCK, BLOCK_BYTES, HEADS, WIDTH, PackedWeights


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "small.bin"


@pytest.fixture(scope="module")
def arrays(path: Path) -> dict[str, tuple[int, int, bytes]]:
    return write_packed_file(path)


@pytest.fixture(scope="module")
def weights(path: Path, arrays: dict[str, Any]) -> PackedWeights:
    return PackedWeights(path)


def unpack(encoded: bytes, columns: int) -> NDArray[np.float32]:
    """Return the weights, (rows, columns), value by value."""
    values: list[float] = []
    for start in range(0, len(encoded), BLOCK_BYTES):
        block = encoded[start : start + BLOCK_BYTES]
        scale = float(np.frombuffer(block[:2], "<f2")[0])
        halves = [byte & 15 for byte in block[2:]] + [byte >> 4 for byte in block[2:]]
        values += [(half - 8) * scale for half in halves]
    return np.array(values, np.float32).reshape(-1, columns)


def unpack_as_onnxruntime_does(weight: NDArray[np.uint8], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weights, (rows, columns): two neighbours share a byte, the first in its lower half."""
    pairs = np.stack([weight & 15, weight >> 4], axis=-1).reshape(*weight.shape[:2], BLOCK)
    values = (pairs.astype(np.float32) - 8) * scale.reshape(*weight.shape[:2], 1)
    return values.reshape(len(weight), -1)


def test_the_vocabulary_is_read_in_order(weights: PackedWeights) -> None:
    found = weights.vocabulary
    read = [found.text[a:b].tobytes().decode() for a, b in zip(found.ends, found.ends[1:], strict=False)]
    assert read == PIECES
    assert found.scores.tolist() == [-float(number) for number in range(len(PIECES))]


def test_vectors_of_words_are_those_that_were_packed(
    weights: PackedWeights, arrays: dict[str, tuple[int, int, bytes]]
) -> None:
    words = unpack(arrays["emb.word"][2], WIDTH)
    ids = np.array([[0, 3, 13], [5, 5, 1]])
    np.testing.assert_array_equal(weights.read_words(ids), words[ids])


def test_queries_keys_and_values_are_one_step_that_is_scaled(
    weights: PackedWeights, arrays: dict[str, tuple[int, int, bytes]]
) -> None:
    found = weights.read_initializers()
    step = "layer.3.attention"
    read = unpack_as_onnxruntime_does(found[f"{step}.weight"], found[f"{step}.scale"])
    queries, keys, values = (unpack(arrays[f"l3.{part}.w"][2], WIDTH) for part in ("q", "k", "v"))
    scale = np.float32(1 / math.sqrt(WIDTH // HEADS))
    np.testing.assert_allclose(read, np.concatenate([queries * scale, keys, values]), rtol=1e-6)
    biases = [np.frombuffer(arrays[f"l3.{part}.b"][2], "<f4") for part in ("q", "k", "v")]
    np.testing.assert_allclose(
        found[f"{step}.bias"], np.concatenate([biases[0] * scale, *biases[1:]]), rtol=1e-6
    )


@pytest.mark.parametrize(("new", "old"), [("output", "ao"), ("wide", "fi"), ("narrow", "fo")])
def test_the_other_steps_are_those_that_were_packed(
    weights: PackedWeights, arrays: dict[str, tuple[int, int, bytes]], new: str, old: str
) -> None:
    found = weights.read_initializers()
    read = unpack_as_onnxruntime_does(found[f"layer.11.{new}.weight"], found[f"layer.11.{new}.scale"])
    np.testing.assert_array_equal(read, unpack(arrays[f"l11.{old}.w"][2], read.shape[1]))


def test_another_file_is_refused(path: Path, arrays: dict[str, Any], tmp_path: Path) -> None:
    content = path.read_bytes()
    other = tmp_path / "other.bin"
    for damaged in (b"GGUF" + content[4:], content[:40], content[:300], b"x"):
        other.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"The file|buffer"):
            PackedWeights(other)
    write_packed_file(other, layers=6)
    with pytest.raises(ValueError, match="has the shape"):
        PackedWeights(other)
