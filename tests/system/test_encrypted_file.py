"""Large encrypted files: what was written comes back, or the file is damaged; nothing of it stands open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.encryption import make_encrypted, own_keys

from sediment_mcp.errors import DamagedFile, StorageError
from sediment_mcp.system import encrypted_file
from sediment_mcp.system.directory_encryption import DirectoryEncryption, Marker
from sediment_mcp.system.encrypted_file import (
    ADDED_BYTES,
    MAGIC,
    NUMBER_BYTES,
    EncryptedReader,
    EncryptedWriter,
)

pytestmark = pytest.mark.encrypt
BLOCK = 64
HEAD = len(MAGIC) + NUMBER_BYTES


@pytest.fixture
def encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DirectoryEncryption]:
    monkeypatch.setattr(encrypted_file, "BLOCK_BYTES", BLOCK)
    with own_keys():
        make_encrypted(tmp_path)
        yield DirectoryEncryption(tmp_path)


def write(path: Path, encryption: DirectoryEncryption, *parts: bytes, name: str = "") -> None:
    with path.open("wb") as file:
        writer = EncryptedWriter(file, encryption, name or path.name)
        for part in parts:
            writer.write(part)
        writer.finish()


def read(path: Path, encryption: DirectoryEncryption, *counts: int) -> list[bytes]:
    with path.open("rb") as file:
        reader = EncryptedReader(file, encryption, path.name)
        parts = [reader.read(count) for count in counts]
        reader.finish()
    return parts


SIZES = st.lists(st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7]), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=SIZES, others=SIZES)
def test_what_is_written_comes_back_however_it_is_cut(
    encryption: DirectoryEncryption, sizes: list[int], others: list[int]
) -> None:
    parts, path = [os.urandom(size) for size in sizes], encryption.directory / "large"
    whole = b"".join(parts)
    write(path, encryption, *parts)
    cuts, left = list[int](), len(whole)
    for count in others:
        cuts.append(min(count, left))
        left -= cuts[-1]
    assert b"".join(read(path, encryption, *cuts, left)) == whole


def test_nothing_that_was_written_stands_in_the_file(encryption: DirectoryEncryption) -> None:
    path = encryption.directory / "large"
    write(path, encryption, b"kiwi " * 100)
    assert b"kiwi" not in path.read_bytes()


def damage(data: bytes, how: str) -> bytes:
    block = BLOCK + ADDED_BYTES
    first, second, rest = (
        data[HEAD : HEAD + block],
        data[HEAD + block : HEAD + 2 * block],
        data[HEAD + 2 * block :],
    )
    return {
        "a bit": data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
        "of another kind": b"x" + data[1:],
        "cut": data[:-1],
        "a block less": data[:HEAD] + first + rest,
        "the last less": data[: HEAD + 2 * block],
        "all less": data[:HEAD],
        "two exchanged": data[:HEAD] + second + first + rest,
        "one twice": data[:HEAD] + first + first + second + rest,
        "more": data + b"x",
        "not encrypted": data[:HEAD] + bytes(BLOCK),
        "nothing": b"",
    }[how]


DAMAGES = (
    "a bit", "of another kind", "cut", "a block less", "the last less", "all less", "two exchanged",
    "one twice", "more", "not encrypted", "nothing",
)  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_every_change_is_damage(encryption: DirectoryEncryption, how: str) -> None:
    path = encryption.directory / "large"
    write(path, encryption, b"kiwi" * 40)
    assert read(path, encryption, 160) == [b"kiwi" * 40]
    path.write_bytes(damage(path.read_bytes(), how))
    with pytest.raises(DamagedFile):
        read(path, encryption, 160)


def test_a_block_of_another_file_of_this_name_is_damage(encryption: DirectoryEncryption) -> None:
    path = encryption.directory / "large"
    write(path, encryption, b"kiwi" * 40)
    before = path.read_bytes()
    write(path, encryption, b"plum" * 40)
    block = HEAD + BLOCK + ADDED_BYTES
    path.write_bytes(path.read_bytes()[:HEAD] + before[HEAD:block] + path.read_bytes()[block:])
    with pytest.raises(DamagedFile):
        read(path, encryption, 160)


def test_a_file_under_another_name_is_damage(encryption: DirectoryEncryption) -> None:
    path = encryption.directory / "large"
    write(path, encryption, b"kiwi", name="other")
    with pytest.raises(DamagedFile):
        read(path, encryption, 4)


def test_reading_less_than_there_is_is_damage(encryption: DirectoryEncryption) -> None:
    path = encryption.directory / "large"
    write(path, encryption, b"kiwi" * 40)
    for count in (0, 10, BLOCK, 2 * BLOCK):
        with pytest.raises(DamagedFile):
            read(path, encryption, count)


def test_a_directory_that_is_decrypted_meanwhile_gets_no_open_block(encryption: DirectoryEncryption) -> None:
    marker = encryption.marker
    assert marker is not None
    with (encryption.directory / "large").open("wb") as file:
        writer = EncryptedWriter(file, encryption, "large")
        writer.write(b"kiwi" * 40)
        encryption.write_marker(Marker("decrypting", marker.key_id, marker.source))
        with pytest.raises(StorageError, match="try again"):
            writer.write(b"plum" * 40)
    assert b"plum" not in (encryption.directory / "large").read_bytes()
