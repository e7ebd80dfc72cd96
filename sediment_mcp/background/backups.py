"""Daily backups of the database, of which a week is kept in a separate folder.

Each is a whole database without a log. It is written under a temporary name, checked and synced before it
gets its own, so a process killed at any moment leaves only a temporary file, which the next process deletes.
A damaged database never replaces a good backup. Permanently erased memories are erased from backups too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from sediment_mcp.background.interval import Interval
from sediment_mcp.errors import BadArgument, DamagedDatabase, DiskFull, StorageError
from sediment_mcp.storage.sqlite.backup_file import (
    Contents,
    assert_sound,
    copy_sound,
    erase_in_file,
    read_contents,
    write_copy,
)
from sediment_mcp.storage.sqlite.storage import SqliteStorage
from sediment_mcp.system.data_directory import prepare_directory
from sediment_mcp.system.files import create_private, publish, translate_os_errors
from sediment_mcp.system.locks import locked, locked_if_free
from sediment_mcp.tuning import Tuning

logger = logging.getLogger(__name__)

FOLDER = "backups"
LOCK = "backups.lock"
DAY = timedelta(days=1)
CHECK_EVERY = timedelta(hours=1)  # between two checks of one process
TIME_FORMAT = "%Y-%m-%d-%H%M%S"
UNFINISHED = ".tmp"

BackupKind = Literal["daily", "made", "before-restore"]
"""Made daily, by hand, or before a restore; those made by hand are never removed."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup in the folder; ``time`` is when it was started."""

    path: Path
    kind: BackupKind
    time: datetime

    @property
    def name(self) -> str:
        """The file's name without its ending, by which users call it."""
        return self.path.stem


class Backups:
    """The backups of one data directory.

    May be used from any thread and any number of processes.
    """

    def __init__(
        self,
        directory: Path,
        storage: SqliteStorage,
        kept: int,
        clock: Callable[[], datetime],
        tuning: Tuning,
    ) -> None:
        """Keep the ``kept`` newest backups of each kind."""
        self.folder = directory / FOLDER
        self._lock = directory / LOCK
        self._storage = storage
        self._kept = kept
        self._now = clock
        self._tuning = tuning
        self._daily_check = Interval(CHECK_EVERY)
        self._soundness_check = Interval(DAY)
        self._purged_to: int | None = None  # no backup holds what was erased up to this change
        self._last_problem = ""

    # --- reading --------------------------------------------------------------------------------

    def list_all(self) -> list[Backup]:
        """Return every backup in the folder, the newest first."""
        return list_backups(self.folder)

    def read_contents(self, backup: Backup) -> Contents | None:
        """Return the contents of a backup, or None if it cannot be read."""
        if not os.access(backup.path.parent, os.W_OK):  # so nobody else changes it either
            return self._read(backup.path, read_only=True)
        with locked(self._lock, self._tuning.lock_timeout):
            return self._read(backup.path)

    def _read(self, path: Path, *, read_only: bool = False) -> Contents | None:
        return read_contents(path, self._find_key(path), read_only=read_only)

    def _find_key(self, path: Path) -> bytes | None:
        return self._storage.encryption.database_key(path)

    # --- making ---------------------------------------------------------------------------------

    def make(self, kind: BackupKind = "made") -> Backup:
        """Make a backup now.

        Raises:
            DamagedDatabase: the copy is not sound, because the database is not; nothing is kept of it.
            StorageError: the directory cannot be written, or another process keeps the lock for too long.
        """
        self._storage.open()
        self._storage.assert_writable()
        with locked(self._lock, self._tuning.lock_timeout):
            return self._make(kind)

    def make_file(self, path: Path) -> None:
        """Make a backup now as a file of the user, which is never changed or removed.

        Raises:
            BadArgument: there is such a file already.
            StorageError: see `make`.
        """
        if path.exists() or path.is_symlink():
            raise BadArgument(f"{path} is there already: give another name, or move it away.")
        with translate_os_errors("choose another place", path):
            self._write(path)

    def run(self) -> None:
        """Purge erased memories from backups, and make the daily backup if it is due.

        It is left out while another process is working on the backups. A failure is logged once, not
        every hour.
        """
        try:
            self.purge_erased(wait=False)
            self._make_daily()
        except (StorageError, OSError) as error:
            if str(error) != self._last_problem:
                logger.warning("No backup was made, those from before are kept: %s", error)
            self._last_problem = str(error)
        else:
            self._last_problem = ""

    def _make_daily(self) -> None:
        now = self._now()
        if not self._kept or not self._daily_check.is_due(now):
            return
        self._daily_check.start(now)
        if self._is_daily_due(now):
            with locked_if_free(self._lock) as is_held:
                if is_held and self._is_daily_due(now) and self._has_changed(now):
                    self._make("daily")

    def _is_daily_due(self, now: datetime) -> bool:
        """Return True if there is no daily backup of the last day; future dates do not count."""
        daily = (backup for backup in self.list_all() if backup.kind == "daily" and backup.time <= now)
        newest = next(daily, None)
        return newest is None or now - newest.time >= DAY

    def _has_changed(self, now: datetime) -> bool:
        """Return True if the newest backup lacks a change.

        If not, the database is at least checked, so that damage is noticed while the backups are recent.
        """
        with self._storage.connect() as session:
            newest = next(iter(self.list_all()), None)
            known = self._read(newest.path) if newest else None
            changes = session.changes
            if known.seq != changes.seq() if known else changes.count_memories() > 0:
                return True
            if newest is None:
                self._daily_check.reset()  # the first memory need not wait for the next check
            if self._soundness_check.is_due(now):
                self._soundness_check.start(now)
                assert_sound(session)
        return False

    def _make(self, kind: BackupKind) -> Backup:
        """Make a backup; the caller holds the lock."""
        prepare_directory(self.folder)
        self._remove_unfinished()
        time = self._now().replace(microsecond=0)
        while (path := self.folder / f"{kind}-{time:{TIME_FORMAT}}.db").exists():
            time += timedelta(seconds=1)
        with translate_os_errors():
            self._write(path)
        self._remove_old(kind, path)
        return Backup(path, kind, time)

    def _write(self, path: Path) -> None:
        temporary, descriptor = create_private(path)
        os.close(descriptor)
        try:
            with self._storage.connect() as session:
                self._check_space(path.parent, self._storage.path.stat().st_size)
                write_copy(session, temporary)
            publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _check_space(self, folder: Path, needed_bytes: int) -> None:
        """Check that enough space is left, because a full disk would make the next store fail."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(folder).free < needed_bytes + self._tuning.spare_disk_bytes:
                raise DiskFull("The disk is too full for a backup: free some space.")

    def _remove_old(self, kind: BackupKind, made: Path) -> None:
        """Remove all but the newest backups.

        The one with the most memories is also kept while the one just made holds less than half as many. A
        database that was lost or emptied must not take its backups along. What a clock that ran ahead has
        dated counts as the oldest.
        """
        now = self._now()
        others = [backup for backup in self.list_all() if backup.kind == kind and backup.path != made]
        others.sort(key=lambda backup: backup.time > now)
        surplus = others[max(0, self._kept - 1) :] if kind != "made" else []
        if not surplus:
            return
        counts = {backup.path: self._count_memories(backup.path) for backup in others}
        fullest = max(counts, key=lambda path: counts[path])
        for backup in surplus:
            if backup.path != fullest or counts[fullest] <= 2 * self._count_memories(made):
                backup.path.unlink(missing_ok=True)

    def _count_memories(self, path: Path) -> int:
        contents = self._read(path)
        return contents.memories if contents else 0

    # --- restoring ----------------------------------------------------------------------------

    def find(self, name: str) -> Path:
        """Return the path of a backup, given its name in the folder or its path.

        Raises:
            BadArgument: there is none of this name.
        """
        own = {backup.name: backup.path for backup in self.list_all()}
        path = own.get(name.removesuffix(".db"), Path(name).expanduser())
        if not path.is_file():
            raise BadArgument(f"There is no backup {name}: sediment-mcp backup --list shows what there is.")
        return path

    @contextlib.contextmanager
    def scratch_directory(self) -> Generator[Path]:
        """Lend the folder for unfinished files, whose names hold `UNFINISHED`.

        They are deleted at the end, or by the next process.

        Raises:
            StorageError: the directory cannot be written, or another process keeps the lock for too long.
        """
        with locked(self._lock, self._tuning.lock_timeout):
            prepare_directory(self.folder)
            self._remove_unfinished()
            try:
                yield self.folder
            finally:
                self._remove_unfinished()

    @contextlib.contextmanager
    def sound_copy(self, path: Path) -> Generator[Path]:
        """Lend a sound copy of a backup with the current schema, which is deleted afterwards.

        Raises:
            BadArgument: the file is not a backup, or is damaged.
            StorageError: see `scratch_directory`.
        """
        with self.scratch_directory() as folder:
            yield self.copy_into(folder, path)

    def copy_into(self, folder: Path, path: Path) -> Path:
        """Copy a backup into the scratch directory, with the current schema; see `sound_copy`."""
        copy = folder / f"copy{UNFINISHED}"
        try:
            copy_sound(
                path,
                copy,
                source_key=self._find_key(path),
                key=self._find_key(self._storage.path),  # so that the database can be joined with the copy
                read_only=path.parent != self.folder,
            )
        except DamagedDatabase as error:
            raise BadArgument(
                f"{path} is not a sound backup, or has another key: sediment-mcp backup --list shows others."
            ) from error
        return copy

    def _remove_unfinished(self) -> None:
        for leftover in self.folder.glob(f"*{UNFINISHED}*"):
            leftover.unlink(missing_ok=True)

    # --- erasing --------------------------------------------------------------------------------

    def purge_erased(self, *, wait: bool = True) -> None:
        """Purge permanently erased memories from every backup.

        If there are none, that takes one query.

        Raises:
            StorageError: a backup cannot be written, or another process keeps the lock for too long.
        """
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(self._storage.connect())
            newest, purged_to = session.changes.seq(), self._purged_to
            if (
                purged_to is not None
                and purged_to <= newest
                and not session.changes.has_erased_since(purged_to)
            ):
                return
            if self.folder.is_dir():
                if wait:
                    stack.enter_context(locked(self._lock, self._tuning.lock_timeout))
                elif not stack.enter_context(locked_if_free(self._lock)):
                    return
                erased_ids = session.erased_ids()
                for backup in self.list_all():
                    _purge(backup, erased_ids, self._find_key(backup.path))
                self._remove_unfinished()
            self._purged_to = newest


def list_backups(folder: Path) -> list[Backup]:
    """Return every backup in a folder, the newest first."""
    files = folder.iterdir() if folder.is_dir() else ()
    found = [backup for path in files if (backup := _parse_name(path)) is not None]
    return sorted(found, key=lambda backup: (backup.time, backup.name), reverse=True)


def _parse_name(path: Path) -> Backup | None:
    match = re.fullmatch(rf"({'|'.join(get_args(BackupKind))})-(\d{{4}}-\d\d-\d\d-\d{{6}})\.db", path.name)
    if match is None:
        return None
    try:
        time = datetime.strptime(match[2], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    kind = next(kind for kind in get_args(BackupKind) if kind == match[1])
    return Backup(path, kind, time)


def _purge(backup: Backup, erased_ids: set[str], key: bytes | None) -> None:
    """Erase memories in a backup, or delete the backup if it is damaged.

    Nothing can be erased in a damaged backup.
    """
    try:
        erase_in_file(backup.path, erased_ids, key)
    except DamagedDatabase:
        logger.warning("The backup %s is damaged and cannot forget what was erased: removed.", backup.name)
        backup.path.unlink(missing_ok=True)
