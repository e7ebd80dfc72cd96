"""The record of what was shown: each memory once in a session, whoever else writes at that moment."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.encryption import make_encrypted, own_keys

from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.recall import shown
from sediment_mcp.recall.shown import FILE, LOCK, MAX_AGE, ShownRecord
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption
from sediment_mcp.system.encrypted_lines import decrypt_line
from sediment_mcp.system.locks import locked

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True, params=["plain", pytest.param("encrypted", marks=pytest.mark.encrypt)])
def _directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    with own_keys():
        if request.param == "encrypted":
            make_encrypted(tmp_path)
        yield


def record_of(directory: Path, session: str) -> ShownRecord:
    return ShownRecord(directory, session, DirectoryEncryption(directory))


def test_a_memory_is_shown_once_in_a_session(tmp_path: Path) -> None:
    record = record_of(tmp_path, "one")
    assert record.claim(["a", "b", "a"], NOW, 3) == ["a", "b"]
    assert record.claim(["b", "c"], NOW, 3) == ["c"]
    assert record.claim(["a", "b", "c"], NOW, 3) == []
    assert record_of(tmp_path, "two").claim(["a"], NOW, 3) == ["a"]


def test_no_more_is_claimed_than_is_shown(tmp_path: Path) -> None:
    record = record_of(tmp_path, "one")
    assert record.claim(["a", "b", "c"], NOW, 2) == ["a", "b"]
    assert record.claim(["a", "b", "c"], NOW, 2) == ["c"]


def test_a_session_that_has_lost_its_context_is_shown_everything_again(tmp_path: Path) -> None:
    record = record_of(tmp_path, "one")
    record.claim(["a", "b"], NOW, 3)
    assert record.claim(["a"], NOW, 3, anew=True) == ["a"]
    assert record.read_shown() == {"a"}
    assert record.claim(["a", "b"], NOW, 3) == ["b"]


def test_without_a_session_nothing_is_noted(tmp_path: Path) -> None:
    record = record_of(tmp_path, "")
    assert record.claim(["a", "b"], NOW, 1) == ["a"]
    assert record.claim(["a", "b"], NOW, 1) == ["a"]
    assert {file.name for file in tmp_path.iterdir()} <= {MARKER}


def test_the_file_is_private_and_holds_neither_session_nor_text(tmp_path: Path) -> None:
    record_of(tmp_path, "session-of-ann").claim(["a"], NOW, 3)
    path = tmp_path / FILE
    assert b"session-of-ann" not in path.read_bytes()
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_that_cannot_be_read_are_skipped(tmp_path: Path) -> None:
    record = record_of(tmp_path, "one")
    record.claim(["a"], NOW, 3)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'\xff\n[]\n{"session": 1}\n{"session": "x", "at": "y", "ids": 3}\n' + b"[" * 9999 + b"\n")
    assert record.claim(["a", "b"], NOW, 3) == ["b"]


def test_sessions_that_are_too_old_are_forgotten_when_the_file_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "MAX_FILE_BYTES", 1000)
    record_of(tmp_path, "old").claim(["a"], NOW - MAX_AGE - 1, 3)
    for number in range(40):
        record_of(tmp_path, "new").claim([f"id{number}"], NOW, 3)
        assert (tmp_path / FILE).stat().st_size <= 1000 + 100
    assert record_of(tmp_path, "old").read_shown() == set()
    assert "id39" in record_of(tmp_path, "new").read_shown()


def test_several_hooks_at_once_show_each_memory_once(tmp_path: Path) -> None:
    ids = [f"id{number}" for number in range(8)]

    def claim(memory_id: str) -> list[str]:
        while True:
            try:
                return record_of(tmp_path, "one").claim([memory_id, *ids], NOW, 2)
            except Busy:  # the lock is waited for only for a moment
                continue

    with ThreadPoolExecutor(8) as pool:
        claimed = [one for batch in pool.map(claim, ids * 4) for one in batch]
    assert sorted(claimed) == ids


def test_a_hook_does_not_wait_long_for_another(tmp_path: Path) -> None:
    with locked(tmp_path / LOCK, 1.0), pytest.raises(Busy):
        record_of(tmp_path, "one").claim(["a"], NOW, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such links")
def test_a_link_in_the_place_of_the_record_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "victim", tmp_path / "data" / FILE)
    with pytest.raises(StorageError):
        record_of(tmp_path / "data", "one").claim(["a"], NOW, 3)
    assert not (tmp_path / "victim").exists()


def test_a_line_holds_what_was_shown_and_when(tmp_path: Path) -> None:
    record_of(tmp_path, "one").claim(["a"], NOW, 3)
    line = (tmp_path / FILE).read_bytes()
    entry = json.loads(decrypt_line(line, FILE, DirectoryEncryption(tmp_path)))
    assert (entry["ids"], entry["at"]) == (["a"], int(NOW))
