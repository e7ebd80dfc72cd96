"""Bring every file of a data directory into the kind of its marker: encrypted or plain.

Each file is copied into its new kind under the lock of those who write it, compared, and put in the place of
the old one in one step. The plain bytes are not overwritten: on flash memory, and on file systems that copy
on write, that would promise what nobody can keep.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from sediment_mcp.background import backups
from sediment_mcp.errors import DamagedDatabase, DamagedFile, DiskFull, StorageError
from sediment_mcp.indexes.index_files import remove_index_files
from sediment_mcp.maintenance.directory_files import (
    CONVERTING,
    DirectoryFile,
    list_files,
    list_stores,
)
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.database_copy import copy_database
from sediment_mcp.storage.sqlite.storage import DATABASE, WRITE_LOCK
from sediment_mcp.storage.sqlite.tokens import ACCESS_LOCK
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.encrypted_file import BLOCK_BYTES, EncryptedReader, EncryptedWriter
from sediment_mcp.system.encrypted_lines import needs_rewrite, rewrite_lines
from sediment_mcp.system.files import (
    format_bytes,
    open_replacement,
    publish,
    sync_directory,
    write_atomically,
)
from sediment_mcp.system.locks import locked
from sediment_mcp.system.progress import Progress
from sediment_mcp.tuning import Tuning

CONVERTED = ("database", "access", "backup", "damaged", "lines", "content")
"""The kinds of files that are converted; indexes are deleted, and others not touched."""
MAX_PASSES = 3  # over the directory, while other processes write to it
SIZE_BYTES = 8  # of the number before a wrapped file's content
LEFTOVER_AGE = 3600.0  # seconds after which no process can still be writing a file of this kind


@dataclass(slots=True)
class ConversionReport:
    """What was done, and the names of the files that were left as they are.

    Attributes:
        files: how many were converted.
        bytes: how many bytes those had.
        unknown: files that nobody here has written, in plain text.
        unopened: files that are damaged, so that they cannot be decrypted.
    """

    files: int = 0
    bytes: int = 0
    unknown: list[str] = field(default_factory=list[str])
    unopened: list[str] = field(default_factory=list[str])


def convert_directory(
    encryption: DirectoryEncryption, tuning: Tuning, progress: Progress, *, renews_indexes: bool
) -> ConversionReport:
    """Convert every file that is not of the kind that the marker says.

    Raises:
        Busy: another process holds a lock for too long.
        StorageError: a database is damaged, a file cannot be written, or others write faster than this.
    """
    conversion = _Conversion(encryption, tuning, progress)
    if renews_indexes:
        for store in list_stores(encryption.directory):
            remove_index_files(store, tuning.lock_timeout)
    for _ in range(MAX_PASSES):
        conversion.run()
        if not conversion.list_due():
            return conversion.report()
    names = ", ".join(file.path.name for file in conversion.list_due())
    raise StorageError(
        f"Other processes keep writing {names} as before: end the sediment-mcp servers of earlier versions, "
        "and run this command again."
    )


def check_space(data_dir: Path, tuning: Tuning, *, encrypts: bool) -> None:
    """Check that the largest file that is to be converted fits on the disk once more.

    Raises:
        DiskFull: it does not.
    """
    files = [file for store in list_stores(data_dir) for file in list_files(store)]
    sizes = (file.size for file in files if file.kind in CONVERTED and file.is_plain == encrypts)
    needed = max(sizes, default=0) + tuning.spare_disk_bytes
    free = shutil.disk_usage(data_dir).free if data_dir.is_dir() else needed
    if free < needed:
        raise DiskFull(
            f"{format_bytes(needed)} must be free on the disk of {data_dir}, and {format_bytes(free)} are: "
            "free some space and try again."
        )


def list_plain_files(data_dir: Path) -> list[Path]:
    """Return the known files of a directory that hold what was stored and are not encrypted."""
    files = [file for store in list_stores(data_dir) for file in list_files(store)]
    return [file.path for file in files if file.kind in CONVERTED and file.is_plain]


class _Conversion:
    """One conversion of a directory, which may take several passes."""

    def __init__(self, encryption: DirectoryEncryption, tuning: Tuning, progress: Progress) -> None:
        self._encryption = encryption
        self._encrypts = encryption.encrypts
        self._tuning = tuning
        self._progress = progress
        self._report = ConversionReport()
        self._given_up: set[Path] = set()

    def report(self) -> ConversionReport:
        """Return what was done, with what is left as it is."""
        root = self._encryption.directory
        if self._encrypts:
            others = [file for file in self._list() if file.kind in ("other", "leftover")]
            self._report.unknown = [str(file.path.relative_to(root)) for file in others if file.is_plain]
        self._report.unopened = sorted(str(path.relative_to(root)) for path in self._given_up)
        return self._report

    def list_due(self) -> list[DirectoryFile]:
        """Return the files to be converted, in an order that loses nothing if it is cut short.

        A database comes first when it is encrypted and last when it is decrypted: a server of an earlier
        version removes backups that it cannot read, if it can read the database.
        """
        due = [file for file in self._list() if self._is_due(file)]
        return due if self._encrypts else due[::-1]

    def run(self) -> None:
        """Convert what is due, and remove what killed processes have left behind."""
        self._remove_leftovers()
        due = self.list_due()
        done, total = 0, sum(file.size for file in due)
        for file in due:
            self._progress(done, total)
            size = file.size
            done += size
            if self._convert(file):
                self._report.files += 1
                self._report.bytes += size
        self._progress(total, total)

    def _list(self) -> list[DirectoryFile]:
        return [file for store in list_stores(self._encryption.directory) for file in list_files(store)]

    def _is_due(self, file: DirectoryFile) -> bool:
        if file.path in self._given_up or file.kind not in CONVERTED:
            return False
        if file.kind == "lines":
            return needs_rewrite(file.path, self._encryption)
        if file.kind == "damaged" and not self._encrypts:
            return file.is_wrapped  # what SQLCipher has written of a damaged one stays as it is
        return file.is_plain == self._encrypts and file.size > 0

    def _convert(self, file: DirectoryFile) -> bool:
        """Convert one file; return False if it cannot be, and stays as it is."""
        with self._hold_lock(file):
            if file.kind == "database":
                swap.finish(file.path)
            if not self._is_due(file):
                return False  # another process was faster
            try:
                self._convert_held(file)
            except (DamagedDatabase, DamagedFile):
                if file.kind in ("database", "access"):
                    raise
                self._given_up.add(file.path)
                return False
        return True

    def _convert_held(self, file: DirectoryFile) -> None:
        """Convert a file whose lock is held.

        Raises:
            DamagedDatabase: it is a database that cannot be read.
            DamagedFile: it cannot be decrypted.
        """
        if file.is_wrapped:
            self._unwrap(file.path)
        elif file.kind == "lines":
            rewrite_lines(file.path, self._encryption)
        elif file.kind == "content":
            self._convert_content(file.path)
        elif file.kind == "damaged":
            self._wrap(file.path)
        else:
            try:
                self._convert_database(file)
            except DamagedDatabase:
                if file.kind != "backup" or not self._encrypts:
                    raise
                self._wrap(file.path)  # nothing reads a damaged backup, but it holds text

    @contextlib.contextmanager
    def _hold_lock(self, file: DirectoryFile) -> Generator[None]:
        """Hold the lock under which a file of this kind is written."""
        folder = file.path.parent
        path = {
            "database": folder / WRITE_LOCK,
            "damaged": folder / WRITE_LOCK,
            "access": folder / ACCESS_LOCK,
            "backup": folder.parent / backups.LOCK,
        }.get(file.kind, file.path.with_suffix(".lock"))
        with locked(path, self._tuning.lock_timeout):
            yield

    def _convert_database(self, file: DirectoryFile) -> None:
        """Copy a database, compare the copy, open it as its readers do, and let it take the place."""
        path, key = file.path, self._encryption.key().derive("database")
        old, new = (None, key) if self._encrypts else (key, None)
        copy = path.with_name(path.name + CONVERTING)
        _remove_with_companions(copy)
        try:
            copy_database(path, copy, source_key=old, key=new)
            if file.kind == "database":  # it gets its log, and may be of an earlier version
                SqliteDatabase.prepare(copy, key=new).close()
            with contextlib.closing(SqliteDatabase(copy, key=new)) as opened:
                if opened.integrity_faults():
                    raise DamagedDatabase
            if file.kind == "database":
                swap.replace(path, copy)
            else:
                publish(copy, path)
        finally:
            _remove_with_companions(copy)

    def _convert_content(self, path: Path) -> None:
        """Replace a file by its content in the other kind, as a whole."""
        data = self._encryption.decrypt(path.read_bytes(), path.name)
        converted = self._encryption.encrypt(data, path.name)
        if self._encryption.decrypt(converted, path.name) != data:
            raise DamagedFile(f"{path.name} could not be encrypted: try again.")
        write_atomically(path, converted)

    def _wrap(self, path: Path) -> None:
        """Encrypt a file as a whole, whatever it holds."""
        with path.open("rb") as source, open_replacement(path) as file:
            size = os.fstat(source.fileno()).st_size
            writer = EncryptedWriter(file, self._encryption, path.name)
            writer.write(size.to_bytes(SIZE_BYTES, "big"))
            while block := source.read(BLOCK_BYTES):
                writer.write(block)
            writer.finish()

    def _unwrap(self, path: Path) -> None:
        """Bring back what was wrapped.

        Raises:
            DamagedFile: it does not open with the key.
        """
        with path.open("rb") as source, open_replacement(path) as file:
            reader = EncryptedReader(source, self._encryption, path.name)
            left = int.from_bytes(reader.read(SIZE_BYTES), "big")
            while left:
                block = reader.read(min(left, BLOCK_BYTES))
                file.write(block)
                left -= len(block)
            reader.finish()

    def _remove_leftovers(self) -> None:
        """Remove what processes have left behind that were killed while they wrote."""
        for store in list_stores(self._encryption.directory):
            with locked(store / WRITE_LOCK, self._tuning.lock_timeout):
                swap.finish(store / DATABASE)
                for path in store.glob(f"*{CONVERTING}*"):
                    path.unlink(missing_ok=True)
            if (store / backups.FOLDER).is_dir():
                with locked(store / backups.LOCK, self._tuning.lock_timeout):
                    for path in (store / backups.FOLDER).glob(f"*{backups.UNFINISHED}*"):
                        path.unlink(missing_ok=True)
            for file in list_files(store):
                with contextlib.suppress(FileNotFoundError):
                    if file.kind == "leftover" and time.time() - file.path.stat().st_mtime > LEFTOVER_AGE:
                        file.path.unlink()
            sync_directory(store)


def _remove_with_companions(path: Path) -> None:
    for companion in ("", *swap.COMPANIONS):
        path.with_name(path.name + companion).unlink(missing_ok=True)
