"""The memtable of vectors: exact search by meaning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sediment_mcp.indexes.filter_mask import FilterMask
from sediment_mcp.indexes.vector_memtable import VectorMemtable


def unit_rows(seed: int, count: int, dimension: int = 16) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.integers(0, 40), max_size=5),
    forgotten=st.sets(st.integers(1, 120), max_size=60),
    put_again=st.sets(st.integers(1, 120), max_size=20),
    limit=st.integers(1, 60),
    admitted=st.none() | st.sets(st.integers(1, 130), max_size=30),
    seed=st.integers(0, 2**16),
)
def test_vector_search_is_exact(
    batches: list[int],
    forgotten: set[int],
    put_again: set[int],
    limit: int,
    admitted: set[int] | None,
    seed: int,
) -> None:
    memtable, expected, number = VectorMemtable(16), dict[int, NDArray[np.float32]](), 1
    for step, size in enumerate(batches):
        rows = unit_rows(seed + step, size)
        chunks = list(range(number, number + size))
        memtable.put(chunks, rows)
        expected |= dict(zip(chunks, rows, strict=True))
        number += size
        if step == 1:
            memtable.drop(sorted(forgotten))
            expected = {c: row for c, row in expected.items() if c not in forgotten}
    again = sorted(put_again)
    rows = unit_rows(seed + 99, len(again))
    memtable.put(again, rows)
    expected |= dict(zip(again, rows, strict=True))
    asked = unit_rows(seed + 7, 1)[0]
    mask = None
    if admitted is not None:
        allowed = np.zeros(max(admitted, default=0) + 2, np.bool_)
        allowed[sorted(admitted)] = True
        mask = FilterMask(allowed)
    hits = memtable.search(asked, limit, mask)
    cosines = {c: float(row @ asked) for c, row in expected.items() if admitted is None or c in admitted}
    best = sorted(cosines.values(), reverse=True)[:limit]
    assert [hit.cosine for hit in hits] == pytest.approx(best, abs=1e-5)
    assert {hit.chunk_id: hit.cosine for hit in hits} == pytest.approx(
        {hit.chunk_id: cosines[hit.chunk_id] for hit in hits}, abs=1e-5
    )
    assert len(memtable) == len(expected)
    held, matrix = memtable.vectors(range(1, 250))
    assert held == sorted(expected)
    assert all(np.array_equal(row, expected[chunk]) for chunk, row in zip(held, matrix, strict=True))
