"""The data directory: private to the user, replaced atomically, written under cross-process locks."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sediment_mcp.errors import Busy, DiskFull, StorageError
from sediment_mcp.system.data_directory import fault_of, fault_within

if TYPE_CHECKING:
    from filelock import BaseFileLock

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
LOCK_PATIENCE = 30.0  # seconds; a writer holds the lock for milliseconds, so half a minute means trouble
LOCK_POLL = 0.002  # seconds; about the time one write takes
SEAL = "seal"  # the entry of a record that is the CRC-32 of the others


def prepare_directory(directory: Path) -> None:
    """Create the data directory, private to the user, or make sure that the one there is.

    Raises:
        StorageError: it cannot be created, it is not a directory, or something in it is not to be trusted.
    """
    try:
        directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if found := fault_of(directory):
            raise StorageError(str(found))
        if directory.stat().st_mode & 0o077 and sys.platform != "win32":
            directory.chmod(PRIVATE_DIRECTORY)
    except OSError as error:
        raise StorageError(
            f"The data directory {directory} cannot be used ({error.strerror}): "
            "make it writable or set SEDIMENT_DATA_DIR to a directory that is."
        ) from error
    if found := fault_within(directory):
        raise StorageError(str(found))


def make_private(path: Path) -> None:
    """Give a file, or a folder with its files, to the user alone; libraries follow the umask."""
    if sys.platform == "win32":
        return
    path.chmod(PRIVATE_DIRECTORY if path.is_dir() else PRIVATE_FILE)
    if path.is_dir():
        for file in path.iterdir():
            with contextlib.suppress(FileNotFoundError):  # merges remove files at any moment
                file.chmod(PRIVATE_FILE)


def touch_private(path: Path) -> None:
    """Create an empty private file if there is none; what SQLite puts beside it inherits its mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))


def stamp(path: Path) -> tuple[int, int, int]:
    """What tells one version of a file from the next: time of change (ns), size (bytes), inode."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def identity(path: Path) -> tuple[int, int] | None:
    """What stays the same of a file while it grows and changes, and differs once another one has its name;
    None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def write_atomically(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Replace a file's content in one step that survives a crash and a power cut."""
    with replacing(path, mode) as file:
        file.write(data)


def write_private(path: Path, data: bytes) -> None:
    """Write a private file that can be made again: without waiting for the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, mode: int = PRIVATE_FILE) -> Generator[BinaryIO]:
    """A private file to write, which takes the place of ``path`` when the block ends without an error."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        if mode != PRIVATE_FILE:
            temporary.chmod(mode)
        publish(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Replace a small JSON file, which carries a checksum of itself."""
    write_atomically(path, json.dumps({**record, SEAL: _seal(record)}).encode())


def read_record(path: Path) -> dict[str, Any]:
    """What `write_record` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not as it was written.
    """
    record: Any = json.loads(path.read_bytes())
    if not isinstance(record, dict) or record.pop(SEAL, None) != _seal(record):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(f"{path.name} is damaged")
    return record  # pyright: ignore[reportUnknownVariableType]


def _seal(record: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def publish(temporary: Path, path: Path) -> None:
    """Sync a finished file, move it over ``path``, and sync the directory that names it."""
    descriptor = os.open(temporary, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    if sys.platform == "win32":  # directories cannot be opened there; NTFS journals the rename
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, patience: float = LOCK_PATIENCE) -> Generator[None]:
    """Hold a lock between processes; the system releases it when its holder dies.

    Raises:
        Busy: somebody else held it for ``patience`` seconds.
    """
    from filelock import Timeout

    lock = _lock(path)
    try:
        lock.acquire(timeout=patience, poll_interval=LOCK_POLL)
    except Timeout:
        raise Busy(
            "Another sediment-mcp process has been writing for too long: try again, "
            "and end a process that hangs if it happens twice."
        ) from None
    except OSError as error:
        raise _cannot_be_written(error) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writing() -> Generator[None]:
    """Translate the system's errors at writing files into sentences that say what to do."""
    try:
        yield
    except OSError as error:
        raise _cannot_be_written(error) from error


def _cannot_be_written(error: OSError) -> StorageError:
    if error.errno == errno.ENOSPC:
        return DiskFull("The disk is full: free some space and try again.")
    return StorageError(
        f"The data directory cannot be written ({error.strerror}): check its permissions and the disk."
    )


@contextlib.contextmanager
def locked_if_free(path: Path) -> Generator[bool]:
    """Hold the lock if nobody else does; the value says whether it is held."""
    try:
        with locked(path, patience=0):
            yield True
    except Busy:
        yield False


def _lock(path: Path) -> BaseFileLock:
    from filelock import FileLock

    return FileLock(path, mode=PRIVATE_FILE, thread_local=False)
