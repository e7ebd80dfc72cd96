"""Files of lines to which several processes append: each line is encrypted by itself.

What is encrypted is written in base64, so a line tells by its beginning of which kind it is, and both kinds
may stand in one file while a directory is being encrypted or decrypted.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from sediment_mcp.errors import DamagedFile
from sediment_mcp.system.directory_encryption import MAGIC, DirectoryEncryption
from sediment_mcp.system.files import write_atomically

BEGINNING = base64.b64encode(MAGIC)[: len(MAGIC) // 3 * 4]
"""What an encrypted line begins with."""


def encrypt_line(text: str, name: str, encryption: DirectoryEncryption) -> bytes:
    """Return a line for a file of this name, with its end; encrypted if the directory is.

    Raises:
        KeyUnavailable: there is no key.
    """
    plain = text.encode()
    encrypted = encryption.encrypt(plain, name)
    return (plain if encrypted is plain else base64.b64encode(encrypted)) + b"\n"


def decrypt_line(line: bytes, name: str, encryption: DirectoryEncryption) -> bytes:
    """Return what `encrypt_line` was given, with or without its end; nothing for a damaged line.

    Raises:
        KeyUnavailable: there is no key.
    """
    if not line.startswith(BEGINNING):
        return line
    try:
        return encryption.decrypt(base64.b64decode(line.strip(), validate=True), name)
    except (binascii.Error, DamagedFile):
        return b""


def needs_rewrite(path: Path, encryption: DirectoryEncryption) -> bool:
    """Return whether a line of a file is not of the kind that is written now.

    Raises:
        OSError: it cannot be read.
    """
    encrypts = encryption.encrypts
    return any(line.startswith(BEGINNING) != encrypts for line in _read_lines(path))


def rewrite_lines(path: Path, encryption: DirectoryEncryption) -> None:
    """Replace a file by one whose lines are of the kind that is written now.

    The caller holds its lock.

    Raises:
        OSError: it cannot be read or written.
        KeyUnavailable: there is no key.
    """
    if needs_rewrite(path, encryption):
        plain = [decrypt_line(line, path.name, encryption) for line in _read_lines(path)]
        lines = [encrypt_line(line.decode(errors="replace"), path.name, encryption) for line in plain]
        write_atomically(path, b"".join(lines))


def _read_lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
