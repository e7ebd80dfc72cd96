"""What is told of the devices, and what the doctor finds: lag, files that do not open, clocks."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.devices import pair, synchronize
from support.host import Clock, Host

from sediment_mcp.errors import BadArgument
from sediment_mcp.sync.findings import examine_sync
from sediment_mcp.sync.results import DeviceStatus
from sediment_mcp.sync.status import read_status

OpenHost = Callable[..., Host]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "carried"


@pytest.fixture
def pair_of_hosts(host: Host, open_host: OpenHost, folder: Path, tmp_path: Path) -> tuple[Host, Host]:
    """Return this device, and another whose clock is its own."""
    other = open_host(directory=tmp_path / "other", clock=Clock())
    return pair(host, folder, "laptop"), pair(other, folder, "desktop")


def describe(host: Host, name: str) -> DeviceStatus:
    return next(device for device in read_status(host.app)["devices"] if device["name"] == name)


def test_each_device_is_told_with_its_files_and_what_waits(
    pair_of_hosts: tuple[Host, Host], folder: Path
) -> None:
    host, other = pair_of_hosts
    for text in ("The kiln needs two hours", "The loom stands in the hall"):
        other.store(text)
        synchronize(other)
    status = read_status(host.app)
    assert [device["name"] for device in status["devices"]] == ["desktop", "laptop"]
    assert (status["device"], status["automatic"], "problem" in status) == ("laptop", False, False)
    desktop, laptop = status["devices"]
    assert (desktop["files"], desktop["waiting"], laptop["files"], laptop["is_own"]) == (2, 2, 0, True)
    assert desktop["bytes"] == status["bytes"] == sum(p.stat().st_size for p in folder.glob("desktop/0*"))
    assert desktop.get("reason") == "the next synchronization takes them over"
    assert desktop.get("seen_at") == "2026-05-08T12:00:00Z"
    synchronize(host)
    assert describe(host, "desktop")["waiting"] == 0
    assert "reason" not in describe(host, "desktop")


def test_a_file_that_is_missing_or_not_whole_is_named(pair_of_hosts: tuple[Host, Host], folder: Path) -> None:
    host, other = pair_of_hosts
    for text in ("The kiln needs two hours", "The loom stands in the hall"):
        other.store(text)
        synchronize(other)
    first, second = sorted(folder.glob("desktop/0*.age"))
    whole = first.read_bytes()
    first.unlink()
    assert describe(host, "desktop").get("reason") == "file 1 has not been carried here yet"
    first.write_bytes(whole[:50])
    assert "00000001-00000001.age is not whole yet" in describe(host, "desktop").get("reason", "")
    first.write_bytes(second.read_bytes())
    assert "another file" in describe(host, "desktop").get("reason", "")


def test_what_is_none_of_ours_is_named_and_what_is_hidden_is_not(
    pair_of_hosts: tuple[Host, Host], folder: Path
) -> None:
    host, other = pair_of_hosts
    other.store("The kiln needs two hours")
    synchronize(other)
    conflicts = [
        "00000001-00000001 (Ann's conflicted copy 2026-05-08).age",
        "00000001-00000001.sync-conflict-20260508-120000-ABCDEFG.age",
        ".00000002-00000002.age.icloud",
    ]
    for name in conflicts:
        (folder / "desktop" / name).touch()
    for name in (".DS_Store", "desktop.ini", "Thumbs.db"):
        (folder / "desktop" / name).touch()
        (folder / name).touch()
    (folder / "notes.txt").touch()
    assert describe(host, "desktop").get("ignored") == sorted(conflicts)
    assert read_status(host.app).get("ignored") == ["notes.txt"]
    synchronize(host)
    assert host.found("kiln")


@pytest.mark.parametrize(("minutes", "is_told"), [(4, False), (6, True), (60, True), (-60, False)])
def test_a_clock_that_is_ahead_by_more_than_minutes_is_told(
    pair_of_hosts: tuple[Host, Host], minutes: int, is_told: bool
) -> None:
    host, other = pair_of_hosts
    other.clock.advance(minutes=minutes)
    other.store("The kiln needs two hours")
    synchronize(other)
    skew = describe(host, "desktop").get("skew_seconds")
    assert skew == (minutes * 60 if is_told else None)
    findings = examine_sync(host.app.config, host.clock())
    assert [finding.name for finding in findings] == ["sync", *["sync clocks"] * is_told]
    if is_told:
        assert f"desktop is at least {minutes} minutes ahead" in findings[1].sentence


def test_a_folder_of_a_device_that_holds_nothing_is_told(
    pair_of_hosts: tuple[Host, Host], folder: Path
) -> None:
    (folder / "pad").mkdir()
    assert describe(pair_of_hosts[0], "pad").get("reason") == "holds nothing that can be read yet"


def test_who_does_not_synchronize_has_no_status_and_no_finding(host: Host) -> None:
    with pytest.raises(BadArgument, match="sync init"):
        read_status(host.app)
    host.store("The kiln needs two hours")
    assert examine_sync(host.app.config, host.clock()) == []


def test_a_directory_without_data_or_of_an_earlier_version_has_no_finding(host: Host, tmp_path: Path) -> None:
    assert examine_sync(host.app.config, host.clock()) == []
    assert not host.files.exists()
    host.files.mkdir()
    database = sqlite3.connect(host.files / "memories.db")
    database.execute("CREATE TABLE memories (id TEXT)")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    assert examine_sync(host.app.config, host.clock()) == []


@pytest.mark.over_encrypted
def test_the_doctor_tells_of_a_folder_that_is_gone_and_of_files_that_wait_for_days(
    pair_of_hosts: tuple[Host, Host], folder: Path
) -> None:
    host, other = pair_of_hosts
    other.store("The kiln needs two hours")
    synchronize(other)
    [file] = folder.glob("desktop/0*.age")
    then = (host.clock() - timedelta(days=3)).timestamp()
    os.utime(file, (then, then))
    before = sorted(os.listdir(host.files))
    ok, lag = examine_sync(host.app.config, host.clock())
    assert (ok.state, lag.state, lag.name) == ("ok", "warning", "sync lag")
    assert "1 file is waiting from desktop, for 3 days" in lag.sentence
    shutil.rmtree(folder)
    [gone] = examine_sync(host.app.config, host.clock())
    assert gone.state == "warning"
    assert str(folder) in gone.sentence
    assert gone.remedy
    assert sorted(os.listdir(host.files)) == before
