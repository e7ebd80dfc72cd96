"""A data directory of known texts, what may happen to its database, and what SQLite still reads of it.

A damage changes the bytes of a file, with a random generator that makes its choices.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sediment_mcp.storage.sqlite.storage import DATABASE
from support.host import Clock, Host

Damage = Callable[[bytearray, random.Random], None]
PAGE = 4096
HEADER_BITS = 800


@dataclass
class Known:
    """A data directory: all texts by id, those that its backup holds, and the key if it is encrypted."""

    directory: Path
    texts: dict[str, str]
    backed_up: dict[str, str]
    key: bytes | None = None

    @property
    def path(self) -> Path:
        return self.directory / DATABASE


def without_backup(known: Known) -> Known:
    shutil.rmtree(known.directory / "backups")
    return replace(known, backed_up={})


@contextlib.contextmanager
def opened(known: Known) -> Iterator[Host]:
    """The directory, a day later."""
    host = Host(known.directory, Clock(Clock().time + timedelta(days=1)))
    yield host
    host.end()


def zeroed_pages(data: bytearray, choose: random.Random) -> None:
    for _ in range(choose.choice((1, 2, 8))):
        page = choose.randrange(1, len(data) // PAGE)
        data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)


def garbage_pages(data: bytearray, choose: random.Random) -> None:
    for _ in range(choose.choice((1, 3))):
        page = choose.randrange(1, len(data) // PAGE)
        data[page * PAGE : (page + 1) * PAGE] = choose.randbytes(PAGE)


def flipped_bits(data: bytearray, choose: random.Random) -> None:
    for _ in range(choose.choice((1, 10, 100))):
        bit = choose.randrange(HEADER_BITS, len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8


def truncated(data: bytearray, choose: random.Random) -> None:
    del data[choose.randrange(1, len(data)) :]


def header(data: bytearray, choose: random.Random) -> None:
    start = choose.randrange(100)
    data[start : start + 16] = choose.randbytes(len(data[start : start + 16]))


def no_header(data: bytearray, choose: random.Random) -> None:
    data[:100] = choose.randbytes(100)


def no_first_page(data: bytearray, choose: random.Random) -> None:
    data[:PAGE] = bytes(PAGE)


def read_row_by_row(path: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Return those of the texts by id that SQLite reads when it is asked for one memory at a time."""
    found: dict[str, str] = {}
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.text_factory = lambda data: data.decode("utf-8", "replace")
        for number in range(1, len(texts) + 1):
            with contextlib.suppress(sqlite3.Error):
                row = raw.execute("SELECT id, content FROM memories WHERE number = ?", (number,)).fetchone()
                if row and texts.get(row[0]) == row[1]:
                    found[row[0]] = row[1]
    return found
