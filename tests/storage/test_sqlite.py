"""What only SQLite has: opening, migrating, checkpoints, a full disk, a damaged or replaced file."""

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
from support.storage import NOW, add, new_memory

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import Busy, DamagedDatabase, DiskFull, NewerDatabase, StorageError
from sediment_mcp.storage.sql.fields import KEY_COLUMNS, MEMORY_FIELDS
from sediment_mcp.storage.sql.filters import live_condition
from sediment_mcp.storage.sql.snapshots import REMEMBERED_TOKENS
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.dialect import DIALECT
from sediment_mcp.storage.sqlite.migrations import MIGRATIONS
from sediment_mcp.storage.sqlite.session import SqliteSession, open_session
from sediment_mcp.storage.sqlite.storage import READ_CONNECTIONS, SqliteStorage
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.timestamps import to_micros
from sediment_mcp.tuning import Tuning


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqliteSession]:
    """Yield a session over an empty database."""
    database = SqliteDatabase.prepare(tmp_path / "memories.db")
    with contextlib.closing(SqliteSession(database)) as opened:
        yield opened


def add_to(session: SqliteSession, content: str = "kiwi", **changes: Any) -> Memory:
    with session.database.transaction():
        return session.add(new_memory(content, **changes)).memory


def test_the_fields_are_those_of_a_memory_in_its_order() -> None:
    names = [field.name for field in dataclasses.fields(Memory)]
    assert names == [*("key", "id", "seq"), *(field.name for field in MEMORY_FIELDS)]
    assert len(KEY_COLUMNS) == 3


# --- opening ------------------------------------------------------------------------------------


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    assert not SqliteDatabase.is_prepared(path)
    with contextlib.closing(SqliteSession(SqliteDatabase.prepare(path))) as session:
        memory = add_to(session)
    assert SqliteDatabase.is_prepared(path)
    with contextlib.closing(SqliteSession(SqliteDatabase.prepare(path))) as session:
        assert session.get([memory.id]) == {memory.id: memory}
        assert session.database.integrity_faults() == []


def test_durability_and_erasure_are_switched_on(session: SqliteSession) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "wal_autocheckpoint": 0,
    }
    assert {name: session.database.rows(f"PRAGMA {name}")[0][0] for name in wanted} == wanted


@pytest.mark.parametrize("open_it", [SqliteDatabase.prepare, SqliteDatabase.is_prepared])
def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path, open_it: Any) -> None:
    path = tmp_path / "memories.db"
    SqliteDatabase.prepare(path).close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(NewerDatabase, match="update sediment-mcp"):
        open_it(path)
    assert path.read_bytes() == before


def _fill(earlier: SqliteDatabase) -> None:
    """Write a memory with the columns that every schema has."""
    earlier.execute(
        "INSERT INTO memories (number, id, seq, content, text_key, kind, tags, session, importance, "
        "metadata, occurred_at, created_at) "
        "VALUES (1, 'kept', 1, 'kept', x'00', 'semantic', '[\"a\"]', 's', 0.5, '{}', ?, ?)",
        (to_micros(NOW), to_micros(NOW)),
    )
    earlier.execute("INSERT INTO tags VALUES ('a', 1)")


def test_of_a_memory_from_before_changes_were_dated_the_latest_that_is_known_counts(tmp_path: Path) -> None:
    path, hour = tmp_path / "memories.db", timedelta(hours=1)
    with contextlib.closing(SqliteDatabase.prepare(path, schema_version=4)) as earlier:
        _fill(earlier)
        for memory_id, deleted, restored in (
            ("deleted", NOW + 2 * hour, NOW + hour),
            ("back", None, NOW + hour),
        ):
            earlier.execute(
                "INSERT INTO memories SELECT NULL, ?, seq, content, text_key, kind, tags, project, "
                "session, importance, metadata, occurred_at + 1, created_at, expires_at, "
                "superseded_by, ?, ? FROM memories WHERE id = 'kept'",
                (memory_id, deleted and to_micros(deleted), to_micros(restored)),
            )
    with contextlib.closing(SqliteSession(SqliteDatabase.prepare(path))) as session:
        found = session.get(["kept", "deleted", "back"])
        assert [found[memory_id].changed_at for memory_id in ("kept", "deleted", "back")] == [
            NOW,
            NOW + 2 * hour,
            NOW + hour,
        ]
        dated = session.database.rows("SELECT changed_at FROM memories WHERE id = 'back'")
        assert dated == [(to_micros(NOW + hour),)]


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_database_of_each_earlier_schema_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "memories.db"
    with contextlib.closing(SqliteDatabase.prepare(path, schema_version=version)) as earlier:
        _fill(earlier)
    assert not SqliteDatabase.is_prepared(path)
    with contextlib.closing(SqliteSession(SqliteDatabase.prepare(path))) as session:
        assert SqliteDatabase.is_prepared(path)
        (memory,) = session.get(["kept"]).values()
        assert (memory.content, memory.session, memory.tags) == ("kept", "s", ("a",))
        assert memory.changed_at == memory.created_at == NOW
        assert session.page(Filters(tags=("a",), session="s"), NOW, "newest", 9) == [memory]
        assert session.session_neighbours([memory.key], 2) == {memory.key: [memory.key]}
        assert session.database.integrity_faults() == []


def test_a_snapshot_of_the_version_before_is_still_known(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    with contextlib.closing(SqliteDatabase.prepare(path, schema_version=6)) as earlier, earlier.transaction():
        earlier.execute("INSERT INTO snapshots VALUES (?,?,?)", (77, "text", 5))
    SqliteDatabase.prepare(path).close()
    with contextlib.closing(open_session(path)) as session:
        assert session.snapshots.knows("text", SnapshotId(5, 77))
        assert session.snapshots.reached("text") == 5


def test_a_count_and_a_page_that_finds_nothing_read_an_index_alone(session: SqliteSession) -> None:
    rule, values = live_condition(DIALECT, Filters(kind="semantic", scope="project", project="p"), NOW)
    for sql in ("SELECT COUNT(*)", "SELECT number"):
        plan = session.database.rows(
            f"EXPLAIN QUERY PLAN {sql} FROM memories WHERE {rule} ORDER BY occurred_at", values
        )
        assert ["COVERING INDEX memories_by_time" in row[3] for row in plan] == [True], plan


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_database_is_told_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "memories.db"
    path.write_bytes(content)
    with pytest.raises(DamagedDatabase, match="sediment-mcp doctor"):
        SqliteDatabase.is_prepared(path)
    assert path.read_bytes() == content


def test_a_row_that_was_overwritten_is_damage(session: SqliteSession) -> None:
    memory = add_to(session)
    session.database.execute("UPDATE memories SET tags = 'no JSON'")
    with pytest.raises(DamagedDatabase, match="sediment-mcp doctor"):
        session.get([memory.id])


def test_an_interrupted_first_start_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA user_version = 0")
    assert not SqliteDatabase.is_prepared(path)
    SqliteDatabase.prepare(path).close()
    assert SqliteDatabase.is_prepared(path)


# --- transactions -------------------------------------------------------------------------------


def test_a_full_database_is_told_and_nothing_is_half_written(session: SqliteSession) -> None:
    first = add_to(session)
    pages = session.database.scalar("PRAGMA page_count")
    session.database.rows(f"PRAGMA max_page_count = {pages}")

    def write_much() -> None:
        with session.database.transaction():
            for number in range(100):
                session.add(new_memory(f"{number} " + "much " * 5000))

    with pytest.raises(DiskFull, match="free some space"):
        write_much()
    assert session.changes.count_memories() == session.changes.seq() == 1
    assert session.database.integrity_faults() == []
    session.database.rows("PRAGMA max_page_count = 1000000")
    assert add_to(session, "after").seq == 2
    assert set(session.get([first.id])) == {first.id}


def test_a_large_log_is_emptied_and_a_reader_only_postpones_it(session: SqliteSession) -> None:
    database = session.database
    log = database.path.with_name("memories.db-wal")
    for number in range(10):
        add_to(session, f"{number} " + "x" * 20_000)
    assert log.stat().st_size > 100_000
    with contextlib.closing(open_session(database.path)) as reader:
        with reader.snapshot():
            assert reader.changes.count_memories() == 10
            add_to(session, "one more")
            database.checkpoint(max_log_bytes=100_000)
            assert reader.changes.count_memories() == 10
        database.checkpoint(max_log_bytes=100_000)
    assert log.stat().st_size == 0
    assert session.changes.count_memories() == 11


def test_the_newest_tokens_are_kept_and_the_last_one_always(session: SqliteSession) -> None:
    database = session.database
    with database.transaction():
        session.snapshots.register("other")
    for _ in range(60):  # all at the same place in the sequence
        with database.transaction():
            snapshot = session.snapshots.register("text")
        assert session.snapshots.knows("text", snapshot)
    count = "SELECT COUNT(*) FROM snapshots WHERE index_name = ?"
    assert database.scalar(count, ("text",)) == REMEMBERED_TOKENS
    assert database.scalar(count, ("other",)) == 1


def test_a_writer_that_holds_the_lock_too_long_is_told_to_the_others(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "data", Tuning(lock_timeout=0.05))
    add(storage)
    faults: list[BaseException] = []

    def write() -> None:
        try:
            add(storage, "second")
        except StorageError as error:
            faults.append(error)

    with storage.write():
        second = threading.Thread(target=write)
        second.start()
        second.join(timeout=30)
        assert not second.is_alive()
    assert [type(fault) for fault in faults] == [Busy]
    assert add(storage, "third").seq == 2, "the lock is free again"
    storage.close()


def test_a_close_that_fails_leaves_no_lock_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SqliteStorage(tmp_path / "data", Tuning())
    add(storage)

    def fail(_: SqliteSession) -> None:
        raise StorageError("staged")

    monkeypatch.setattr(SqliteSession, "close", fail)
    with pytest.raises(StorageError, match="staged"):
        storage.close()
    with storage._write_lock.held(timeout=0):
        pass


def test_a_replaced_database_is_another_store(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "data", Tuning())
    add(storage)
    with storage.read() as session:
        before = session.store_id
    for path in (tmp_path / "data").glob("memories.db*"):
        path.unlink()
    with storage.read() as session:
        assert session.store_id != before
        assert session.changes.count_memories() == 0
    storage.close()


def test_far_times_are_kept(session: SqliteSession) -> None:
    far = datetime.max.replace(tzinfo=UTC)
    memory = add_to(session, occurred_at=far, expires_at=datetime.min.replace(tzinfo=UTC))
    assert session.get([memory.id])[memory.id] == memory


# --- read connections ---------------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    """Yield an empty store in a file."""
    with contextlib.closing(SqliteStorage(tmp_path, Tuning())) as opened:
        yield opened


@contextlib.contextmanager
def reading(storage: SqliteStorage, count: int) -> Iterator[list[SqliteSession]]:
    """Hold so many read transactions open at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(storage.read()) for _ in range(count)]


def test_reads_use_as_many_connections_as_they_are_at_once_up_to_a_bound(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(storage)
    opened: list[SqliteSession] = []
    open_one = storage.open_session

    def count() -> SqliteSession:
        opened.append(open_one())
        return opened[-1]

    monkeypatch.setattr(storage, "open_session", count)
    for _ in range(3):
        with reading(storage, 2) as sessions:
            assert [session.changes.seq() for session in sessions] == [1, 1]
    assert len(opened) == 2
    seen: list[int] = []

    def read() -> None:
        with storage.read() as session:
            seen.append(session.changes.seq())

    with reading(storage, READ_CONNECTIONS):
        thread = threading.Thread(target=read)
        thread.start()
        assert seen == []
    thread.join()
    assert (seen, len(opened)) == ([1], READ_CONNECTIONS)


def test_a_read_that_fails_gives_its_connection_back(storage: SqliteStorage) -> None:
    for _ in range(READ_CONNECTIONS + 1):
        with pytest.raises(ZeroDivisionError), storage.read():
            raise ZeroDivisionError
    with reading(storage, READ_CONNECTIONS):
        pass


def test_every_connection_notices_a_replaced_database(storage: SqliteStorage, tmp_path: Path) -> None:
    add(storage)
    with reading(storage, READ_CONNECTIONS):
        pass
    other = tmp_path / "other"
    other.mkdir()
    with contextlib.closing(SqliteStorage(other, Tuning())) as another:
        add(another, "fig")
        add(another, "plum")
    with storage.file_lock():
        swap.replace(storage.path, other / storage.path.name)
    with reading(storage, READ_CONNECTIONS) as sessions:
        assert [session.changes.seq() for session in sessions] == [2] * READ_CONNECTIONS
        assert len({session.store_id for session in sessions}) == 1


def test_idle_connections_keep_no_erased_text_in_the_log(storage: SqliteStorage) -> None:
    memory = add(storage, "unspeakable")
    with reading(storage, READ_CONNECTIONS):
        pass
    with storage.write(secure_erase=True) as session:
        session.erase(memory)
    for path in storage.path.parent.glob("memories.db*"):
        assert b"unspeakable" not in path.read_bytes()


def test_closing_closes_every_connection(storage: SqliteStorage) -> None:
    add(storage)
    with reading(storage, READ_CONNECTIONS):
        pass
    storage.close()
    names = [path.name for path in storage.path.parent.glob("memories.db*")]
    assert names == ["memories.db"], "the log goes with the last connection"
