"""Make the copy of a damaged encrypted database one that opens, page by page.

A page stands or falls by its HMAC. Pages that stand stay encrypted as they are; one that fell becomes a page
of encrypted zeros, which SQLite takes for damage of this page alone, or on request what it decrypts to all
the same. SQLCipher itself reads nothing more after a page that fell.
The log is merged into the copy by SQLite's own rule: the frames up to the last commit whose checksums agree.
Nothing is ever written that is not encrypted.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from sediment_mcp.storage.sqlite.page_cipher import PAGE_BYTES, SALT_BYTES, PageCipher

LOG_HEADER = struct.Struct(">8I")  # SQLite's file format, section 4.1
LOG_MAGIC = 0x377F0682  # with the lowest bit set where checksums are of big-endian words
FRAME_HEADER = struct.Struct(">6I")
FRAME_BYTES = FRAME_HEADER.size + PAGE_BYTES
CHECKED_HEADER_BYTES, CHECKED_FRAME_BYTES = 24, 8  # of a header, of which a checksum is made
SAMPLED_PAGES = 100
NO_PAGE = bytes(PAGE_BYTES)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many of a file's ``pages`` are ``fallen``.

    ``is_checked`` is False where the salt is lost, so that none could be checked.
    """

    pages: int
    fallen: int
    is_checked: bool


def make_readable(copy: Path, key: bytes, *, believes_fallen: bool = False) -> Standing:
    """Rewrite a copy, and merge its log, so that SQLCipher opens it with the key.

    With ``believes_fallen`` pages that fell are kept as what they decrypt to; so are all of them where the
    salt is lost, because the key of the HMAC goes with it, and the first one, whose names of tables are
    tried and not believed.
    """
    log = copy.with_name(f"{copy.name}-wal")
    with copy.open("r+b") as file:
        frames = _read_log(log)
        count = frames.pages or -(-copy.stat().st_size // PAGE_BYTES)
        cipher = _find_cipher(file, frames.latest, key)
        target = cipher or PageCipher(key, os.urandom(SALT_BYTES))
        fallen = 0
        for number in range(1, count + 1):
            on_disk = _read_page(file, number)
            page = frames.latest.get(number, on_disk)
            stands = cipher is not None and cipher.stands(page, number)
            fallen += not stands
            if stands and number > 1:
                kept = page
            elif number == 1 or cipher is None or believes_fallen:
                kept = target.authenticate(page.ljust(PAGE_BYTES, b"\0"), number)
            else:
                kept = target.encrypt(NO_PAGE, number)
            if kept != on_disk:
                file.seek((number - 1) * PAGE_BYTES)
                file.write(kept)
        file.truncate(count * PAGE_BYTES)
    log.unlink(missing_ok=True)
    return Standing(count, fallen, cipher is not None)


def is_likely_encrypted(path: Path, key: bytes | None = None) -> bool:
    """Return whether a damaged file that does not begin as an unencrypted one is encrypted.

    By a page that stands with the ``key``, or else by whether most pages look like random bytes, which no
    page of an unencrypted database does.
    """
    with path.open("rb") as file:
        if key is not None and _find_cipher(file, {}, key) is not None:
            return True
        sample = [page for page in islice(_iterate_pages(file), SAMPLED_PAGES) if len(page) == PAGE_BYTES]
    return 2 * sum(map(_is_random, sample)) > len(sample)


def _find_cipher(file: BinaryIO, frames: Mapping[int, bytes], key: bytes) -> PageCipher | None:
    """Return the cipher with whose salt any page stands, or None.

    The salt is in the first page of the file, and in that of the log if it has one.
    """
    file.seek(0)
    salts = [file.read(SALT_BYTES), frames.get(1, b"")[:SALT_BYTES]]
    for salt in dict.fromkeys(salt for salt in salts if len(salt) == SALT_BYTES):
        cipher = PageCipher(key, salt)
        numbered: Iterable[tuple[int, bytes]] = enumerate(_iterate_pages(file), start=1)
        if any(cipher.stands(page, number) for number, page in (*frames.items(), *numbered)):
            return cipher
    return None


def _iterate_pages(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while page := file.read(PAGE_BYTES):
        yield page


def _read_page(file: BinaryIO, number: int) -> bytes:
    file.seek((number - 1) * PAGE_BYTES)
    return file.read(PAGE_BYTES)


def _is_random(page: bytes) -> bool:
    return len(zlib.compress(page, 1)) > len(page)


# --- the log ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frames:
    """What a log has committed.

    The ``latest`` content of pages by number, and the number of all ``pages``, 0 without a commit.
    """

    latest: Mapping[int, bytes]
    pages: int


def _read_log(path: Path) -> _Frames:
    data = path.read_bytes() if path.exists() else b""
    latest: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    pages = 0
    for number, pages_at_commit, page in _iterate_frames(data):
        pending[number] = page
        if pages_at_commit:
            latest |= pending
            pending, pages = {}, pages_at_commit
    return _Frames({number: page for number, page in latest.items() if number <= pages}, pages)


def _iterate_frames(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (page number, pages at a commit or 0, page) as far as checksums agree."""
    if len(data) < LOG_HEADER.size:
        return
    magic, _, page_bytes, _, *salts, first, second = LOG_HEADER.unpack_from(data)
    words = struct.Struct(">2I" if magic & 1 else "<2I")
    checksum = _add_to_checksum(words, (0, 0), data[:CHECKED_HEADER_BYTES])
    if magic | 1 != LOG_MAGIC | 1 or page_bytes != PAGE_BYTES or checksum != (first, second):
        return
    for start in range(LOG_HEADER.size, len(data) - FRAME_BYTES + 1, FRAME_BYTES):
        number, pages_at_commit, *own, first, second = FRAME_HEADER.unpack_from(data, start)
        page = data[start + FRAME_HEADER.size : start + FRAME_BYTES]
        checksum = _add_to_checksum(words, checksum, data[start : start + CHECKED_FRAME_BYTES] + page)
        if own != salts or checksum != (first, second):
            return
        yield number, pages_at_commit, page


def _add_to_checksum(words: struct.Struct, checksum: tuple[int, int], data: bytes) -> tuple[int, int]:
    """Return SQLite's checksum (section 4.2) of what came before and then this."""
    one, other = checksum
    for even, odd in words.iter_unpack(data):
        one = (one + even + other) & 0xFFFFFFFF
        other = (other + odd + one) & 0xFFFFFFFF
    return one, other
