"""A device whose data directory is encrypted synchronizes like any other, and keeps what it knows of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.encryption import make_encrypted, own_keys
from support.host import Clock, Host
from support.transferring import state

from sediment_mcp.maintenance.encryption import decrypt_directory, encrypt_directory, plan_encryption
from sediment_mcp.maintenance.salvage import salvage
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.report import SyncReport
from sediment_mcp.sync.settings import SyncSettings, read_settings, write_settings
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.transfer.encryption import generate_identity

pytestmark = pytest.mark.encrypt

IDENTITY = generate_identity()
PAGE_BYTES = 4096


@pytest.fixture(autouse=True)
def keys() -> Iterator[Path]:
    """Keep keys of tests out of the user's settings."""
    with own_keys() as folder:
        yield folder


def open_device(directory: Path, name: str) -> Host:
    folder = directory / "folder"
    folder.mkdir(exist_ok=True)
    host = Host(directory / name, Clock())
    write_settings(host.app, SyncSettings(folder, name, IDENTITY))
    return host


def sync(*hosts: Host) -> list[SyncReport]:
    return [SyncEngine(host.app).run() for host in hosts]


def is_encrypted(host: Host) -> bool:
    return DirectoryEncryption(host.files).database_key(host.files / DATABASE) is not None


def test_an_encrypted_and_a_plain_device_come_to_hold_the_same(tmp_path: Path) -> None:
    make_encrypted(tmp_path / "one")
    one, two = open_device(tmp_path, "one"), open_device(tmp_path, "two")
    assert (is_encrypted(one), is_encrypted(two)) == (True, False)
    erased = one.store("An embarrassing thing")["id"]
    kept = two.store("Tea is at four")["id"]
    sync(one, two, one)
    assert set(state(one)) == set(state(two)) == {erased, kept}
    one.delete(erased, permanent=True)
    assert [report.erased for report in sync(one, two)] == [0, 1]
    assert state(one) == state(two)
    assert not any(report.has_changes for report in sync(one, two))
    one.end()
    two.end()


def test_encrypting_and_decrypting_a_directory_leaves_its_synchronization_alone(tmp_path: Path) -> None:
    one, two = open_device(tmp_path, "one"), open_device(tmp_path, "two")
    one.store("Tea is at four")
    sync(one, two)
    config = replace(one.app.config, tuning=replace(one.app.config.tuning, spare_disk_bytes=0))
    one.end()
    encrypt_directory(config, plan_encryption(config, "file"))
    for encrypts in (True, False):
        if not encrypts:
            one.end()
            decrypt_directory(config)
        one.reopen()
        assert is_encrypted(one) is encrypts
        assert read_settings(one.app) == SyncSettings(tmp_path / "folder", "one", IDENTITY)
        (report,) = sync(one)
        assert (report.has_changes, report.new_name) == (False, None)
    one.end()
    two.end()


def test_a_salvaged_encrypted_database_synchronizes_on(tmp_path: Path) -> None:
    make_encrypted(tmp_path / "one")
    one = open_device(tmp_path, "one")
    for number in range(60):
        one.store(f"fact {number} " + "which is told at some length " * 20)
    sync(one)
    before = state(one)
    one.end()
    path = tmp_path / "one" / DATABASE
    assert len(before) == 60
    data = bytearray(path.read_bytes())
    for page in range(len(data) // PAGE_BYTES // 2, len(data) // PAGE_BYTES, 3):
        data[page * PAGE_BYTES : page * PAGE_BYTES + 64] = bytes(64)
    path.write_bytes(data)
    one.reopen()
    salvage(one.app)
    assert is_encrypted(one)
    assert set(state(one)) <= set(before)
    (report,) = sync(one)
    assert report.new_name is not None
    assert set(state(one)) == set(before)
    assert not any(report.has_changes for report in sync(one))
    one.end()
