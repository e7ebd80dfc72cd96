"""A tenant's rows over a lent connection: transactions, the change sequence, and statements.

A write locks the tenant's row of ``sequences`` first, so that the writes of a tenant happen one after the
other and a reader who has seen a change has seen all before it. The numbers are then given in this process,
and written back with COMMIT. What a statement need not answer waits for the next one that must, and both are
one round trip.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.storage.postgres.connection import (
    BROKEN,
    BrokenConnection,
    Connection,
    Cursor,
    Statement,
    is_broken_by,
    translate_postgres_errors,
)
from sediment_mcp.storage.postgres.dialect import DIALECT, OWN_ROWS, SCHEMA, to_statement
from sediment_mcp.storage.postgres.pool import Lease
from sediment_mcp.storage.sql.database import placeholders

FETCHED_AT_ONCE = 2000  # rows of a long answer that are held in memory
SENT_AT_ONCE = 500  # statements without an answer that wait for one with an answer
KEPT_MARKS = 64  # of the last writes of a tenant
ASKING_SECONDS = 10.0  # to find out whether a write is there whose COMMIT was not answered
ASK_EVERY = 0.2  # seconds
IDLE_WRITE_MS = 60_000  # after which a server ends a write whose process hangs or whose machine is gone

BEGIN_READ = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
BEGIN_WRITE = Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
COMMIT = Statement("COMMIT")
SET_READER = (
    f"SELECT set_config('sediment.tenant', %s, true), set_config('search_path', '{SCHEMA}, pg_catalog', true)"
)
SET_WRITER = (
    f"{SET_READER}, set_config('lock_timeout', %s, true), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE_WRITE_MS}', true), "
    # A write is acknowledged when it is on the disk, whatever is usual in the database.
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
    "ELSE current_setting('synchronous_commit') END, true)"
)
LOCK_SEQUENCE = Statement(
    f"SELECT seq, memory, chunk, marks FROM {SCHEMA}.sequences WHERE {OWN_ROWS} FOR UPDATE"
)
SAVE_SEQUENCE = (
    f"UPDATE {SCHEMA}.sequences SET seq = %s, memory = %s, chunk = %s, marks = %s WHERE {OWN_ROWS}"
)


@dataclass(slots=True)
class _Sequence:
    """The last numbers given, while the row that holds them is locked."""

    seq: int
    memories: int
    chunks: int
    marks: list[int]

    def next_number(self, table: str) -> int:
        """Return the number of a new row; those of other tables are given by the server."""
        if table == "memories":
            self.memories += 1
            return self.memories
        self.chunks += 1
        return self.chunks


class PostgresDatabase:
    """`Database` of one tenant, over a connection that is lent for the time of a session.

    Not thread-safe.
    """

    dialect = DIALECT

    def __init__(self, tenant: int, lock_timeout: float) -> None:
        self._tenant = str(tenant)
        self._lock_timeout = str(int(lock_timeout * 1000))
        self._lease: Lease | None = None
        self._is_in_transaction = False
        self._sequence: _Sequence | None = None
        self._unsent: list[Statement] = []
        self._cursors = 0

    @contextlib.contextmanager
    def lent(self, lease: Lease) -> Generator[None]:
        """Use a connection while it is lent."""
        assert self._lease is None, "A session is used twice at once."
        self._lease = lease
        try:
            yield
        finally:
            self._forget_transaction()
            self._lease = None

    @property
    def _connection(self) -> Connection:
        assert self._lease is not None, "A session is used after its end."
        return self._lease.connection

    # --- transactions -------------------------------------------------------------------------

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None]:
        """Let all reads inside see the same moment."""
        assert not self._is_in_transaction, "A transaction inside another one."
        lease = self._lease
        with translate_postgres_errors():
            self._is_in_transaction = True
            self._unsent = [BEGIN_READ, self._set_reader()]
            try:
                yield
                if self._lease is lease and not self._unsent:
                    self._send([COMMIT])
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._forget_transaction()

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Write everything inside together or not at all, after all other writes of the tenant.

        Raises:
            Busy: another process writes for too long.
            StorageError: nothing was written, unless the message says that this is not known.
        """
        assert not self._is_in_transaction, "A transaction inside another one."
        with translate_postgres_errors():
            sequence = self._sequence = self._lock_sequence()
            self._is_in_transaction = True
            try:
                yield
                self._commit(sequence)
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._forget_transaction()

    def _lock_sequence(self) -> _Sequence:
        """Begin a write, over another connection if this one turns out to be broken."""
        writer = Statement(SET_WRITER, (self._tenant, self._lock_timeout))
        try:
            *_, locked = self._send_fresh([BEGIN_WRITE, writer, LOCK_SEQUENCE])
            (row,) = locked.fetchall()
        except BaseException:
            self._roll_back()
            raise
        return _Sequence(*row)

    def _commit(self, sequence: _Sequence) -> None:
        mark = secrets.randbits(62)
        marks = [mark, *sequence.marks[: KEPT_MARKS - 1]]
        numbers = (sequence.seq, sequence.memories, sequence.chunks, marks)
        connection = self._connection
        try:
            *_, answer = self._send([*self._unsent, Statement(SAVE_SEQUENCE, numbers), COMMIT])
        except Exception as error:
            if not is_broken_by(connection, error):
                raise
            if not self._is_committed(mark, sequence, error):
                raise StorageError(f"{BROKEN}, nothing was changed: try again.") from error
        else:
            if answer.statusmessage != COMMIT.text:
                raise StorageError("The database has taken the write back, nothing was changed: try again.")

    def _roll_back(self) -> None:
        """Roll back; a connection that cannot is not used again."""
        with contextlib.suppress(Exception):
            self._connection.send(Statement("ROLLBACK"))

    def _forget_transaction(self) -> None:
        self._is_in_transaction, self._sequence, self._unsent = False, None, []

    def _is_committed(self, mark: int, before: _Sequence, error: Exception) -> bool:
        """Return whether a write is there whose COMMIT was not answered.

        Raises:
            StorageError: the server could not be asked, or has forgotten.
        """
        deadline = time.monotonic() + ASKING_SECONDS
        while (marks := self._read_marks()) is None and time.monotonic() < deadline:
            time.sleep(ASK_EVERY)
        if marks is not None and mark in marks:
            return True
        if marks is not None and (before.marks[0] in marks if before.marks else len(marks) < KEPT_MARKS):
            return False  # the list goes on from before the write, and without it
        raise StorageError(
            f"{BROKEN} at the end of a write, and it is not known whether the write is there: look for it "
            "before you repeat it."
        ) from error

    def _read_marks(self) -> list[int] | None:
        """Return the marks of the last writes, after all that have begun; None if that fails for now."""
        try:
            with translate_postgres_errors():
                self._renew()
                sequence = self._lock_sequence()
                self._roll_back()
        except (BrokenConnection, Busy):
            return None
        return sequence.marks

    # --- the change sequence --------------------------------------------------------------------

    def seq(self) -> int:
        """Return the number of the newest change."""
        if self._sequence is not None:
            return self._sequence.seq
        return self.scalar("SELECT seq FROM sequences")

    def next_seq(self) -> int:
        """Return the number of a new change; inside a transaction."""
        assert self._sequence is not None
        self._sequence.seq += 1
        return self._sequence.seq

    def insert_numbered(self, table: str, columns: str, values: Sequence[object]) -> int:
        """Insert a row of memories or chunks, and return its number; inside a transaction."""
        assert self._sequence is not None
        number = self._sequence.next_number(table)
        row = (number, *values)
        self.execute(f"INSERT INTO {table} (number, {columns}) VALUES ({placeholders(row)})", row)
        return number

    def assert_current(self) -> None:
        """Do nothing: a connection always goes to the database that it was opened for."""

    # --- statements -----------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        with translate_postgres_errors():
            return self._ask(Statement(to_statement(sql), values))

    def column(self, sql: str, values: Sequence[object] = ()) -> list[int]:
        """Return the first column of all rows of a statement."""
        return [row[0] for row in self.rows(sql, values)]

    def scalar(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the first column of the first row of a statement."""
        return int(self.rows(sql, values)[0][0])

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows one by one, where all of them at once would be too many for memory."""
        with contextlib.ExitStack() as stack:
            if not self._is_in_transaction:
                stack.enter_context(self.snapshot())
            self._cursors += 1
            name = f"rows_{self._cursors}"
            declare = f"DECLARE {name} NO SCROLL CURSOR FOR {to_statement(sql)}"
            fetch = Statement(f"FETCH FORWARD {FETCHED_AT_ONCE} FROM {name}")
            waiting = [Statement(declare, values)]
            while True:
                with translate_postgres_errors():
                    rows = self._ask(*waiting, fetch)
                yield from rows
                if len(rows) < FETCHED_AT_ONCE:
                    return
                waiting = []

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement that returns nothing; inside a transaction."""
        self.execute_many(sql, [values])

    def execute_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each set of values; inside a transaction."""
        assert self._sequence is not None
        text = to_statement(sql)
        for one in values:
            self._unsent.append(Statement(text, one))
            if len(self._unsent) >= SENT_AT_ONCE:
                with translate_postgres_errors():
                    self._send(self._unsent)
                self._unsent = []

    def _ask(self, *statements: Statement) -> list[tuple[Any, ...]]:
        """Send what waits and then the statements, and return the rows of the last."""
        if not self._is_in_transaction:
            *_, answer, _ = self._send_fresh([BEGIN_READ, self._set_reader(), *statements, COMMIT])
        elif self._unsent and self._unsent[0] is BEGIN_READ:
            *_, answer = self._send_fresh([*self._unsent, *statements])
        else:
            *_, answer = self._send([*self._unsent, *statements])
        self._unsent = []
        return answer.fetchall()

    def _send_fresh(self, statements: list[Statement]) -> list[Cursor]:
        """Send the beginning of a transaction, again over another connection if this one is broken."""
        connection = self._connection
        try:
            return self._send(statements)
        except Exception as error:
            if not is_broken_by(connection, error):
                if not self._is_in_transaction:
                    self._roll_back()
                raise
        self._renew()
        return self._send(statements)

    def _renew(self) -> None:
        assert self._lease is not None
        self._lease.renew()

    def _send(self, statements: list[Statement]) -> list[Cursor]:
        """Send statements in one round trip."""
        return self._connection.send_all(statements)

    def _set_reader(self) -> Statement:
        return Statement(SET_READER, (self._tenant,))
