"""Hashes of model files: right, computed once, and never in the way."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sediment_mcp.embeddings.file_hashes import RECORD_NAME, hash_file


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"one")
    return path


def true_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def forge(data_dir: Path) -> None:
    """Put another hash into the record: whoever returns it has not read the file again."""
    record = json.loads((data_dir / RECORD_NAME).read_text())
    for entry in record["files"].values():
        entry[3] = "forged"
    (data_dir / RECORD_NAME).write_text(json.dumps(record))


def test_an_unchanged_file_is_hashed_only_once(weights: Path, data_dir: Path) -> None:
    assert hash_file(weights, data_dir) == true_hash(weights)
    forge(data_dir)
    assert hash_file(weights, data_dir) == "forged"


def test_a_file_of_the_same_size_that_was_written_again_is_hashed_again(
    weights: Path, data_dir: Path
) -> None:
    hash_file(weights, data_dir)
    forge(data_dir)
    weights.write_bytes(b"two")
    status = weights.stat()
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns + 1))  # clocks of file systems can be coarse
    assert hash_file(weights, data_dir) == true_hash(weights)


def test_a_file_put_in_place_of_another_is_hashed_again(weights: Path, data_dir: Path) -> None:
    hash_file(weights, data_dir)
    forge(data_dir)
    status, other = weights.stat(), weights.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, weights)
    assert hash_file(weights, data_dir) == true_hash(weights)


@pytest.mark.parametrize(
    "rubbish", ["", "{", "[]", "7", '{"files": 3}', '{"files": {"a": 5}}', '{"files": []}']
)
def test_a_damaged_record_counts_as_empty_and_is_replaced(
    weights: Path, data_dir: Path, rubbish: str
) -> None:
    data_dir.mkdir()
    (data_dir / RECORD_NAME).write_text(rubbish)
    assert hash_file(weights, data_dir) == true_hash(weights)
    forge(data_dir)
    assert hash_file(weights, data_dir) == "forged"


def test_an_entry_of_the_wrong_shape_is_not_believed(weights: Path, data_dir: Path) -> None:
    hash_file(weights, data_dir)
    record = json.loads((data_dir / RECORD_NAME).read_text())
    record["files"] = {path: [*entry[:3], None] for path, entry in record["files"].items()}
    (data_dir / RECORD_NAME).write_text(json.dumps(record))
    assert hash_file(weights, data_dir) == true_hash(weights)


def test_a_record_that_cannot_be_written_is_done_without(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert hash_file(weights, tmp_path / "file" / "data") == true_hash(weights)


def test_files_that_are_gone_leave_the_record(weights: Path, data_dir: Path) -> None:
    hash_file(weights, data_dir)
    weights.rename(weights.with_name("renamed"))
    hash_file(weights.with_name("renamed"), data_dir)
    assert list(json.loads((data_dir / RECORD_NAME).read_text())["files"]) == [
        str(weights.with_name("renamed").resolve())
    ]


def test_many_at_once_get_right_hashes(tmp_path: Path, data_dir: Path) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(8)]
    for file in files:
        file.write_bytes(file.name.encode())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: hash_file(file, data_dir), files * 4))
    assert found == [true_hash(file) for file in files] * 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_record_and_new_directory_are_private(weights: Path, data_dir: Path) -> None:
    hash_file(weights, data_dir)
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert (data_dir / RECORD_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in data_dir.iterdir()] == [RECORD_NAME]


def test_a_missing_file_is_an_os_error(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hash_file(tmp_path / "nothing", data_dir)
