"""Say whether the disk under a directory is encrypted, where the system tells.

Nobody is asked for rights and nothing is changed: macOS and Windows are asked by a command of theirs, Linux
by what the kernel shows of mounts and devices. Where neither tells, the answer is that it is not known; a
machine that is itself a guest, or a container, never knows what is below it.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["encrypted", "plain", "converting", "unknown"]
Run = Callable[[Sequence[str]], str]
"""Runs a command and returns what it prints; nothing if it fails."""

COMMAND_TIMEOUT = 10.0  # seconds; PowerShell takes one to start
MAX_DEPTH = 16  # of devices that lie on other devices

ENCRYPTED_MOUNTS = {
    "ecryptfs": "eCryptfs",
    "fuse.gocryptfs": "gocryptfs",
    "fuse.encfs": "EncFS",
    "fuse.cryfs": "CryFS",
}
"""Kinds of mounts that show the decrypted files of an encrypted folder."""
ENCRYPTED_DEVICE = re.compile(r"CRYPT-(?!VERITY|INTEGRITY)([A-Z0-9]+)-")
"""What cryptsetup begins the name of a device with, but for those that check and do not encrypt."""
VIRTUAL_DISK = re.compile(r"(vd|xvd)[a-z]")
GET_FLAGS = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1  # FS_IOC_GETFLAGS of <linux/fs.h>
ENCRYPTION_FLAG = 0x800  # FS_ENCRYPT_FL
MOUNT_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class DiskEncryption:
    """What is known of a disk: its state, and what encrypts it or why that is not known."""

    state: State
    by: str


def inspect_disk(directory: Path) -> DiskEncryption:
    """Return whether the disk under a directory, or under where it will be, is encrypted."""
    place = next((path for path in (directory, *directory.parents) if path.exists()), directory)
    place = Path(os.path.realpath(place))
    if sys.platform == "darwin":
        return inspect_mac(place, run_command)
    if sys.platform == "win32":
        return inspect_windows(place.drive, run_command)
    if sys.platform == "linux":
        if has_encryption_flag(place):
            return DiskEncryption("encrypted", "fscrypt")
        return inspect_linux(place, Path("/"), run_command)
    return DiskEncryption("unknown", f"{sys.platform} is not asked")


def run_command(command: Sequence[str]) -> str:
    """Return what a command of the system prints, or nothing if it fails or takes too long."""
    try:
        ran = subprocess.run(  # noqa: S603  a fixed command of the system
            command, capture_output=True, check=False, timeout=COMMAND_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if ran.returncode else ran.stdout.decode("utf-8", "replace")


# --- macOS --------------------------------------------------------------------------------------


def inspect_mac(place: Path, run: Run) -> DiskEncryption:
    """Ask FileVault, which is on or off for the disk that the system is on."""
    if place.parts[1:2] == ("Volumes",):
        return DiskEncryption("unknown", "it is not the disk of the system")
    return read_filevault_status(run(("/usr/bin/fdesetup", "status")))


def read_filevault_status(printed: str) -> DiskEncryption:
    """Return what ``fdesetup status`` says."""
    if "in progress" in printed:
        return DiskEncryption("converting", "FileVault")
    if "FileVault is On" in printed:
        return DiskEncryption("encrypted", "FileVault")
    if "FileVault is Off" in printed:
        return DiskEncryption("plain", "FileVault")
    return DiskEncryption("unknown", "FileVault does not answer")


# --- Windows ------------------------------------------------------------------------------------

BITLOCKER_STATES: dict[str, State] = {
    "1": "encrypted", "2": "plain", "3": "converting", "4": "converting", "5": "plain", "6": "encrypted",
}  # fmt: skip
"""The property of a drive that the Explorer shows: on, off, encrypting, decrypting, suspended, locked.

While it is suspended the key lies on the disk in the clear.
"""


def inspect_windows(drive: str, run: Run) -> DiskEncryption:
    """Ask for BitLocker's state of a drive, such as ``C:``.

    ``manage-bde`` and WMI tell administrators alone, and in the language of the system.
    """
    if not re.fullmatch("[A-Za-z]:", drive):
        return DiskEncryption("unknown", "it is no drive of this machine")
    script = (
        f"(New-Object -ComObject Shell.Application).NameSpace('{drive}\\').Self"
        ".ExtendedProperty('System.Volume.BitLockerProtection')"
    )
    return read_bitlocker_state(run(("powershell.exe", "-NoProfile", "-NonInteractive", "-Command", script)))


def read_bitlocker_state(printed: str) -> DiskEncryption:
    """Return what the number says that Windows gives for a drive."""
    state = BITLOCKER_STATES.get(printed.strip())
    if state is None:
        return DiskEncryption("unknown", "BitLocker does not answer")
    return DiskEncryption(state, "BitLocker")


# --- Linux --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of ``/proc/self/mountinfo``.

    ``device`` is ``major:minor``, ``point`` where it is mounted, ``source`` what its kind makes of it.
    """

    device: str
    point: Path
    kind: str
    source: str


def has_encryption_flag(place: Path) -> bool:
    """Return whether the file system encrypts this very folder, as fscrypt has it do."""
    if sys.platform != "linux":
        return False
    import fcntl

    flags = struct.pack("l", 0)
    with contextlib.suppress(OSError):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            flags = fcntl.ioctl(descriptor, GET_FLAGS, flags)
        finally:
            os.close(descriptor)
    return bool(int.from_bytes(flags, sys.byteorder) & ENCRYPTION_FLAG)


def inspect_linux(place: Path, root: Path, run: Run) -> DiskEncryption:
    """Look at the mount of a place and at the devices below it.

    ``root`` is where /proc and /sys are.
    """
    mount = find_mount(_read(root / "proc/self/mountinfo"), place)
    if mount is None:
        return DiskEncryption("unknown", "its mount is not to be seen")
    if mount.kind in ENCRYPTED_MOUNTS:
        return DiskEncryption("encrypted", ENCRYPTED_MOUNTS[mount.kind])
    if mount.kind == "zfs":
        asked = run(("zfs", "get", "-H", "-o", "value", "encryption", mount.source))
        return read_zfs_encryption(asked)
    found = _inspect_devices(mount, root)
    if found is None:
        return DiskEncryption("unknown", f"a mount of the kind {mount.kind} does not tell")
    if found.state == "plain" and (guest := _find_host(root)):
        return DiskEncryption("unknown", f"the disk belongs to {guest}")
    return found


def find_mount(mountinfo: str, place: Path) -> Mount | None:
    """Return the mount that a place lies in: the last one of the longest path."""
    mounts = [mount for line in mountinfo.splitlines() if (mount := _read_mount(line))]
    around = [mount for mount in mounts if place.is_relative_to(mount.point)]
    return max(reversed(around), key=lambda mount: len(mount.point.parts), default=None)


def read_zfs_encryption(printed: str) -> DiskEncryption:
    """Return what ``zfs get encryption`` says of a file system."""
    value = printed.strip()
    if value in ("", "-"):
        return DiskEncryption("unknown", "ZFS does not answer")
    return DiskEncryption("plain" if value == "off" else "encrypted", "ZFS")


def _read_mount(line: str) -> Mount | None:
    """Return the mount of a line, or None.

    It has an ID, the parent's, device, root, point, options, after them ``-``, then kind, source, options.
    """
    words = line.split(" ")
    if "-" not in words[6:]:
        return None
    rest = words[words.index("-", 6) + 1 :]
    point, source = (_unescape(word) for word in (words[4], rest[1] if len(rest) > 1 else ""))
    return Mount(words[2], Path(point), rest[0], source)


def _unescape(word: str) -> str:
    return MOUNT_ESCAPE.sub(lambda match: chr(int(match[1], 8)), word)


def _inspect_devices(mount: Mount, root: Path) -> DiskEncryption | None:
    """Return what the devices of a mount tell; None if it has none that can be seen."""
    device = root / "sys/dev/block" / mount.device
    if device.exists():
        devices = [device.resolve()]
    elif mount.kind == "btrfs":
        devices = _find_btrfs_devices(mount, root)
    else:
        return None
    if not devices:
        return None
    found = [_inspect_device(device, root, MAX_DEPTH) for device in devices]
    return next((one for one in found if one.state != "encrypted"), found[0])


def _find_btrfs_devices(mount: Mount, root: Path) -> list[Path]:
    """Return all devices of the file system of which the source of the mount is one."""
    name = Path(os.path.realpath(root / mount.source.lstrip("/"))).name
    for devices in sorted((root / "sys/fs/btrfs").glob("*/devices")):
        if (devices / name).exists():
            return [device.resolve() for device in sorted(devices.iterdir())]
    return []


def _inspect_device(device: Path, root: Path, depth: int) -> DiskEncryption:
    """Return whether a device, or everything that it lies on, is encrypted."""
    if match := ENCRYPTED_DEVICE.match(_read(device / "dm/uuid")):
        return DiskEncryption("encrypted", "LUKS" if match[1].startswith("LUKS") else match[1])
    below = sorted((device / "slaves").iterdir()) if (device / "slaves").is_dir() else []
    if not depth:
        return DiskEncryption("unknown", "too many devices lie on each other")
    if below:
        found = [_inspect_device(one.resolve(), root, depth - 1) for one in below]
        return next((one for one in found if one.state != "encrypted"), found[0])
    if (device / "loop").is_dir():
        return DiskEncryption("unknown", "it is a file on another disk")
    if VIRTUAL_DISK.match(device.name):
        return DiskEncryption("unknown", "the disk belongs to the host of this virtual machine")
    return DiskEncryption("plain", "LUKS")


def _find_host(root: Path) -> str:
    """Return whose machine this guest runs on; nothing if it seems to be no guest."""
    if "microsoft" in _read(root / "proc/version").lower():
        return "Windows"
    if re.search(r"^flags\b.*\bhypervisor\b", _read(root / "proc/cpuinfo"), re.MULTILINE):
        return "the host of this virtual machine"
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
