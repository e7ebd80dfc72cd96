"""A run that is ended at any write, or finds a full disk, loses nothing and is gone on with."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from support.host import Clock, Host
from support.transferring import state

from sediment_mcp.errors import DiskFull
from sediment_mcp.sync import own_log
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.folder import list_log
from sediment_mcp.sync.settings import SyncSettings, write_settings
from sediment_mcp.transfer.encryption import generate_identity

IDENTITY = generate_identity()


class Killed(BaseException):
    """The process has ended here."""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    clock, folder = Clock(), tmp_path / "folder"
    folder.mkdir()
    hosts = [Host(tmp_path / name, clock) for name in ("one", "two")]
    for name, host in zip(("one", "two"), hosts, strict=True):
        write_settings(host.app, SyncSettings(folder, name, IDENTITY))
    yield hosts[0], hosts[1]
    for host in hosts:
        host.end()


def sync(*hosts: Host) -> None:
    for host in hosts:
        SyncEngine(host.app).run()


def is_settled(*hosts: Host) -> bool:
    return not any(SyncEngine(host.app).run().has_changes for host in hosts)


STEPS = {
    "before a file is finished": "sediment_mcp.sync.own_log.os.fsync",
    "before what it holds is noted": "sediment_mcp.sync.own_log.OwnLog.commit",
    "before a file gets its name": "sediment_mcp.sync.own_log.publish",
    "before files that are replaced go": "sediment_mcp.sync.own_log.Path.unlink",
    "before it is noted that all have their names": "sediment_mcp.sync.own_log.sync_directory",
    "before it is said who wrote": "sediment_mcp.sync.own_log.write_atomically",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_while_it_writes_is_gone_on_with(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    one, two = pair
    erased = one.store("is erased")["id"]
    one.store("is kept")
    sync(one, two)
    one.store("is new")
    one.delete(erased, permanent=True)
    name = STEPS[step]

    def end(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(name, end)
        with pytest.raises(Killed):
            SyncEngine(one.app).run()
    one.end()
    one.reopen()
    sync(one, two, one)
    assert {memory["content"] for memory in state(two).values()} == {"is kept", "is new"}
    assert state(one) == state(two)
    assert is_settled(one, two)


def end_before_a_file_gets_its_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(own_log, "publish", end)
        with pytest.raises(Killed):
            SyncEngine(host.app).run()


def remove_waiting(folder: Path) -> None:
    for file in folder.glob(".*.tmp"):
        file.unlink()


def test_files_that_were_noted_and_are_gone_before_they_got_their_names_are_written_anew(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    one.store("is kept")
    sync(one, two)
    one.store("is new")
    end_before_a_file_gets_its_name(one, monkeypatch)
    remove_waiting(two.directory.parent / "folder" / "one")
    sync(one, two)
    assert state(one) == state(two)
    assert len(state(two)) == 2
    assert is_settled(one, two)


def test_a_file_that_waits_for_its_name_never_takes_the_place_of_another(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    folder = two.directory.parent / "folder"
    one.store("is kept")
    end_before_a_file_gets_its_name(one, monkeypatch)
    other = folder / "one" / "00000001-00000001.age"  # of a copy of the data directory
    other.write_bytes(b"of the copy")
    assert SyncEngine(one.app).run().new_name
    assert other.read_bytes() == b"of the copy"
    sync(two)
    assert state(one) == state(two) != {}


@pytest.mark.parametrize(
    "moment",
    [
        "sediment_mcp.sync.own_log.create_private",
        "sediment_mcp.storage.sqlite.sync_tables.SyncTables.note_given",
    ],
)
def test_a_file_that_comes_while_one_of_its_name_is_written_is_not_replaced(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    one, two = pair
    other = two.directory.parent / "folder" / "one" / "00000001-00000001.age"
    one.store("is kept")
    call = resolve_name(moment)

    def come(*arguments: Any) -> Any:
        if not other.exists():
            other.write_bytes(b"of the copy")
        return call(*arguments)

    monkeypatch.setattr(moment, come)
    assert SyncEngine(one.app).run().new_name
    assert other.read_bytes() == b"of the copy"
    sync(two)
    assert state(one) == state(two) != {}


def fail_once(error: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call that fails at first, and works later."""
    left = [1]

    def fail(*arguments: Any, **options: Any) -> Any:
        if left:
            left.pop()
            raise OSError(error, os.strerror(error))
        return call(*arguments, **options)

    return fail


@pytest.mark.parametrize("place", ["create_private", "publish"])
def test_a_full_disk_of_the_folder_is_said_and_the_next_run_goes_on(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    one, two = pair
    one.store("Tea is at four")
    monkeypatch.setattr(own_log, place, fail_once(errno.ENOSPC, getattr(own_log, place)))
    with pytest.raises(DiskFull, match="free some space there"):
        SyncEngine(one.app).run()
    sync(one, two)
    assert state(one) == state(two) != {}


def test_a_file_is_taken_over_whole_or_not_at_all(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    for number in range(5):
        one.store(f"fact {number}")
    sync(one)

    def end(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("sediment_mcp.storage.sqlite.sync_tables.SyncTables.set_position", end)
        with pytest.raises(Killed):
            SyncEngine(two.app).run()
    assert state(two) == {}
    sync(two)
    assert state(one) == state(two)


def test_an_own_file_that_somebody_else_has_changed_makes_this_device_take_another_name(
    pair: tuple[Host, Host],
) -> None:
    one, two = pair
    one.store("Tea is at four")
    sync(one)
    (file,) = list_log(two.directory.parent / "folder", "one")
    file.path.write_bytes(file.path.read_bytes()[:-1])
    assert SyncEngine(one.app).run().new_name is not None
