"""Whether the disk is encrypted: what each system prints or shows, and what it cannot know."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sediment_mcp.system.disk_encryption import (
    DiskEncryption,
    State,
    find_mount,
    has_encryption_flag,
    inspect_disk,
    inspect_linux,
    inspect_mac,
    inspect_windows,
    read_bitlocker_state,
    read_filevault_status,
    read_zfs_encryption,
    run_command,
)

LUKS = "CRYPT-LUKS2-0f5a9c1e7d1b4c3f9b7d2b7c5a1e9f00-luks-root"
PLACE = Path("/home/anna/data")


def silent(_: Sequence[str]) -> str:
    return ""


# --- what commands print ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("FileVault is On.\n", "encrypted"),
        ("FileVault is Off.\n", "plain"),
        ("FileVault is Off, but will be enabled after the next restart.\n", "plain"),
        ("FileVault is On.\nEncryption in progress: Percent completed = 41\n", "converting"),
        ("FileVault is Off.\nDecryption in progress: Percent completed = 7\n", "converting"),
        ("", "unknown"),
        ("fdesetup: unrecognized verb\n", "unknown"),
    ],
)
def test_filevault_is_read_from_what_its_command_prints(printed: str, state: State) -> None:
    assert read_filevault_status(printed).state == state
    assert inspect_mac(PLACE, lambda _: printed).state == state


def test_filevault_says_nothing_of_another_disk() -> None:
    assert inspect_mac(Path("/Volumes/Stick/data"), lambda _: "FileVault is On.").state == "unknown"


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("1\r\n", "encrypted"),
        ("2\r\n", "plain"),
        ("3\r\n", "converting"),
        ("4\r\n", "converting"),
        ("5\r\n", "plain"),
        ("6\r\n", "encrypted"),
        ("0\r\n", "unknown"),
        ("\r\n", "unknown"),
        ("", "unknown"),
        ("Access denied", "unknown"),
    ],
)
def test_bitlocker_is_read_from_the_number_that_windows_gives(printed: str, state: State) -> None:
    assert read_bitlocker_state(printed).state == state
    assert inspect_windows("C:", lambda _: printed).state == state


@pytest.mark.parametrize("drive", ["", r"\\server\share", "C:' + evil + '"])
def test_what_is_no_drive_reaches_no_command(drive: str) -> None:
    def refuse(command: Sequence[str]) -> str:
        raise AssertionError(command)

    assert inspect_windows(drive, refuse).state == "unknown"


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("aes-256-gcm\n", "encrypted"),
        ("off\n", "plain"),
        ("on\n", "encrypted"),
        ("-\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_zfs_is_read_from_what_its_command_prints(printed: str, state: State) -> None:
    assert read_zfs_encryption(printed).state == state


def test_a_command_that_is_not_there_or_fails_says_nothing() -> None:
    assert run_command(("/no/such/command",)) == ""
    assert run_command((sys.executable, "-c", "print('x'); raise SystemExit(1)")) == ""
    assert run_command((sys.executable, "-c", "print('x')")).strip() == "x"


# --- a staged /proc and /sys --------------------------------------------------------------------


class Machine:
    """A tree with the files of a kernel that are looked at."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mounts = ["22 27 0:21 / /proc rw,relatime - proc proc rw"]
        (root / "proc/self").mkdir(parents=True)
        (root / "sys/dev/block").mkdir(parents=True)

    def add_device(self, name: str, number: str, *below: str, uuid: str = "") -> None:
        device = self.root / "sys/devices" / name
        device.mkdir(parents=True)
        (self.root / "sys/dev/block" / number).symlink_to(device)
        if uuid:
            (device / "dm").mkdir()
            (device / "dm/uuid").write_text(f"{uuid}\n")
        (device / "slaves").mkdir()
        for other in below:
            (device / "slaves" / other).symlink_to(self.root / "sys/devices" / other)

    def mount(self, point: str, number: str, kind: str = "ext4", source: str = "/dev/dm-0") -> None:
        self.mounts.append(f"30 27 {number} / {point} rw,relatime shared:1 - {kind} {source} rw")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def look(self, place: Path = PLACE, printed: str = "") -> DiskEncryption:
        self.write("proc/self/mountinfo", "\n".join(self.mounts))
        return inspect_linux(place, self.root, lambda _: printed)


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths and links of Linux")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_partition_is_plain(machine: Machine) -> None:
    machine.add_device("sda2", "8:2")
    machine.mount("/", "8:2")
    assert machine.look() == DiskEncryption("plain", "LUKS")


def test_a_disk_under_luks_is_encrypted(machine: Machine) -> None:
    machine.add_device("sda2", "8:2")
    machine.add_device("dm-0", "253:0", "sda2", uuid=LUKS)
    machine.mount("/", "253:0")
    assert machine.look() == DiskEncryption("encrypted", "LUKS")


def test_a_logical_volume_on_luks_is_encrypted(machine: Machine) -> None:
    machine.add_device("nvme0n1p3", "259:3")
    machine.add_device("dm-0", "253:0", "nvme0n1p3", uuid=LUKS)
    machine.add_device("dm-1", "253:1", "dm-0", uuid="LVM-abcdef")
    machine.mount("/home", "253:1", "xfs")
    assert machine.look() == DiskEncryption("encrypted", "LUKS")


def test_a_volume_of_two_disks_is_encrypted_only_if_both_are(machine: Machine) -> None:
    machine.add_device("sda2", "8:2")
    machine.add_device("sdb1", "8:17")
    machine.add_device("dm-0", "253:0", "sda2", uuid=LUKS)
    machine.add_device("dm-1", "253:1", "dm-0", "sdb1", uuid="LVM-abcdef")
    machine.mount("/home", "253:1")
    assert machine.look().state == "plain"


@pytest.mark.parametrize("uuid", ["CRYPT-VERITY-0f5a-root", "CRYPT-INTEGRITY-0f5a-root", "LVM-abcdef"])
def test_a_device_that_only_checks_is_plain(machine: Machine, uuid: str) -> None:
    machine.add_device("sda2", "8:2")
    machine.add_device("dm-0", "253:0", "sda2", uuid=uuid)
    machine.mount("/", "253:0")
    assert machine.look().state == "plain"


def test_a_disk_of_bitlocker_that_linux_has_opened_is_encrypted(machine: Machine) -> None:
    machine.add_device("dm-0", "253:0", uuid="CRYPT-BITLK-0f5a-windows")
    machine.mount("/", "253:0", "fuseblk")
    assert machine.look() == DiskEncryption("encrypted", "BITLK")


@pytest.mark.parametrize(("second", "state"), [(LUKS, "encrypted"), ("", "plain")])
def test_btrfs_is_encrypted_if_all_its_devices_are(machine: Machine, second: str, state: State) -> None:
    """The device of such a mount is none of /sys/dev/block."""
    machine.add_device("dm-0", "253:0", uuid=LUKS)
    machine.add_device("dm-1", "253:1", uuid=second)
    for name in ("dm-0", "dm-1"):
        folder = machine.root / "sys/fs/btrfs/0f5a/devices"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(machine.root / "sys/devices" / name)
    machine.mount("/home", "0:37", "btrfs", "/dev/dm-0")
    assert machine.look().state == state


def test_btrfs_whose_devices_cannot_be_seen_is_not_known(machine: Machine) -> None:
    machine.mount("/home", "0:37", "btrfs", "/dev/dm-0")
    assert machine.look().state == "unknown"


@pytest.mark.parametrize(
    "kind", ["overlay", "tmpfs", "nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", "fakeowner"]
)
def test_containers_and_disks_of_other_machines_are_not_known(machine: Machine, kind: str) -> None:
    machine.mount("/", "0:45", kind, "somewhere")
    assert machine.look().state == "unknown"
    assert kind in machine.look().by


@pytest.mark.parametrize("kind", ["ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"])
def test_the_mount_of_an_encrypted_folder_is_encrypted(machine: Machine, kind: str) -> None:
    machine.add_device("sda2", "8:2")
    machine.mount("/", "8:2")
    machine.mount("/home/anna", "0:45", kind, "/home/.anna")
    assert machine.look().state == "encrypted"
    assert machine.look(Path("/home/ben/data")).state == "plain"


@pytest.mark.parametrize(
    ("printed", "state"), [("aes-256-gcm\n", "encrypted"), ("off\n", "plain"), ("", "unknown")]
)
def test_zfs_is_asked(machine: Machine, printed: str, state: State) -> None:
    machine.mount("/home", "0:45", "zfs", "tank/home")
    assert machine.look(printed=printed).state == state


def test_a_guest_does_not_know_what_its_host_does(machine: Machine) -> None:
    machine.add_device("sda2", "8:2")
    machine.mount("/", "8:2")
    machine.write("proc/cpuinfo", "processor : 0\nflags\t\t: fpu vme hypervisor lahf_lm\n")
    assert machine.look().state == "unknown"
    machine.write("proc/cpuinfo", "processor : 0\nflags\t\t: fpu vme lahf_lm\n")
    assert machine.look().state == "plain"
    machine.write("proc/version", "Linux version 5.15.153.1-microsoft-standard-WSL2")
    assert (machine.look().state, "Windows" in machine.look().by) == ("unknown", True)


@pytest.mark.parametrize("name", ["vda1", "xvda"])
def test_a_virtual_disk_is_not_known_and_one_encrypted_inside_is(machine: Machine, name: str) -> None:
    machine.add_device(name, "252:1")
    machine.add_device("dm-0", "253:0", name, uuid=LUKS)
    machine.mount("/", "252:1")
    machine.mount("/home", "253:0")
    assert machine.look(Path("/srv/data")).state == "unknown"
    assert machine.look().state == "encrypted"


def test_a_file_that_is_mounted_as_a_disk_is_not_known(machine: Machine) -> None:
    machine.add_device("loop3", "7:3")
    (machine.root / "sys/devices/loop3/loop").mkdir()
    machine.mount("/home", "7:3")
    assert machine.look().state == "unknown"


def test_devices_that_lie_on_themselves_come_to_an_end(machine: Machine) -> None:
    machine.add_device("dm-0", "253:0", "dm-1")
    machine.add_device("dm-1", "253:1", "dm-0")
    machine.mount("/", "253:0")
    assert machine.look().state == "unknown"


def test_nothing_to_be_seen_is_not_known(tmp_path: Path) -> None:
    assert inspect_linux(PLACE, tmp_path, silent).state == "unknown"


MOUNTS = r"""
22 1 8:2 / / rw - ext4 /dev/sda2 rw
23 22 8:3 / /home rw,relatime shared:1 master:2 - ext4 /dev/sda3 rw
24 23 8:4 / /home/anna\040b rw - ext4 /dev/sda4 rw
25 23 8:5 / /home rw - xfs /dev/sda5 rw
26 22 8:6
this is no line
"""


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("/srv", "/dev/sda2"),
        ("/home/ben", "/dev/sda5"),
        ("/home/anna b/data", "/dev/sda4"),
        ("/home/anna", "/dev/sda5"),
        ("/homes", "/dev/sda2"),
    ],
)
def test_the_mount_of_a_place_is_the_last_of_the_longest_path(place: str, source: str) -> None:
    mount = find_mount(MOUNTS, Path(place))
    assert mount is not None
    assert mount.source == source


# --- this machine -------------------------------------------------------------------------------


def test_this_machine_gives_an_answer_for_a_folder_that_is_there_and_for_one_that_will_be(
    tmp_path: Path,
) -> None:
    found = inspect_disk(tmp_path)
    assert found.by
    assert inspect_disk(tmp_path / "will" / "be") == found


@pytest.mark.skipif(sys.platform != "linux", reason="flags of folders are read on Linux alone")
def test_a_folder_that_cannot_be_asked_has_no_flag(tmp_path: Path) -> None:
    assert not has_encryption_flag(tmp_path / "missing")
    assert not has_encryption_flag(Path(os.sep) / "proc")
