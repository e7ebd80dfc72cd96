"""What readers of snapshots share: fetching until enough is left, and which snapshots are trusted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.protocols import fetch_until, open_trusted
from sediment_mcp.storage.table_protocols import SnapshotId


def fetching(there: int, **settings: Any) -> tuple[int, list[int]]:
    """How many hits come of so many, and how many were asked for each time; the odd ones count."""
    counts: list[int] = []

    def fetch(count: int) -> list[int]:
        counts.append(count)
        return list(range(min(count, there)))

    hits = fetch_until(fetch, lambda hits: sum(hit % 2 for hit in hits) >= 10, **settings)
    return len(hits), counts


def test_what_is_enough_at_once_is_fetched_once() -> None:
    assert fetching(1000, first=20) == (20, [20])


def test_more_is_fetched_until_enough_are_left() -> None:
    assert fetching(1000, first=4) == (64, [4, 16, 64])


def test_where_there_are_no_more_it_ends() -> None:
    assert fetching(15, first=4) == (15, [4, 16])
    assert fetching(0, first=4) == (0, [4])


def test_no_more_is_fetched_than_is_enough_in_any_case() -> None:
    assert fetching(1000, first=4, max_count=4) == (4, [4])
    assert fetching(1000, first=4, max_count=13) == (13, [4, 13])


@pytest.mark.parametrize("known", [True, False])
def test_only_a_snapshot_of_this_history_is_trusted(known: bool) -> None:
    asked: list[tuple[str, SnapshotId]] = []

    def knows(index_name: str, snapshot: SnapshotId) -> bool:
        asked.append((index_name, snapshot))
        return known

    session: Any = SimpleNamespace(snapshots=SimpleNamespace(knows=knows))
    index: Any = SimpleNamespace(snapshot=SnapshotId(seq=3, token=9))
    assert open_trusted(session, "text", lambda: index) is (index if known else None)
    assert asked == [("text", SnapshotId(seq=3, token=9))]


def test_a_damaged_snapshot_is_not_trusted() -> None:
    def damaged() -> Any:
        raise DamagedSnapshot("It is damaged: it is rebuilt.")

    session: Any = SimpleNamespace()
    assert open_trusted(session, "text", damaged) is None
