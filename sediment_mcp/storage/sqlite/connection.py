"""One connection to the SQLite file: opening, transactions, checkpoints, the sequence, clear errors.

Together with `migrations` the only place that imports sqlite3. Who may write, and when, is decided above
(`library`). ``synchronous=FULL`` makes COMMIT the one point of durability.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from sediment_mcp.errors import DamagedDatabase, DiskFull, StorageError
from sediment_mcp.storage.sqlite import migrations
from sediment_mcp.system.files import identity, touch_private

MAX_WAL_BYTES = 4 * 1024 * 1024
BUSY_TIMEOUT = 30_000  # milliseconds; only recovery after a crash ever makes SQLite itself wait
DAMAGED = (
    "The database is damaged: run `sediment-mcp doctor --fix`, which saves what can be read, takes the rest "
    "from the newest backup and keeps the damaged file."
)
UNREADABLE = (StorageError, sqlite3.Error, MemoryError)
"""Whatever a read of a damaged database may raise."""
SQL_VARIABLES = 500  # bound parameters in one statement, well below SQLite's limit of 32,766

T = TypeVar("T")


@contextlib.contextmanager
def clear_errors() -> Generator[None]:
    """Translate SQLite's errors into sentences that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith("SQLITE_FULL"):
            raise DiskFull("The disk is full, nothing was changed: free some space and try again.") from error
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "decode to UTF-8" in str(error):
            raise DamagedDatabase(DAMAGED) from error
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
            raise StorageError(
                "The data directory cannot be read or written: check its permissions and the disk, "
                "`sediment-mcp doctor` shows where it is."
            ) from error
        raise


class Database:
    """One connection to the database. Not to be used by two threads at once."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the database, which must have been prepared (see `prepare`) before. ``read_only`` changes
        nothing at all, not even by creating a log.

        Raises:
            StorageError: the file cannot be opened, is damaged, or is newer than this package.
        """
        self.path = path
        self._log_path = path.with_name(path.name + "-wal")
        self._file = identity(path)  # before it is opened: a file replaced since is then noticed, see below
        with clear_errors():
            self._sql = sqlite3.connect(
                _untouched(path) if read_only else f"{path.absolute().as_uri()}?mode=rw",
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_TIMEOUT / 1000,
                uri=True,
            )
            # The last connection's close would checkpoint at a moment of its own choosing; `close` decides.
            self._sql.execute("PRAGMA wal_autocheckpoint = 0")
            self._sql.execute("PRAGMA synchronous = FULL")
            self._sql.execute("PRAGMA foreign_keys = ON")
            self._sql.execute("PRAGMA secure_delete = ON")
        self._log: tuple[int, int] | None = None

    @classmethod
    def prepare(cls, path: Path) -> Self:
        """Open the database and bring its schema up to date; the caller holds the write lock."""
        touch_private(path)
        database = cls(path)
        with clear_errors():
            database._sql.execute("PRAGMA journal_mode = WAL")
            migrations.migrate(database._sql)
        return database

    @staticmethod
    def is_prepared(path: Path) -> bool:
        """Whether the schema is up to date, so that opening it needs no lock.

        Raises:
            NewerDatabase: it was written by a newer version of this package.
        """
        if not path.exists() or path.stat().st_size == 0:
            return False
        database = Database(path)
        try:
            with clear_errors():
                return migrations.version(database._sql) == len(migrations.MIGRATIONS)
        finally:
            database.close()

    def close(self) -> None:
        self._sql.close()

    # --- the file ---------------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Whether database and log are still the files that were opened: SQLite itself goes on writing to
        one that was deleted, moved or replaced, where nobody will ever look. Some microseconds."""
        if identity(self.path) != self._file:
            return False
        log = identity(self._log_path)
        if self._log is None:  # SQLite makes it at the first use, and keeps it as long as it is open
            self._log = log
        return self._log == log

    def assert_current(self) -> None:
        """
        Raises:
            StorageError: another file has taken the place of this one since it was opened.
        """
        if not self.is_current():
            raise StorageError("The database was replaced or removed at this very moment: try again.")

    def retire(self) -> None:
        """Close a connection that is no longer current; the caller holds the write lock. Where only the log
        was taken away, what it holds is first moved into the database, as long as there is no other."""
        with contextlib.suppress(StorageError, sqlite3.Error):
            if identity(self.path) == self._file and not self._log_path.exists():
                self.empty_log(patience=0)
        self.close()

    def copy_to(self, path: Path) -> None:
        """Copy the database as it is at this moment into a new file, without a log.

        In one step: it holds up no writer, and in several SQLite would begin anew at every write of another
        process, which measured never came to an end. A tenth of a second to two at 100,000 memories.
        """
        touch_private(path)
        with clear_errors(), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # whoever asked for it syncs the finished file
            self._sql.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()

    @contextlib.contextmanager
    def attached(self, other: Path | None) -> Generator[None]:
        """Let statements speak of another database's tables, if there is one, as ``other.…``; around a
        transaction, not in one."""
        if other is None:
            yield
            return
        with clear_errors():
            self._sql.execute("ATTACH ? AS other", (str(other),))
        try:
            yield
        finally:
            self._sql.execute("DETACH other")

    def upgrade(self) -> None:
        """Bring the schema up to date, whatever the journal; the caller is alone with the file."""
        with clear_errors():
            migrations.migrate(self._sql)

    def take_any_text(self) -> None:
        """From now on broken UTF-8 is read as well as it can be, for a damaged database."""
        self._sql.text_factory = _any_text

    # --- transactions -------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Everything inside is written together or not at all; the caller holds the write lock."""
        with clear_errors():
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
            self._write_over_the_failure()
            raise

    def _roll_back(self) -> None:
        if self._sql.in_transaction:
            self._sql.execute("ROLLBACK")

    def _write_over_the_failure(self) -> None:
        """Let a change without content take the place in the log of one whose COMMIT has failed: where
        only the sync had failed, its pages are all there, and recovery would take them for done."""
        with contextlib.suppress(sqlite3.Error):
            self._sql.execute("BEGIN IMMEDIATE")
            self.next_seq()  # what is written must differ, or nothing is
            self._sql.execute("COMMIT")
        with contextlib.suppress(sqlite3.Error):
            self._roll_back()

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None]:
        """All reads inside see the database at one moment."""
        with clear_errors():
            self._sql.execute("BEGIN")
            try:
                yield
            finally:
                if self._sql.in_transaction:
                    self._sql.execute("COMMIT")

    def checkpoint(self) -> None:
        """Move a large write-ahead log into the database; the caller holds the write lock. A reader in its
        way only postpones it."""
        log = self.path.with_name(self.path.name + "-wal")
        if log.exists() and log.stat().st_size > MAX_WAL_BYTES:
            self.empty_log(patience=0)

    def empty_log(self, patience: int = 2000) -> bool:
        """Move the write-ahead log into the database and truncate it, waiting for readers for at most
        ``patience`` milliseconds; false if one stayed in the way. The caller holds the write lock."""
        with clear_errors():
            self._sql.execute(f"PRAGMA busy_timeout = {int(patience)}")
            try:
                return self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            except sqlite3.OperationalError:
                return False
            finally:
                self._sql.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")

    def vacuum(self) -> None:
        """Write all pages anew, through the log; the caller holds the write lock."""
        with clear_errors():
            self._sql.execute("VACUUM")

    # --- the sequence -------------------------------------------------------------------------

    def seq(self) -> int:
        """The number of the newest change; eight microseconds, asked before each query."""
        with clear_errors():
            return int(self._sql.execute("SELECT value FROM counters WHERE name = 'seq'").fetchone()[0])

    def next_seq(self) -> int:
        row = self._sql.execute("UPDATE counters SET value = value + 1 WHERE name = 'seq' RETURNING value")
        return int(row.fetchone()[0])

    # --- statements ---------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with clear_errors():
            return self._sql.execute(sql, values).fetchall()  # pyright: ignore[reportArgumentType]

    def column(self, sql: str, values: Sequence[object]) -> list[int]:
        return [row[0] for row in self.rows(sql, values)]

    def scalar(self, sql: str, values: Sequence[object]) -> int:
        return int(self.rows(sql, values)[0][0])

    def iterate(self, sql: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """Rows one by one, where all of them at once would be too many for memory."""
        with clear_errors():
            cursor = self._sql.execute(sql, values)  # pyright: ignore[reportArgumentType]
            for row in cursor:  # noqa: UP028  `yield from` closes the cursor, perhaps after its connection
                yield row

    def execute(self, sql: str, values: Sequence[object]) -> None:
        with clear_errors():
            self._sql.execute(sql, values)  # pyright: ignore[reportArgumentType]

    def execute_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        with clear_errors():
            self._sql.executemany(sql, values)  # pyright: ignore[reportArgumentType]

    # --- health -------------------------------------------------------------------------------

    def is_ours(self) -> bool:
        """Whether this is a database of memories, of whatever version."""
        with clear_errors():
            found = self._sql.execute("SELECT 1 FROM sqlite_schema WHERE name = 'memories'").fetchone()
            return found is not None and migrations.version(self._sql) > 0

    def schema(self) -> tuple[int, int]:
        """(migrations that this database has seen, migrations that this package knows).

        Raises:
            NewerDatabase: it was written by a newer version of this package.
        """
        with clear_errors():
            return migrations.version(self._sql), len(migrations.MIGRATIONS)

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong; empty when all is well. Half a second at 100,000 memories."""
        try:
            rows = [str(row[0]) for row in self._sql.execute("PRAGMA quick_check")]
            if rows == ["ok"] and self._sql.execute("PRAGMA foreign_key_check").fetchone():
                return ["rows point at rows that are not there"]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if rows == ["ok"] else rows


def _untouched(path: Path) -> str:
    """How SQLite opens a file without creating one: beside others it shares their log, and where there is
    no log nobody has it open, so it may be read as it is."""
    shared = path.with_name(path.name + "-wal").exists()
    return f"{path.absolute().as_uri()}?{'mode=ro' if shared else 'immutable=1'}"


def _any_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def sqlite_version() -> str:
    return sqlite3.sqlite_version


def marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), SQL_VARIABLES):
        yield values[start : start + SQL_VARIABLES]
