"""Open a file or standard input as a source of bytes, decrypt it, and read it as text.

What is imported was written by other programs on other machines: each read has a bound, and a text whose
encoding is not named is decoded as `system.encodings` says.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.system.encodings import DecodedText, decode_text, detect_encoding
from sediment_mcp.transfer.encryption import decrypt, is_encrypted

HEAD_BYTES = 65_536  # by which a format is detected
SPOOL_BYTES = 64 * 1024 * 1024  # of standard input in memory; what is longer goes to a temporary file
STDIN_NAME = "standard input"
SQLITE_SIGNATURE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much of a source is read at once before it is refused.

    Attributes:
        max_document_bytes: of a file that has to be read as a whole.
        max_note_bytes: of one note.
        max_line_chars: of a line of our own export; the longest memory with its embeddings takes a tenth.
        max_entity_chars: of a line that holds an entity with all its observations.
    """

    max_document_bytes: int = 512 * 1024 * 1024
    max_note_bytes: int = 10 * 1024 * 1024
    max_line_chars: int = 16 * 1024 * 1024
    max_entity_chars: int = 64 * 1024 * 1024


DEFAULT_LIMITS = ReadLimits()


@dataclass(slots=True)
class Source:
    """A file that is open for reading from its beginning, and that can be read again.

    Attributes:
        path: the file's path, or a name where there is no file.
        name: what messages call it.
        stream: the bytes, seekable.
        size: number of bytes.
        encoding: the one that the user has named, None: it is detected.
        first_line: the number of its first line, if it is the rest of a longer one.
    """

    path: Path
    name: str
    stream: BinaryIO
    size: int = 0
    encoding: str | None = None
    first_line: int = 1

    @property
    def position(self) -> int:
        """Number of bytes that have been read."""
        return self.stream.tell()

    def finish(self) -> None:
        """Count all bytes as read, for a reader that has opened the file by its path."""
        self.stream.seek(0, os.SEEK_END)

    def head(self) -> bytes:
        """Return the first bytes and leave the position at the beginning."""
        head = self.stream.read(HEAD_BYTES)
        self.stream.seek(0)
        return head

    def read_all(self, max_bytes: int) -> bytes:
        """Return all bytes.

        Raises:
            BadArgument: there are more than ``max_bytes``.
        """
        if self.size > max_bytes:
            raise BadArgument(
                f"{self.name} is too large ({self.size:,} bytes, at most {max_bytes:,}): "
                "split it and import the parts."
            )
        return self.stream.read()

    def decode_head(self) -> str:
        """Return the text of the first bytes.

        Raises:
            NotText: they are no text.
        """
        head = self.head()
        return decode_text(head, self.encoding, is_complete=len(head) == self.size).text

    def decode_all(self, max_bytes: int) -> DecodedText:
        """Return the whole text.

        Raises:
            BadArgument: there are more than ``max_bytes``.
            NotText: it is no text.
        """
        return decode_text(self.read_all(max_bytes), self.encoding)

    def lines(self, max_chars: int) -> Iterator[tuple[int, str | None]]:
        """Yield each line with its number from 1, and None for a line of ``max_chars`` or more.

        Bytes that are no text become halves of surrogate pairs, which no memory may hold.
        """
        mark, encoding = (b"", self.encoding) if self.encoding else detect_encoding(self.head())
        self.stream.seek(len(mark))
        errors = "surrogateescape" if encoding == "utf-8" else "replace"
        text = io.TextIOWrapper(self.stream, encoding=encoding, errors=errors, newline="\n")
        number = self.first_line - 1
        while line := text.readline(max_chars):
            number += 1
            is_whole = len(line) < max_chars or line.endswith("\n")
            while not is_whole:
                rest = text.readline(max_chars)
                is_whole = len(rest) < max_chars or rest.endswith("\n")
                line = ""
            yield number, line or None
        text.detach()


# --- open ---------------------------------------------------------------------------------------


def open_source(
    path_or_stream: Path | BinaryIO,
    ask_passphrase: Callable[[], str],
    limits: ReadLimits,
    encoding: str | None = None,
) -> Source:
    """Open a file, or a stream such as standard input, and decrypt it.

    ``ask_passphrase`` is called only if it is encrypted; ``encoding`` is None where it is not named.

    Raises:
        BadArgument: there is no such file, or the passphrase is wrong.
        StorageError: the file cannot be read.
    """
    source = _open_file(path_or_stream) if isinstance(path_or_stream, Path) else _spool(path_or_stream)
    source.encoding = encoding
    if not is_encrypted(source.head()):
        return source
    encrypted = source.read_all(limits.max_document_bytes)
    decrypted = wrap_bytes(decrypt(encrypted, ask_passphrase(), source.name), source.name)
    return replace(decrypted, encoding=encoding)


def is_sqlite(head: bytes) -> bool:
    """Return True if a file that begins so is an SQLite database."""
    return head.startswith(SQLITE_SIGNATURE)


def wrap_bytes(data: bytes, name: str) -> Source:
    """Return bytes in memory as a source."""
    return Source(Path(name), name, io.BytesIO(data), len(data))


def _open_file(path: Path) -> Source:
    if not path.exists():
        raise BadArgument(f"{path} does not exist: check its name.")
    if not path.is_file():
        raise BadArgument(f"{path} is neither a file nor a folder: give the one or the other.")
    try:
        return Source(path, str(path), path.open("rb"), path.stat().st_size)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


def _spool(stream: BinaryIO) -> Source:
    """Copy a stream, which can be read only once, to a file that can be read again."""
    data = stream.read(SPOOL_BYTES)
    if len(data) < SPOOL_BYTES:
        return wrap_bytes(data, STDIN_NAME)
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - private, without a name, and gone with the process
    spool.write(data)
    shutil.copyfileobj(stream, spool)
    size = spool.tell()
    spool.seek(0)
    return Source(Path(STDIN_NAME), STDIN_NAME, spool, size)
