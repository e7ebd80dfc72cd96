"""Say whether a data directory is encrypted, and encrypt its files.

The marker file ``encryption.json`` says so for the directory with all its tenants, and names the key and
where it is kept; the key itself is never in the directory. A file tells by its first bytes whether it is
encrypted, so that both kinds can be read while a directory is being encrypted or decrypted, and what is
written anew is of the kind that the directory is on its way to.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast, get_args

from sediment_mcp.config import ENCRYPT_EXTRA, Config
from sediment_mcp.errors import DamagedFile, KeyUnavailable, StorageError
from sediment_mcp.system import database_files
from sediment_mcp.system.data_key import DataKey
from sediment_mcp.system.files import read_record, read_stamp, sync_directory, write_record
from sediment_mcp.system.key_sources import KeySource, load_key

MARKER = "encryption.json"
State = Literal["encrypting", "encrypted", "decrypting"]
MAGIC = b"sediment-mcp/aes-256-gcm/1\n"
"""What a file begins with that is encrypted here."""
NONCE_BYTES, TAG_BYTES = 12, 16
EXTRA_MODULES = ("sqlcipher3", "cryptography")
"""Of the extra, what every encrypted directory needs."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What the marker file says: the state, the key's id, and where the key is kept."""

    state: State
    key_id: str
    source: KeySource


class DirectoryEncryption:
    """The encryption of one data directory, with its tenants.

    May be used from any thread. The marker is looked at again at each use, because another process may
    encrypt the directory at any moment.
    """

    def __init__(self, directory: Path, key_command: str = "") -> None:
        """Note the directory, and look at nothing yet.

        ``key_command`` prints the key's recovery code, where that is its source.
        """
        self.directory = directory
        self.key_command = key_command
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # of its own: a source may wait for a person
        self._read: tuple[tuple[int, int, int], Marker] | None = None
        self._key: DataKey | None = None

    @property
    def marker(self) -> Marker | None:
        """What the marker file says; None if the directory is not encrypted.

        Raises:
            StorageError: it cannot be read.
        """
        path = self.directory / MARKER
        try:
            stamp = read_stamp(path)
            with self._lock:
                if self._read is None or self._read[0] != stamp:
                    self._read = (stamp, _read_marker(path))
                return self._read[1]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(
                f"{path} says whether the memories are encrypted, and cannot be read ({error.strerror}): "
                "make it readable."
            ) from error

    def write_marker(self, marker: Marker) -> None:
        """Replace the marker file in one step."""
        write_record(
            self.directory / MARKER,
            {"state": marker.state, "key_id": marker.key_id, "source": marker.source},
        )

    def remove_marker(self) -> None:
        """Say that the directory is not encrypted; no file of it may be any more."""
        (self.directory / MARKER).unlink(missing_ok=True)
        sync_directory(self.directory)

    @property
    def encrypts(self) -> bool:
        """Whether what is written now is encrypted."""
        marker = self.marker
        return marker is not None and marker.state != "decrypting"

    def key(self) -> DataKey:
        """Return the key; the source is asked once.

        Raises:
            KeyUnavailable: the source does not have it, or has another one, or the extra is not installed.
        """
        marker = self.marker
        if marker is None:
            raise StorageError("The data directory is not encrypted: there is no key.")
        with self._loading:
            if self._key is None or self._key.id != marker.key_id:
                _assert_extra()
                self._key = load_key(marker.source, marker.key_id, self.key_command)
            return self._key

    # --- SQLite files -------------------------------------------------------------------------

    def database_key(self, path: Path) -> bytes | None:
        """Return the key with which a SQLite file is opened or made.

        None for one that is not encrypted.

        Raises:
            KeyUnavailable: there is no key where one is needed.
        """
        if self.marker is None:
            return None
        is_encrypted = database_files.is_encrypted(path)
        if is_encrypted is None:
            is_encrypted = self.encrypts
        return self.key().derive("database") if is_encrypted else None

    # --- other files --------------------------------------------------------------------------

    def encrypt(self, data: bytes, name: str) -> bytes:
        """Return the content for a file of this name: encrypted if the directory is, else as it is."""
        if not self.encrypts:
            return data
        nonce = os.urandom(NONCE_BYTES)
        return MAGIC + nonce + self._cipher().encrypt(nonce, data, name.encode())

    def decrypt(self, data: bytes, name: str) -> bytes:
        """Return what `encrypt` was given for this name; what is not encrypted comes back as it is.

        Raises:
            DamagedFile: it is damaged, or was written under another name or with another key.
            KeyUnavailable: there is no key.
        """
        if not data.startswith(MAGIC):
            return data
        body = memoryview(data)[len(MAGIC) :]
        from cryptography.exceptions import InvalidTag

        try:
            return cast(
                "bytes", self._cipher().decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], name.encode())
            )
        except (InvalidTag, ValueError):
            raise DamagedFile(
                f"{name} is damaged: it does not open with the key of this directory."
            ) from None

    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self.key().derive("files"))


def find_encryption(config: Config) -> DirectoryEncryption:
    """Return the encryption of the data directory of these settings; nothing is looked at yet."""
    return DirectoryEncryption(config.data_dir, config.key_command)


def is_encrypted(path: Path) -> bool:
    """Return whether a file that is no SQLite file is encrypted, by its first bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _read_marker(path: Path) -> Marker:
    try:
        record = read_record(path)
        marker = Marker(record["state"], str(record["key_id"]), record["source"])
        if marker.state in get_args(State) and marker.source in get_args(KeySource):
            return marker
    except (ValueError, KeyError):
        pass
    raise StorageError(
        f"{path} says whether the memories are encrypted, and is damaged: "
        "give the recovery code to `sediment-mcp key restore`."
    )


def _assert_extra() -> None:
    """Check that the extra is installed, of which the server of another host may know nothing.

    Raises:
        KeyUnavailable: it is not.
    """
    missing = [name for name in EXTRA_MODULES if find_spec(name) is None]
    if missing:
        raise KeyUnavailable(
            f"The memories are encrypted, and {' and '.join(missing)} cannot be found here: run pip install "
            f'"{ENCRYPT_EXTRA}", or `sediment-mcp install` again for a host whose entry lacks it.'
        )
