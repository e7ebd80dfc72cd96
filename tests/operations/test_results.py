"""Answers: a field that says nothing is absent, and what is absent can be restored."""

from __future__ import annotations

import typing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.answers import complete_memory
from support.host import Host
from support.memories import NOW, memory_of

from sediment_mcp.domain.memory import Kind, Memory
from sediment_mcp.maintenance import results as maintenance_results
from sediment_mcp.operations import results
from sediment_mcp.operations.arguments import ListMemories, QueryMemory, StoreMemory, parse_arguments
from sediment_mcp.operations.delete_memory import DeleteMemory, delete_memory
from sediment_mcp.operations.history import history
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.results import MAX_DELAY, describe_memory
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.server.tool_schemas import build_output_schema
from sediment_mcp.system.timestamps import isoformat_to_second, parse_iso

pytestmark = pytest.mark.over_both

RESULTS = [
    one
    for module in (results, maintenance_results)
    for one in vars(module).values()
    if typing.is_typeddict(one)
]
HERE, THERE = "/code/shop", "/code/other"

days = timedelta(days=300_000)
times = st.timedeltas(-days, days).map(lambda span: NOW + span)
delays = st.timedeltas(timedelta(minutes=-2), timedelta(minutes=2)) | st.timedeltas(
    timedelta(days=-900), timedelta(days=900)
)
names = st.text(min_size=1, max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just("") | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    occurred_at = draw(times)
    return memory_of(
        1,
        draw(st.text(min_size=1)),
        kind=draw(st.sampled_from(typing.get_args(Kind))),
        tags=tuple(draw(st.lists(names, max_size=3))),
        project=draw(st.sampled_from([None, HERE, THERE])),
        session=draw(st.none() | names),
        importance=draw(st.sampled_from([0, 0.0, 0.5, 1, 1.0]) | st.floats(0, 1)),
        metadata=draw(st.dictionaries(names, values, max_size=3)),
        occurred_at=occurred_at,
        created_at=occurred_at + draw(delays),
        expires_at=draw(st.none() | times),
        superseded_by=draw(st.none() | names),
    )


def closed(kind: type) -> Draft202012Validator:
    """Return a validator that refuses any field which the schema does not name."""

    def close(node: Any) -> Any:
        if isinstance(node, list):
            return [close(item) for item in node]
        if not isinstance(node, dict):
            return node
        inner = {name: close(value) for name, value in node.items()}
        return inner if "properties" not in node else {"additionalProperties": False, **inner}

    return Draft202012Validator(close(build_output_schema(kind)))


def says_nothing(name: str, value: object) -> bool:
    defaults = {"kind": "semantic", "importance": 0.5, "mode": "hybrid"}
    return value is None or value is False or value in ("", [], {}) or defaults.get(name) == value


@pytest.mark.parametrize("project", [None, HERE])
@given(memory=memories(), truncated=st.booleans())
def test_what_an_answer_leaves_out_of_a_memory_is_restored_by_the_defaults(
    project: str | None, memory: Memory, truncated: bool
) -> None:
    shown = describe_memory(memory, memory.content, project, truncated=truncated)
    closed(results.MemoryResult).validate(shown)
    assert not [name for name, value in shown.items() if says_nothing(name, value)]
    whole = complete_memory(shown, project)
    stored_at = parse_iso(whole.pop("created_at"))
    assert abs(stored_at - memory.created_at) <= MAX_DELAY + timedelta(seconds=1)
    assert whole == {
        "id": memory.id,
        "content": memory.content,
        "truncated": truncated,
        "kind": memory.kind,
        "tags": list(memory.tags),
        "scope": "global" if memory.project is None else "project",
        "project": memory.project,
        "session": memory.session,
        "importance": memory.importance,
        "metadata": memory.metadata,
        "occurred_at": isoformat_to_second(memory.occurred_at),
        "expires_at": isoformat_to_second(memory.expires_at),
        "superseded_by": memory.superseded_by,
    }


@given(memory=memories())
def test_one_s_own_project_is_a_scope_and_another_s_a_name(memory: Memory) -> None:
    shown = describe_memory(memory, "x", HERE)
    told = {name: value for name, value in shown.items() if name in ("scope", "project")}
    assert told == {None: {}, HERE: {"scope": "project"}, THERE: {"project": THERE}}[memory.project]


@given(memory=memories())
def test_when_a_memory_was_stored_is_told_where_it_is_another_time_than_it_tells_of(memory: Memory) -> None:
    is_told = "created_at" in describe_memory(memory, "x", None)
    assert is_told == (abs(memory.created_at - memory.occurred_at) > timedelta(minutes=1))


def test_the_least_that_can_be_said_of_a_memory() -> None:
    assert describe_memory(memory_of(1, "x"), "x", None) == {
        "id": "id1", "content": "x", "occurred_at": "2026-05-08T00:00:00Z",
    }  # fmt: skip


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.__name__)
def test_no_field_of_any_result_is_ever_null(result: type) -> None:
    hints = typing.get_type_hints(result)
    assert not [name for name, kind in hints.items() if type(None) in typing.get_args(kind)]


# --- whole answers ------------------------------------------------------------------------------


def test_answers_conform_to_their_schemas_and_hold_nothing_that_says_nothing(host: Host) -> None:
    host.project = HERE
    first = store_memory(host.app, parse_arguments(StoreMemory, {"content": "The port is 8080"}), HERE)
    second = store_memory(
        host.app,
        parse_arguments(
            StoreMemory, {"content": "The port is 9090", "replaces": [first["id"]], "tags": "net"}
        ),
        HERE,
    )
    asked = {"query": "port", "include_superseded": True}
    found = query_memory(host.app, parse_arguments(QueryMemory, asked), HERE)
    explained = query_memory(host.app, parse_arguments(QueryMemory, {**asked, "explain": True}), THERE)
    page = list_memories(
        host.app, parse_arguments(ListMemories, {"limit": 1, "include_superseded": True}), None
    )
    by_id = list_memories(host.app, parse_arguments(ListMemories, {"ids": [second["id"], "nosuch"]}), HERE)
    told = history(host.app, first["id"], HERE)
    gone = delete_memory(host.app, parse_arguments(DeleteMemory, {"ids": [second["id"], "nosuch"]}))
    again = delete_memory(host.app, parse_arguments(DeleteMemory, {"ids": [second["id"]]}))
    empty = list_memories(host.app, parse_arguments(ListMemories, {"tags": "none"}), HERE)

    assert first == {"id": first["id"], "status": "stored"}
    assert again == {"deleted": [], "not_found": [second["id"]]}
    assert empty == {"memories": [], "total": 0}
    assert set(page) == {"memories", "total", "next_cursor"}
    assert set(by_id) == {"memories", "total", "not_found"}
    assert [set(one) & {"signals", "scope", "project"} for one in found["results"]] == [{"scope"}] * 2
    assert [set(one) & {"signals", "scope", "project"} for one in explained["results"]] == [
        {"signals", "project"}
    ] * 2
    for kind, answer in (
        (results.StoreResult, first), (results.StoreResult, second), (results.QueryResult, found),
        (results.QueryResult, explained), (results.ListResult, page), (results.ListResult, by_id),
        (results.ListResult, empty), (results.HistoryResult, told), (results.DeleteResult, gone),
        (results.DeleteResult, again),
    ):  # fmt: skip
        closed(kind).validate(answer)
        required = build_output_schema(kind)["required"]
        assert not [
            name for name, value in answer.items() if name not in required and says_nothing(name, value)
        ]


def test_a_model_that_takes_part_is_not_mentioned_and_one_that_does_not_is(host: Host) -> None:
    query = parse_arguments(QueryMemory, {"query": "port"})
    assert query_memory(host.app, query, None) == {"results": []}
    host.model = None
    host.reopen()
    assert query_memory(host.app, query, None)["mode"] == "lexical"


# --- times as they are shown --------------------------------------------------------------------

FRACTIONS = (0, 1, 123_456, 500_000, 999_999)  # microseconds


def test_a_shown_time_as_a_bound_includes_its_memory(host: Host) -> None:
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for micros in FRACTIONS:
        host.store(f"note {micros}", occurred_at=start.replace(microsecond=micros).isoformat())
    host.store("a second later", occurred_at=(start + timedelta(seconds=1)).isoformat())
    for memory in host.list()["memories"]:
        shown = memory["occurred_at"]
        for found in (
            host.list(since=shown, until=shown)["memories"],
            host.query(memory["content"], since=shown, until=shown, limit=100)["results"],
        ):
            assert memory["id"] in [one["id"] for one in found]
            assert {one["occurred_at"] for one in found} == {shown}


def test_pages_part_memories_of_one_second(host: Host) -> None:
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for micros in FRACTIONS:
        host.store(f"note {micros}", occurred_at=start.replace(microsecond=micros).isoformat())
    read, cursor = [], None
    for _ in FRACTIONS:
        page = host.list(limit=1, cursor=cursor)
        read += [memory["content"] for memory in page["memories"]]
        cursor = page.get("next_cursor")
    assert read == [f"note {micros}" for micros in reversed(FRACTIONS)]
    assert cursor is None


def test_an_event_stored_again_with_its_shown_time_is_the_same(host: Host) -> None:
    exact = "2026-01-02T03:04:05.678901Z"
    first = host.store("the server fell", kind="episodic", occurred_at=exact)
    (shown,) = host.list()["memories"]
    again = host.store("the server fell", kind="episodic", occurred_at=shown["occurred_at"])
    assert (again["id"], again["status"]) == (first["id"], "duplicate")
    same = host.store(
        "the server fell", kind="episodic", occurred_at=shown["occurred_at"], replaces=[first["id"]]
    )
    assert (same["id"], same["status"]) == (first["id"], "duplicate")
    other = host.store("the server fell", kind="episodic", occurred_at="2026-01-02T03:04:05.1Z")
    assert other["status"] == "stored"
