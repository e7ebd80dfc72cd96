"""What every backend promises: the contract of `storage.protocols`, on each of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.embedding_double import EmbeddingDouble
from support.storage import NOW, add, new_memory, open_storage

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import Rule
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.embeddings.codec import decode_vectors, encode_vectors
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.timestamps import to_micros

MODEL = EmbeddingDouble()


pytestmark = [pytest.mark.over_both, pytest.mark.over_encrypted]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[MemoryStorage]:
    """Yield an empty store."""
    with open_storage(tmp_path / "data") as opened:
        yield opened


def get(storage: MemoryStorage, memory: Memory) -> Memory | None:
    with storage.read() as session:
        return session.get([memory.id]).get(memory.id)


def seq(storage: MemoryStorage) -> int:
    with storage.read() as session:
        return session.changes.seq()


def embed(storage: MemoryStorage, model: EmbeddingDouble, chunk_ids: list[int]) -> int:
    """Add embeddings of chunks; returns the model's key."""
    vectors = encode_vectors(model.embed_documents([f"{chunk_id}" for chunk_id in chunk_ids]).vectors)
    with storage.write() as session:
        model_key = session.embeddings.register(model.identity)
        session.embeddings.add(model_key, zip(chunk_ids, vectors, strict=True))
    return model_key


# --- transactions -------------------------------------------------------------------------------


def test_a_store_reads_what_was_written(storage: MemoryStorage) -> None:
    memory = add(storage, "kiwi", tags=("a", "b"), metadata={"n": [1, None]}, project="p", session="s")
    assert get(storage, memory) == memory
    assert (memory.tags, memory.metadata, memory.seq) == (("a", "b"), {"n": [1, None]}, 1)


def test_a_failed_write_leaves_nothing(storage: MemoryStorage) -> None:
    def write_half() -> None:
        with storage.write() as session:
            session.add(new_memory(tags=("a",)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    with storage.read() as session:
        assert session.changes.count_memories() == session.changes.seq() == 0
        assert session.statistics.tags(NOW) == {}
        assert list(session.changes.chunk_owners_after(0)) == []
    assert add(storage).seq == 1


def test_a_read_sees_one_moment(storage: MemoryStorage) -> None:
    add(storage)
    with storage.read() as session:
        assert session.changes.seq() == 1
        add(storage, "second")
        assert (session.changes.seq(), session.changes.count_memories()) == (1, 1)
    with storage.read() as session:
        assert (session.changes.seq(), session.changes.count_memories()) == (2, 2)


def test_a_connection_sees_the_newest_commit(storage: MemoryStorage) -> None:
    add(storage)
    with storage.connect() as session:
        assert session.changes.seq() == 1
        add(storage, "second")
        assert session.changes.seq() == 2


def test_a_held_reader_waits_for_no_other_read(storage: MemoryStorage) -> None:
    add(storage)
    reader = storage.reader()
    with storage.read() as one, reader.session() as other:
        assert one.changes.seq() == other.changes.seq() == 1
    reader.close()


def test_a_read_waits_for_no_other_read_of_the_same_process(storage: MemoryStorage) -> None:
    add(storage)
    with storage.read() as one:
        assert one.changes.seq() == 1
        add(storage, "second")
        with storage.read() as other:
            assert (one.changes.seq(), other.changes.seq()) == (1, 2)


def test_writers_take_turns(storage: MemoryStorage) -> None:
    def write(name: str) -> None:
        for number in range(20):
            add(storage, f"{name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with storage.read() as session:
        assert session.changes.count_memories() == session.changes.seq() == 60
        assert [memory.seq for memory in session.changes.memories_since(0)] == list(range(1, 61))


def test_a_write_inside_a_write_is_an_error_and_waits_for_nothing(storage: MemoryStorage) -> None:
    with storage.write() as session:
        session.add(new_memory("kept"))
        with pytest.raises(RuntimeError, match="wait for itself"), storage.write():
            pass
    with storage.read() as session:
        assert session.changes.count_memories() == 1


def test_a_closed_store_is_not_opened_again(storage: MemoryStorage) -> None:
    add(storage)
    storage.close()
    with pytest.raises(StorageError, match="is ending"), storage.read():
        pass
    with pytest.raises(StorageError, match="is ending"), storage.write():
        pass


# --- changes ------------------------------------------------------------------------------------


def test_every_change_moves_the_sequence(storage: MemoryStorage) -> None:
    memory = add(storage)
    assert memory.seq == seq(storage) == 1
    for number, changed in enumerate(
        [{"tags": ("a",)}, {"deleted_at": NOW}, {"deleted_at": None}, {"superseded_by": "x"}], start=2
    ):
        memory = dataclasses.replace(memory, **changed)
        with storage.write() as session:
            session.update(memory)
        assert get(storage, memory) == dataclasses.replace(memory, seq=number)
        with storage.read() as session:
            assert [m.seq for m in session.changes.memories_since(number - 1)] == [number]
            assert list(session.changes.memories_since(number)) == []


def test_a_change_counts_as_later_than_any_before_whatever_the_clock_says(storage: MemoryStorage) -> None:
    memory = add(storage, changed_at=NOW)
    with storage.write() as session:
        session.update(memory, NOW - timedelta(days=1))
    changed = get(storage, memory)
    assert changed is not None
    assert changed.changed_at == NOW + timedelta(microseconds=1)


def test_an_erased_memory_leaves_only_the_ids_of_its_chunks(storage: MemoryStorage) -> None:
    memory = add(storage, "kiwi plum", spans=((0, 4), (5, 9)), tags=("a",), session="s")
    other = add(storage, "fig")
    with storage.write() as session:
        chunk_ids = [chunk.id for chunk in session.chunks_of([memory.key])]
        model_key = session.embeddings.register(MODEL.identity)
        session.embeddings.add(model_key, [(chunk_id, b"\0\0") for chunk_id in chunk_ids])
        session.erase(memory)
    with storage.read() as session:
        changes = session.changes
        assert changes.erased_since(changes.seq() - 1) == [(c, memory.key) for c in chunk_ids]
        assert changes.erased_since(changes.seq()) == []
        assert (changes.has_erased_since(0), changes.has_erased_since(changes.seq())) == (True, False)
        assert session.get([memory.id]) == {}
        assert session.statistics.tags(NOW) == {}
        assert session.embeddings.get(model_key, chunk_ids) == {}
        assert [c.memory_key for c in session.chunks_of([memory.key, other.key])] == [other.key]
        assert session.erased_ids() == {memory.id}
    again = add(storage, "kiwi plum")
    assert again.key > other.key
    with storage.read() as session:
        assert session.chunks_of([again.key])[0].id > max(chunk_ids), "indexes know chunks by id"


def test_the_history_of_an_erased_memory_passes_to_its_successor(storage: MemoryStorage) -> None:
    oldest, middle = add(storage, "1", id="first"), add(storage, "2", id="second")
    newest = add(storage, "3", id="third")
    with storage.write() as session:
        session.update(dataclasses.replace(oldest, superseded_by=middle.id))
        session.update(dataclasses.replace(middle, superseded_by=newest.id))
        session.erase(dataclasses.replace(middle, superseded_by=newest.id))
    with storage.read() as session:
        assert [memory.id for memory in session.versions(oldest.id)] == ["first", "third"]
        assert session.bulk.successors() == {"first": "third"}


def test_changed_chunks_are_counted_up_to_a_limit(storage: MemoryStorage) -> None:
    add(storage, "abc", spans=((0, 1), (1, 2), (2, 3)))
    add(storage, "def")
    with storage.read() as session:
        assert [session.changes.count_chunks_since(0, limit) for limit in (1, 4, 9)] == [1, 4, 4]
        assert session.changes.count_chunks_since(1, 9) == 1
        assert session.changes.count_chunks_since(2, 9) == 0
        assert [session.changes.count_chunks_until(number) for number in (0, 1, 2)] == [0, 3, 4]


def test_more_ids_than_a_statement_can_bind_are_no_problem(storage: MemoryStorage) -> None:
    with storage.write() as session:
        keys = [session.add(new_memory(f"{n}")).memory.key for n in range(1200)]
    with storage.read() as session:
        assert len(session.chunks_of(keys)) == 1200
        assert len(session.get_by_keys(keys, Filters(), NOW)) == 1200
        assert len(session.resolve_chunks(list(range(1, 1300)), Filters(), NOW)) == 1200
        assert len(session.find_chunks(list(range(1, 1300)), Filters(), NOW)) == 1200
        assert len(session.find_chunks_of(keys, Filters(), NOW)) == 1200


# --- text ---------------------------------------------------------------------------------------

ODD = st.sampled_from(
    ["\x00", "\x1a", "0", "1", "\x7f", "\u0130", "\ufeff", "\uffff", "\U0001f994", "%", "_", "\\", "'"]
)
TEXT = st.text(ODD | st.characters(exclude_categories=["Cs"]), max_size=12)


@given(content=TEXT, other=TEXT, cut=st.integers(0, 12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_comes_back_as_it_was_stored(
    storage: MemoryStorage, content: str, other: str, cut: int
) -> None:
    """Also NUL, which PostgreSQL cannot hold, and what lies beside it; half characters come to no store."""
    cut = min(cut, len(content))
    memory = add(
        storage, content, spans=((0, cut), (cut, len(content))), project=other, session=other,
        tags=(other, "plain"), metadata={other: content},
    )  # fmt: skip
    assert get(storage, memory) == memory
    with storage.read() as session:
        found = session.find_chunks_of([memory.key], Filters(), NOW)
        assert [chunk.text for chunk in found] == [content[:cut], content[cut:]]
        for filters in (
            Filters(scope="project", project=other), Filters(session=other), Filters(tags=(other,)),
        ):  # fmt: skip
            assert memory in session.get_by_keys([memory.key], filters, NOW)
        assert other in session.statistics.projects(NOW)
        assert other in session.statistics.sessions()
        assert any(fold_tag(tag) == fold_tag(other) for tag in session.statistics.tags(NOW))


# --- reading ------------------------------------------------------------------------------------


def test_chunks_are_found_with_what_ranking_needs_if_their_memory_passes_the_filters(
    storage: MemoryStorage,
) -> None:
    memory = add(storage, "kiwi plum", spans=((0, 4), (5, 9)), project="p", importance=0.7)
    add(storage, "fig", expires_at=NOW)
    other = add(storage, "plum", kind="episodic", session="s")
    with storage.read() as session:
        found = session.find_chunks_of([memory.key], Filters(project="p", scope="project"), NOW)
        assert [(chunk.text, chunk.content) for chunk in found] == [
            ("kiwi", memory.content),
            ("plum", memory.content),
        ]
        assert [chunk[-3:] for chunk in found] == [(to_micros(memory.occurred_at), 0.7, "p")] * 2
        ids = [chunk.id for chunk in session.chunks_of(list(range(1, 9)))]
        assert len(ids) == 4
        assert session.find_chunks(ids, Filters(project="p", scope="project"), NOW) == found
        (last,) = session.find_chunks(ids[::-1], Filters(kind="episodic"), NOW)
        assert (last.memory_key, last.project) == (other.key, None)
        assert session.find_chunks([], Filters(), NOW) == session.find_chunks_of([], Filters(), NOW) == []


def test_pages_follow_time_then_key(storage: MemoryStorage) -> None:
    days = [2, 1, 2, 0, 2]
    ids = [add(storage, f"{n}", occurred_at=NOW + timedelta(days=day)).id for n, day in enumerate(days)]
    with storage.read() as session:
        newest = [m.id for m in session.page(Filters(), NOW, "newest", 10)]
        assert newest == [ids[4], ids[2], ids[0], ids[1], ids[3]]
        assert [m.id for m in session.page(Filters(), NOW, "oldest", None)] == newest[::-1]


def test_neighbours_are_those_around_a_memory_in_its_session(storage: MemoryStorage) -> None:
    def at(minute: int, session: str | None = "s", **more: Any) -> Memory:
        return add(storage, f"{minute}{session}{more}", occurred_at=NOW + timedelta(minutes=minute),
                   session=session, **more)  # fmt: skip

    five, one, three = at(5), at(1), at(3)
    at(2, "other")
    at(3, None)
    at(4, project="elsewhere")
    gone, seven = at(4), at(7)
    with storage.write() as session:
        session.update(dataclasses.replace(gone, deleted_at=NOW))
    with storage.read() as session:
        assert session.session_neighbours([three.key, one.key], 2) == {
            three.key: [one.key, three.key, five.key, seven.key],
            one.key: [one.key, three.key, five.key],
        }
        assert session.session_neighbours([five.key], 1) == {five.key: [three.key, five.key, seven.key]}


def test_the_same_text_is_found_in_its_kind_and_project_alone(storage: MemoryStorage) -> None:
    ids = [add(storage, project=project).id for project in (None, "p", None)]
    add(storage, kind="episodic")
    with storage.read() as session:
        found = session.find_by_content_hash(b"kiwi", "semantic", None, NOW)
        assert [memory.id for memory in found] == [ids[0], ids[2]]
        assert session.bulk.repeated_ids(NOW) == [[ids[0], ids[2]]]


def test_counts_are_of_live_memories(storage: MemoryStorage) -> None:
    may, june = NOW, NOW + timedelta(days=30)
    first = add(storage, "1", tags=("Tea", "100%"), created_at=may, session="Spring")
    add(storage, "2", tags=("tea",), created_at=june, project="p", session="summer")
    add(storage, "3", expires_at=NOW - timedelta(days=1), tags=("old",))
    with storage.write() as session:
        session.update(
            dataclasses.replace(add_deleted := session.add(new_memory("4")).memory, deleted_at=NOW)
        )
    assert add_deleted.key > first.key
    with storage.read() as session:
        counts = session.statistics
        assert counts.states(NOW) == {"live": 2, "superseded": 0, "expired": 1, "deleted": 1}
        assert counts.kinds(NOW) == {"semantic": 2}
        assert counts.projects(NOW) == {"": 1, "p": 1}
        assert counts.months(NOW) == {"2026-05": 1, "2026-06": 1}
        assert counts.tags(NOW, "TE") == {"Tea": 2}, "spellings of one tag"
        assert counts.tags(NOW, "100%") == {"100%": 1}
        assert counts.tags(NOW, "1_0") == {}
        assert set(counts.sessions("s")) == {"Spring", "summer"}
        assert counts.stored_since([NOW - timedelta(days=1), NOW, june], NOW) == [2, 1, 0]


def test_a_rule_replaces_the_rule_of_its_kind_or_tag(storage: MemoryStorage) -> None:
    with storage.write() as session:
        session.retention.set_rule(Rule("tag", "log", timedelta(days=3), None))
        session.retention.set_rule(Rule("tag", "log", None, 7))
    with storage.read() as session:
        assert session.retention.rules() == [Rule("tag", "log", None, 7)]
    with storage.write() as session:
        session.retention.clear_rule(Rule("tag", "log", None, 7))
        assert session.retention.rules() == []


# --- snapshots and embeddings -------------------------------------------------------------------


def test_a_snapshot_is_known_by_token_name_and_place(storage: MemoryStorage) -> None:
    add(storage)
    with storage.write() as session:
        snapshot = session.snapshots.register("text")
    assert snapshot.seq == 1
    with storage.read() as session:
        knows = session.snapshots.knows
        assert knows("text", snapshot)
        assert not knows("vectors", snapshot)
        assert not knows("text", SnapshotId(1, snapshot.token + 1))
        assert not knows("text", SnapshotId(2, snapshot.token))
        assert (session.snapshots.reached("text"), session.snapshots.reached("vectors")) == (1, 0)


def test_embeddings_of_two_models_are_kept_apart(storage: MemoryStorage) -> None:
    one, two = EmbeddingDouble("one"), EmbeddingDouble("two", dimension=8)
    for n in range(3):
        add(storage, f"{n}")
    first, second = embed(storage, one, [1, 2, 3]), embed(storage, two, [2])
    assert first != second
    with storage.read() as session:
        embeddings = session.embeddings
        assert [embeddings.model_key(model.identity.fingerprint) for model in (one, two)] == [first, second]
        assert set(embeddings.since(first, 0)) == {1, 2, 3}
        assert set(embeddings.since(second, 0)) == {2}
        assert decode_vectors(list(embeddings.get(second, [1, 2, 3]).values())).shape == (1, 8)
        assert embeddings.count_embedded(second) == (1, 3)
        assert [chunk_id for chunk_id, _ in embeddings.missing(second, 9)] == [3, 1]
        assert embeddings.model_key("unheard of") is None
        assert [(known.model, known.count) for known in embeddings.models()] == [
            (one.identity, 3),
            (two.identity, 1),
        ]


def test_embeddings_change_with_their_memory(storage: MemoryStorage) -> None:
    memory = add(storage, "kiwi")
    model_key = embed(storage, MODEL, [1])
    after = seq(storage)

    def changed() -> tuple[set[int], list[int]]:
        with storage.read() as session:
            since = set(session.embeddings.since(model_key, after))
            return since, session.embeddings.removed_since(model_key, after)

    assert changed() == (set(), [])
    with storage.write() as session:
        session.update(dataclasses.replace(memory, deleted_at=NOW))
    assert changed() == (set(), [1])
    with storage.write() as session:
        session.update(dataclasses.replace(memory, deleted_at=None))
    assert changed() == ({1}, [])


def test_an_embedding_is_added_once_and_never_to_a_chunk_that_is_gone(storage: MemoryStorage) -> None:
    memory = add(storage)
    model_key = embed(storage, MODEL, [1, 77])

    def kept() -> dict[int, bytes]:
        with storage.read() as session:
            return session.embeddings.get(model_key, [1, 77])

    before = kept()
    assert set(before) == {1}
    with storage.write() as session:
        session.embeddings.add(model_key, [(1, b"other")])
    assert kept() == before
    with storage.write() as session:
        session.erase(memory)
    embed(storage, MODEL, [1])
    assert kept() == {}


def test_a_missing_embedding_is_noticed_from_a_change_on(storage: MemoryStorage) -> None:
    memory = add(storage)

    def is_missing(model_key: int | None, after: int) -> bool:
        with storage.read() as session:
            return session.embeddings.is_missing_since(model_key, after)

    assert is_missing(None, 0)
    assert not is_missing(None, seq(storage))
    model_key = embed(storage, MODEL, [1])
    assert not is_missing(model_key, 0)
    assert is_missing(model_key + 1, 0)
    with storage.write() as session:
        session.update(dataclasses.replace(memory, deleted_at=NOW))
    assert not is_missing(model_key + 1, 0)


def add_token_vectors(storage: MemoryStorage, name: str, vectors: dict[int, bytes]) -> int:
    """Add token vectors of chunks; returns the model's key."""
    identity = EmbeddingDouble(name).token_identity
    assert identity is not None
    with storage.write() as session:
        model_key = session.token_vectors.register(identity)
        session.token_vectors.add(model_key, vectors.items())
    return model_key


def test_token_vectors_of_two_models_are_kept_apart_and_are_no_embeddings(storage: MemoryStorage) -> None:
    for n in range(3):
        add(storage, f"{n}")
    before = seq(storage)
    first = add_token_vectors(storage, "one", {1: bytes(64), 2: b"", 3: bytes(128)})
    second = add_token_vectors(storage, "two", {2: b"\1" * 64, 77: bytes(64)})
    assert seq(storage) == before, "no index has to catch up with them"
    with storage.read() as session:
        kept = session.token_vectors
        assert kept.get(first, [1, 2, 3, 77]) == {1: bytes(64), 3: bytes(128)}
        assert kept.get(second, [1, 2, 3, 77]) == {2: b"\1" * 64}
        assert (kept.count_embedded(first), kept.count_embedded(second)) == ((3, 3), (1, 3))
        assert [chunk_id for chunk_id, _ in kept.missing(second, 9)] == [3, 1]
        assert (kept.is_missing_since(first, 0), kept.is_missing_since(second, 0)) == (False, True)
        assert [(one.model.name, one.count) for one in kept.models()] == [("one", 2), ("two", 1)]
        assert kept.model_key("unheard of") is None
        assert session.embeddings.models() == []


def test_token_vectors_go_with_their_memory_and_are_copied_with_it(storage: MemoryStorage) -> None:
    memory, _ = add(storage, "kiwi"), add(storage, "fig")
    model_key = add_token_vectors(storage, "one", {1: bytes(64)})
    with storage.write() as session:
        session.token_vectors.copy([(1, 2)])
        session.update(dataclasses.replace(memory, deleted_at=NOW))
    with storage.read() as session:
        assert session.token_vectors.get(model_key, [1, 2]) == {1: bytes(64), 2: bytes(64)}
        assert session.token_vectors.count_embedded(model_key) == (1, 1)
    with storage.write() as session:
        session.erase(memory)
    with storage.read() as session:
        assert session.token_vectors.get(model_key, [1, 2]) == {2: bytes(64)}
    with storage.write() as session:
        session.token_vectors.mark_unreadable(model_key, [2])
    with storage.read() as session:
        assert session.token_vectors.get(model_key, [1, 2]) == {}
        assert session.token_vectors.missing(model_key, 9) == [], "nothing more is to be done for it"


def test_token_vectors_that_are_cut_short_are_not_read_and_can_be_dropped(storage: MemoryStorage) -> None:
    for n in range(3):
        add(storage, f"{n}")
    model_key = add_token_vectors(storage, "one", {1: bytes(64), 2: bytes(63), 3: bytes(65)})
    with storage.read() as session:
        assert session.token_vectors.get(model_key, [1, 2, 3]) == {1: bytes(64)}
        assert session.token_vectors.count_damaged() == 2
    with storage.write() as session:
        assert session.token_vectors.drop_damaged() == 2
        assert session.token_vectors.drop_damaged() == 0
    with storage.read() as session:
        assert [chunk_id for chunk_id, _ in session.token_vectors.missing(model_key, 9)] == [3, 2]


def test_a_project_moves_as_a_change_of_each_memory(storage: MemoryStorage) -> None:
    moved = [add(storage, "kiwi", project="old"), add(storage, "fig", project="old")]
    other = add(storage, "plum", project="other")
    before = seq(storage)
    with storage.write() as session:
        assert session.move_project("old", "new") == 2
        assert session.move_project("old", "new") == 0
    with storage.read() as session:
        changed = list(session.changes.memories_since(before))
        assert [(memory.id, memory.project) for memory in changed] == [(one.id, "new") for one in moved]
        assert session.statistics.all_by_project() == {"new": 2, "other": 1}
    assert get(storage, other) == other
