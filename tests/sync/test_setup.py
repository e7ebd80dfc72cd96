"""Creating a sync folder, joining it, leaving it; passphrases and recovery codes; names of devices."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.devices import IDENTITY, pair, synchronize
from support.host import Host

from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.sync.folder import DEVICE_NAME
from sediment_mcp.sync.settings import read_settings
from sediment_mcp.sync.setup import (
    MAX_NAME_CHARS,
    NAME,
    RESERVED_NAMES,
    check_new_folder,
    create,
    is_recovery_code,
    join,
    leave,
    make_device_name,
    make_unique,
    use_folder,
)
from sediment_mcp.transfer.encryption import decrypt, encrypt, generate_identity

OpenHost = Callable[..., Host]
PASSPHRASE = "correct horse battery staple"


@functools.cache
def make_key() -> bytes:
    """Return the content of a key's file, which takes a second to make."""
    return encrypt(f"{IDENTITY}\n".encode(), PASSPHRASE)


def make_folder(folder: Path, host: Host, device: str = "laptop") -> None:
    """Make a sync folder with a first device."""
    pair(host, folder, device)
    (folder / "key.age").write_bytes(make_key())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "carried"


@pytest.fixture
def other(open_host: OpenHost, tmp_path: Path) -> Host:
    return open_host(directory=tmp_path / "other")


def test_devices_are_paired_by_passphrase_and_by_recovery_code(
    host: Host, other: Host, open_host: OpenHost, folder: Path, tmp_path: Path
) -> None:
    code = create(host.app, folder, "laptop", PASSPHRASE)
    assert is_recovery_code(code)
    assert decrypt((folder / "key.age").read_bytes(), PASSPHRASE, "key.age").decode().strip() == code
    host.store("The kiln needs two hours")
    synchronize(host)
    join(other.app, folder, "", PASSPHRASE)
    typed = "\n".join(re.findall(".{1,8}", code.lower()))
    third = open_host(directory=tmp_path / "third")
    join(third.app, folder, "pad", typed)
    for device in (other, third):
        synchronize(device)
        assert device.found("kiln")
    settings = [read_settings(device.app) for device in (host, other, third)]
    assert {each and each.identity for each in settings} == {code}
    names = [each.device for each in settings if each]
    assert len(set(names)) == 3
    assert {"laptop", "pad"} < {*names}


def test_a_wrong_secret_is_refused_and_sets_nothing(host: Host, other: Host, folder: Path) -> None:
    folder.mkdir()
    (folder / "key.age").write_bytes(make_key())
    with pytest.raises(BadArgument, match="cannot be tried"):
        join(other.app, folder, "", generate_identity())
    pair(host, folder, "laptop")
    for secret, words in (
        ("correct horse", "passphrase is wrong"),
        (generate_identity(), "another sync folder"),
        (generate_identity()[:-3] + "QQQ", "typing error"),
    ):
        with pytest.raises(BadArgument, match=words):
            join(other.app, folder, "", secret)
    assert read_settings(other.app) is None


def test_the_recovery_code_opens_a_folder_whose_key_is_lost(host: Host, other: Host, folder: Path) -> None:
    pair(host, folder, "laptop")
    with pytest.raises(BadArgument, match="type the recovery code"):
        join(other.app, folder, "", PASSPHRASE)
    join(other.app, folder, "", IDENTITY)


def test_a_second_folder_is_not_made_over_the_first(host: Host, other: Host, folder: Path) -> None:
    make_folder(folder, host)
    with pytest.raises(BadArgument, match="sync join"):
        create(other.app, folder, "", PASSPHRASE)
    with pytest.raises(BadArgument, match="synchronizes already"):
        create(host.app, folder / "another", "", PASSPHRASE)
    assert (folder / "key.age").read_bytes() == make_key()


def test_a_key_that_is_not_downloaded_yet_is_waited_for(host: Host, folder: Path) -> None:
    folder.mkdir()
    (folder / ".key.age.icloud").touch()
    with pytest.raises(BadArgument, match="sync join"):
        create(host.app, folder, "", PASSPHRASE)
    with pytest.raises(BadArgument, match="not downloaded yet"):
        join(host.app, folder, "", PASSPHRASE)


@pytest.mark.parametrize("place", ["data", "data/within", "."])
def test_a_folder_in_or_around_the_data_directory_is_refused(host: Host, tmp_path: Path, place: str) -> None:
    for act in (create, join):
        with pytest.raises(BadArgument, match="never copy the database"):
            act(host.app, tmp_path / place, "", PASSPHRASE)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_to_the_data_directory_is_refused(host: Host, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(BadArgument, match="never copy the database"):
        create(host.app, tmp_path / "link", "", PASSPHRASE)


def test_a_folder_that_is_none_is_refused(host: Host, folder: Path, tmp_path: Path) -> None:
    for act, place, words in (
        (create, folder / "within" / "nothing", "make it first"),
        (join, folder, "start what carries it"),
    ):
        with pytest.raises(BadArgument, match=words):
            act(host.app, place, "", PASSPHRASE)
    folder.mkdir()
    (folder / "photos").mkdir()
    with pytest.raises(BadArgument, match="photos"):
        create(host.app, folder, "", PASSPHRASE)
    with pytest.raises(BadArgument, match=r"no key\.age"):
        join(host.app, folder, "", PASSPHRASE)
    (tmp_path / "file").touch()
    with pytest.raises(BadArgument, match="There is no folder"):
        create(host.app, tmp_path / "file", "", PASSPHRASE)


def test_files_of_a_carrier_are_no_obstacle(host: Host, folder: Path) -> None:
    folder.mkdir()
    for name in (".stfolder", ".git"):
        (folder / name).mkdir()
    (folder / "README.md").touch()
    assert check_new_folder(host.app, folder) == folder


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid"), reason="modes of POSIX")
def test_a_folder_that_cannot_be_written_is_refused(
    host: Host, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o500)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sediment_mcp.sync.setup.create_private", refuse)  # root may write anywhere
    with pytest.raises(StorageError, match="cannot be written"):
        create(host.app, folder, "", PASSPHRASE)
    assert read_settings(host.app) is None


# --- names of devices -----------------------------------------------------------------------------


@given(st.text(max_size=100), st.sets(st.sampled_from(["a", "device", "device-2", "laptop"])))
def test_every_machine_gets_a_name_that_every_system_takes_for_a_folder(
    machine: str, taken: set[str]
) -> None:
    name = make_unique(make_device_name(machine), taken)
    assert NAME.fullmatch(name)
    assert DEVICE_NAME.fullmatch(name)
    assert len(name) <= MAX_NAME_CHARS
    assert name not in taken | RESERVED_NAMES


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("Anns-MacBook-Pro.local", "anns-macbook-pro"),
        ("DESKTOP_7Q2", "desktop-7q2"),
        ("Bürö", "buro"),
        ("机器", "device"),
        ("CON", "con-device"),
        ("lpt1.example.com", "lpt1-device"),
        ("", "device"),
        ("x" * 80, "x" * 40),
    ],
)
def test_the_name_of_a_machine_is_kept_as_far_as_it_can_be(machine: str, name: str) -> None:
    assert make_device_name(machine) == name


@pytest.mark.parametrize("name", ["Laptop", "a b", "../x", "nul", "-x", "x-", "x" * 41, "küche", ".x"])
def test_a_name_that_some_system_does_not_take_is_refused(host: Host, folder: Path, name: str) -> None:
    with pytest.raises(BadArgument, match="cannot be the name of a device"):
        create(host.app, folder, name, PASSPHRASE)


def test_a_name_that_is_taken_in_whatever_case_is_refused_or_numbered(
    host: Host, open_host: OpenHost, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(host, folder, "laptop")
    (folder / "Laptop").mkdir(exist_ok=True)
    second = open_host(directory=tmp_path / "second")
    with pytest.raises(BadArgument, match="choose another name"):
        join(second.app, folder, "laptop", IDENTITY)
    monkeypatch.setattr("platform.node", lambda: "LAPTOP.local")
    join(second.app, folder, "", IDENTITY)
    settings = read_settings(second.app)
    assert settings is not None
    assert settings.device == "laptop-2"


# --- leaving and moving -----------------------------------------------------------------------------


def test_who_leaves_keeps_what_is_here_and_the_others_keep_what_was_given(
    host: Host, other: Host, folder: Path
) -> None:
    pair(host, folder, "laptop")
    pair(other, folder, "desktop")
    host.store("The kiln needs two hours")
    synchronize(host)
    synchronize(other)
    leave(host.app)
    assert (folder / "laptop").is_dir()
    assert read_settings(host.app) is None
    assert host.found("kiln") == other.found("kiln") != []
    leave(other.app, remove_files=True)
    assert sorted(os.listdir(folder)) == ["laptop"]
    with pytest.raises(BadArgument, match="does not synchronize yet"):
        leave(host.app)


def test_who_left_and_joins_again_gives_and_takes_everything(host: Host, other: Host, folder: Path) -> None:
    pair(host, folder, "laptop")
    pair(other, folder, "desktop")
    host.store("The kiln needs two hours")
    synchronize(host)
    leave(host.app, remove_files=True)
    pair(host, folder, "laptop-2")
    synchronize(other)
    assert other.found("kiln")


def test_a_folder_that_has_moved_is_followed_and_another_is_not(
    host: Host, folder: Path, tmp_path: Path
) -> None:
    pair(host, folder, "laptop")
    moved = folder.rename(folder.with_name("moved"))
    assert use_folder(host.app, moved).folder == moved
    host.store("The kiln needs two hours")
    assert synchronize(host).given == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadArgument, match="is not that folder"):
        use_folder(host.app, tmp_path / "empty")


def test_a_folder_is_used_only_once_it_is_joined(host: Host, folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(BadArgument, match="sync init"):
        use_folder(host.app, folder)
    (folder / "key.age").touch()
    with pytest.raises(BadArgument, match="sync join"):
        use_folder(host.app, folder)
