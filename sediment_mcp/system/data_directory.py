"""Create the data directory, and check that no other user has put anything into it.

Another user who can write into the data directory could put a link there that leads to a file of the user's
elsewhere, or a pipe that never ends. So the directory must belong to the user, or to root, who can do
everything anyway. It is made private first and its entries are checked afterwards: from then on nobody else
can add anything, so one check when it is opened is enough. The directory as a whole may be a link that the
user has made, to another disk for instance. On Windows the permissions of the home directory are relied on.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sediment_mcp.errors import StorageError
from sediment_mcp.system.files import PRIVATE_DIRECTORY

SOCKET = "recall.socket"
"""The one entry that may be a socket: by it, hooks ask the server that listens."""
CACHE_ID = "cache-id"
"""The file that names the indexes of this machine, where the memories themselves are on a server."""
USE_ANOTHER = "set SEDIMENT_DATA_DIR to a directory of your own"


class Fault(NamedTuple):
    """Why the data directory cannot be trusted, and the remedy, as two halves of a sentence."""

    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.remedy}."


def prepare_directory(directory: Path) -> None:
    """Create the data directory, private to the user, or make an existing one private.

    Raises:
        StorageError: it cannot be created, it is not a directory, or it or something in it cannot be trusted.
    """
    try:
        directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if fault := find_directory_fault(directory):
            raise StorageError(str(fault))
        if directory.stat().st_mode & 0o077 and sys.platform != "win32":
            directory.chmod(PRIVATE_DIRECTORY)
    except OSError as error:
        raise StorageError(
            f"The data directory {directory} cannot be used ({error.strerror}): "
            "make it writable or set SEDIMENT_DATA_DIR to a directory that is."
        ) from error
    if fault := find_entry_fault(directory):
        raise StorageError(str(fault))


def find_fault(directory: Path) -> Fault | None:
    """Return why the data directory cannot be used, or None if it can; change nothing."""
    return find_directory_fault(directory) or find_entry_fault(directory)


def find_directory_fault(directory: Path) -> Fault | None:
    """Return what is wrong with the directory itself, or None.

    None also if there is no directory, or it cannot be seen.
    """
    try:
        link, target = directory.lstat(), directory.stat()
    except OSError:
        return None
    if not _is_trusted(link) and stat.S_ISLNK(link.st_mode):
        return Fault(f"The data directory {directory} is a link that another user has made", USE_ANOTHER)
    if not _is_trusted(target):
        remedy = f"run sediment-mcp as that user, give it to yourself with chown, or {USE_ANOTHER}"
        return Fault(f"The data directory {directory} belongs to another user", remedy)
    if target.st_mode & 0o022 and _read_owner(target) != _read_current_user():
        return Fault(f"The data directory {directory} is root's, and others may write to it", USE_ANOTHER)
    if target.st_mode & stat.S_ISVTX and target.st_mode & 0o002:
        return Fault(f"The data directory {directory} is everybody's, as /tmp is", USE_ANOTHER)
    return None


def find_entry_fault(directory: Path) -> Fault | None:
    """Return what is wrong with the first entry that is not the user's ordinary file or folder.

    Takes about two microseconds for each entry.
    """
    try:
        return next(_find_entry_faults(directory), None)
    except OSError:
        return None


def _find_entry_faults(directory: Path) -> Iterator[Fault]:
    if sys.platform == "win32":
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # files of a snapshot are replaced at any moment
                continue
            if entry.name == SOCKET and stat.S_ISSOCK(status.st_mode) and _is_trusted(status):
                continue
            if fault := _check_entry(f"{entry.name} in the data directory", status):
                yield fault
            elif stat.S_ISDIR(status.st_mode):
                yield from _find_entry_faults(Path(entry.path))


def _check_entry(name: str, status: os.stat_result) -> Fault | None:
    if stat.S_ISLNK(status.st_mode):
        remedy = "put the file itself in its place, or make the whole directory a link"
        return Fault(f"{name} is a symbolic link, and those are not followed there", remedy)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return Fault(f"{name} is no file but a pipe, a socket or a device", "remove it, or move it away")
    if not _is_trusted(status):
        return Fault(f"{name} belongs to another user", "give it to yourself with chown, or remove it")
    return None


def _is_trusted(status: os.stat_result) -> bool:
    return _read_owner(status) in (_read_current_user(), 0)


def _read_owner(status: os.stat_result) -> int:
    return status.st_uid if sys.platform != "win32" else 0


def _read_current_user() -> int:
    return os.geteuid() if sys.platform != "win32" else 0
