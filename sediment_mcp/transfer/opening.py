"""From what the user names to a stream of items: a file, a folder or standard input, encrypted or not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sediment_mcp.transfer.detect import reader
from sediment_mcp.transfer.encryption import is_sealed, unseal
from sediment_mcp.transfer.formats import notes
from sediment_mcp.transfer.records import Item, Problem
from sediment_mcp.transfer.source import Source, held, open_file

NAME = "standard input"
IN_MEMORY = 64 * 1024 * 1024  # bytes of standard input; what is longer waits in a file of the system's


@dataclass(frozen=True, slots=True)
class Opened:
    """``items`` to take in; ``where`` tells how far the reading is, as (done, total)."""

    items: Iterator[Item]
    where: Callable[[], tuple[int, int]]


def open_place(place: Path | BinaryIO, format_name: str | None, ask_passphrase: Callable[[], str]) -> Opened:
    """Open a file, a folder, or a stream such as standard input, whose format may be named.

    Raises:
        BadArgument: it is not there, its format is not known, or its passphrase is wrong.
        StorageError: it cannot be read.
    """
    if isinstance(place, Path) and place.is_dir():
        return _folder(place)
    source = open_file(place) if isinstance(place, Path) else _spooled(place)
    if is_sealed(source.head()):
        source = held(unseal(source.whole(), ask_passphrase(), source.name), source.name)
    read = reader(source, format_name)
    return Opened(read(source), lambda: (source.done, source.size))


def _spooled(stream: BinaryIO) -> Source:
    """A stream can be read once; this can be read again."""
    data = stream.read(IN_MEMORY)
    if len(data) < IN_MEMORY:
        return held(data, NAME)
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - private, without a name, and gone with the process
    kept.write(data)
    shutil.copyfileobj(stream, kept)
    size = kept.tell()
    kept.seek(0)
    return Source(Path(NAME), NAME, kept, size)


def _folder(folder: Path) -> Opened:
    found = notes.notes_in(folder)
    done = 0

    def items() -> Iterator[Item]:
        nonlocal done
        for one in found:
            yield from [one] if isinstance(one, Problem) else notes.read_note(one, folder)
            done += 1

    return Opened(items(), lambda: (done, len(found)))
