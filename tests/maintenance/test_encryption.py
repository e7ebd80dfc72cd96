"""A directory is encrypted and decrypted file by file, and a kill at any moment loses nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.encryption import own_keys
from support.faults import Killed, kill_at
from support.host import SMALL, Host
from support.readable import find_readable, plant

from sediment_mcp.access.tokens import create_token, open_tokens
from sediment_mcp.config import Config
from sediment_mcp.errors import BadArgument, DiskFull, KeyUnavailable, StorageError
from sediment_mcp.maintenance import directory_conversion
from sediment_mcp.maintenance.directory_conversion import list_plain_files
from sediment_mcp.maintenance.directory_files import SHOWN, list_files, list_stores
from sediment_mcp.maintenance.encryption import (
    decrypt_directory,
    encrypt_directory,
    find_key,
    find_marker,
    plan_encryption,
    restore_key,
)
from sediment_mcp.operations.capture_state import switch_capture
from sediment_mcp.operations.project_history import FILE as PROJECTS
from sediment_mcp.recall import shown
from sediment_mcp.search import unanswered_queries
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.data_key import DataKey, generate_key
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption
from sediment_mcp.system.files import write_record
from sediment_mcp.system.key_sources import get_key_file
from sediment_mcp.system.locks import locked

pytestmark = pytest.mark.encrypt

NOW = datetime(2026, 5, 8, tzinfo=UTC)
DAMAGED = "memories.damaged-2026-05-08-120000.db"
TOKEN = "laptop"


@pytest.fixture(autouse=True)
def keys() -> Iterator[Path]:
    """Keep keys of tests out of the user's settings."""
    with own_keys() as folder:
        yield folder


def fill(data_dir: Path) -> Config:
    """Let a directory have a file of each kind, most with planted words in it."""
    host = Host(data_dir, tuning=SMALL)
    for number in range(6):
        host.store(f"{plant('content')} number {number} came to the harbour")
    host.run_jobs()
    host.app.backups.make()
    host.end()
    other = Host(data_dir, tenant="ann", tuning=SMALL)
    other.store(f"{plant('tenant')} came to the harbour")
    other.end()
    plain = DirectoryEncryption(data_dir)
    for line in range(2):
        unanswered_queries.keep_query(data_dir, f"{plant('question')} {line}", NOW, plain)
        (data_dir / SHOWN).open("a").write(f'{{"session": "{plant("shown")}", "line": {line}}}\n')
    switch_capture(data_dir, on=True, now=NOW, encryption=plain)
    write_record(data_dir / PROJECTS, {"projects": {plant("project"): []}}, plain)
    (data_dir / "kept-pairs.json").write_text('[["0a1b2c3d4e5f", "1a1b2c3d4e5f"]]')  # ids alone
    (data_dir / DAMAGED).write_bytes((data_dir / DATABASE).read_bytes())
    (data_dir / f"{DAMAGED}-wal").write_text(plant("log") * 9)
    damaged = data_dir / "backups" / "daily-2026-05-01-120000.db"
    damaged.write_bytes((data_dir / DATABASE).read_bytes()[:3000])
    config = host.app.config
    with contextlib.closing(open_tokens(config)) as tokens:
        create_token(
            tokens, TOKEN, tenant=plant("tenant"), team=None, may_write=True, expires_at=None, now=NOW
        )
    return config


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with everything in it once, to be copied."""
    data_dir = tmp_path_factory.mktemp("template") / "data"
    fill(data_dir)
    return data_dir


@pytest.fixture
def config(tmp_path: Path, template: Path) -> Config:
    """Return the settings over a copy of the directory."""
    return copy_of(template, tmp_path / "data")


def copy_of(template: Path, data_dir: Path) -> Config:
    shutil.rmtree(data_dir, ignore_errors=True)
    shutil.copytree(template, data_dir)
    data_dir.chmod(0o700)
    return Config(data_dir, tuning=replace(SMALL, spare_disk_bytes=0))


def encrypt(config: Config) -> Any:
    return encrypt_directory(config, plan_encryption(config, "file"))


def contents(config: Config) -> Any:
    """Return all that a directory tells to whoever may read it."""
    told: list[Any] = []
    for tenant in ("default", *(store.name for store in list_stores(config.data_dir)[1:])):
        host = Host(config.data_dir, tenant=tenant, tuning=SMALL)
        told.append(sorted(memory["content"] for memory in host.list(limit=100)["memories"]))
        told.append([host.app.backups.read_contents(one) for one in host.app.backups.list_all()])
        host.end()
    encryption = DirectoryEncryption(config.data_dir)
    told.append([one.question for one in unanswered_queries.list_unanswered(config.data_dir, encryption)])
    with contextlib.closing(open_tokens(config)) as tokens:
        told.append([token.name for token in tokens.list_all()])
    return told


def holds(path: Path) -> dict[str, bytes]:
    """Return the content of each file that is no lock, no database and no index."""
    files = [file for store in list_stores(path) for file in list_files(store)]
    return {
        str(file.path.relative_to(path)): file.path.read_bytes()
        for file in files
        if file.kind in ("lines", "content", "damaged", "other")
    }


# --- whole --------------------------------------------------------------------------------------------


def test_after_encrypt_no_byte_can_be_read_and_everything_is_told_as_before(config: Config) -> None:
    before = contents(config)
    kinds = {file.kind for file in list_files(config.data_dir)}
    assert kinds == {"database", "access", "backup", "damaged", "lines", "content", "index"}
    assert len({found.text.split()[0] for found in find_readable([config.data_dir])}) >= 5
    report = encrypt(config)
    assert report.files == 12
    assert report.unknown == report.unopened == []
    assert find_readable([config.data_dir]) == []
    assert list_plain_files(config.data_dir) == []
    assert find_marker(config).state == "encrypted"
    assert contents(config) == before


def test_decrypt_gives_every_file_back(config: Config) -> None:
    before, files = contents(config), holds(config.data_dir)
    encrypt(config)
    report = decrypt_directory(config)
    assert report.unopened == []
    assert contents(config) == before
    assert holds(config.data_dir) == files
    assert not (config.data_dir / MARKER).exists()
    assert not [path for path in config.data_dir.rglob("*") if ".tmp" in path.name]


def test_encrypt_again_changes_nothing(config: Config) -> None:
    encrypt(config)
    before = {path: path.stat().st_mtime_ns for path in config.data_dir.rglob("*") if path.is_file()}
    assert encrypt(config).files == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_encrypt_takes_up_what_an_earlier_version_has_written_since(config: Config, template: Path) -> None:
    encrypt(config)
    for name in ("questions.jsonl", PROJECTS):
        shutil.copy(template / name, config.data_dir / name)
    assert sorted(path.name for path in list_plain_files(config.data_dir)) == [PROJECTS, "questions.jsonl"]
    assert encrypt(config).files == 2
    assert find_readable([config.data_dir]) == []


def test_an_empty_directory_is_encrypted_from_the_start(tmp_path: Path) -> None:
    config = Config(tmp_path / "data", tuning=SMALL)
    assert encrypt(config).files == 0
    host = Host(config.data_dir, tuning=SMALL)
    memory_id = host.store(f"{plant('content')} came to the harbour")["id"]
    host.run_jobs()
    assert host.found("harbour") == [memory_id]
    host.end()
    assert find_readable([config.data_dir]) == []


def test_an_unknown_file_is_named_and_not_touched(config: Config) -> None:
    (config.data_dir / "notes.txt").write_text(plant("note"))
    (config.data_dir / "backups" / "list.csv").write_text(plant("note"))
    report = encrypt(config)
    assert report.unknown == ["backups/list.csv", "notes.txt"]
    assert (config.data_dir / "notes.txt").read_text() == plant("note")


def test_what_killed_processes_have_left_behind_goes(config: Config) -> None:
    old, young = config.data_dir / "questions.jsonl.0123.tmp", config.data_dir / "questions.jsonl.4567.tmp"
    for path in (old, young, config.data_dir / "backups" / "daily.db.0123.tmp"):
        path.write_text(plant("leftover"))
    os.utime(old, (0, 0))
    report = encrypt(config)
    assert report.unknown == [young.name]  # a process may be writing it
    assert [found.file for found in find_readable([config.data_dir])] == [young.name]


def test_a_replacement_that_was_begun_is_finished_first(config: Config) -> None:
    before = contents(config)
    (config.data_dir / DATABASE).rename(config.data_dir / "memories.replacement.db")
    (config.data_dir / DATABASE).write_bytes(b"SQLite format 3\0old")
    encrypt(config)
    assert contents(config) == before
    assert find_readable([config.data_dir]) == []


def test_the_names_of_files_are_those_of_their_owners() -> None:
    assert shown.FILE == SHOWN


# --- refused ----------------------------------------------------------------------------------------


def test_over_postgresql_the_operator_is_asked(config: Config) -> None:
    with pytest.raises(BadArgument, match="ask its operator"):
        plan_encryption(replace(config, database="postgresql://server/memories"))


def test_a_directory_that_may_only_be_read_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)
    with pytest.raises(StorageError, match="may only be read"):
        encrypt(config)
    assert not (config.data_dir / MARKER).exists()


def test_without_room_it_says_how_much_is_needed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=1000))
    before = holds(config.data_dir)
    with pytest.raises(DiskFull, match=r"[\d.]+ kB must be free on the disk of .*, and 1.0 kB are"):
        encrypt(config)
    assert holds(config.data_dir) == before
    assert not (config.data_dir / MARKER).exists()


def test_a_damaged_database_is_mended_before(config: Config) -> None:
    path = config.data_dir / DATABASE
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(StorageError, match="doctor --fix"):
        encrypt(config)
    assert not (config.data_dir / MARKER).exists()


def test_a_process_that_keeps_writing_plain_files_is_named(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config.data_dir / PROJECTS
    plain = path.read_bytes()
    run = directory_conversion._Conversion.run

    def run_beside(self: Any) -> None:
        run(self)
        path.write_bytes(plain)

    monkeypatch.setattr(directory_conversion._Conversion, "run", run_beside)
    with pytest.raises(StorageError, match=f"keep writing {PROJECTS}"):
        encrypt(config)
    assert find_marker(config).state == "encrypting"
    monkeypatch.undo()


def test_without_the_key_nothing_is_written(config: Config) -> None:
    encrypt(config)
    get_key_file(find_marker(config).key_id).unlink()
    before = {path: path.read_bytes() for path in config.data_dir.rglob("*") if path.is_file()}
    for call in (plan_encryption, decrypt_directory, find_key):
        with pytest.raises(KeyUnavailable, match="key restore"):
            call(config)
    assert {path: path.read_bytes() for path in config.data_dir.rglob("*") if path.is_file()} == before


# --- killed -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with one file of each kind, to be copied for each kill."""
    data_dir = tmp_path_factory.mktemp("small") / "data"
    shutil.copytree(template, data_dir)
    shutil.rmtree(data_dir / "tenants")
    for path in (*data_dir.glob("backups/daily-*"), data_dir / f"{DAMAGED}-wal", data_dir / SHOWN):
        path.unlink()
    return data_dir


def assert_survives_each_kill(make: Callable[[], Config], run: Callable[[Config], Any], state: str) -> None:
    """Kill the run at each of its writes, in turn; then the directory opens, and the next run finishes."""
    expected = contents(make())
    number = 0
    while True:
        number += 1
        config = make()
        with contextlib.suppress(Killed), kill_at(number) as writes:
            run(config)
        if not writes.is_killed:
            break
        assert contents(config) == expected, number
        if state == "encrypted" or (config.data_dir / MARKER).exists():
            run(config)
        assert contents(config) == expected, number
        readable = {found.file for found in find_readable([config.data_dir])}
        assert (readable == set()) == (state == "encrypted"), (number, readable)
        assert not list(config.data_dir.glob("*.converting*"))
    assert number > 30


@pytest.mark.slow
def test_a_kill_at_any_write_of_encrypt_loses_nothing(tmp_path: Path, small: Path) -> None:
    assert_survives_each_kill(lambda: copy_of(small, tmp_path / "data"), encrypt, "encrypted")


@pytest.mark.slow
def test_a_kill_at_any_write_of_decrypt_loses_nothing(tmp_path: Path, small: Path) -> None:
    encrypt(copy_of(small, tmp_path / "encrypted"))
    assert_survives_each_kill(
        lambda: copy_of(tmp_path / "encrypted", tmp_path / "data"), decrypt_directory, "plain"
    )


def test_encrypt_turns_a_half_done_decrypt_round(config: Config) -> None:
    before = contents(config)
    encrypt(config)
    with pytest.raises(Killed), kill_at(30):
        decrypt_directory(config)
    assert find_marker(config).state == "decrypting"
    encrypt(config)
    assert find_marker(config).state == "encrypted"
    assert find_readable([config.data_dir]) == []
    assert contents(config) == before


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=20_000) | st.integers(1, 3).map(lambda count: bytes(count * 4 * 1024 * 1024 - 8)))
def test_a_damaged_copy_comes_back_byte_by_byte(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    config = Config(tmp_path_factory.mktemp("damaged"), tuning=replace(SMALL, spare_disk_bytes=0))
    path = config.data_dir / DAMAGED
    path.write_bytes(b"SQLite format 3\0" + data)
    encrypt(config)
    assert b"SQLite format" not in path.read_bytes()
    assert len(data) < 40 or data[:40] not in path.read_bytes()
    decrypt_directory(config)
    assert path.read_bytes() == b"SQLite format 3\0" + data


# --- the recovery code --------------------------------------------------------------------------------


def test_the_recovery_code_brings_a_lost_key_back(config: Config) -> None:
    encrypt(config)
    before, key = contents(config), find_key(config)
    get_key_file(key.id).unlink()
    restore_key(config, key)
    assert find_key(config) == key
    assert contents(config) == before


def test_the_code_of_another_directory_is_refused(config: Config) -> None:
    encrypt(config)
    other = generate_key()
    with pytest.raises(BadArgument, match="recovery code of another data directory"):
        restore_key(config, other)
    assert not get_key_file(other.id).exists()


@pytest.mark.parametrize("marker", [None, b"", b"{}"])
def test_a_lost_marker_is_written_anew_where_a_database_opens(config: Config, marker: bytes | None) -> None:
    encrypt(config)
    before, key, path = contents(config), find_key(config), config.data_dir / MARKER
    path.unlink() if marker is None else path.write_bytes(marker)
    with pytest.raises(BadArgument, match="opens with this recovery code"):
        restore_key(config, DataKey(bytes(32)))
    if marker is None:
        with pytest.raises(StorageError, match=r"is encrypted already.*key restore"):
            plan_encryption(config)  # and not a second key above the first
    assert restore_key(config, key).state == "encrypted"
    assert contents(config) == before


def test_a_lost_marker_of_a_half_encrypted_directory_says_so(config: Config, template: Path) -> None:
    encrypt(config)
    key = find_key(config)
    shutil.copy(template / PROJECTS, config.data_dir / PROJECTS)
    (config.data_dir / MARKER).unlink()
    assert restore_key(config, key).state == "encrypting"


def test_a_new_key_is_kept_and_tried_before_anything_is_encrypted(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sediment_mcp.system.key_sources.store_key", lambda *_: None)  # a keychain that lies
    with pytest.raises(KeyUnavailable):
        encrypt(config)
    assert not (config.data_dir / MARKER).exists()


def test_a_process_that_holds_a_lock_is_waited_for(config: Config) -> None:
    busy = replace(config, tuning=replace(config.tuning, lock_timeout=0.05))
    with locked(config.data_dir / "write.lock", 1), pytest.raises(StorageError, match="try again"):
        encrypt(busy)
    encrypt(config)
    assert find_readable([config.data_dir]) == []
