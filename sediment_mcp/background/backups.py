"""Backups of the database: made once a day in the background, kept in a folder of their own, a week of them.

Each is a whole database without a log. It is written under a temporary name, checked and synced before it
gets its own, so a process killed at any moment leaves nothing but a file that the next one takes away; and a
damaged database never takes the place of a good backup. What is erased for good is erased from them too.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from sediment_mcp.errors import BadArgument, DamagedDatabase, DiskFull, StorageError
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.storage.sqlite.connection import DAMAGED
from sediment_mcp.storage.sqlite.swap import clear_disk_errors
from sediment_mcp.system.files import locked, locked_if_free, prepare_directory, publish

logger = logging.getLogger(__name__)

FOLDER = "backups"
LOCK = "backups.lock"
DAY, EVERY = timedelta(days=1), timedelta(hours=1)  # between two backups; between two looks of one process
SPARE_DISK = 100 * 1024**2  # bytes that a backup leaves free, because stores need them more
STAMP = "%Y-%m-%d-%H%M%S"
UNFINISHED = ".tmp"

Kind = Literal["daily", "made", "before-restore"]
"""By itself, by hand, and of what a restore was about to change. Those made by hand are never removed."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A file in the folder; ``time`` is when it was begun."""

    path: Path
    kind: Kind
    time: datetime

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds: ``memories``, those in its trash included, the time of the ``newest``, and the
    change ``seq`` that it has reached."""

    memories: int
    newest: datetime | None
    seq: int


class Backups:
    """The backups of one data directory. May be used from any thread and any number of processes."""

    def __init__(
        self, directory: Path, open_store: Callable[[], Store], kept: int, clock: Callable[[], datetime]
    ) -> None:
        """``open_store`` gives a connection for reading; ``kept`` is how many of each kind stay."""
        self.folder = directory / FOLDER
        self._lock = directory / LOCK
        self._open_store = open_store
        self._kept = kept
        self._now = clock
        self._looked: datetime | None = None
        self._checked: datetime | None = None
        self._clean_to: int | None = None  # what was erased up to this change is in no backup
        self._complaint = ""

    # --- looking --------------------------------------------------------------------------------

    def all(self) -> list[Backup]:
        """Every backup in the folder, the newest first."""
        return named_in(self.folder)

    def contents(self, backup: Backup) -> Contents | None:
        """What it holds; None if it cannot be read."""
        with locked(self._lock):
            return contents_of(backup.path)

    # --- making ---------------------------------------------------------------------------------

    def make(self, kind: Kind = "made") -> Backup:
        """Make one now.

        Raises:
            DamagedDatabase: the copy is not sound, because the database is not; nothing is kept of it.
            StorageError: the directory cannot be written, or another process is at it for too long.
        """
        with locked(self._lock):
            return self._make(kind)

    def make_file(self, path: Path) -> None:
        """Make one now as a file of the user's own, which is never changed and never removed.

        Raises:
            BadArgument: there is such a file already.
            StorageError: see `make`.
        """
        if path.exists():
            raise BadArgument(f"{path} is there already: give another name, or move it away.")
        self._write(path)

    def tend(self) -> None:
        """Forget what was erased, and make the backup of the day if it is due and no other process is at it.
        What goes wrong is said once, not every hour."""
        try:
            self.forget_erased(wait=False)
            self._make_daily()
        except (StorageError, OSError) as error:
            if str(error) != self._complaint:
                logger.warning("No backup was made, those from before are kept: %s", error)
            self._complaint = str(error)
        else:
            self._complaint = ""

    def _make_daily(self) -> None:
        now = self._now()
        if not self._kept or (self._looked is not None and timedelta(0) <= now - self._looked < EVERY):
            return
        self._looked = now
        if self._is_old(now):
            with locked_if_free(self._lock) as held:
                if held and self._is_old(now) and self._has_changed(now):
                    self._make("daily")

    def _is_old(self, now: datetime) -> bool:
        """Whether there is no daily one of the last day; what a clock that ran ahead has dated is none."""
        daily = (backup for backup in self.all() if backup.kind == "daily" and backup.time <= now)
        newest = next(daily, None)
        return newest is None or now - newest.time >= DAY

    def _has_changed(self, now: datetime) -> bool:
        """Whether there is anything that the newest backup lacks; where there is not, the database is at
        least looked at, so that damage is noticed while the backups are young."""
        with contextlib.closing(self._open_store()) as store:
            newest = next(iter(self.all()), None)
            known = contents_of(newest.path) if newest else None
            if known.seq != store.seq() if known else store.memory_count() > 0:
                return True
            if newest is None:
                self._looked = None  # the first memory does not have to wait for the next look
            if self._checked is None or now - self._checked >= DAY:
                self._checked = now
                _assert_sound(store)
        return False

    def _make(self, kind: Kind) -> Backup:
        """Under the lock."""
        prepare_directory(self.folder)
        self._tidy()
        time = self._now().replace(microsecond=0)
        while (path := self.folder / f"{kind}-{time:{STAMP}}.db").exists():
            time += timedelta(seconds=1)
        self._write(path)
        self._remove_old(kind, path)
        return Backup(path, kind, time)

    def _write(self, path: Path) -> None:
        temporary = path.with_name(path.name + UNFINISHED)
        try:
            with contextlib.closing(self._open_store()) as store:
                _assert_space(path.parent, store.path.stat().st_size)
                store.copy_to(temporary)
            with contextlib.closing(Store(temporary)) as copy:
                _assert_sound(copy)
            with clear_disk_errors():
                publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _remove_old(self, kind: Kind, made: Path) -> None:
        """Keep the newest ones, and the fullest as long as the one just made holds less than half as much:
        a database that was lost or emptied must not take its backups along. What a clock that ran ahead has
        dated counts as the oldest."""
        now = self._now()
        mine = [backup for backup in self.all() if backup.kind == kind and backup.path != made]
        mine.sort(key=lambda backup: backup.time > now)
        spare = mine[max(0, self._kept - 1) :] if kind != "made" else []
        if not spare:
            return
        counts = {backup.path: _count(backup.path) for backup in (*mine, *spare)}
        fullest = max(counts, key=lambda path: counts[path])
        for backup in spare:
            if backup.path != fullest or counts[fullest] <= 2 * _count(made):
                backup.path.unlink(missing_ok=True)

    # --- giving back ----------------------------------------------------------------------------

    def named(self, name: str) -> Path:
        """The file of a backup, by its name in the folder or by its path.

        Raises:
            BadArgument: there is none of this name.
        """
        own = {backup.name: backup.path for backup in self.all()}
        path = own.get(name.removesuffix(".db"), Path(name).expanduser())
        if not path.is_file():
            raise BadArgument(f"There is no backup {name}: sediment-mcp backup --list shows what there is.")
        return path

    @contextlib.contextmanager
    def workshop(self) -> Generator[Path]:
        """The folder for unfinished files, whose names hold `UNFINISHED`; they go at the end, or when the
        next process comes.

        Raises:
            StorageError: the directory cannot be written, or another process is at it for too long.
        """
        with locked(self._lock):
            prepare_directory(self.folder)
            self._tidy()
            try:
                yield self.folder
            finally:
                self._tidy()

    @contextlib.contextmanager
    def borrowed(self, path: Path) -> Generator[Path]:
        """A sound copy of a backup with today's schema, to be used up or thrown away.

        Raises:
            BadArgument: it is none, or it is damaged.
            StorageError: see `workshop`.
        """
        with self.workshop() as folder:
            copy = folder / f"borrowed{UNFINISHED}"
            try:
                copy_sound(path, copy, read_only=path.parent != self.folder)
            except DamagedDatabase as error:
                raise BadArgument(
                    f"{path} is not a sound backup: sediment-mcp backup --list shows others."
                ) from error
            yield copy

    def _tidy(self) -> None:
        for leftover in self.folder.glob(f"*{UNFINISHED}*"):
            leftover.unlink(missing_ok=True)

    # --- forgetting -----------------------------------------------------------------------------

    def forget_erased(self, *, wait: bool = True) -> None:
        """Take what is gone for good out of every backup; costs one look where nothing is.

        Raises:
            StorageError: a backup cannot be written, or another process is at it for too long.
        """
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(contextlib.closing(self._open_store()))
            newest = store.seq()
            clean_to = self._clean_to
            if clean_to is not None and clean_to <= newest and not store.has_erased(clean_to):
                return
            if self.folder.is_dir():
                if wait:
                    stack.enter_context(locked(self._lock))
                elif not stack.enter_context(locked_if_free(self._lock)):
                    return
                erased = store.erased()
                for backup in self.all():
                    _forget(backup, erased)
                self._tidy()
            self._clean_to = newest


def named_in(folder: Path) -> list[Backup]:
    """Every backup in a folder, the newest first."""
    files = folder.iterdir() if folder.is_dir() else ()
    found = [backup for path in files if (backup := _named(path)) is not None]
    return sorted(found, key=lambda backup: (backup.time, backup.name), reverse=True)


def _named(path: Path) -> Backup | None:
    match = re.fullmatch(rf"({'|'.join(get_args(Kind))})-(\d{{4}}-\d\d-\d\d-\d{{6}})\.db", path.name)
    if match is None:
        return None
    try:
        time = datetime.strptime(match[2], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    kind = next(kind for kind in get_args(Kind) if kind == match[1])
    return Backup(path, kind, time)


def contents_of(path: Path) -> Contents | None:
    """What a database file holds; None if it cannot be read."""
    try:
        with contextlib.closing(Store(path)) as store:
            return Contents(store.memory_count(), store.newest(), store.seq())
    except StorageError:
        return None


def copy_sound(path: Path, copy: Path, *, read_only: bool = False) -> None:
    """Copy a backup and bring its schema up to date. A stranger's file is opened read-only; one of the folder
    may have to be rolled back first, after a crash.

    Raises:
        DamagedDatabase: it is damaged, or holds no memories.
    """
    with contextlib.closing(Store(path, read_only=read_only)) as source:
        if not source.is_ours():
            raise DamagedDatabase(f"{path} holds no memories.")
        source.copy_to(copy)
    with contextlib.closing(Store(copy)) as store:
        store.upgrade()
        _assert_sound(store)


def _count(path: Path) -> int:
    contents = contents_of(path)
    return contents.memories if contents else 0


def _assert_sound(store: Store) -> None:
    if store.integrity():
        raise DamagedDatabase(DAMAGED)


def _assert_space(folder: Path, needed: int) -> None:
    """Leave room: a disk that a backup has filled would refuse the next store."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < needed + SPARE_DISK:
            raise DiskFull("The disk is too full for a backup: free some space.")


def _forget(backup: Backup, erased: set[str]) -> None:
    """Erase these memories in a backup, which remembers that it has; one that is damaged is removed, because
    nothing can be erased in it."""
    try:
        with contextlib.closing(Store(backup.path)) as store:
            store.upgrade()
            pending = sorted(erased - store.erased())
            if pending:
                with store.transaction():
                    for memory in store.by_ids(pending).values():
                        store.erase(memory)
                    store.note_erased(pending)
            if store.has_remains():
                store.erase_remains()
    except DamagedDatabase:
        logger.warning("The backup %s is damaged and cannot forget what was erased: removed.", backup.name)
        backup.path.unlink(missing_ok=True)
