"""Check the environment: package, libraries, data directory, permissions, disk, locks.

Checking creates no directory, no file and no lock file.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from sediment_mcp import __version__
from sediment_mcp.background.jobs import LOCKED_WORK
from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.maintenance.findings import Finding, State
from sediment_mcp.storage.sqlite.connection import sqlite_version
from sediment_mcp.system.data_directory import find_fault
from sediment_mcp.system.files import PRIVATE_DIRECTORY, PRIVATE_FILE, format_bytes
from sediment_mcp.system.locks import locked
from sediment_mcp.system.text import list_names

LIBRARIES = (
    "mcp", "pydantic", "numpy", "onnxruntime", "tantivy",
)  # fmt: skip
LOW_DISK_BYTES, NO_DISK_BYTES = 500 * 1024**2, 20 * 1024**2
LOCK_TIMEOUT = 0.5  # seconds; a writer holds its lock for milliseconds


def check_package() -> Finding:
    """Report the versions of the package and of Python."""
    return Finding(
        "sediment-mcp", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}."
    )


def check_libraries(names: Sequence[str] = LIBRARIES) -> Finding:
    """Report the versions of the libraries, or which of them are missing."""
    found = {name: _find_version(name) for name in names}
    missing = [name for name, version in found.items() if version is None]
    if missing:
        return Finding(
            "libraries", "problem", f"Not installed: {', '.join(missing)}.",
            "Install sediment-mcp anew: pip install --upgrade --force-reinstall sediment-mcp.",
        )  # fmt: skip
    versions = [f"{name} {version}" for name, version in found.items()]
    return Finding("libraries", "ok", f"{', '.join(versions)}, SQLite {sqlite_version()}.")


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_directory(data_dir: Path) -> Finding:
    """Report the real path of the data, behind links and private copies made by Windows."""
    place = Path(os.path.realpath(data_dir))
    if is_private_copy(place):
        return Finding(
            "data directory", "warning", f"{place} is one app's private copy, which no other host sees.",
            "Set SEDIMENT_DATA_DIR to a directory outside AppData, in every host.",
        )  # fmt: skip
    if not place.exists():
        return Finding("data directory", "ok", f"{place}: not there yet, the first use makes it.")
    if place.is_dir() and os.access(place, os.R_OK | os.X_OK) and not os.access(place, os.W_OK):
        return Finding(
            "data directory", "warning", f"{place} may only be read: nothing can be stored there.",
            "Make it writable, or set SEDIMENT_DATA_DIR to another.",
        )  # fmt: skip
    if not place.is_dir() or not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "data directory", "problem", f"{place} is not a directory that can be written.",
            "Make it one, or set SEDIMENT_DATA_DIR to another.",
        )  # fmt: skip
    return Finding("data directory", "ok", f"{place}")


def is_private_copy(place: Path) -> bool:
    """Return whether Windows shows this directory to one packaged app alone.

    Such directories are below …/AppData/Local/Packages/….
    """
    parts = [part.lower() for part in str(place).replace("\\", "/").split("/")]
    return "appdata" in parts and "packages" in parts[parts.index("appdata") :]


def check_permissions(data_dir: Path) -> Finding | None:
    """Report whether the data are the user's alone.

    None if there are no data, or if the system has no such permissions.
    """
    if sys.platform == "win32" or not data_dir.is_dir():
        return None
    if found := find_fault(data_dir):
        remedy = f"{found.remedy[0].upper()}{found.remedy[1:]}."
        return Finding("permissions", "problem", f"{found.cause}.", remedy)
    strangers = [path for path in _iterate_all(data_dir) if _read_owner(path) not in (None, os.getuid())]
    if strangers:
        return Finding(
            "permissions", "problem", f"{_list_names(strangers, data_dir)} belong to another user.",
            "Run sediment-mcp as that user, or give them to yourself with chown.",
        )  # fmt: skip
    public = [path for path in _iterate_all(data_dir) if _is_public(path)]
    if public:
        return Finding(
            "permissions", "warning", f"Others may look at {_list_names(public, data_dir)}.",
            "sediment-mcp doctor --fix makes everything private.",
        )  # fmt: skip
    return Finding("permissions", "ok", f"Private: {PRIVATE_DIRECTORY:o} and {PRIVATE_FILE:o}, and your own.")


def make_all_private(data_dir: Path) -> None:
    """Make the data directory and all in it private to the user; targets of links stay as is."""
    if sys.platform == "win32":
        return
    for path in _iterate_all(data_dir):
        with contextlib.suppress(FileNotFoundError):  # files of a snapshot are replaced at any moment
            path.chmod(PRIVATE_DIRECTORY if path.is_dir() else PRIVATE_FILE)


def _iterate_all(data_dir: Path) -> Iterator[Path]:
    """Yield the data directory and everything in it but links."""
    yield data_dir
    yield from (path for path in data_dir.rglob("*") if not path.is_symlink())


def _read_owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:  # gone since: files of a snapshot are replaced at any moment
        return None


def _is_public(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _list_names(paths: list[Path], data_dir: Path) -> str:
    names = [path.name if path != data_dir else "the directory itself" for path in paths]
    return list_names(names, 3)


def check_disk(
    data_dir: Path, read_free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Finding | None:
    """Report the free space where the data are or will be; None if it cannot be found out."""
    place = next((path for path in (data_dir, *data_dir.parents) if path.is_dir()), None)
    try:
        free = read_free_bytes(place or data_dir)
    except OSError:
        return None
    remedy = "" if free >= LOW_DISK_BYTES else "Free some space: a store that finds the disk full is refused."
    state: State = "ok" if free >= LOW_DISK_BYTES else "warning" if free >= NO_DISK_BYTES else "problem"
    return Finding("disk", state, f"{format_bytes(free)} free.", remedy)


def check_locks(data_dir: Path, write_lock: str) -> Finding | None:
    """Report what other processes are doing under a lock; None if there is no lock file yet."""
    names = [name for name in (write_lock, *LOCKED_WORK) if (data_dir / name).exists()]
    held = [name for name in names if _is_held(data_dir / name)]
    if write_lock in held:
        return Finding(
            "locks", "warning", f"Another process has held the write lock for {LOCK_TIMEOUT} seconds.",
            "Look again; if it stays so, end the sediment-mcp process that hangs.",
        )  # fmt: skip
    if held:
        works = " and ".join(LOCKED_WORK[name] for name in held)
        return Finding("locks", "ok", f"Another process is {works} just now.")
    return Finding("locks", "ok", "Free: no other process is writing.") if names else None


def _is_held(lock: Path) -> bool:
    try:
        with locked(lock, LOCK_TIMEOUT):
            return False
    except Busy:
        return True
    except StorageError:  # a lock file that cannot be opened is a matter of permissions
        return False
