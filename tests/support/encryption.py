"""Encrypted data directories: how a test makes one, where its key is kept, and what its files hold in plain.

The pages of SQLCipher are decrypted here once more, by its published format and not by the package: what is
left in the free space of an encrypted file is seen by nothing that asks SQLite.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from sediment_mcp.config import KEY_COMMAND
from sediment_mcp.storage.sqlite.library import connect
from sediment_mcp.system import encrypted_file
from sediment_mcp.system.data_key import DataKey, generate_key
from sediment_mcp.system.database_files import SQLITE_MAGIC
from sediment_mcp.system.directory_encryption import (
    MARKER,
    DirectoryEncryption,
    Marker,
)
from sediment_mcp.system.encrypted_file import EncryptedReader
from sediment_mcp.system.encrypted_lines import decrypt_line
from sediment_mcp.system.key_sources import KeySource, store_key

SETTINGS_HOME = {"win32": "USERPROFILE", "darwin": "HOME"}.get(sys.platform, "XDG_CONFIG_HOME")
"""The variable that says where the user's settings are, and with them the files of keys."""
PAGE, RESERVED, IV, SALT = 4096, 80, 16, 16
"""Bytes of a page of SQLCipher 4, of what ends it, of that the first part; and of what begins a file."""
LOG_HEADER, FRAME_HEADER = 32, 24


@contextmanager
def own_keys() -> Iterator[Path]:
    """Keep keys in a folder that is gone afterwards: those of this process and of those that it starts."""
    with (
        tempfile.TemporaryDirectory(prefix="keys-") as folder,
        mock.patch.dict(os.environ, {SETTINGS_HOME: folder}),
    ):
        yield Path(folder)


def make_encrypted(directory: Path, source: KeySource = "file") -> DataKey:
    """Let a data directory without memories be encrypted from the start, unless it is; its key.

    The key is kept where ``source`` says; for a command, see `key_command`.
    """
    if (directory / MARKER).exists():
        return DirectoryEncryption(directory).key()
    key = generate_key()
    if source != "command":
        store_key(source, key)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    DirectoryEncryption(directory).write_marker(Marker("encrypted", key.id, source))
    return key


def key_command(key: DataKey) -> dict[str, str]:
    """The variables of a process whose key a command prints."""
    return {KEY_COMMAND: shlex.join([sys.executable, "-c", f"print({key.recovery_code!r})"])}


def find_encryption(path: Path) -> DirectoryEncryption:
    """The encryption of the data directory in which a file is, if it is in one that has any."""
    marked = [parent for parent in path.parents if (parent / MARKER).exists()]
    return DirectoryEncryption(marked[0] if marked else path.parent)


def open_file(path: Path) -> sqlite3.Connection:
    """Connect to a database past the package, encrypted or not."""
    return connect(str(path), find_encryption(path).database_key(path))


def read_plain(path: Path, encryption: DirectoryEncryption | None = None) -> bytes:
    """What a file holds once it is decrypted by ``encryption``, or by that of its directory.

    What is not encrypted comes as it is. Of a database and its log that is each page, whether a table has it
    or not.
    """
    data, encryption = path.read_bytes(), encryption or find_encryption(path)
    if encryption.marker is None:
        return data
    if ".db" in path.name and not path.name.endswith("-shm"):
        key = encryption.key().derive("database")
        return decrypt_log(data, key) if path.name.endswith("-wal") else decrypt_pages(data, key)
    if data.startswith(encrypted_file.MAGIC):
        with path.open("rb") as file:
            reader = EncryptedReader(file, encryption, path.name)
            return reader.read(_count_plain(len(data)))
    if path.suffix == ".jsonl":
        lines = (decrypt_line(line, path.name, encryption) for line in data.splitlines())
        return b"\n".join(lines)
    return encryption.decrypt(data, path.name)


def _count_plain(size: int) -> int:
    """Bytes of what a file of blocks holds."""
    body = size - len(encrypted_file.MAGIC) - encrypted_file.NUMBER_BYTES
    whole = encrypted_file.BLOCK_BYTES + encrypted_file.ADDED_BYTES
    return body - -(-body // whole) * encrypted_file.ADDED_BYTES


def decrypt_pages(data: bytes, key: bytes) -> bytes:
    """The pages of a database of SQLCipher."""
    if not data or data.startswith(SQLITE_MAGIC):
        return data
    pages = (data[start : start + PAGE] for start in range(0, len(data), PAGE))
    return b"".join(_decrypt_page(page, key, is_first=not number) for number, page in enumerate(pages))


def list_frames(log: bytes) -> list[bytes]:
    """The pages in a write-ahead log, as they are."""
    return [log[start : start + PAGE] for start in _find_frames(log)]


def decrypt_log(log: bytes, key: bytes) -> bytes:
    """The pages in a write-ahead log of SQLCipher, those that it has applied already too."""
    return b"".join(
        _decrypt_page(log[start : start + PAGE], key, is_first=_read_number(log, start) == 1)
        for start in _find_frames(log)
    )


def _find_frames(log: bytes) -> range:
    """Where the pages of a log begin."""
    return range(LOG_HEADER + FRAME_HEADER, len(log), FRAME_HEADER + PAGE)


def _read_number(log: bytes, start: int) -> int:
    return int.from_bytes(log[start - FRAME_HEADER : start - FRAME_HEADER + 4], "big")


def _decrypt_page(page: bytes, key: bytes, *, is_first: bool) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if len(page) < PAGE:
        return page
    end = PAGE - RESERVED
    cipher = Cipher(algorithms.AES(key), modes.CBC(page[end : end + IV])).decryptor()
    return cipher.update(page[SALT if is_first else 0 : end]) + cipher.finalize()
