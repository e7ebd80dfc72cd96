"""Every SQLite file of an encrypted data directory: opened, copied, restored, replaced, without its key."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from support.host import Host
from support.storage import add

from sediment_mcp.domain.access_token import StoredToken
from sediment_mcp.errors import BadArgument, Busy, DamagedDatabase, DiskFull, KeyUnavailable, StorageError
from sediment_mcp.maintenance.restore import preview_restore, restore_backup
from sediment_mcp.recall.reading import UnchangedStorage
from sediment_mcp.storage.sqlite import backup_file, library, read_only, swap
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.database_copy import _copy_tables, _find_differences, copy_database
from sediment_mcp.storage.sqlite.read_only import ReadOnlyFile
from sediment_mcp.storage.sqlite.session import open_session
from sediment_mcp.storage.sqlite.storage import DATABASE, SqliteStorage
from sediment_mcp.storage.sqlite.tokens import ACCESS_FILE, SqliteTokens
from sediment_mcp.system import extras, key_sources
from sediment_mcp.system.data_key import DataKey, generate_key
from sediment_mcp.system.database_files import is_encrypted
from sediment_mcp.system.directory_encryption import DirectoryEncryption, Marker
from sediment_mcp.tuning import Tuning

pytest.importorskip("sqlcipher3")

SECRET = "xylophonesecret"
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = datetime(2026, 5, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the keys of this test."""
    folder = tmp_path / "keys"
    monkeypatch.setattr(key_sources, "get_key_file", lambda key_id: folder / str(key_id))
    return folder


def mark(directory: Path, state: str = "encrypted", key: DataKey | None = None) -> DataKey:
    """Let a directory be encrypted, or on its way there or back."""
    key = key or generate_key()
    key_sources.store_key("file", key)
    directory.mkdir(mode=0o700, exist_ok=True)
    DirectoryEncryption(directory).write_marker(Marker(cast("Any", state), key.id, "file"))
    return key


@pytest.fixture
def encrypted(tmp_path: Path, open_host: Callable[..., Host]) -> Host:
    """A host over an encrypted directory."""
    mark(tmp_path / "data")
    return open_host()


def find_plain(folder: Path, text: str = SECRET) -> list[str]:
    """The files of a folder in which a text can be read."""
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def count(path: Path, key: bytes | None) -> int:
    contents = backup_file.read_contents(path, key)
    return contents.memories if contents else -1


# --- backups ------------------------------------------------------------------------------------


def test_a_backup_of_an_encrypted_database_is_encrypted_and_can_be_restored(encrypted: Host) -> None:
    stored = encrypted.store(f"The {SECRET} is 7.")["id"]
    backup = encrypted.app.backups.make()
    encrypted.delete(stored, permanent=False)
    assert is_encrypted(backup.path)
    assert restore_backup(encrypted.app, backup.name)["returning"] == 1
    assert encrypted.found(SECRET) == [stored]
    assert find_plain(encrypted.app.backups.folder) == []


def test_what_is_erased_is_erased_in_encrypted_backups_too(encrypted: Host) -> None:
    stored = encrypted.store(f"The {SECRET} is 7.")["id"]
    encrypted.store("Another one stays.")
    backup = encrypted.app.backups.make()
    encrypted.delete(stored, permanent=True)
    assert count(backup.path, encrypted.app.encryption.database_key(backup.path)) == 1


@pytest.mark.parametrize("is_backup_encrypted", [False, True])
@pytest.mark.parametrize("is_database_encrypted", [False, True])
def test_a_backup_of_either_kind_is_restored_into_a_database_of_either(
    tmp_path: Path, open_host: Callable[..., Host], *, is_backup_encrypted: bool, is_database_encrypted: bool
) -> None:
    host, outside = open_host(), tmp_path / "backup.db"
    stored = host.store(f"The {SECRET} is 7.", tags=["a\0b"])["id"]
    key = mark(host.directory, "encrypting")
    own = key.derive("database") if is_backup_encrypted else None
    copy_database(host.app.file.path, outside, source_key=None, key=own)
    host.delete(stored)
    if is_database_encrypted:
        swap_kind(host, key.derive("database"))
    before = outside.read_bytes()
    assert preview_restore(host.app, str(outside))["returning"] == 1
    restore_backup(host.app, str(outside))
    assert host.found(SECRET, tags=["A\0b"]) == [stored]
    assert is_encrypted(host.app.file.path) is is_database_encrypted
    assert outside.read_bytes() == before


def test_a_plain_backup_from_outside_is_never_plain_in_an_encrypted_directory(
    encrypted: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SqliteStorage(tmp_path / "other", Tuning())
    add(other, f"The {SECRET} is 7.")
    other.close()
    seen: list[str] = []
    monkeypatch.setattr(SqliteDatabase, "upgrade", lambda _: seen.extend(os.listdir(encrypted.files)))
    with encrypted.app.backups.sound_copy(other.path) as copy:
        assert seen
        assert is_encrypted(copy)
        assert find_plain(encrypted.files) == []


def test_a_backup_with_another_key_is_told_and_changes_nothing(encrypted: Host, tmp_path: Path) -> None:
    encrypted.store("Something.")
    with contextlib.closing(SqliteDatabase.prepare(tmp_path / "b.db", key=OTHER_KEY)):
        pass
    with pytest.raises(BadArgument, match="not a sound backup, or has another key"):
        restore_backup(encrypted.app, str(tmp_path / "b.db"))
    assert len(encrypted.list()["memories"]) == 1


def test_a_damaged_encrypted_database_is_replaced_by_its_backup(encrypted: Host) -> None:
    stored = encrypted.store(f"The {SECRET} is 7.")["id"]
    name = encrypted.app.backups.make().name
    encrypted.end()
    with encrypted.app.file.path.open("r+b") as file:
        file.seek(3 * 4096 + 100)
        file.write(b"\xff" * 16)
    encrypted.reopen()
    kept = encrypted.files / cast("str", restore_backup(encrypted.app, name)["kept"])
    assert encrypted.found(SECRET) == [stored]
    assert is_encrypted(kept)
    assert find_plain(encrypted.files) == []


# --- copies -------------------------------------------------------------------------------------


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A database that is not encrypted, with something in most of its tables."""
    storage = SqliteStorage(tmp_path / "plain", Tuning(), audit_time=lambda: NOW)
    kept = add(storage, f"The {SECRET} is 7.", tags=("a", "b\0c"))
    gone = add(storage, "Gone.")
    with storage.write() as session:
        session.database.execute("INSERT INTO retention VALUES ('kind', 'episodic', 5, NULL)")
        session.erase(gone)
        session.record_erased([gone.id])
        session.audit.record("delete", [kept.id])
    storage.close()
    return storage.path


@pytest.mark.parametrize("source_key", [None, KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("key", [None, KEY, OTHER_KEY], ids=["plain", "encrypted", "other key"])
def test_a_copy_with_another_key_holds_the_same(
    plain: Path, tmp_path: Path, source_key: bytes | None, key: bytes | None
) -> None:
    source, copy, back = tmp_path / "source.db", tmp_path / "copy.db", tmp_path / "back.db"
    copy_database(plain, source, source_key=None, key=source_key)
    copy_database(source, copy, source_key=source_key, key=key)
    assert bool(find_plain(tmp_path, SECRET)) is True  # the plain one, so that the search finds something
    assert (SECRET.encode() in copy.read_bytes()) is (key is None)
    copy_database(copy, back, source_key=key, key=None)
    assert dump(back) == dump(plain)
    assert copy.stat().st_mode & 0o777 == 0o600 or sys.platform == "win32"
    with contextlib.closing(open_session(copy, key=key)) as session:
        assert session.database.schema()[0] == session.database.schema()[1]
        assert session.database.integrity_faults() == []


def dump(path: Path) -> list[str]:
    """All that a database holds, as statements, and the number of its schema."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [*database.iterdump(), str(database.execute("PRAGMA user_version").fetchone())]


DIFFERENCES = {
    "a text": "UPDATE other.memories SET content = content || ' '",
    "a number": "UPDATE other.memories SET importance = importance / 2",
    "a NULL": "UPDATE other.memories SET session = ''",
    "a row less": "DELETE FROM other.erased",
    "a row more": "INSERT INTO other.tags SELECT 'more', number FROM other.memories",
    "a rule": "UPDATE other.retention SET max_age = 6",
    "the last number given": "UPDATE other.sqlite_sequence SET seq = seq + 1",
    "an index": "DROP INDEX other.memories_by_time",
}


@pytest.mark.parametrize("change", DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_whatever_a_copy_holds_differently_is_found(plain: Path, tmp_path: Path, change: str) -> None:
    copy = tmp_path / "copy.db"
    copy_database(plain, copy, source_key=None, key=KEY)
    with contextlib.closing(SqliteDatabase(copy, key=KEY)) as database, database.attached(plain):
        assert not any(_find_differences(database, "main", "other"))
        database.execute(change)
        assert any(_find_differences(database, "main", "other"))
        assert any(_find_differences(database, "other", "main"))


def test_a_damaged_encrypted_database_is_not_copied(plain: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    copy_database(plain, source, source_key=None, key=KEY)
    data = bytearray(source.read_bytes())
    data[-2000] ^= 1
    source.write_bytes(data)
    with pytest.raises(DamagedDatabase):
        copy_database(source, tmp_path / "copy.db", source_key=KEY, key=None)


def test_a_full_disk_is_told_at_copying(plain: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.touch()
    with contextlib.closing(SqliteDatabase(copy, key=KEY)) as database, database.attached(plain):
        database.rows("PRAGMA max_page_count = 10")
        with pytest.raises(DiskFull):
            _copy_tables(database, "other", "main")


def test_a_database_that_is_open_here_is_encrypted_without_a_second_library(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    connect = library._load_sqlcipher().connect
    monkeypatch.setattr(
        library._load_sqlcipher(), "connect", lambda to, **k: opened.append(to) or connect(to, **k)
    )
    with contextlib.closing(SqliteDatabase(plain)) as database:
        copy_database(plain, tmp_path / "copy.db", source_key=None, key=KEY)
        assert database.is_current()
    assert count(tmp_path / "copy.db", KEY) == 1
    assert not any(plain.name in target for target in opened)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["copy.db"]


# --- a file that is replaced --------------------------------------------------------------------


def swap_kind(host: Host, key: bytes | None) -> None:
    """Put the database in its place anew with this key or none, as encrypting and decrypting do."""
    encryption = host.app.encryption
    with host.app.backups.scratch_directory() as folder, host.app.file.file_lock():
        path, new = host.app.file.path, folder / "new.tmp"
        copy_database(path, new, source_key=encryption.database_key(path), key=key)
        SqliteDatabase.prepare(new, key=key).close()
        swap.replace(path, new)


def test_a_server_goes_on_when_its_database_is_encrypted_and_decrypted(
    open_host: Callable[..., Host],
) -> None:
    first, second = open_host(), open_host()
    stored = [first.store(f"The {SECRET} is 7.")["id"]]
    second.list()
    key = mark(first.directory, "encrypting")
    swap_kind(open_host(), key.derive("database"))
    mark(first.directory, "encrypted", key)
    assert second.found(SECRET) == stored
    stored.append(first.store("The kiwi is ripe.")["id"])
    assert {memory["id"] for memory in second.list()["memories"]} == set(stored)
    assert is_encrypted(first.app.file.path)
    mark(first.directory, "decrypting", key)
    swap_kind(open_host(), None)
    (first.directory / "encryption.json").unlink()
    stored.append(second.store("A plum is blue.")["id"])
    assert {memory["id"] for memory in first.list()["memories"]} == set(stored)
    assert dump(first.app.file.path)


@pytest.mark.parametrize("is_first_encrypted", [False, True])
def test_a_file_that_is_replaced_between_the_look_and_the_opening_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_first_encrypted: bool
) -> None:
    key = mark(tmp_path / "data", "encrypting").derive("database")
    kinds = [key, None] if is_first_encrypted else [None, key]
    path, new = tmp_path / "data" / DATABASE, tmp_path / "new.db"
    SqliteDatabase.prepare(path, key=kinds[0]).close()
    SqliteDatabase.prepare(new, key=kinds[1]).close()
    storage = SqliteStorage(path.parent, Tuning())
    look = storage.encryption.database_key

    def look_and_replace(looked: Path) -> bytes | None:
        found = look(looked)
        if new.exists():
            swap.replace(path, new)
        return found

    monkeypatch.setattr(storage.encryption, "database_key", look_and_replace)
    with storage.read() as session:
        assert session.database.key == kinds[1]
    storage.close()


@pytest.mark.parametrize("state", ["encrypting", "encrypted", "decrypting"])
def test_a_connection_is_opened_below_the_write_lock_while_a_directory_is_converted(
    tmp_path: Path, state: str
) -> None:
    mark(tmp_path / "data", state)
    storage = SqliteStorage(tmp_path / "data", Tuning(lock_timeout=0.05))
    add(storage)
    with storage.write() as session, storage.read() as inner:  # one's own lock is not waited for
        assert inner.changes.count_memories() == session.changes.count_memories() == 1
    with SqliteStorage(tmp_path / "data", Tuning()).file_lock():
        if state == "encrypted":
            with storage.connect() as opened:
                assert opened.changes.count_memories() == 1
        else:
            with pytest.raises(Busy), storage.connect():
                pass
            with storage.read() as known:  # the connections that are open go on
                assert known.changes.count_memories() == 1
    storage.close()


# --- without the key ----------------------------------------------------------------------------


def read_all(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_without_the_key_a_call_says_so_and_nothing_is_written(
    encrypted: Host, keys: Path, open_host: Callable[..., Host]
) -> None:
    stored = encrypted.store(f"The {SECRET} is 7.")["id"]
    encrypted.end()
    (moved := keys.with_name("elsewhere")).mkdir()
    shutil.move(keys, moved)
    before, other = read_all(encrypted.directory), open_host()
    for call in (
        lambda: other.store("More."),
        other.list,
        lambda: other.query("More?"),
        lambda: other.delete(stored),
        other.app.backups.make,
    ):
        with pytest.raises(KeyUnavailable, match="encrypted"):
            call()
    assert read_all(encrypted.directory) == before
    shutil.move(moved / keys.name, keys)
    assert other.found(SECRET) == [stored]


def test_a_server_without_the_key_says_so_once_its_database_is_encrypted(
    open_host: Callable[..., Host], keys: Path
) -> None:
    server, command = open_host(), open_host()
    stored = server.store(f"The {SECRET} is 7.")["id"]
    key = mark(server.directory, "encrypting")
    swap_kind(command, key.derive("database"))
    mark(server.directory, "encrypted", key)
    command.end()
    (moved := keys.with_name("elsewhere")).mkdir()
    shutil.move(keys, moved)
    before = (server.directory / DATABASE).read_bytes()
    for _ in range(2):
        with pytest.raises(KeyUnavailable, match="encrypted"):
            server.store("More.")
        with pytest.raises(KeyUnavailable, match="encrypted"):
            server.list()
    assert (server.directory / DATABASE).read_bytes() == before
    shutil.move(moved / keys.name, keys)
    assert server.found(SECRET) == [stored]


def test_without_the_extra_a_call_says_so_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_host: Callable[..., Host]
) -> None:
    mark(tmp_path / "data")
    before, host = read_all(tmp_path / "data"), open_host()
    library._load_sqlcipher.cache_clear()
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(BadArgument, match=r'pip install "sediment-mcp\[encrypt\]"'):
        host.store("More.")
    written = read_all(tmp_path / "data")
    assert {path for path in written if path not in before and written[path]} == set()
    assert not (tmp_path / "data" / DATABASE).exists()


# --- other places -------------------------------------------------------------------------------


@pytest.fixture
def left_behind(encrypted: Host, tmp_path: Path) -> Path:
    """A directory whose log was left behind, as by a process that was killed."""
    encrypted.store(f"The {SECRET} is 7.")
    copied = shutil.copytree(encrypted.directory, tmp_path / "left")
    for index in copied.glob("*-shm"):
        index.unlink()
    assert (copied / f"{DATABASE}-wal").stat().st_size
    return copied


def test_the_private_copy_of_a_directory_that_may_only_be_read_is_encrypted(
    left_behind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only.os, "access", lambda path, mode: mode != os.W_OK)
    file = ReadOnlyFile(left_behind / DATABASE)
    with contextlib.closing(file.open()) as session:
        assert session.changes.count_memories() == 1
        folder = Path(cast("Any", file)._folder.name)
        assert session.database.path.parent == folder
        assert is_encrypted(session.database.path)
        assert find_plain(folder) == []
    file.close()
    assert not folder.exists()


def test_a_hook_reads_an_encrypted_database_and_changes_nothing(encrypted: Host) -> None:
    encrypted.store(f"The {SECRET} is 7.")
    encrypted.end()
    before = read_all(encrypted.directory)
    storage = UnchangedStorage(encrypted.files, Tuning(), encryption=DirectoryEncryption(encrypted.directory))
    with storage.read() as session:
        assert session.changes.count_memories() == 1
    storage.close()
    assert read_all(encrypted.directory) == before


def test_tokens_are_kept_in_an_encrypted_file(tmp_path: Path) -> None:
    mark(tmp_path / "data")
    tokens = SqliteTokens(tmp_path / "data")
    token = StoredToken(SECRET, b"h" * 32, "tenant", None, True, NOW, None)
    assert tokens.add(token)
    assert is_encrypted(tmp_path / "data" / ACCESS_FILE)
    assert find_plain(tmp_path / "data") == []
    tokens.close()
    assert [found.name for found in SqliteTokens(tmp_path / "data").list_all()] == [SECRET]


def test_tokens_are_found_when_their_file_is_encrypted_beside_the_server(tmp_path: Path) -> None:
    tokens, path = SqliteTokens(tmp_path / "data"), tmp_path / "data" / ACCESS_FILE
    assert tokens.add(StoredToken(SECRET, b"h" * 32, "tenant", None, True, NOW, None))
    key = mark(tmp_path / "data", "encrypting").derive("database")
    copy_database(path, tmp_path / "new.db", source_key=None, key=key)
    swap.replace(path, tmp_path / "new.db")
    assert [found.name for found in tokens.list_all()] == [SECRET]
    assert find_plain(tmp_path / "data") == []
    tokens.close()


def test_a_tenant_is_encrypted_with_its_directory(tmp_path: Path, open_host: Callable[..., Host]) -> None:
    mark(tmp_path / "data")
    host = open_host(tenant="anna")
    host.store(f"The {SECRET} is 7.")
    assert is_encrypted(host.files / DATABASE)
    assert host.files != host.directory


# --- SQLCipher ----------------------------------------------------------------------------------


def read_temporary_files() -> Iterator[bytes]:
    """The content of the files that this process has open and nobody can see."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if "deleted" in os.readlink(descriptor):
                yield descriptor.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="only there a file without a name can be read")
@pytest.mark.parametrize(("statement", "has_file"), [("vacuum", True), ("sort", False)])
def test_no_temporary_file_can_be_read(tmp_path: Path, statement: str, *, has_file: bool) -> None:
    """A sort of more than SQLite keeps in memory would write to a file that SQLCipher leaves plain."""
    with contextlib.closing(SqliteDatabase.prepare(tmp_path / "memories.db", key=KEY)) as database:
        database.execute("CREATE TABLE texts (text TEXT)")
        with database.transaction():
            database.execute_many(
                "INSERT INTO texts VALUES (?)",
                ((f"{number * 7919 % 20_000} {SECRET}" * 20,) for number in range(20_000)),
            )
        seen, is_over = list[bytes](), threading.Event()

        def run() -> None:
            if statement == "vacuum":
                database.vacuum()
            else:
                database.rows("SELECT DISTINCT text || 'x' AS text FROM texts ORDER BY text DESC LIMIT 2")
            is_over.set()

        worker = threading.Thread(target=run)
        worker.start()
        while not is_over.is_set():
            seen.extend(read_temporary_files())
        worker.join()
        assert any(seen) is has_file
        assert not any(SECRET.encode() in content for content in seen)


def test_a_page_that_was_changed_is_damage_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "memories.db"
    SqliteDatabase.prepare(path, key=KEY).close()
    data = bytearray(path.read_bytes())
    data[4096 + 5] ^= 1
    path.write_bytes(data)
    with contextlib.closing(SqliteDatabase(path, key=KEY)) as database:
        with pytest.raises(DamagedDatabase):
            database.seq()
        assert database.integrity_faults()
    with pytest.raises(DamagedDatabase):
        SqliteDatabase(path, key=OTHER_KEY)
    with pytest.raises(DamagedDatabase):
        SqliteDatabase(path)
    assert capfd.readouterr() == ("", "")


def test_errors_of_sqlcipher_are_those_of_sqlite(tmp_path: Path) -> None:
    with contextlib.closing(SqliteDatabase.prepare(tmp_path / "memories.db", key=KEY)) as database:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            database.rows("SELECT * FROM nowhere")
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("INSERT INTO counters VALUES ('seq', 1)")
        with pytest.raises(sqlite3.ProgrammingError):
            database.rows("SELECT ?")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.rows("SELECT 1")


def test_a_plain_database_takes_no_encrypted_one_beside_it(plain: Path, tmp_path: Path) -> None:
    SqliteDatabase.prepare(tmp_path / "other.db", key=KEY).close()
    with (
        contextlib.closing(SqliteDatabase(plain)) as database,
        pytest.raises(StorageError, match="not encrypted any more: try again"),
        database.attached(tmp_path / "other.db", KEY),
    ):
        pass


def test_a_directory_that_is_not_encrypted_loads_nothing_of_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from sediment_mcp.storage.sqlite.storage import SqliteStorage\n"
        "from sediment_mcp.tuning import Tuning; storage = SqliteStorage(Path(sys.argv[1]), Tuning())\n"
        "with storage.read(): pass\n"
        "storage.close(); sys.exit(bool({'sqlcipher3', 'keyring', 'cryptography'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], check=True, timeout=60)
