"""What has become of a memory: one state, by the same rule in Python and in the statistics' SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sediment_mcp.domain.memory import State, find_state

NOW = datetime(2026, 5, 8, 14, 30, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("is_deleted", "is_superseded", "expires_at", "state"),
    [
        (False, False, None, "live"),
        (False, False, NOW + MOMENT, "live"),
        (False, False, NOW, "expired"),
        (False, True, None, "superseded"),
        (False, True, NOW, "expired"),
        (True, True, NOW, "deleted"),
        (True, False, None, "deleted"),
    ],
)
def test_a_memory_has_one_state(
    is_deleted: bool, is_superseded: bool, expires_at: datetime | None, state: State
) -> None:
    found = find_state(is_deleted=is_deleted, is_superseded=is_superseded, expires_at=expires_at, now=NOW)
    assert found == state
