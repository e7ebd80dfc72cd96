"""Whose files these are: nothing that another user may have put in the way is followed or opened.

Who can write into the data directory could plant a link in it that leads to another file of the user's, or a
pipe that never ends. So the directory has to be the user's own, or root's, who can do everything anyway. It
is made private first (`files`) and looked through then: from that moment nobody else can put anything there,
and once, when it is opened, is enough. The directory as a whole may be a link that the user has made, to
another disk for instance. On Windows the home directory's permissions are relied on.

"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ANOTHER = "set SEDIMENT_DATA_DIR to a directory of your own"


class Fault(NamedTuple):
    """What is wrong, and what to do about it; two halves of a sentence."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}."


def fault(directory: Path) -> Fault | None:
    """What keeps the data directory from being used, if anything does. Changes nothing."""
    return fault_of(directory) or fault_within(directory)


def fault_of(directory: Path) -> Fault | None:
    """What is wrong with the directory itself; None also where there is none, or none that can be seen."""
    try:
        name, place = directory.lstat(), directory.stat()
    except OSError:
        return None
    if not _is_trusted(name) and stat.S_ISLNK(name.st_mode):
        return Fault(f"The data directory {directory} is a link that another user has made", ANOTHER)
    if not _is_trusted(place):
        remedy = f"run sediment-mcp as that user, give it to yourself with chown, or {ANOTHER}"
        return Fault(f"The data directory {directory} belongs to another user", remedy)
    if place.st_mode & 0o022 and _owner(place) != _myself():
        return Fault(f"The data directory {directory} is root's, and others may write to it", ANOTHER)
    if place.st_mode & stat.S_ISVTX and place.st_mode & 0o002:
        return Fault(f"The data directory {directory} is everybody's, as /tmp is", ANOTHER)
    return None


def fault_within(directory: Path) -> Fault | None:
    """The first thing in the directory that is not an ordinary file or folder of the user's; about two
    microseconds for each that is."""
    try:
        return next(_faults_within(directory), None)
    except OSError:
        return None


def _faults_within(directory: Path) -> Iterator[Fault]:
    if sys.platform == "win32":
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # files of a snapshot are replaced at any moment
                continue
            if found := _fault_of_entry(f"{entry.name} in the data directory", status):
                yield found
            elif stat.S_ISDIR(status.st_mode):
                yield from _faults_within(Path(entry.path))


def _fault_of_entry(name: str, status: os.stat_result) -> Fault | None:
    if stat.S_ISLNK(status.st_mode):
        remedy = "put the file itself in its place, or make the whole directory a link"
        return Fault(f"{name} is a symbolic link, and those are not followed there", remedy)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return Fault(f"{name} is no file but a pipe, a socket or a device", "remove it, or move it away")
    if not _is_trusted(status):
        return Fault(f"{name} belongs to another user", "give it to yourself with chown, or remove it")
    return None


def _is_trusted(status: os.stat_result) -> bool:
    return _owner(status) in (_myself(), 0)


def _owner(status: os.stat_result) -> int:
    return status.st_uid if sys.platform != "win32" else 0


def _myself() -> int:
    return os.geteuid() if sys.platform != "win32" else 0
