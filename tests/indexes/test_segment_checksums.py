"""A segment file is read whole when it has changed, and when it is asked for; else it counts as sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.host import Host
from support.memories import memory_of

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes import segment_checksums
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.segment_checksums import RECORD_NAME, verify_checksums
from sediment_mcp.indexes.tantivy_index import TantivyIndex, TantivyWriter
from sediment_mcp.storage.table_protocols import SnapshotId


def written(directory: Path, words: str, base: TantivyIndex | None = None) -> TantivyIndex:
    seq = 1 if base is None else base.snapshot.seq + 1
    chunks = [IndexedChunk(100 * seq + n, memory_of(100 * seq + n), f"{words} {n}") for n in range(20)]
    TantivyWriter(directory).write(base, chunks, (), SnapshotId(seq, seq))
    return TantivyIndex(directory)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read whole."""
    names: list[str] = []
    verify = segment_checksums._verify_file

    def watch(file: Path) -> None:
        names.append(file.name)
        verify(file)

    monkeypatch.setattr(segment_checksums, "_verify_file", watch)
    return names


def rot(file: Path) -> None:
    """Change a byte as a failing disk does: nothing else about the file changes."""
    before = file.stat()
    with file.open("r+b") as there:
        there.seek(10)
        byte = there.read(1)
        there.seek(10)
        there.write(bytes([byte[0] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_a_write_has_checked_is_not_read_again(tmp_path: Path, read: list[str]) -> None:
    index = written(tmp_path, "kiwi")
    assert len(read) > 3
    read.clear()
    TantivyIndex(tmp_path)
    assert read == []
    (first,) = index.folder.glob("*.idx")
    written(tmp_path, "plum", index)
    assert any(name.endswith(".idx") for name in read)
    assert first.name not in read


def write_in_place(path: Path) -> None:
    """Write a file's own bytes over it; cut to nothing first, it would end whoever has it mapped."""
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("change", [Path.touch, write_in_place])
def test_a_file_that_has_been_written_to_is_read_again(
    tmp_path: Path, read: list[str], change: Callable[[Path], object]
) -> None:
    (file,) = written(tmp_path, "kiwi").folder.glob("*.idx")
    os.utime(file, ns=(0, 0))
    TantivyIndex(tmp_path)
    read.clear()
    change(file)
    TantivyIndex(tmp_path)
    assert read == [file.name]


@pytest.mark.parametrize("record", [b"", b"[1]", b"7", b'{"a": 7}', b"\xff"])
def test_a_record_that_says_nothing_counts_as_empty(tmp_path: Path, read: list[str], record: bytes) -> None:
    folder = written(tmp_path, "kiwi").folder
    (folder / RECORD_NAME).write_bytes(record)
    read.clear()
    TantivyIndex(tmp_path)
    assert len(read) > 3
    read.clear()
    TantivyIndex(tmp_path)
    assert read == []


def test_a_failing_disk_is_noticed_by_reading_all(tmp_path: Path) -> None:
    index = written(tmp_path, "kiwi")
    (file,) = index.folder.glob("*.fast")
    rot(file)
    verify_checksums(index.folder)
    with pytest.raises(DamagedSnapshot, match=file.name):
        verify_checksums(index.folder, whole=True)


def test_a_server_reads_the_text_index_once_and_writes_a_damaged_one_anew(
    host: Host, read: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    memory_id = host.store("kiwi one")["id"]
    indexer = host.app.services.indexer
    indexer.write_text()
    before = TantivyIndex(host.directory).folder
    (file,) = before.glob("*.fast")
    rot(file)
    indexer.verify_text()
    assert f"{file.name} is damaged" in caplog.text
    after = TantivyIndex(host.directory).folder
    assert after != before
    verify_checksums(after, whole=True)
    assert host.found_by_words("kiwi") == {memory_id}
    read.clear()
    indexer.verify_text()
    assert read == []


def test_verifying_is_among_the_jobs_of_a_server(host: Host, read: list[str]) -> None:
    host.store("kiwi one")
    host.app.services.indexer.write_text()
    read.clear()
    host.run_jobs()
    assert len(read) > 3
