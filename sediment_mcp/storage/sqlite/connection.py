"""One connection to a SQLite file, with transactions, checkpoints and clear errors.

It also keeps the change sequence.

This, `library` and `migrations` are the only modules that import sqlite3. Who may write, and when, is
decided by `storage.sqlite.storage`. ``synchronous=FULL`` makes COMMIT the one point of durability.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sql.database import placeholders
from sediment_mcp.storage.sqlite import migrations
from sediment_mcp.storage.sqlite.dialect import DIALECT
from sediment_mcp.storage.sqlite.library import (
    build_uri,
    check_library,
    connect,
    find_use,
    format_key,
    translate_sqlite_errors,
)
from sediment_mcp.system.database_files import FileUse, open_database_file, release_database_file
from sediment_mcp.system.files import read_file_id, touch_private

BUSY_TIMEOUT_MS = 30_000  # only recovery after a crash ever makes SQLite itself wait
UNREADABLE = (StorageError, sqlite3.Error, MemoryError)
"""The exceptions that reading a damaged database may raise."""
UNSTORABLE = (sqlite3.IntegrityError,)
"""The exceptions of writing a row whose values its columns do not take."""


class SqliteDatabase:
    """One connection to the database file.

    Not thread-safe.
    """

    dialect = DIALECT

    def __init__(self, path: Path, *, read_only: bool = False, key: bytes | None = None) -> None:
        """Open the database, which must have been prepared (see `prepare`) before.

        With ``read_only`` nothing is changed; not even a log is created. ``key`` is for an encrypted file.

        Raises:
            StorageError: the file cannot be opened, is damaged, or is newer than this package.
        """
        self.path = path
        self.is_read_only = read_only
        self.key = key
        self._log_path = path.with_name(path.name + "-wal")
        uri = build_uri(path, read_only=read_only)
        open_file = functools.partial(connect, uri, key, timeout=BUSY_TIMEOUT_MS / 1000)
        with translate_sqlite_errors():
            self._sql, self.file_id = open_database_file(path, find_use(key), open_file)
            self._release = weakref.finalize(self, release_database_file, self.file_id)
            try:
                self._configure()
            except BaseException:
                self.close()
                raise
        self._log_id = read_file_id(self._log_path)  # noted at once, so that no later log is taken for it

    def _configure(self) -> None:
        # The last connection's close would checkpoint at an unsuitable moment; `close` decides instead.
        self._sql.execute("PRAGMA wal_autocheckpoint = 0")
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.execute("PRAGMA foreign_keys = ON")
        self._sql.execute("PRAGMA secure_delete = ON")
        self._sql.create_function("fold_tag", 1, _fold_tag, deterministic=True)
        self._sql.execute("PRAGMA schema_version")  # reads the file, so SQLite opens or creates the log

    @classmethod
    def prepare(
        cls,
        path: Path,
        *,
        schema: migrations.Schema = migrations.MEMORIES,
        schema_version: int | None = None,
        key: bytes | None = None,
    ) -> Self:
        """Open the database and bring its schema up to date; the caller holds the write lock.

        ``schema_version`` stops at an older schema, for tests of what an earlier version has left.
        """
        check_library(key)
        touch_private(path)
        database = cls(path, key=key)
        with translate_sqlite_errors():
            database._sql.execute(f"PRAGMA journal_mode = {schema.journal}")
            migrations.migrate(database._sql, schema_version, schema)
        return database

    @staticmethod
    def is_prepared(path: Path, key: bytes | None = None) -> bool:
        """Return True if the schema is up to date, so that opening it needs no lock.

        Raises:
            NewerDatabase: it was written by a newer version of this package.
        """
        if not path.exists() or path.stat().st_size == 0:
            return False
        with contextlib.closing(SqliteDatabase(path, key=key)) as database:
            applied, known = database.schema()
        return applied == known

    def close(self) -> None:
        """Close the connection."""
        self._sql.close()
        self._release()

    # --- the file ---------------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Return True if database and log are still the files that were opened; takes microseconds.

        SQLite itself continues to write to a file that was deleted, moved or replaced, where the data would
        be lost.
        """
        if read_file_id(self.path) != self.file_id:
            return False
        log_id = read_file_id(self._log_path)
        if self._log_id is None:  # a new database has no log before its first use
            self._log_id = log_id
        return self._log_id == log_id

    def assert_current(self) -> None:
        """Check that the file has not been replaced since it was opened.

        Raises:
            StorageError: it has been.
        """
        if not self.is_current():
            raise StorageError("The database was replaced or removed at this very moment: try again.")

    def close_stale(self) -> None:
        """Close a connection that is no longer current; the caller holds the write lock.

        If only the log was removed, its content is first moved into the database, unless there is a new log.
        """
        with contextlib.suppress(StorageError, sqlite3.Error):
            if read_file_id(self.path) == self.file_id and not self._log_path.exists():
                self.empty_log(timeout_ms=0)
        self.close()

    def copy_to(self, path: Path) -> None:
        """Copy the database in its current state into a new file, without a log.

        It copies in one step, which blocks no writer. Copying in several steps would make SQLite start again
        at every write of another process; in measurements that never ended. One step takes 0.1 to 2
        seconds at 100,000 memories.
        """
        touch_private(path)
        with (
            translate_sqlite_errors(),
            contextlib.closing(connect(str(path), self.key)) as copy,
        ):
            copy.execute("PRAGMA synchronous = OFF")  # the caller syncs the finished file
            self._sql.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()

    @contextlib.contextmanager
    def attached(
        self, other: Path | None, key: bytes | None = None, *, read_only: bool = False
    ) -> Generator[None]:
        """Attach another database, if there is one, whose tables are then named ``other.…``.

        Use it around a transaction, not inside one. ``key`` is that of the other, if it is encrypted.

        Raises:
            StorageError: the other one is encrypted, and this one is not.
        """
        if other is None:
            yield
            return
        if key is not None and self.key is None:
            raise StorageError("The database is not encrypted any more: try again.")
        use = FileUse(key is not None, find_use(self.key).library)
        attach = functools.partial(self._attach, build_uri(other, read_only=read_only), key)
        with translate_sqlite_errors():
            _, file_id = open_database_file(other, use, attach)
        try:
            yield
        finally:
            self._sql.execute("DETACH other")
            release_database_file(file_id)

    def _attach(self, uri: str, key: bytes | None) -> None:
        if self.key is None:
            self._sql.execute("ATTACH ? AS other", (uri,))
        else:
            self._sql.execute("ATTACH ? AS other KEY ?", (uri, format_key(key)))

    def upgrade(self) -> None:
        """Bring the schema up to date in any journal mode; nobody else may have the file open."""
        with translate_sqlite_errors():
            migrations.migrate(self._sql)

    def accept_any_text(self) -> None:
        """Decode invalid UTF-8 leniently from now on, for reading a damaged database."""
        self._sql.text_factory = _decode_leniently

    # --- transactions -------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Write everything inside together or not at all; the caller holds the write lock."""
        with translate_sqlite_errors():
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._commit()
            except BaseException:
                self._roll_back()
                raise

    def _commit(self) -> None:
        try:
            self._sql.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            self._overwrite_failed_commit()
            raise

    def _roll_back(self) -> None:
        if self._sql.in_transaction:
            self._sql.execute("ROLLBACK")

    def _overwrite_failed_commit(self) -> None:
        """Overwrite the change whose COMMIT has failed with an empty change in the log.

        If only the sync failed, all its pages are in the log, and recovery would treat it as committed.
        """
        with contextlib.suppress(sqlite3.Error):
            self._sql.execute("BEGIN IMMEDIATE")
            self.next_seq()  # SQLite writes nothing unless a value changes
            self._sql.execute("COMMIT")
        with contextlib.suppress(sqlite3.Error):
            self._roll_back()

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None]:
        """Let all reads inside see the same moment."""
        with translate_sqlite_errors():
            self._sql.execute("BEGIN")
            try:
                yield
            finally:
                if self._sql.in_transaction:
                    self._sql.execute("COMMIT")

    def checkpoint(self, max_log_bytes: int) -> None:
        """Move the write-ahead log into the database if it is larger than ``max_log_bytes``.

        The caller holds the write lock. A reader that blocks it only postpones it.
        """
        if self._log_path.exists() and self._log_path.stat().st_size > max_log_bytes:
            self.empty_log(timeout_ms=0)

    def empty_log(self, timeout_ms: int = 2000) -> bool:
        """Move the write-ahead log into the database and truncate the log.

        The caller holds the write lock. Waits for readers for at most ``timeout_ms``, and returns False if
        one still blocks it.
        """
        with translate_sqlite_errors():
            self._sql.execute(f"PRAGMA busy_timeout = {int(timeout_ms)}")
            try:
                return self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            except sqlite3.OperationalError:
                return False
            finally:
                self._sql.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    def vacuum(self) -> None:
        """Rewrite all pages, through the log; the caller holds the write lock.

        The new pages are in a temporary file meanwhile, the only one that SQLCipher encrypts.
        """
        if self.key is None:
            self.execute("VACUUM")
            return
        self.execute("PRAGMA temp_store = FILE")
        try:
            self.execute("VACUUM")
        finally:
            self.execute("PRAGMA temp_store = MEMORY")

    # --- the change sequence ------------------------------------------------------------------

    def seq(self) -> int:
        """Return the number of the newest change; takes eight microseconds, once a query."""
        with translate_sqlite_errors():
            return int(self._sql.execute("SELECT value FROM counters WHERE name = 'seq'").fetchone()[0])

    def next_seq(self) -> int:
        """Return the number of a new change; inside a transaction."""
        row = self._sql.execute("UPDATE counters SET value = value + 1 WHERE name = 'seq' RETURNING value")
        return int(row.fetchone()[0])

    def insert_numbered(self, table: str, columns: str, values: Sequence[object]) -> int:
        """Insert a row of memories or chunks, and return its number; inside a transaction."""
        return self.scalar(
            f"INSERT INTO {table} ({columns}) VALUES ({placeholders(values)}) RETURNING number", values
        )

    def find_model_key(self, table: str, fingerprint: str) -> int | None:
        """Return the key of a model in a table of models, or None if there is none yet."""
        rows = self.rows(f"SELECT number FROM {table} WHERE fingerprint = ?", (fingerprint,))
        return int(rows[0][0]) if rows else None

    def prefetch(self, *reads: Callable[[], object]) -> bool:
        """Do nothing: a read takes microseconds."""
        return False

    # --- statements ---------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        with translate_sqlite_errors():
            return self._sql.execute(sql, values).fetchall()  # pyright: ignore[reportArgumentType]

    def column(self, sql: str, values: Sequence[object] = ()) -> list[int]:
        """Return the first column of all rows of a statement."""
        return [row[0] for row in self.rows(sql, values)]

    def scalar(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the first column of the first row of a statement."""
        return int(self.rows(sql, values)[0][0])

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows one by one, where all of them at once would be too many for memory."""
        with translate_sqlite_errors():
            cursor = self._sql.execute(sql, values)  # pyright: ignore[reportArgumentType]
            for row in cursor:  # noqa: UP028  `yield from` closes the cursor, perhaps after its connection
                yield row

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement that returns nothing."""
        with translate_sqlite_errors():
            self._sql.execute(sql, values)  # pyright: ignore[reportArgumentType]

    def execute_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each set of values."""
        with translate_sqlite_errors():
            self._sql.executemany(sql, values)  # pyright: ignore[reportArgumentType]

    # --- health -------------------------------------------------------------------------------

    def holds_memories(self) -> bool:
        """Return True if this is a database of memories, of whatever version."""
        with translate_sqlite_errors():
            found = self._sql.execute("SELECT 1 FROM sqlite_schema WHERE name = 'memories'").fetchone()
            return found is not None and migrations.read_version(self._sql) > 0

    def schema(self) -> tuple[int, int]:
        """Return the number of migrations applied here, and of those that this package knows.

        Raises:
            NewerDatabase: it was written by a newer version of this package.
        """
        with translate_sqlite_errors():
            return migrations.read_version(self._sql), len(migrations.MIGRATIONS)

    def integrity_faults(self) -> list[str]:
        """Return the faults that SQLite's own check finds.

        Takes half a second at 100,000 memories.
        """
        try:
            rows = [str(row[0]) for row in self._sql.execute("PRAGMA quick_check")]
            if rows == ["ok"] and self._sql.execute("PRAGMA foreign_key_check").fetchone():
                return ["rows point at rows that are not there"]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if rows == ["ok"] else rows


def _decode_leniently(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def sqlite_version() -> str:
    """Return the version of the SQLite library."""
    return sqlite3.sqlite_version


def _fold_tag(tag: object) -> bytes | None:
    return fold_tag(tag.decode("utf-8", "replace")).encode() if isinstance(tag, bytes) else None
