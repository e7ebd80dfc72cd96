"""A data directory of any size without hours of embedding: generated text with generated vectors.

Texts are 30 words drawn by Zipf's law from a vocabulary of 30,000; vectors are drawn around 200 centres,
so that neighbours exist (cosine within a cluster about 0.6, as among real notes on one topic). They are
stored under the default model's identity, so queries are embedded by the real model.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sediment_mcp.config import Config
from sediment_mcp.duplicates import text_key
from sediment_mcp.library import Library
from sediment_mcp.minilm import DIMENSION, IDENTITY
from sediment_mcp.store import Draft
from sediment_mcp.vector_search import pack

WORDS, WORDS_A_TEXT = 30_000, 30
CENTRES, SPREAD = 200, 0.04
BATCH = 1000
SEED = 20261120


def fill(directory: Path, memories: int) -> None:
    """Make a data directory with so many memories, its indexes written."""
    rng, chance = np.random.default_rng(SEED), random.Random(SEED)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(chance.choices(letters, k=chance.randint(3, 10))) for _ in range(WORDS)]
    weights = 1 / np.arange(1, WORDS + 1)
    weights /= weights.sum()
    centres = _unit(rng.normal(size=(CENTRES, DIMENSION)))
    now = datetime.now(UTC)
    library = Library(Config(directory), tends=False)
    for start in range(0, memories, BATCH):
        count = min(BATCH, memories - start)
        texts = [
            " ".join(vocabulary[word] for word in row)
            for row in rng.choice(WORDS, size=(count, WORDS_A_TEXT), p=weights)
        ]
        noise = rng.normal(size=(count, DIMENSION)) * SPREAD
        vectors = pack(_unit(centres[rng.integers(0, CENTRES, count)] + noise))
        with library.write() as store:
            model = store.embeddings.register(IDENTITY)
            chunks = [
                store.add(_draft(text, start + row, now - timedelta(days=chance.random() * 180), now))[1][0]
                for row, text in enumerate(texts)
            ]
            store.embeddings.add(model, zip(chunks, vectors, strict=True))
    library.rebuild()
    library.close()


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _draft(text: str, number: int, occurred_at: datetime, now: datetime) -> Draft:
    return Draft(
        content=text,
        text_key=text_key(text),
        spans=((0, len(text)),),
        kind="semantic",
        tags=(f"tag{number % 10}",),
        project=None,
        session=f"session {number // 20}" if number % 3 == 0 else None,
        importance=0.5,
        metadata={},
        occurred_at=occurred_at,
        created_at=now,
        expires_at=None,
    )
