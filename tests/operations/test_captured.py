"""Captured turns are shown, kept as facts, or dropped; other memories are none of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.host import Host
from support.transferring import state

from sediment_mcp.domain.captured import CAPTURED_IMPORTANCE
from sediment_mcp.errors import UnknownMemory
from sediment_mcp.operations.arguments import ListMemories
from sediment_mcp.operations.captured import (
    drop_captured,
    keep_captured,
    list_all_captured,
    list_captured,
    list_stored,
)

pytestmark = pytest.mark.over_both


def capture(host: Host, content: str, session: str = "s1") -> str:
    host.clock.advance(minutes=1)
    stored = host.store(
        content, kind="episodic", tags=["captured"], session=session, importance=CAPTURED_IMPORTANCE,
        metadata={"source": "claude-code", "role": "user"}, expires_at="2026-06-07",
    )  # fmt: skip
    memory_id: str = stored["id"]
    return memory_id


def test_captured_turns_are_listed_newest_first_and_by_session(host: Host) -> None:
    first, second = capture(host, "One."), capture(host, "Two.", "s2")
    host.store("A fact that somebody has tagged.", tags=["captured"])
    listed = list_captured(host.app, ListMemories(), None)
    assert [memory["id"] for memory in listed["memories"]] == [second, first]
    of_session = list_captured(host.app, ListMemories(session="s1"), None)
    assert [memory["id"] for memory in of_session["memories"]] == [first]
    assert list_all_captured(host.app, "s2") == [second]


def test_a_kept_turn_is_a_fact_without_an_end_and_the_turn_its_history(
    open_host: Callable[..., Host],
) -> None:
    host = open_host(project="/shop")
    turn = capture(host, "We deploy on Tuesdays.")
    (kept,) = keep_captured(host.app, [turn])
    stored = state(host)
    fact = stored[kept["id"]]
    assert (fact["kind"], fact["tags"], fact["expires_at"]) == ("semantic", set(), None)
    assert (fact["importance"], fact["project"], fact["session"]) == (0.5, "/shop", "s1")
    assert fact["occurred_at"] == stored[turn]["occurred_at"]
    assert stored[turn]["superseded_by"] == kept["id"]
    assert not list_all_captured(host.app)
    host.clock.advance(days=100)
    assert [found["id"] for found in host.query("deploy Tuesdays")["results"]] == [kept["id"]]


def test_a_turn_is_kept_in_other_words_and_of_no_project_where_it_was(open_host: Callable[..., Host]) -> None:
    host = open_host()
    turn = capture(host, "hm, so lets do tuesdays then")
    host.project = "/shop"
    (kept,) = keep_captured(host.app, [turn], content="Releases go out on Tuesdays.", tags=["release"])
    fact = state(host)[kept["id"]]
    assert (fact["content"], fact["tags"], fact["project"]) == (
        "Releases go out on Tuesdays.",
        {"release"},
        None,
    )


def test_what_a_host_is_told_unasked_is_what_somebody_has_stored(open_host: Callable[..., Host]) -> None:
    host = open_host(project="/shop")
    facts = [host.store(f"Fact {number}.")["id"] for number in range(3)]
    for number in range(130):
        capture(host, f"Turn {number}.")
    told = list_stored(host.app, ListMemories(limit=2), "/shop")
    assert [memory["id"] for memory in told["memories"]] == [facts[2], facts[1]]
    assert told["total"] == 3


def test_dropped_turns_go_to_the_trash(host: Host) -> None:
    turn, other = capture(host, "One."), capture(host, "Two.")
    assert drop_captured(host.app, [turn])["deleted"] == [turn]
    assert list_all_captured(host.app) == [other]
    assert state(host)[turn]["deleted_at"] is not None


def test_what_is_no_captured_turn_is_neither_kept_nor_dropped(host: Host) -> None:
    turn = capture(host, "One.")
    fact = host.store("A fact.")["id"]
    for act in (keep_captured, drop_captured):
        for other in (fact, "000000000000"):
            with pytest.raises(UnknownMemory, match=other):
                act(host.app, [turn, other])
    assert list_all_captured(host.app) == [turn]
    host.clock.advance(days=60)
    with pytest.raises(UnknownMemory):
        keep_captured(host.app, [turn])
