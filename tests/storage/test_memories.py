"""The system of record: what SQL promises to the floors above."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble

from sediment_mcp.domain.filters import condition, micros
from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.errors import DamagedDatabase, DiskFull, NewerDatabase
from sediment_mcp.indexes.vector_search import pack, unpack
from sediment_mcp.storage.sql.memories import KEPT_TOKENS, Draft, Store
from sediment_mcp.storage.sqlite import connection as database_module
from sediment_mcp.storage.sqlite import migrations
from sediment_mcp.storage.sqlite.migrations import MIGRATIONS

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)
MODEL = EmbeddingDouble()


def draft(content: str = "kiwi", **more: Any) -> Draft:
    plain = Draft(
        content=content, text_key=content.encode(), spans=((0, len(content)),), kind="semantic", tags=(),
        project=None, session=None, importance=0.5, metadata={}, occurred_at=NOW, created_at=NOW,
        changed_at=NOW,
        expires_at=None,
    )  # fmt: skip
    return dataclasses.replace(plain, **more)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store.prepare(tmp_path / "memories.db")) as opened:
        yield opened


def add(store: Store, content: str = "kiwi", **more: Any) -> Memory:
    with store.transaction():
        return store.add(draft(content, **more))[0]


# --- opening ------------------------------------------------------------------------------------


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    assert not Store.is_prepared(path)
    with contextlib.closing(Store.prepare(path)) as store:
        memory = add(store)
    assert Store.is_prepared(path)
    with contextlib.closing(Store.prepare(path)) as store:
        assert store.by_ids([memory.id]) == {memory.id: memory}
        assert store.integrity() == []


def test_durability_and_erasure_are_switched_on(store: Store) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "wal_autocheckpoint": 0,
    }
    assert {name: store.rows(f"PRAGMA {name}", ())[0][0] for name in wanted} == wanted


@pytest.mark.parametrize("open_it", [Store.prepare, Store.is_prepared])
def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path, open_it: Any) -> None:
    path = tmp_path / "memories.db"
    Store.prepare(path).close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(NewerDatabase, match="update sediment-mcp"):
        open_it(path)
    assert path.read_bytes() == before


def _fill(earlier: Store) -> None:
    """Write a memory with the columns that every schema has."""
    earlier.execute(
        "INSERT INTO memories (number, id, seq, content, text_key, kind, tags, session, importance, "
        "metadata, occurred_at, created_at) "
        "VALUES (1, 'kept', 1, 'kept', x'00', 'semantic', '[\"a\"]', 's', 0.5, '{}', ?, ?)",
        (micros(NOW), micros(NOW)),
    )
    earlier.execute("INSERT INTO tags VALUES ('a', 1)", ())


def test_of_a_memory_from_before_changes_were_dated_the_latest_that_is_known_counts(tmp_path: Path) -> None:
    path, hour = tmp_path / "memories.db", timedelta(hours=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:4])
        with contextlib.closing(Store.prepare(path)) as earlier:
            _fill(earlier)
            for identity, deleted, restored in (
                ("deleted", NOW + 2 * hour, NOW + hour),
                ("back", None, NOW + hour),
            ):
                earlier.execute(
                    "INSERT INTO memories SELECT NULL, ?, seq, content, text_key, kind, tags, project, "
                    "session, importance, metadata, occurred_at + 1, created_at, expires_at, "
                    "superseded_by, ?, ? FROM memories WHERE id = 'kept'",
                    (identity, deleted and micros(deleted), micros(restored)),
                )
    with contextlib.closing(Store.prepare(path)) as store:
        found = store.by_ids(["kept", "deleted", "back"])
        assert [found[identity].changed_at for identity in ("kept", "deleted", "back")] == [
            NOW,
            NOW + 2 * hour,
            NOW + hour,
        ]
        assert store.rows("SELECT changed_at FROM memories WHERE id = 'back'", ()) == [(micros(NOW + hour),)]


def test_a_database_of_each_earlier_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    for steps in range(1, len(MIGRATIONS)):
        path = tmp_path / f"{steps}.db"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:steps])
            with contextlib.closing(Store.prepare(path)) as earlier:
                _fill(earlier)
        assert not Store.is_prepared(path)
        with contextlib.closing(Store.prepare(path)) as store:
            assert Store.is_prepared(path)
            (memory,) = store.by_ids(["kept"]).values()
            assert (memory.content, memory.session, memory.tags) == ("kept", "s", ("a",))
            assert memory.changed_at == memory.created_at == NOW
            assert store.page(Filters(tags=("a",), session="s"), NOW, "newest", 9) == [memory]
            assert store.session_lines([memory], 2) == {memory.number: [memory.number]}
            assert store.integrity() == []


def test_a_count_and_a_page_that_finds_nothing_read_an_index_alone(store: Store) -> None:
    rule, values = condition(Filters(kind="semantic", scope="project", project="p"), NOW)
    for sql in ("SELECT COUNT(*)", "SELECT number"):
        plan = store.rows(f"EXPLAIN QUERY PLAN {sql} FROM memories WHERE {rule} ORDER BY occurred_at", values)
        assert ["COVERING INDEX memories_by_time" in row[3] for row in plan] == [True], plan


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_database_is_told_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "memories.db"
    path.write_bytes(content)
    with pytest.raises(DamagedDatabase, match="sediment-mcp doctor"):
        Store.is_prepared(path)
    assert path.read_bytes() == content


def test_an_interrupted_first_start_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA user_version = 0")
    assert not Store.is_prepared(path)
    Store.prepare(path).close()
    assert Store.is_prepared(path)


# --- transactions -------------------------------------------------------------------------------


def test_what_fails_leaves_nothing(store: Store) -> None:
    def write_half() -> None:
        with store.transaction():
            store.add(draft(tags=("a",)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert store.memory_count() == store.seq() == 0
    assert store.rows("SELECT * FROM tags", ()) == store.rows("SELECT * FROM chunks", ()) == []
    assert add(store).seq == 1


def test_a_reader_sees_one_moment(store: Store) -> None:
    add(store)
    with contextlib.closing(Store(store.path)) as reader:
        with reader.snapshot():
            assert reader.seq() == 1
            add(store, "second")
            assert (reader.seq(), reader.memory_count()) == (1, 1)
        assert (reader.seq(), reader.memory_count()) == (2, 2)


def test_a_full_database_is_told_and_nothing_is_half_written(store: Store) -> None:
    first = add(store)
    pages = store.rows("PRAGMA page_count", ())[0][0]
    store.rows(f"PRAGMA max_page_count = {pages}", ())

    def write_much() -> None:
        with store.transaction():
            for number in range(100):
                store.add(draft(f"{number} " + "much " * 5000))

    with pytest.raises(DiskFull, match="free some space"):
        write_much()
    assert store.memory_count() == store.seq() == 1
    assert store.integrity() == []
    store.rows("PRAGMA max_page_count = 1000000", ())
    assert add(store, "after").seq == 2
    assert set(store.by_ids([first.id])) == {first.id}


def test_a_large_log_is_emptied_and_a_reader_only_postpones_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "MAX_WAL_BYTES", 100_000)
    log = store.path.with_name("memories.db-wal")
    for number in range(10):
        add(store, f"{number} " + "x" * 20_000)
    assert log.stat().st_size > 100_000
    with contextlib.closing(Store(store.path)) as reader:
        with reader.snapshot():
            assert reader.memory_count() == 10
            add(store, "one more")
            store.checkpoint()
            assert reader.memory_count() == 10
        store.checkpoint()
    assert log.stat().st_size == 0
    assert store.memory_count() == 11


def test_two_writers_take_turns(store: Store) -> None:
    def write(name: str) -> None:
        with contextlib.closing(Store(store.path)) as own:
            for number in range(20):
                add(own, f"{name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.memory_count() == store.seq() == 60
    assert store.column("SELECT seq FROM memories ORDER BY number", ()) == list(range(1, 61))


# --- changes ------------------------------------------------------------------------------------


def test_every_change_moves_the_sequence(store: Store) -> None:
    memory = add(store)
    assert memory.seq == store.seq() == 1
    for seq, changed in enumerate(
        [{"tags": ("a",)}, {"deleted_at": NOW}, {"deleted_at": None}, {"superseded_by": "x"}], start=2
    ):
        memory = dataclasses.replace(memory, **changed)
        with store.transaction():
            store.update(memory)
        there = store.by_ids([memory.id])[memory.id]
        assert there == dataclasses.replace(memory, seq=seq)
        assert [m.seq for m in store.changed_memories(seq - 1)] == [seq]
        assert list(store.changed_memories(seq)) == []


def test_an_erased_memory_leaves_only_numbers(store: Store) -> None:
    memory = add(store, "kiwi plum", spans=((0, 4), (5, 9)), tags=("a",), session="s")
    other = add(store, "fig")
    chunks = [chunk.number for chunk in store.chunks_of([memory.number])]
    with store.transaction():
        store.embeddings.add(store.embeddings.register(MODEL.identity), [(c, b"\0\0") for c in chunks])
        store.erase(memory)
    assert store.erased_since(store.seq() - 1) == [(chunk, memory.number) for chunk in chunks]
    assert store.erased_since(store.seq()) == []
    assert store.by_ids([memory.id]) == {}
    for table in ("tags", "embeddings"):
        assert store.rows(f"SELECT * FROM {table}", ()) == []
    assert [chunk.memory for chunk in store.chunks_of([memory.number, other.number])] == [other.number]
    again = add(store, "kiwi plum")
    assert again.number > other.number
    assert store.chunks_of([again.number])[0].number > max(chunks), "indexes know passages by number"


def test_changes_are_counted_in_passages_up_to_a_limit(store: Store) -> None:
    add(store, "abc", spans=((0, 1), (1, 2), (2, 3)))
    add(store, "def")
    assert [store.changed_chunks(0, most) for most in (1, 4, 9)] == [1, 4, 4]
    assert store.changed_chunks(1, 9) == 1
    assert store.changed_chunks(2, 9) == 0


def test_more_ids_than_a_statement_can_bind_are_no_problem(store: Store) -> None:
    with store.transaction():
        numbers = [store.add(draft(f"{n}"))[0].number for n in range(1200)]
    assert len(store.chunks_of(numbers)) == 1200
    assert len(store.numbered(numbers, Filters(), NOW)) == 1200
    assert len(store.with_chunks(list(range(1, 1300)), Filters(), NOW)) == 1200


# --- pages and neighbours -----------------------------------------------------------------------


def test_pages_follow_time_then_number(store: Store) -> None:
    days = [2, 1, 2, 0, 2]
    ids = [add(store, f"{n}", occurred_at=NOW + timedelta(days=day)).id for n, day in enumerate(days)]
    newest = [m.id for m in store.page(Filters(), NOW, "newest", 10)]
    assert newest == [ids[4], ids[2], ids[0], ids[1], ids[3]]
    assert [m.id for m in store.page(Filters(), NOW, "oldest", 10)] == newest[::-1]


def test_neighbours_are_those_beside_a_memory_in_its_session(store: Store) -> None:
    def at(minute: int, session: str | None = "s", **more: Any) -> Memory:
        return add(store, f"{minute}{session}{more}", occurred_at=NOW + timedelta(minutes=minute),
                   session=session, **more)  # fmt: skip

    five, one, three = at(5), at(1), at(3)
    at(2, "other")
    at(3, None)
    at(4, project="elsewhere")
    gone, seven = at(4), at(7)
    with store.transaction():
        store.update(dataclasses.replace(gone, deleted_at=NOW))
    assert store.session_lines([three, one], 2) == {
        three.number: [one.number, three.number, five.number, seven.number],
        one.number: [one.number, three.number, five.number],
    }
    assert store.session_lines([five], 1) == {five.number: [three.number, five.number, seven.number]}


# --- snapshots and embeddings -------------------------------------------------------------------


def test_a_snapshot_is_known_by_token_name_and_place(store: Store) -> None:
    add(store)
    with store.transaction():
        token, seq = store.announce_snapshot("text")
    assert seq == 1
    assert store.knows_snapshot("text", token, 1)
    for name, other, place in (("vectors", token, 1), ("text", token + 1, 1), ("text", token, 2)):
        assert not store.knows_snapshot(name, other, place)


def test_the_newest_tokens_are_kept_and_the_last_one_always(store: Store) -> None:
    with store.transaction():
        store.announce_snapshot("other")
    for _ in range(60):  # all at the same place in the sequence
        with store.transaction():
            token, seq = store.announce_snapshot("text")
        assert store.knows_snapshot("text", token, seq)
    assert store.scalar("SELECT COUNT(*) FROM snapshots WHERE index_name = 'text'", ()) == KEPT_TOKENS
    assert store.scalar("SELECT COUNT(*) FROM snapshots WHERE index_name = 'other'", ()) == 1


def embedded(store: Store, model: EmbeddingDouble, chunks: list[int]) -> None:
    with store.transaction():
        number = store.embeddings.register(model.identity)
        vectors = pack(model.embed_documents([f"{chunk}" for chunk in chunks]))
        store.embeddings.add(number, zip(chunks, vectors, strict=True))


def test_embeddings_of_two_models_are_kept_apart(store: Store) -> None:
    one, two = EmbeddingDouble("one"), EmbeddingDouble("two", dimension=8)
    for n in range(3):
        add(store, f"{n}")
    embedded(store, one, [1, 2, 3])
    embedded(store, two, [2])
    first, second = (store.embeddings.number_of(model.identity.fingerprint) for model in (one, two))
    assert first != second
    assert second is not None
    assert first is not None
    assert set(store.embeddings.since(first, 0)) == {1, 2, 3}
    assert set(store.embeddings.since(second, 0)) == {2}
    assert unpack(list(store.embeddings.of(second, [1, 2, 3]).values())).shape == (1, 8)
    assert store.embeddings.counts(second) == (1, 3)
    assert [chunk for chunk, _ in store.embeddings.missing(second, 9)] == [3, 1]
    assert store.embeddings.number_of("unheard of") is None


def test_embeddings_change_with_their_memory(store: Store) -> None:
    memory = add(store, "kiwi")
    embedded(store, MODEL, [1])
    number = store.embeddings.number_of(MODEL.identity.fingerprint)
    assert number is not None
    after = store.seq()
    assert store.embeddings.since(number, after) == {}
    with store.transaction():
        store.update(dataclasses.replace(memory, deleted_at=NOW))
    assert store.embeddings.since(number, after) == {}
    assert store.embeddings.deleted(after) == [1]
    with store.transaction():
        store.update(dataclasses.replace(memory, deleted_at=None))
    assert set(store.embeddings.since(number, after)) == {1}
    assert store.embeddings.deleted(after) == []


def test_an_embedding_is_added_once_and_never_to_a_passage_that_is_gone(store: Store) -> None:
    memory = add(store)
    embedded(store, MODEL, [1, 77])
    before = store.embeddings.of(1, [1])
    with store.transaction():
        store.embeddings.add(1, [(1, b"other")])
    assert store.embeddings.of(1, [1, 77]) == before
    with store.transaction():
        store.erase(memory)
    embedded(store, MODEL, [1])
    assert store.embeddings.of(1, [1]) == {}


def test_what_lacks_an_embedding_is_noticed_from_a_change_on(store: Store) -> None:
    memory = add(store)
    assert store.embeddings.lacks(0, 0)
    assert not store.embeddings.lacks(0, store.seq())
    embedded(store, MODEL, [1])
    assert not store.embeddings.lacks(1, 0)
    assert store.embeddings.lacks(2, 0)
    with store.transaction():
        store.update(dataclasses.replace(memory, deleted_at=NOW))
    assert not store.embeddings.lacks(2, 0)


def test_float16_keeps_a_unit_vector_well_enough() -> None:
    rows = MODEL.embed_documents(["a", "b", "c"])
    assert unpack(pack(rows)) == pytest.approx(rows, abs=1e-3)
    assert unpack(pack(rows)).shape == rows.shape
