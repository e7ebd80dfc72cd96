"""From what both legs found to candidates: the best passage of each memory, its words and its context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .memory import Candidate, Chunk, Memory
from .text_search import Terms
from .words import occurrences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class Found:
    """What is known of one memory while both legs' answers come together."""

    memory: Memory
    chunks: dict[int, Chunk] = field(default_factory=dict[int, Chunk])


def candidates(
    found: Mapping[int, Found],
    *,
    vector: NDArray[np.float32] | None,
    terms: Terms,
    lexical: Mapping[int, float],
    rows: Mapping[int, NDArray[np.float32]],
    neighbours: Mapping[int, tuple[tuple[int, ...], ...]],
) -> list[Candidate]:
    """One candidate a memory.

    ``vector`` is the question's; by chunk, ``lexical`` is the index's score and ``rows`` the embedding, each
    where there is one; ``neighbours`` are the memories' numbers.
    """
    if not found:
        return []
    from . import context

    entries = list(found.values())
    cosines = _cosines(rows, vector)
    best = [_best_passage(entry, cosines, lexical, terms) for entry in entries]
    place = {number: row for row, number in enumerate(found)}
    beside = [
        [
            [place[number] for number in side if number in place]
            for side in neighbours.get(e.memory.number, ())
        ]
        for e in entries
    ]
    own_words, all_words, coverage = _by_words(entries, best, terms, beside)
    around = context.with_neighbours(_matrix(best, rows), beside) if rows and vector is not None else None
    nearness = context.cosines(around, vector) if around is not None and vector is not None else None
    return [
        Candidate(
            memory=entry.memory,
            cosine=cosines.get(chunk.number),
            bm25=own_words[row],
            coverage=coverage[row],
            context_cosine=float(nearness[row]) if nearness is not None and chunk.number in cosines else None,
            context_bm25=all_words[row],
            passage=(chunk.start, chunk.end),
            neighbours=neighbours.get(entry.memory.number, ()),
        )
        for row, (entry, chunk) in enumerate(zip(entries, best, strict=True))
    ]


def _cosines(rows: Mapping[int, NDArray[np.float32]], vector: NDArray[np.float32] | None) -> dict[int, float]:
    import numpy as np

    if not rows or vector is None:
        return {}
    return dict(zip(rows, (np.stack(list(rows.values())) @ vector).tolist(), strict=True))


def _best_passage(
    entry: Found, cosines: Mapping[int, float], lexical: Mapping[int, float], terms: Terms
) -> Chunk:
    """The passage with the highest sum of cosine and share of the question's words; the first of equals."""
    if len(entry.chunks) == 1:
        return next(iter(entry.chunks.values()))
    total = terms.total_idf or 1.0

    def fit(chunk: Chunk) -> tuple[float, int]:
        return cosines.get(chunk.number, 0.0) + min(
            1.0, lexical.get(chunk.number, 0.0) / total
        ), -chunk.number

    return max(entry.chunks.values(), key=fit)


def _by_words(
    entries: Sequence[Found], best: Sequence[Chunk], terms: Terms, beside: Sequence[Sequence[Sequence[int]]]
) -> tuple[list[float], list[float], list[float]]:
    """(BM25 of the best passages, BM25 of these with their neighbours, coverage)."""
    import numpy as np

    from . import context

    wanted = {term: column for column, term in enumerate(terms.idf)}
    idf = np.array(list(terms.idf.values()), np.float32)
    counts = np.zeros((len(entries), len(wanted)), np.float32)
    lengths = np.zeros((len(entries), 1), np.float32)
    passages = [e.memory.content[chunk.start : chunk.end] for e, chunk in zip(entries, best, strict=True)]
    for row, (held, lengths[row, 0]) in enumerate(occurrences(passages, wanted)):
        for term, count in held.items():
            counts[row, wanted[term]] = count
    together = context.with_neighbours(np.hstack([counts, lengths]), beside)
    around, extent = together[:, :-1], together[:, -1]
    return (
        context.bm25(counts, lengths[:, 0], terms.mean_length, idf).tolist(),
        context.bm25(around, extent, float(extent.mean()), idf).tolist(),
        (((counts > 0) * idf).sum(axis=1) / max(float(idf.sum()), 1e-9)).tolist(),
    )


def _matrix(best: Sequence[Chunk], rows: Mapping[int, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The best passages' embeddings of shape (n, dimension), zeros where there is none."""
    import numpy as np

    nothing = np.zeros_like(next(iter(rows.values())))
    return np.stack([rows.get(chunk.number, nothing) for chunk in best])
