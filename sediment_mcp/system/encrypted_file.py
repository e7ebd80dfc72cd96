"""Write and read large files of an encrypted data directory, a block at a time.

A file is a sequence of blocks of one size, the last of which is shorter. Each is encrypted by itself, bound
to the file's name, to a random number of this one file, and to its place: so blocks cannot be left out, put
in another order, or taken from another file without being noticed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from sediment_mcp.errors import DamagedFile, StorageError
from sediment_mcp.system import directory_encryption

if TYPE_CHECKING:
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

MAGIC = b"sediment-mcp/blocks/1\n"
"""What such a file begins with."""
NUMBER_BYTES = 16
BLOCK_BYTES = 4 * 1024 * 1024
ADDED_BYTES = (
    len(directory_encryption.MAGIC) + directory_encryption.NONCE_BYTES + directory_encryption.TAG_BYTES
)


class EncryptedWriter:
    """Writes one file; `finish` writes what is left, without which the file does not open."""

    def __init__(self, file: BinaryIO, encryption: DirectoryEncryption, name: str) -> None:
        """Begin a file that will have this name."""
        self._file, self._encryption = file, encryption
        number = os.urandom(NUMBER_BYTES)
        file.write(MAGIC + number)
        self._label, self._blocks = f"{name} {number.hex()}", 0
        self._waiting = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, as many as there are."""
        for start in range(0, len(data), BLOCK_BYTES):
            self._waiting += data[start : start + BLOCK_BYTES]
            if len(self._waiting) > BLOCK_BYTES:
                self._write_block(is_last=False)

    def finish(self) -> None:
        """Write the last block."""
        self._write_block(is_last=True)

    def _write_block(self, *, is_last: bool) -> None:
        block = bytes(self._waiting[:BLOCK_BYTES])
        del self._waiting[:BLOCK_BYTES]
        encrypted = self._encryption.encrypt(block, _name_block(self._label, self._blocks, is_last))
        if len(encrypted) != len(block) + ADDED_BYTES:
            raise StorageError("The data directory is being decrypted at this moment: try again.")
        self._file.write(encrypted)
        self._blocks += 1


class EncryptedReader:
    """Reads one file from its beginning to its end."""

    def __init__(self, file: BinaryIO, encryption: DirectoryEncryption, name: str) -> None:
        """Read the head of a file of this name.

        Raises:
            DamagedFile: it is of another kind.
        """
        self._file, self._encryption, self._name = file, encryption, name
        head = file.read(len(MAGIC) + NUMBER_BYTES)
        if len(head) < len(MAGIC) + NUMBER_BYTES or not head.startswith(MAGIC):
            raise DamagedFile(f"{name} is damaged: it is no encrypted file.")
        self._label, self._blocks = f"{name} {head[len(MAGIC) :].hex()}", 0
        self._left = os.fstat(file.fileno()).st_size - len(head)
        self._block = memoryview(b"")

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes; see `read_into`."""
        data = bytearray(min(count, self._left + len(self._block)))
        self.read_into(memoryview(data))
        if len(data) != count:
            raise self._describe_loss()
        return bytes(data)

    def read_into(self, target: memoryview) -> None:
        """Fill a buffer with the next bytes.

        Raises:
            DamagedFile: they are damaged, or the file ends before.
            KeyUnavailable: there is no key.
        """
        filled = 0
        while filled < len(target):
            if not self._block:
                self._block = self._read_block()
            part = self._block[: len(target) - filled]
            target[filled : filled + len(part)] = part
            filled += len(part)
            self._block = self._block[len(part) :]

    def finish(self) -> None:
        """Check that the whole file has been read.

        Raises:
            DamagedFile: there is more in it, or its last block is missing.
        """
        if not self._blocks:  # of an empty file the one block is the last, and nobody has asked for it
            self._block = self._decrypt_block()
        if self._block or self._left:
            raise DamagedFile(f"{self._name} is damaged: it is longer than it says.")

    def _read_block(self) -> memoryview:
        block = self._decrypt_block() if self._left else memoryview(b"")
        if not block:
            raise self._describe_loss()
        return block

    def _decrypt_block(self) -> memoryview:
        data = self._file.read(BLOCK_BYTES + ADDED_BYTES)
        self._left -= len(data)
        name = _name_block(self._label, self._blocks, self._left <= 0)
        block = self._encryption.decrypt(data, name)
        if len(block) != len(data) - ADDED_BYTES:
            raise DamagedFile(f"{self._name} is damaged: a part of it is not encrypted.")
        self._blocks += 1
        return memoryview(block)

    def _describe_loss(self) -> DamagedFile:
        return DamagedFile(f"{self._name} is damaged: it has lost a part.")


def _name_block(label: str, place: int, is_last: bool) -> str:
    return f"{label} {place}{' last' if is_last else ''}"
