"""Pairs that both may stay are kept, the newest of too many, and come along wherever the memories go."""

from __future__ import annotations

import pytest
from support.host import Host

from sediment_mcp.operations.kept_pairs import keep_pair, list_kept_pairs
from sediment_mcp.storage.sql import kept_pairs

pytestmark = pytest.mark.over_both


def test_a_pair_is_kept_once_whatever_its_order(host: Host) -> None:
    keep_pair(host.app, "b", "a")
    keep_pair(host.app, "a", "b")
    assert list_kept_pairs(host.app) == {("a", "b")}


def test_the_oldest_of_too_many_pairs_are_dropped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pairs, "MAX_KEPT_PAIRS", 2)
    for name in "xyz":
        keep_pair(host.app, "a", name)
        host.clock.advance(seconds=1)
    keep_pair(host.app, "a", "y")
    keep_pair(host.app, "a", "w")
    assert list_kept_pairs(host.app) == {("a", "y"), ("a", "w")}
