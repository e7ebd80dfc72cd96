"""Write the mean and the basis on which the default model's token vectors are projected.

    python scripts/minilm/projection.py ROOT [OUTPUT]

ROOT holds the packages of `neutral_text.py`. The shipped model computes the token vectors of its texts; of
those that would be kept (`sediment_mcp/embeddings/token_projection.py`) the mean is taken, and the principal
components of what is left (Pearson 1901), the 64 with the greatest variance. Both are written as 16-bit
floats, in one array of shape (65, 384). The same machine writes the same bytes each time; another processor
differs in last digits, as the model itself does, which is why the file is kept. A changed file has another
SHA-256: put it into `TOKEN_FILES` in `sediment_mcp/embeddings/minilm.py`; token vectors are then made anew.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from neutral_text import read_neutral_texts

from sediment_mcp.embeddings import minilm
from sediment_mcp.embeddings.token_projection import DIMENSION, find_content_pieces
from sediment_mcp.embeddings.word_pieces import WordPieces


def compute_states(texts: list[str]) -> Iterator[np.ndarray]:
    """What the shipped model computes for the tokens of each batch that are kept, (tokens, 384)."""
    vocabulary = (minilm.FOLDER / minilm.VOCABULARY).read_text(encoding="utf-8").splitlines()
    words = WordPieces(vocabulary, (minilm.FOLDER / minilm.CHARACTERS).read_bytes())
    has_content = find_content_pieces(vocabulary)
    model = minilm.MiniLM(
        minilm._create_session((minilm.FOLDER / minilm.GRAPH).read_bytes(), minilm.FOLDER),
        words,
        None,  # type: ignore[arg-type]  # it is what is being made
        has_content,
    )
    ids_of = [ids for text in texts if (ids := model._tokenize_readable(text)) is not None]
    for batch in minilm.split_into_batches([len(ids) for ids in ids_of]):
        _, states = model._run([ids_of[place] for place in batch])
        for place, of_text in zip(batch, states, strict=True):
            yield of_text[model._find_content(ids_of[place])]


def fit_projection(parts: Iterable[np.ndarray], dimension: int) -> np.ndarray:
    """Mean and principal components of all rows, (1 + dimension, width), as 16-bit floats.

    Each component is turned so that its largest value is positive.
    """
    count, total, products = 0, np.float64(0), np.float64(0)
    for part in parts:
        rows = part.astype(np.float64)
        count, total, products = count + len(rows), total + rows.sum(axis=0), products + rows.T @ rows
    mean = total / count
    variances, components = np.linalg.eigh(products / count - np.outer(mean, mean))
    basis = components.T[::-1][:dimension]
    basis = basis * np.sign(basis[np.arange(dimension), np.abs(basis).argmax(axis=1)])[:, None]
    share = variances[::-1][:dimension].sum() / variances.sum()
    print(f"{count:,} tokens; {dimension} components hold {share:.1%} of the variance")
    return np.concatenate([mean[None], basis]).astype("<f2")


if __name__ == "__main__":
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else minilm.FOLDER / minilm.PROJECTION
    buffer = io.BytesIO()
    projection = fit_projection(compute_states(read_neutral_texts(Path(sys.argv[1]))), DIMENSION)
    np.save(buffer, projection, allow_pickle=False)
    output.write_bytes(buffer.getvalue())
    print(f"{hashlib.sha256(buffer.getvalue()).hexdigest()}  {output.name}, {len(buffer.getvalue()):,} bytes")
