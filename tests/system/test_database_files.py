"""A look at a database file costs no connection its locks; a file is known by its first bytes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.system import database_files
from sediment_mcp.system.data_key import generate_key
from sediment_mcp.system.database_files import FileUse, is_encrypted, is_open_here, open_database_file
from sediment_mcp.system.directory_encryption import DirectoryEncryption, Marker
from sediment_mcp.system.files import touch_private

pytest.importorskip("sqlcipher3")

KEY = b"k" * 32
PYTHON, CIPHER = FileUse(is_encrypted=False, library="sqlite3"), FileUse(True, "sqlcipher3")
KINDS = pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memories.db"


def open_and_close_elsewhere(path: Path, key: bytes | None) -> None:
    """Let another process open and close the file, as one does that ends."""
    code = (
        "import sys; from pathlib import Path\n"
        "from sediment_mcp.storage.sqlite.connection import SqliteDatabase\n"
        "key = bytes.fromhex(sys.argv[2]) or None\n"
        "database = SqliteDatabase(Path(sys.argv[1]), key=key); database.seq(); database.close()"
    )
    arguments = [str(path), key.hex() if key else ""]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)


@pytest.mark.process
@KINDS
def test_a_look_at_an_open_file_leaves_its_log_to_its_connection(file: Path, key: bytes | None) -> None:
    SqliteDatabase.prepare(file, key=key).close()
    with contextlib.closing(SqliteDatabase(file, key=key)) as database:
        with database.transaction():
            database.next_seq()
        assert is_encrypted(file) is (key is not None)
        touch_private(file)
        open_and_close_elsewhere(file, key)  # which removes the log if nobody else has a lock
        assert database.is_current()


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="a handle that is closed there drops no other's locks")
def test_without_the_register_a_look_would_cost_the_log(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteDatabase.prepare(file).close()
    with contextlib.closing(SqliteDatabase(file)) as database:
        with database.transaction():
            database.next_seq()
        monkeypatch.setattr(database_files, "_open_files", {})
        is_encrypted(file)
        open_and_close_elsewhere(file, None)
        assert not database.is_current()


@pytest.mark.process
def test_asking_for_the_key_of_an_open_database_leaves_its_log_to_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encryption, key = DirectoryEncryption(file.parent), generate_key()
    monkeypatch.setattr("sediment_mcp.system.directory_encryption.load_key", lambda *_: key)
    encryption.write_marker(Marker("encrypting", key.id, "keychain"))
    SqliteDatabase.prepare(file).close()
    with contextlib.closing(SqliteDatabase(file)) as database:
        with database.transaction():
            database.next_seq()
        assert DirectoryEncryption(file.parent).database_key(file) is None  # of another server of the process
        open_and_close_elsewhere(file, None)
        assert database.is_current()


@KINDS
def test_a_file_tells_its_kind_whether_it_is_open_or_not(file: Path, key: bytes | None) -> None:
    assert is_encrypted(file) is None
    file.touch()
    assert is_encrypted(file) is None
    with contextlib.closing(SqliteDatabase.prepare(file, key=key)):
        assert is_open_here(file)
        assert is_encrypted(file) is (key is not None)
    assert not is_open_here(file)
    assert is_encrypted(file) is (key is not None)


def test_a_file_is_open_until_its_last_connection_is_closed_or_forgotten(file: Path) -> None:
    first, second = SqliteDatabase.prepare(file), SqliteDatabase(file)
    first.close()
    first.close()
    assert is_open_here(file)
    del second
    assert not is_open_here(file)


def test_a_file_that_could_not_be_opened_counts_as_closed(file: Path) -> None:
    SqliteDatabase.prepare(file, key=KEY).close()
    with pytest.raises(StorageError):
        SqliteDatabase(file, key=bytes(32))
    assert not is_open_here(file)


def test_a_file_that_is_open_is_not_opened_by_another_library(file: Path) -> None:
    with contextlib.closing(SqliteDatabase.prepare(file)):
        with pytest.raises(StorageError, match="replaced at this very moment: try again"):
            open_database_file(file, CIPHER, lambda: pytest.fail("it was opened"))
        open_database_file(file, PYTHON, lambda: None)
        database_files.release_database_file(database_files.read_file_id(file))
