"""A store is moved to the other engine and back: whole, compared, and again after a kill at any point."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.backends import POSTGRES, SQLITE, use_backend
from support.embedding_double import EmbeddingDouble
from support.host import Clock, Host
from support.transferring import export

from sediment_mcp.domain.retention import ClockReadings, Rule
from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.transfer import move
from sediment_mcp.transfer.move import move_store

pytestmark = pytest.mark.postgres

NEW = itertools.count()


class Killed(BaseException):
    """The end of a process, as far as it can be staged within one."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


@contextmanager
def host_over(engine: str, folder: Path, clock: Clock, name: str = "double") -> Iterator[Host]:
    """An empty store over an engine."""
    with use_backend(engine):
        host = Host(folder / f"store{next(NEW)}", clock, EmbeddingDouble(name))
        try:
            yield host
        finally:
            host.app.close()


def fill(host: Host) -> None:
    """Store a bit of everything."""
    old = host.store("the port is 5432", tags=["db", "Ünï"], metadata={"a": [1, None]})["id"]
    host.clock.advance(minutes=1)
    host.store("the port is 5433", replaces=[old], importance=0.9, session="s")
    host.store("we met on Monday", kind="episodic", occurred_at="2026-01-05T10:00:00+02:00")
    host.store("remember the milk\x00\x1a", kind="working")
    host.delete(host.store("a mistake")["id"])
    back = host.store("no mistake")["id"]
    host.delete(back)
    host.clock.advance(minutes=1)
    restore_memories(host.app, [back])
    host.store("gone for good")
    host.delete(host.store("erased")["id"], permanent=True)
    host.store("long " * 2000)
    with host.app.storage.write() as session:
        session.retention.set_rule(Rule("tag", "db", None, 7))
        session.retention.set_readings(ClockReadings(host.clock(), None))
    host.run_jobs()


def read_rest(host: Host) -> Any:
    with host.app.storage.read() as session:
        tables = (session.embeddings, session.token_vectors)
        counts = [[one.count for one in table.models()] for table in tables]
        return session.erased_ids(), session.retention.readings(), counts


@pytest.mark.parametrize("engines", [(SQLITE, POSTGRES), (POSTGRES, SQLITE), (POSTGRES, POSTGRES)])
def test_everything_arrives_and_the_source_is_as_it_was(engines: tuple[str, str], folder: Path) -> None:
    clock = Clock()
    with host_over(engines[0], folder, clock) as source, host_over(engines[1], folder, clock) as target:
        fill(source)
        before = export(source, embeddings=True)
        contents = move_store(source.app.storage, target.app.storage)
        assert export(source, embeddings=True) == export(target, embeddings=True) == before
        assert b'"vectors"' in before
        assert read_rest(target) == read_rest(source)
        assert (contents.rules, contents.erased) == (1, 1)
        assert target.found_by_words("milk") == source.found_by_words("milk") != set()
        assert target.found_by_meaning("the port is 5433") == source.found_by_meaning("the port is 5433")
        assert move_store(source.app.storage, target.app.storage) == contents


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
steps = st.one_of(
    st.tuples(st.just("store"), texts, st.lists(st.sampled_from(["a", "B", "ß"]), max_size=2)),
    st.tuples(st.just("replace"), texts, st.integers(0, 5)),
    st.tuples(st.just("delete"), st.booleans(), st.integers(0, 5)),
    st.tuples(st.just("restore"), st.none(), st.integers(0, 5)),
    st.tuples(st.just("embed"), st.none(), st.none()),
    st.tuples(st.just("rule"), st.sampled_from(["a", "b"]), st.integers(1, 3)),
)


def apply(host: Host, step: tuple[str, Any, Any]) -> None:
    """Do one thing to a store, with a memory that it may or may not have."""
    deed, what, more = step
    with host.app.storage.read() as session:
        known = [one.id for one in session.bulk.memories(move.ALL_MEMORIES, include_deleted=True)]
    host.clock.advance(seconds=1)
    try:
        if deed == "store":
            host.store(what, tags=more)
        elif deed == "replace" and known:
            host.store(what, replaces=[known[more % len(known)]])
        elif deed == "delete" and known:
            host.delete(known[more % len(known)], permanent=what)
        elif deed == "restore" and known:
            restore_memories(host.app, [known[more % len(known)]])
        elif deed == "embed":
            host.run_jobs()
        elif deed == "rule":
            with host.app.storage.write() as session:
                session.retention.set_rule(Rule("tag", what, None, more))
    except BadArgument:
        pass


def killing(at: int) -> Callable[[int, int], None]:
    """A progress that ends the move at its n-th report."""
    left = itertools.count(at, -1)

    def progress(done: int, total: int) -> None:
        if next(left) <= 0:
            raise Killed

    return progress


@settings(max_examples=25, deadline=None)
@given(
    st.lists(steps, min_size=1, max_size=12),
    st.lists(st.integers(0, 6), max_size=3),
    st.lists(steps, max_size=3),
)
def test_there_and_back_gives_the_same_export_whatever_was_killed_and_changed_on_the_way(
    folder: Path, first: list[Any], kills: list[int], then: list[Any]
) -> None:
    clock, patch = Clock(), pytest.MonkeyPatch()
    patch.setattr(move, "COPIED_AT_ONCE", 2)
    try:
        with (
            host_over(SQLITE, folder, clock) as source,
            host_over(POSTGRES, folder, clock) as there,
            host_over(SQLITE, folder, clock) as back,
        ):
            for step in first:
                apply(source, step)
            for one, other in ((source, there), (there, back)):
                for at in kills:
                    with suppress(Killed):
                        move_store(one.app.storage, other.app.storage, copying=killing(at))
                    if one is source and then:
                        apply(source, then.pop())
                move_store(one.app.storage, other.app.storage)
            expected = export(source, embeddings=True)
            assert export(there, embeddings=True) == expected
            assert export(back, embeddings=True) == expected
            assert read_rest(back)[:2] == read_rest(source)[:2]
    finally:
        patch.undo()


def test_a_place_with_memories_of_its_own_is_left_alone(folder: Path) -> None:
    clock = Clock()
    with host_over(SQLITE, folder, clock) as source, host_over(POSTGRES, folder, clock) as target:
        fill(source)
        target.store("mine")
        before = export(target)
        with pytest.raises(BadArgument, match="holds 1 memory of its own: name an empty one"):
            move_store(source.app.storage, target.app.storage)
        assert export(target) == before


def test_a_copy_that_is_another_one_is_not_called_done(folder: Path) -> None:
    clock = Clock()
    with host_over(SQLITE, folder, clock) as source, host_over(POSTGRES, folder, clock) as target:
        fill(source)

        def meddle(done: int, total: int) -> None:
            if done == total:
                with target.app.storage.write() as there:
                    memory = next(iter(there.bulk.memories(move.ALL_MEMORIES, include_deleted=True)))
                    there.update(replace(memory, importance=0.123))

        with pytest.raises(
            StorageError, match="differs from the source in what its memories say, which is as"
        ):
            move_store(source.app.storage, target.app.storage, copying=meddle)
        move_store(source.app.storage, target.app.storage)
        assert export(target) == export(source)


def test_what_is_stored_meanwhile_comes_along_and_a_source_that_never_rests_is_told(folder: Path) -> None:
    clock = Clock()
    with host_over(SQLITE, folder, clock) as source, host_over(POSTGRES, folder, clock) as target:
        fill(source)
        left = [2]

        def write(done: int, total: int) -> None:
            if done == total and left[0]:
                left[0] -= 1
                source.store(f"meanwhile {left[0]}")

        move_store(source.app.storage, target.app.storage, checking=write)
        assert export(target) == export(source)
        left[0] = 1000
        with pytest.raises(StorageError, match="Others keep writing"):
            move_store(source.app.storage, target.app.storage, checking=write)
