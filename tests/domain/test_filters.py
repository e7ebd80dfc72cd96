"""One rule in four languages: SQL, Python, tantivy and arrays let the same memories through."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sediment_mcp.domain.filters import Filters, is_narrow, matches
from sediment_mcp.domain.memory import Memory, NewMemory
from sediment_mcp.indexes.filter_mask import AttributeColumns
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.tantivy_index import TantivyIndex, TantivyWriter
from sediment_mcp.indexes.term_arrays import TermSearch, build_arrays
from sediment_mcp.storage.sql.database import placeholders
from sediment_mcp.storage.sql.filters import live_condition
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.dialect import DIALECT
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.timestamps import EPOCH, from_micros, to_micros
from tests.support.memories import memory_of

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

# Few values, so that filters meet memories, and strange ones, so that they do not meet by mistake.
STRANGE = [
    "a",
    "A",
    "a b",
    " a",
    "#A",
    "\u0130",
    "global",
    "project a",
    "é",
    "e\u0301",
    "东京",
    "\x00",
    "%",
    "x" * 64,
    "🦔" * 16,
]
TIMES = [FIRST, EPOCH - TICK, EPOCH, EPOCH + TICK, NOW - TICK, NOW, NOW + TICK, LAST]
KINDS = ["semantic", "episodic", "procedural", "working"]

times, words = st.sampled_from(TIMES), st.sampled_from(STRANGE) | st.text(min_size=1, max_size=6)
tags = st.lists(words, max_size=4, unique=True).map(tuple)


filters = st.builds(
    Filters,
    scope=st.sampled_from(["all", "project", "global"]),
    project=st.none() | words,
    kind=st.none() | st.sampled_from(KINDS),
    session=st.none() | words | st.just("🦔" * 256),
    tags=st.lists(words, max_size=2).map(tuple),
    since=st.none() | times,
    until=st.none() | times,
    include_superseded=st.booleans(),
).filter(lambda f: f.scope != "project" or f.project is not None)
memories = st.builds(
    Memory,
    key=st.just(0), id=st.just(""), seq=st.just(0), content=st.just("kiwi"), kind=st.sampled_from(KINDS),
    tags=tags, project=st.none() | words, session=st.none() | words | st.just("🦔" * 256),
    importance=st.just(0.5), metadata=st.just({}), occurred_at=times, created_at=st.just(NOW),
    changed_at=st.just(NOW),
    expires_at=st.none() | times, superseded_by=st.none() | st.just("newer"),
    deleted_at=st.none() | st.just(NOW),
)  # fmt: skip


@contextlib.contextmanager
def stored(directory: Path, wanted: list[Memory]) -> Iterator[tuple[SqliteSession, list[Memory]]]:
    session = SqliteSession(SqliteDatabase.prepare(directory / "memories.db"))
    with contextlib.closing(session), session.database.transaction():
        there = []
        for memory in wanted:
            new, _ = session.add(to_new_memory(memory))
            new = dataclasses.replace(new, superseded_by=memory.superseded_by, deleted_at=memory.deleted_at)
            session.update(new)
            there.append(new)
        yield session, there


def to_new_memory(memory: Memory) -> NewMemory:
    return NewMemory(
        content=memory.content, content_hash=b"", spans=((0, len(memory.content)),), kind=memory.kind,
        tags=memory.tags, project=memory.project, session=memory.session, importance=memory.importance,
        metadata=memory.metadata, occurred_at=memory.occurred_at, created_at=memory.created_at,
        changed_at=memory.changed_at,
        expires_at=memory.expires_at,
    )  # fmt: skip


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    wanted=st.lists(memories, min_size=1, max_size=8),
    asked=st.lists(filters, min_size=1, max_size=8),
    data=st.data(),
)
def test_five_languages_agree(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[Memory], asked: list[Filters], data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("selection")
    one = data.draw(st.sampled_from(wanted))  # a filter that is sure to meet one of the memories
    asked.append(
        Filters(
            scope="global" if one.project is None else "project", project=one.project, kind=one.kind,
            session=one.session, tags=one.tags, since=one.occurred_at, until=one.occurred_at,
            include_superseded=True,
        )
    )  # fmt: skip
    with stored(directory, wanted) as (session, there):
        passages = [IndexedChunk(m.key, m, "kiwi") for m in there if m.deleted_at is None]
        TantivyWriter(directory).write(None, passages, (), SnapshotId(1, 1))
        snapshot, arrays = TantivyIndex(directory), TermSearch(build_arrays(passages))
        assert {m.id for m in session.get([m.id for m in there]).values()} == {m.id for m in there}
        for rule in asked:
            python = {m.key for m in there if matches(rule, m, NOW)}
            clause, values = live_condition(DIALECT, rule, NOW)
            sql = set(session.database.column(f"SELECT number FROM memories WHERE {clause}", values))
            tantivy = {hit.memory_key for hit in snapshot.search({"kiwi": 1.0}, rule, NOW, 100)}
            terms = {hit.memory_key for hit in arrays.search({"kiwi": 1.0}, rule, NOW, 100)}
            assert python == sql == tantivy == terms == by_columns(session, rule), rule
            if one.deleted_at is None and (one.expires_at is None or one.expires_at > NOW):
                assert rule is not asked[-1] or python


def test_five_languages_agree_on_every_boundary(tmp_path: Path) -> None:
    wanted = [plain(expires_at=time) for time in TIMES] + [plain(occurred_at=time) for time in TIMES]
    asked = [Filters(since=time) for time in TIMES] + [Filters(until=time) for time in TIMES] + [Filters()]
    with stored(tmp_path, wanted) as (session, there):
        passages = [IndexedChunk(m.key, m, "kiwi") for m in there]
        TantivyWriter(tmp_path).write(None, passages, (), SnapshotId(1, 1))
        for rule in asked:
            python = {m.key for m in there if matches(rule, m, NOW)}
            clause, values = live_condition(DIALECT, rule, NOW)
            assert python == set(
                session.database.column(f"SELECT number FROM memories WHERE {clause}", values)
            ), rule
            hits = TantivyIndex(tmp_path).search({"kiwi": 1.0}, rule, NOW, 100)
            assert python == {hit.memory_key for hit in hits} == by_columns(session, rule), rule
            found = TermSearch(build_arrays(passages)).search({"kiwi": 1.0}, rule, NOW, 100)
            assert python == {hit.memory_key for hit in found}, rule


def by_columns(session: SqliteSession, rule: Filters) -> set[int]:
    columns = AttributeColumns()
    columns.apply_changes(session)
    return owners(session, columns.build_mask(rule, NOW).allowed.nonzero()[0].tolist())


def owners(session: SqliteSession, chunk_ids: list[int]) -> set[int]:
    sql = f"SELECT memory FROM chunks WHERE number IN ({placeholders(chunk_ids)})"
    return set(session.database.column(sql, chunk_ids))


def plain(**more: datetime) -> Memory:
    times = {"occurred_at": NOW, "created_at": NOW, "changed_at": NOW}
    return memory_of(0, "kiwi", **times | more)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_its_way_to_microseconds_and_back(time: datetime) -> None:
    assert from_micros(to_micros(time)) == time


@given(filters)
def test_narrow_is_what_asks_for_more_than_live_and_current(rule: Filters) -> None:
    own = (rule.kind, rule.session, rule.since, rule.until)
    expected = rule.scope != "all" or bool(rule.tags) or any(value is not None for value in own)
    assert is_narrow(rule) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    wanted=st.lists(memories, min_size=1, max_size=8),
    later=st.lists(st.tuples(st.integers(0, 7), memories, st.booleans()), max_size=8),
    asked=st.lists(filters, min_size=1, max_size=6),
)
def test_columns_that_follow_the_changes_let_through_all_that_new_ones_do(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: list[Memory],
    later: list[tuple[int, Memory, bool]],
    asked: list[Filters],
) -> None:
    """And nothing more than what a tag that was taken away since lets through."""
    columns = AttributeColumns()
    with stored(tmp_path_factory.mktemp("columns"), wanted) as (session, there):
        columns.apply_changes(session)
        for place, other, is_erased in later:
            if place >= len(there):
                there.append(session.add(to_new_memory(other))[0])
            elif is_erased:
                session.erase(there.pop(place))
            else:
                there[place] = dataclasses.replace(
                    there[place], tags=other.tags, occurred_at=other.occurred_at,
                    expires_at=other.expires_at, superseded_by=other.superseded_by,
                    deleted_at=other.deleted_at,
                )  # fmt: skip
                session.update(there[place])
            columns.apply_changes(session)
        for rule in [*asked, Filters(), Filters(include_superseded=True)]:
            chunks = columns.build_mask(rule, NOW).allowed
            assert not chunks[0]
            assert not chunks[-1]
            let_through = owners(session, chunks.nonzero()[0].tolist())
            untagged = dataclasses.replace(rule, tags=())
            assert by_columns(session, rule) <= let_through <= by_columns(session, untagged)
            assert by_columns(session, rule) == {m.key for m in there if matches(rule, m, NOW)}


def test_columns_of_a_database_that_was_set_back_begin_anew(tmp_path: Path) -> None:
    columns = AttributeColumns()
    with stored(tmp_path, [plain(), plain(), plain()]) as (session, _):
        columns.apply_changes(session)
    (tmp_path / "earlier").mkdir()
    with stored(tmp_path / "earlier", [dataclasses.replace(plain(), kind="episodic")]) as (session, _):
        columns.apply_changes(session)
        assert columns.build_mask(Filters(), NOW).allowed.sum() == 1
        assert columns.build_mask(Filters(kind="episodic"), NOW).allowed.sum() == 1
