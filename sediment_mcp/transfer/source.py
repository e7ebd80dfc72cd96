"""Where an import comes from: a file, a folder, standard input; and bytes to text, whoever wrote them."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sediment_mcp.errors import BadArgument, StorageError

HEAD = 65_536  # bytes by which a format is recognized
MAX_DOCUMENT = 512 * 1024 * 1024  # bytes of a file that has to be read as a whole
MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
GUESSED = "is not UTF-8: it was read as Windows-1252, Western European; look at its accented letters."


@dataclass(slots=True)
class Source:
    """A file that is open for reading, at its beginning, and can go back there; or a folder, which is not.

    ``size`` is in bytes, for a folder in files. ``done`` is how far a reader has come, in the same unit.
    """

    path: Path
    name: str
    stream: BinaryIO
    size: int = 0

    @property
    def done(self) -> int:
        return self.stream.tell()

    def head(self) -> bytes:
        """The first bytes; the place of reading stays."""
        head = self.stream.read(HEAD)
        self.stream.seek(0)
        return head

    def whole(self, most: int = MAX_DOCUMENT) -> bytes:
        """All of it.

        Raises:
            BadArgument: that would be too much.
        """
        if self.size > most:
            raise BadArgument(
                f"{self.name} is too large ({self.size:,} bytes, at most {most:,}): "
                "split it and import the parts."
            )
        return self.stream.read()

    def lines(self, longest: int) -> Iterator[tuple[int, str | None]]:
        """Each line with its number, None in the place of one that is too long; bytes that are no text become
        halves of surrogate pairs, which no memory may hold."""
        mark, encoding = _mark(self.head()[:4])
        self.stream.seek(len(mark))
        errors = "surrogateescape" if encoding == "utf-8" else "replace"
        text = io.TextIOWrapper(self.stream, encoding=encoding, errors=errors, newline="\n")
        number = 0
        while line := text.readline(longest):
            number += 1
            is_whole = len(line) < longest or line.endswith("\n")
            while not is_whole:
                rest = text.readline(longest)
                is_whole = len(rest) < longest or rest.endswith("\n")
                line = ""
            yield number, line or None
        text.detach()


def _mark(head: bytes) -> tuple[bytes, str]:
    return next(((mark, name) for mark, name in MARKS if head.startswith(mark)), (b"", "utf-8"))


def open_file(path: Path) -> Source:
    """A file as a source.

    Raises:
        BadArgument: it is not there, or not a file.
        StorageError: it cannot be read.
    """
    if not path.exists():
        raise BadArgument(f"{path} does not exist: check its name.")
    if not path.is_file():
        raise BadArgument(f"{path} is neither a file nor a folder: give the one or the other.")
    try:
        return Source(path, str(path), path.open("rb"), path.stat().st_size)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


def held(data: bytes, name: str) -> Source:
    """Bytes in memory as a source."""
    return Source(Path(name), name, io.BytesIO(data), len(data))


class NoText(ValueError):
    """Bytes that are no text; the message says it as the end of a sentence."""


def text_of(data: bytes) -> tuple[str, str | None]:
    """(the text, a note where its encoding had to be guessed): by its mark, else UTF-8, else Windows-1252.

    Raises:
        NoText: it looks like no text at all.
    """
    mark, encoding = _mark(data[:4])
    if not mark and b"\0" in data:
        raise NoText("is no text: it holds zero bytes.")
    try:
        return data[len(mark) :].decode(encoding), None
    except UnicodeDecodeError:
        if mark:
            raise NoText(f"is no valid {encoding.upper()}, though it begins like it.") from None
    return data.decode("cp1252", "replace"), GUESSED
