"""Write private files that survive a crash, and explain in plain words why one cannot.

A file is replaced in one step (write beside it, sync, rename, sync the directory), so readers,
and processes after a crash, see either the old content or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import sys
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sediment_mcp.errors import DamagedFile, DiskFull, StorageError

if TYPE_CHECKING:
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

PRIVATE_DIRECTORY = 0o700  # mode
PRIVATE_FILE = 0o600  # mode
CHECKSUM_KEY = "seal"  # the entry of a record that is the CRC-32 of the others
RANDOM_BYTES = 8  # in the name of a temporary file
MAX_STEM = 100  # characters of a file's name that its temporary file's name begins with
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


def make_private(path: Path) -> None:
    """Make a file, or a folder with its files, private to the user.

    Files that libraries create have a mode by the umask.
    """
    if sys.platform == "win32":
        return
    path.chmod(PRIVATE_DIRECTORY if path.is_dir() else PRIVATE_FILE)
    if path.is_dir():
        for file in path.iterdir():
            with contextlib.suppress(FileNotFoundError):  # merges remove files at any moment
                file.chmod(PRIVATE_FILE)


def touch_private(path: Path) -> None:
    """Create an empty private file if there is none; files that SQLite adds inherit its mode.

    One that is there is not opened: closing it would drop the locks that this process has on it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))


def read_stamp(path: Path) -> tuple[int, int, int]:
    """Return values that differ between versions of a file: change time (ns), size, inode."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_file_id(path: Path) -> tuple[int, int] | None:
    """Return (device, inode), which stay the same as a file changes; None if there is no file.

    They differ once another file has taken the name.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def write_atomically(
    path: Path, data: bytes, mode: int = PRIVATE_FILE, owner: tuple[int, int] | None = None
) -> None:
    """Replace a file's content in one step that survives a crash and a power cut."""
    with open_replacement(path, mode, owner) as file:
        file.write(data)


def write_private(path: Path, data: bytes) -> None:
    """Write a private file without syncing it, for content that can be made again.

    Raises:
        OSError: it cannot be written, or its name is that of a link.
    """
    refuse_link(path)
    with _open_temporary(path, os.replace) as file:
        file.write(data)


def create_private(path: Path) -> tuple[Path, int]:
    """Create a private file beside ``path`` under a random name; return (path, descriptor).

    In a folder that others may write, a file or a link that is there already would be somebody else's: it is
    never opened, and nobody else can read ours before its first byte.
    """
    temporary = path.with_name(f"{path.name[:MAX_STEM]}.{secrets.token_hex(RANDOM_BYTES)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, PRIVATE_FILE)
    if sys.platform != "win32":
        os.fchmod(descriptor, PRIVATE_FILE)
    return temporary, descriptor


def refuse_link(path: Path) -> None:
    """Refuse a link in the place of a file that is to be written.

    Raises:
        OSError: it is one.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, and links are not followed")


@contextlib.contextmanager
def open_replacement(
    path: Path, mode: int = PRIVATE_FILE, owner: tuple[int, int] | None = None
) -> Generator[BinaryIO]:
    """Open a private file that takes the place of ``path`` when the block ends without an error.

    ``owner`` is the (user, group) that the file gets, where this process may give files away.
    """
    with _open_temporary(path, publish) as file:
        yield file
        if sys.platform != "win32":
            if owner is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)


@contextlib.contextmanager
def _open_temporary(path: Path, move: Callable[[Path, Path], object]) -> Generator[BinaryIO]:
    """Open a private file beside ``path`` that ``move`` puts there unless the block fails."""
    temporary, descriptor = create_private(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        move(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_record(path: Path, record: dict[str, Any], encryption: DirectoryEncryption | None = None) -> None:
    """Replace a small JSON file that has a checksum in it; encrypted if the directory is."""
    data = json.dumps({**record, CHECKSUM_KEY: _compute_checksum(record)}).encode()
    write_atomically(path, data if encryption is None else encryption.encrypt(data, path.name))


def read_record(path: Path, encryption: DirectoryEncryption | None = None) -> dict[str, Any]:
    """Return what `write_record` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content is not what was written.
        KeyUnavailable: it is encrypted, and there is no key.
    """
    data = path.read_bytes()
    try:
        record: Any = json.loads(data if encryption is None else encryption.decrypt(data, path.name))
    except DamagedFile as error:
        raise ValueError(str(error)) from error
    if not isinstance(record, dict) or record.pop(CHECKSUM_KEY, None) != _compute_checksum(record):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(f"{path.name} is damaged")
    return record  # pyright: ignore[reportUnknownVariableType]


def _compute_checksum(record: dict[str, Any]) -> int:
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
    """Sync a directory, so that a file created, renamed or removed in it stays so after a crash."""
    if sys.platform == "win32":  # directories cannot be opened there; NTFS journals the rename
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def translate_os_errors(
    remedy: str = "check its permissions and the disk", place: object = "The data directory"
) -> Generator[None]:
    """Turn an ``OSError`` at writing into a `StorageError` whose message says what to do.

    ``place`` is the beginning of that message and ``remedy`` its end, unless the disk is full.

    Raises:
        DiskFull: the disk, or the user's quota on it, is used up.
        StorageError: any other ``OSError``, which becomes its cause.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            raise DiskFull("The disk is full: free some space and try again.") from error
        raise StorageError(f"{place} cannot be written ({error.strerror}): {remedy}.") from error


def format_bytes(count: float) -> str:
    """Return a number of bytes for people to read: 12 bytes, 3.4 MB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
