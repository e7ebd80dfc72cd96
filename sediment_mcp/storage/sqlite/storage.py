"""The embedded storage: one SQLite file, shared by any number of processes.

The file is in the data directory. One connection writes for the calls and some others read, so that a read
waits neither for another process's write nor for another read; a caller may have a separate connection
(`SqliteStorage.reader`, `SqliteStorage.connect`). A write holds the
cross-process lock from BEGIN to COMMIT, checkpoints included: SQLite up to 3.51.2 can corrupt a database
whose checkpoint runs beside another connection's commit, and the lock is also fairer than SQLite's own
waiting.

The database file itself may be replaced or removed while a process runs. Before each use a connection checks
that its file is still the one of that name, and is otherwise opened anew. A write checks again after its
COMMIT, so that an acknowledged write is in the file that the next process opens.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path

from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.read_only import ReadOnlyFile, describe, is_read_only
from sediment_mcp.storage.sqlite.secure_erase import erase_remains, has_remains
from sediment_mcp.storage.sqlite.session import SqliteSession, open_by_kind, open_session
from sediment_mcp.system.data_directory import prepare_directory
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.locks import locked
from sediment_mcp.tuning import Tuning

logger = logging.getLogger(__name__)

DATABASE = "memories.db"
WRITE_LOCK = "write.lock"
READ_CONNECTIONS = 4  # that reads of one process use at once; each is opened when it is first needed


class SqliteStorage:
    """`MemoryStorage` over one SQLite file.

    May be used from any thread.
    """

    def __init__(
        self,
        directory: Path,
        tuning: Tuning,
        *,
        on_change: Callable[[], None] = lambda: None,
        audit_time: Callable[[], datetime | None] = lambda: None,
        encryption: DirectoryEncryption | None = None,
    ) -> None:
        """Create a storage; nothing is opened before the first use.

        ``on_change`` is called when the storage has been opened, and after each write. ``audit_time`` gives
        the time with which a write is recorded in the audit, or None. ``encryption`` is that of the data
        directory; without it, it is this directory's own.
        """
        self.path = directory / DATABASE
        self.encryption = encryption or DirectoryEncryption(directory)
        self._directory = directory
        self._tuning = tuning
        self._on_change = on_change
        self._audit_time = audit_time
        self._opening = threading.Lock()
        self._write_lock = _ThreadLock()
        self._writer: SqliteSession | None = None
        self._read_only_file: ReadOnlyFile | None = None
        self._readers = _ReaderPool(self)
        self._may_hold_erased_in_log = False
        self._is_closed = False

    # --- opening and closing ------------------------------------------------------------------

    def open(self) -> None:
        """Open the storage, unless it is open; see `MemoryStorage`."""
        with self._opening:
            if self._is_closed:
                raise StorageError("sediment-mcp is ending: call again once it has been started anew.")
            if self._writer is not None or self._read_only_file is not None:
                return
            if is_read_only(self.path):
                self._read_only_file = ReadOnlyFile(self.path, self.encryption)
                return
            self.prepare()
            self._writer = self._open_current()
            # A process may have died between an erasure and the emptying of the log.
            self._may_hold_erased_in_log = self._writer.changes.has_erased_since(0)
        self._on_change()

    @property
    def is_read_only(self) -> bool:
        """Whether the data directory was found to be one that may only be read."""
        return self._read_only_file is not None

    def open_session(self) -> SqliteSession:
        """Open a session of one's own over the database as it is now."""
        file = self._read_only_file
        return self._open_current() if file is None else file.open()

    def _open_current(self, *, is_locked: bool = False) -> SqliteSession:
        with self._hold_while_converted(is_locked=is_locked):
            return open_by_kind(self.path, self.encryption, lambda key: open_session(self.path, key=key))

    def _hold_while_converted(self, *, is_locked: bool) -> contextlib.AbstractContextManager[None]:
        """Hold the write lock while the directory is on its way to be encrypted or back.

        The database is then replaced below that lock. Who opens it at that very moment could open the old
        file and, by its name, the new one's log.
        """
        marker = self.encryption.marker
        if is_locked or marker is None or marker.state == "encrypted" or self._write_lock.is_mine():
            return contextlib.nullcontext()
        return self.file_lock()

    def prepare(self, *, is_locked: bool = False) -> None:
        """Create or upgrade the database, unless it is ready to be opened.

        ``is_locked`` says that the caller holds the write lock.
        """
        prepare_directory(self._directory)
        if swap.replacement_path(self.path).exists() or not self._is_prepared(is_locked=is_locked):
            with contextlib.nullcontext() if is_locked else self.file_lock():
                swap.finish(self.path)
                SqliteDatabase.prepare(self.path, key=self.encryption.database_key(self.path)).close()

    def _is_prepared(self, *, is_locked: bool) -> bool:
        with self._hold_while_converted(is_locked=is_locked):
            return open_by_kind(
                self.path, self.encryption, lambda key: SqliteDatabase.is_prepared(self.path, key)
            )

    def file_lock(self, timeout: float | None = None) -> contextlib.AbstractContextManager[None]:
        """Hold the write lock between processes."""
        return locked(self._directory / WRITE_LOCK, self._tuning.lock_timeout if timeout is None else timeout)

    def close(self) -> None:
        """Let a running write finish, and close; takes at most about a second."""
        with self._opening:
            writer, self._writer, self._is_closed = self._writer, None, True
            file, self._read_only_file = self._read_only_file, None
        if file is not None:
            self._readers.close()
            file.close()
        if writer is None:
            return
        # SQLite checkpoints when the last connection closes, which must not run beside another process's
        # commit. If the lock cannot be taken, the connections stay open until the process ends.
        timeout = self._tuning.close_timeout
        with contextlib.suppress(Busy), self.file_lock(timeout):
            with contextlib.suppress(Busy), self._write_lock.held(timeout):
                writer.close()
            self._readers.close()

    # --- sessions -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def write(self, *, secure_erase: bool = False, attach: Path | None = None) -> Generator[SqliteSession]:
        """Write in one transaction; see `MemoryStorage`.

        ``attach`` is another database, whose tables statements name ``other.…``. With ``secure_erase`` the
        file is rewritten and the log is emptied; if a slow reader blocks the latter, the next write tries
        again.
        """
        self.open()
        self.assert_writable()
        with self._lend_writer() as writer:
            writer.audit.begin(self._audit_time())
            with self._attached(writer, attach), writer.database.transaction():
                yield writer
            if secure_erase:
                self._erase_remains(writer)
            self._clean_log(writer, self._tuning.erase_timeout_ms if secure_erase else 0, secure_erase)
            writer.database.assert_current()
        self._on_change()

    @contextlib.contextmanager
    def read(self, *, attach: Path | None = None) -> Generator[SqliteSession]:
        """Open a read transaction, with another database attached if ``attach`` is given."""
        self.open()
        with (
            self._readers.session() as session,
            self._attached(session, attach),
            session.database.snapshot(),
        ):
            yield session

    def _attached(
        self, session: SqliteSession, other: Path | None
    ) -> contextlib.AbstractContextManager[None]:
        return session.database.attached(other, other and self.encryption.database_key(other))

    @contextlib.contextmanager
    def connect(self) -> Generator[SqliteSession]:
        """Open a separate connection for long work, whose reads each see the newest commit."""
        self.open()
        with contextlib.closing(self.open_session()) as session:
            yield session

    def lease(self, name: str, now: datetime) -> contextlib.AbstractContextManager[bool]:
        """Return True: all processes are on this machine, and file locks decide between them."""
        return contextlib.nullcontext(True)

    def reader(self) -> SqliteReader:
        """Return a connection that is kept open over many calls."""
        return SqliteReader(self)

    def assert_writable(self) -> None:
        """Check that the data directory may be written; open it anew if it has become so.

        Raises:
            StorageError: it may not.
        """
        file = self._read_only_file
        if file is None:
            return
        if is_read_only(self.path):
            raise StorageError(describe(self.path))
        with self._opening:
            self._read_only_file = None
        self.open()
        self._readers.close()
        file.close()

    @contextlib.contextmanager
    def _lend_writer(self) -> Generator[SqliteSession]:
        """Hold both write locks and lend the write session, reopened if its file was replaced."""
        with self._write_lock.held(self._tuning.lock_timeout), self.file_lock():
            if self._writer is None:
                raise StorageError("sediment-mcp is ending: call again once it has been started anew.")
            if swap.replacement_path(self.path).exists() or not self._writer.database.is_current():
                self._writer.database.close_stale()
                self.prepare(is_locked=True)
                self._writer = self._open_current(is_locked=True)
            yield self._writer

    # --- secure erase -------------------------------------------------------------------------

    def finish_secure_erase(self) -> None:
        """Finish a secure erase that another process left unfinished.

        That process was killed, or could not write.

        The rows are erased, but their text may still be in the file or in the log.
        """
        self.open()
        if self.is_read_only:
            return
        with self._readers.session() as session:
            is_due = has_remains(session)
        if is_due or self._may_hold_erased_in_log:
            with self._lend_writer() as writer:
                if has_remains(writer):
                    self._erase_remains(writer)
                self._may_hold_erased_in_log = not writer.database.empty_log(timeout_ms=0)

    def _clean_log(self, writer: SqliteSession, timeout_ms: int, secure_erase: bool) -> None:
        if secure_erase or self._may_hold_erased_in_log:
            self._may_hold_erased_in_log = not writer.database.empty_log(timeout_ms)
        else:
            writer.database.checkpoint(self._tuning.max_wal_bytes)

    @staticmethod
    def _erase_remains(writer: SqliteSession) -> None:
        """Rewrite the file without remains of erased rows.

        The rows themselves are erased already, so a failure is only logged and tried again later.
        """
        try:
            erase_remains(writer)
        except StorageError as error:  # the disk may have no room for it
            logger.warning("Pieces of what was erased may stay in the database until a later try: %s", error)


class SqliteReader:
    """`SessionReader` over a SQLite file: a read connection kept open over many calls."""

    def __init__(self, storage: SqliteStorage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._session: SqliteSession | None = None

    @contextlib.contextmanager
    def session(self) -> Generator[SqliteSession]:
        """Lend the session to one thread at a time.

        It is a new session if the file was replaced in the meantime.
        """
        with self._lock:
            self._session = self._open_current(self._session)
            yield self._session

    def _open_current(self, session: SqliteSession | None) -> SqliteSession:
        if session is None:
            if not self._storage.is_read_only and not self._storage.path.exists():
                self._storage.prepare()
            return self._storage.open_session()
        if session.database.is_current() and session.database.is_read_only == self._storage.is_read_only:
            return session
        self._session = None
        if self._storage.is_read_only or session.database.is_read_only:
            session.close()
            return self._storage.open_session()
        with self._storage.file_lock():
            session.database.close_stale()
            self._storage.prepare(is_locked=True)
        return self._storage.open_session()

    def close(self, timeout: float = 0.5) -> None:
        """Close the connection, unless a call still uses it after ``timeout`` seconds."""
        if self._lock.acquire(timeout=timeout):
            try:
                if self._session is not None:
                    self._session.close()
                    self._session = None
            finally:
                self._lock.release()


class _ReaderPool:
    """Readers for the calls of one process, of which each call uses one that no other uses.

    The one used last is used first, so that there are only as many connections as were ever used at once. A
    call waits only while all are in use.
    """

    def __init__(self, storage: SqliteStorage) -> None:
        self._readers = [SqliteReader(storage) for _ in range(READ_CONNECTIONS)]
        self._free: queue.LifoQueue[SqliteReader] = queue.LifoQueue()
        for reader in reversed(self._readers):
            self._free.put(reader)

    @contextlib.contextmanager
    def session(self) -> Generator[SqliteSession]:
        """Lend a session over the database as it is now."""
        reader = self._free.get()
        try:
            with reader.session() as session:
                yield session
        finally:
            self._free.put(reader)

    def close(self, timeout: float = 0.5) -> None:
        """Close the connections, but for those that calls still use after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        for reader in self._readers:
            reader.close(max(0.0, deadline - time.monotonic()))


class _ThreadLock:
    """A lock between the threads of a process, with a timeout.

    One thread never takes it twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    def is_mine(self) -> bool:
        """Return True if this thread holds the lock."""
        return self._holder == threading.get_ident()

    @contextlib.contextmanager
    def held(self, timeout: float) -> Generator[None]:
        """Hold the lock.

        Raises:
            Busy: another thread held it for ``timeout`` seconds.
        """
        if self.is_mine():
            raise RuntimeError("A write inside a write of the same thread would wait for itself.")
        if not self._lock.acquire(timeout=timeout):
            raise Busy("Another call has been writing for too long: try again.")
        try:
            self._holder = threading.get_ident()
            yield
        finally:
            self._holder = None
            self._lock.release()
