"""Find what lies where in the folder that is carried between the devices.

    FOLDER/key.age                          the key of the person, encrypted by a passphrase
    FOLDER/<device>/<first>-<last>.age      the log of a device: what has changed, from number to number
    FOLDER/<device>/about.age               its clock, version and last number, when it last wrote

Each device writes in its own folder alone, whole files that never change, so that whatever carries them has
nothing to merge. All other names, such as those of conflict copies, are ignored.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sediment_mcp import __version__
from sediment_mcp.errors import DiskFull, StorageError
from sediment_mcp.system.files import DISK_FULL_ERRNOS
from sediment_mcp.system.timestamps import isoformat
from sediment_mcp.transfer.encryption import decrypt_with_identity, encrypt_to_identity

KEY_FILE = "key.age"
ABOUT_FILE = "about.age"
DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LOG_NAME = re.compile(r"(\d{8,12})-(\d{8,12})\.age")
NUMBER_DIGITS = 8  # at least, so that names sort as numbers do
TEMPORARY_PREFIX = "."  # of files that are not finished


@dataclass(frozen=True, slots=True)
class LogPath:
    """A file of a device's log, by the first and the last number in its name."""

    path: Path
    first: int
    last: int

    @property
    def size(self) -> int:
        """The size in bytes, 0 if the file is gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def format_name(first: int, last: int) -> str:
    """Return the name of the file that holds these numbers of a log."""
    return f"{first:0{NUMBER_DIGITS}}-{last:0{NUMBER_DIGITS}}.age"


@contextlib.contextmanager
def reading(folder: Path) -> Generator[None]:
    """Say which folder could not be read.

    Raises:
        StorageError: an ``OSError`` came up.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be read ({error.strerror}): check its disk and its permissions."
        ) from error


@contextlib.contextmanager
def writing(folder: Path) -> Generator[None]:
    """Say which folder could not be written.

    Raises:
        DiskFull: its disk is full.
        StorageError: another ``OSError`` came up.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            raise DiskFull(
                f"The disk of the folder {folder} is full: free some space there and sync again."
            ) from error
        raise StorageError(
            f"The folder {folder} cannot be written ({error.strerror}): check its disk and its permissions."
        ) from error


def require_folder(folder: Path) -> None:
    """Check that the folder is there.

    Raises:
        StorageError: it is not, as while its disk is not plugged in.
    """
    if not folder.is_dir():
        raise StorageError(
            f"The folder {folder} is not there: plug in its disk, or start what carries it, and sync again."
        )


def list_devices(folder: Path) -> list[str]:
    """Return the names of all devices that have a folder, in order."""
    with reading(folder):
        return sorted(
            entry.name for entry in os.scandir(folder) if DEVICE_NAME.fullmatch(entry.name) and entry.is_dir()
        )


def list_log(folder: Path, device: str) -> list[LogPath]:
    """Return the files of a device's log, by their first number; none if it has no folder."""
    own = folder / device
    with reading(own):
        names = os.listdir(own) if own.is_dir() else []
    found = [(name, match) for name in names if (match := LOG_NAME.fullmatch(name))]
    files = [LogPath(own / name, int(match[1]), int(match[2])) for name, match in found]
    return sorted(filter(_has_own_name, files), key=lambda file: file.first)


def _has_own_name(file: LogPath) -> bool:
    return 0 < file.first <= file.last and file.path.name == format_name(file.first, file.last)


def list_ignored(folder: Path, device: str) -> list[str]:
    """Return the names in a device's folder that are not ours, such as conflict copies."""
    own = folder / device
    with reading(own):
        names = os.listdir(own) if own.is_dir() else []
    return sorted(name for name in names if name != ABOUT_FILE and not LOG_NAME.fullmatch(name))


def find_next(files: Iterable[LogPath], position: int) -> list[LogPath]:
    """Return the files that continue a log after this number, the longest reach first."""
    following = [file for file in files if file.first <= position + 1 and file.last > position]
    return sorted(following, key=lambda file: -file.last)


def is_complete(files: Iterable[LogPath], number: int) -> bool:
    """Return True if the files hold all numbers of a log up to this one."""
    position, files = 0, list(files)
    while position < number:
        following = find_next(files, position)
        if not following:
            return False
        position = following[0].last
    return True


@dataclass(frozen=True, slots=True)
class About:
    """What a device says of itself: its clock, version and last number when it last wrote."""

    device: str
    clock: datetime
    version: str
    number: int = 0


def encrypt_about(device: str, identity: str, now: datetime, number: int) -> bytes:
    """Return what a device says of itself, encrypted."""
    fields = {"device": device, "clock": isoformat(now), "version": __version__, "number": number}
    return encrypt_to_identity(json.dumps(fields).encode(), identity)


def read_about(folder: Path, device: str, identity: str) -> About | None:
    """Return what a device says of itself; None if that cannot be read (yet)."""
    try:
        data = decrypt_with_identity((folder / device / ABOUT_FILE).read_bytes(), identity)
        fields: Any = json.loads(data or b"")
        clock = datetime.fromisoformat(fields["clock"])
        return About(str(fields["device"]), clock, str(fields["version"]), int(fields["number"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
