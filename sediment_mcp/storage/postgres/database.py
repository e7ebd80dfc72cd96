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
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.storage.postgres.connection import (
    BROKEN,
    BrokenConnection,
    Connection,
    Cursor,
    NoAnswer,
    Statement,
    close_quietly,
    is_broken_by,
    refuses_writes,
    translate_postgres_errors,
)
from sediment_mcp.storage.postgres.dialect import DIALECT, to_statement
from sediment_mcp.storage.postgres.pool import Lease
from sediment_mcp.storage.postgres.transaction import (
    BEGIN_READ,
    BEGIN_WRITE,
    COMMIT,
    LOCK_NUMBERS,
    READ_NUMBERS,
    SET_READER,
    SET_WRITER,
    Answer,
    Numbers,
    Transaction,
)
from sediment_mcp.storage.sql.database import placeholders

FETCHED_AT_ONCE = 2000  # rows of a long answer that are held in memory
SENT_AT_ONCE = 500  # statements without an answer that wait for one with an answer
KEPT_MARKS = 64  # of the last writes of a tenant
ASKING_SECONDS = 10.0  # to find out whether a write is there whose COMMIT was not answered
ASK_EVERY = 0.2  # seconds


class PostgresDatabase:
    """`Database` of one tenant, over a connection that is lent for the time of a session.

    Not thread-safe.
    """

    dialect = DIALECT

    def __init__(self, tenant: int, lock_timeout: float, model_keys: dict[tuple[str, str], int]) -> None:
        """Read and write the rows of a tenant.

        ``model_keys`` are the keys of models that are known to be there, which never change.
        """
        self._reader = Statement(SET_READER, (str(tenant),))
        self._writer = Statement(SET_WRITER, (str(tenant), str(int(lock_timeout * 1000))))
        self._model_keys = model_keys
        self._lease: Lease | None = None
        self._transaction: Transaction | None = None
        self._cursors = 0

    @contextlib.contextmanager
    def lent(self, lease: Lease) -> Generator[None]:
        """Use a connection while it is lent."""
        assert self._lease is None, "A session is used twice at once."
        self._lease = lease
        try:
            yield
        finally:
            self._lease = self._transaction = None

    @property
    def _connection(self) -> Connection:
        assert self._lease is not None, "A session is used after its end."
        return self._lease.connection

    # --- transactions -------------------------------------------------------------------------

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None]:
        """Let all reads inside see the same moment."""
        with self._begin([BEGIN_READ, self._reader, READ_NUMBERS], is_write=False) as transaction:
            yield
            if not transaction.opening and self._transaction is transaction:
                self._connection.send_ahead(COMMIT)

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Write everything inside together or not at all, after all other writes of the tenant.

        Raises:
            Busy: another process writes for too long.
            StorageError: nothing was written, unless the message says that this is not known.
        """
        with self._begin([BEGIN_WRITE, self._writer, LOCK_NUMBERS], is_write=True) as transaction:
            yield
            self._commit(self._open(transaction), transaction.unsent)

    @contextlib.contextmanager
    def _begin(self, opening: list[Statement], *, is_write: bool) -> Generator[Transaction]:
        assert self._transaction is None, "A transaction inside another one."
        transaction = self._transaction = Transaction(opening, is_write)
        try:
            with translate_postgres_errors():
                yield transaction
        except BaseException as error:
            if self._transaction is transaction and not transaction.opening:
                self._roll_back()
            if refuses_writes(error):
                close_quietly(self._connection)
            raise
        finally:
            if self._transaction is transaction:
                self._transaction = None

    def _open(self, transaction: Transaction) -> Numbers:
        """Return the last numbers given; in a write, after the row that holds them is locked."""
        if transaction.sequence is None:
            self._send([])
        assert transaction.sequence is not None
        return transaction.sequence

    def _commit(self, sequence: Numbers, unsent: list[Statement]) -> None:
        mark = secrets.randbits(62)
        marks = [mark, *sequence.marks[: KEPT_MARKS - 1]]
        connection = self._connection
        try:
            *_, answer = connection.send_all([*unsent, sequence.save(marks), COMMIT])
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

    def _is_committed(self, mark: int, before: Numbers, error: Exception) -> bool:
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
        """Return the marks of the last writes, after those under way; None if that fails for now.

        They are committed once more: a server that ended the wait of an earlier COMMIT for its standbys has
        committed alone, and a COMMIT that it answers says that they have both.
        """
        assert self._lease is not None
        try:
            with translate_postgres_errors():
                self._lease.renew()
                *_, locked = self._connection.send_all([BEGIN_WRITE, self._writer, LOCK_NUMBERS])
                sequence = Numbers(*locked.fetchall()[0])
                self._connection.send_all([sequence.save(sequence.marks), COMMIT])
        except (BrokenConnection, Busy):
            return None
        return sequence.marks

    # --- the change sequence --------------------------------------------------------------------

    def seq(self) -> int:
        """Return the number of the newest change."""
        transaction = self._transaction
        if transaction is None:
            return self.scalar("SELECT seq FROM sequences")
        with translate_postgres_errors():
            return 0 if transaction.asked is not None else self._open(transaction).seq

    def next_seq(self) -> int:
        """Return the number of a new change; inside a transaction."""
        sequence = self._open_write()
        sequence.seq += 1
        return sequence.seq

    def insert_numbered(self, table: str, columns: str, values: Sequence[object]) -> int:
        """Insert a row of memories or chunks, and return its number; inside a transaction."""
        number = self._open_write().next_number(table)
        row = (number, *values)
        self.execute(f"INSERT INTO {table} (number, {columns}) VALUES ({placeholders(row)})", row)
        return number

    def _open_write(self) -> Numbers:
        assert self._transaction is not None
        assert self._transaction.is_write
        with translate_postgres_errors():
            return self._open(self._transaction)

    def assert_current(self) -> None:
        """Do nothing: a connection always goes to the database that it was opened for."""

    def find_model_key(self, table: str, fingerprint: str) -> int | None:
        """Return the key of a model, or None if there is none yet.

        A key that was found is remembered; in a write it could be one that is taken back.
        """
        name = (table, fingerprint)
        if name in self._model_keys:
            return self._model_keys[name]
        rows = self.rows(f"SELECT number FROM {table} WHERE fingerprint = ?", (fingerprint,))
        if rows and not (self._transaction is not None and self._transaction.is_write):
            self._model_keys[name] = int(rows[0][0])
        return int(rows[0][0]) if rows else None

    # --- statements -----------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        with translate_postgres_errors():
            statement = Statement(to_statement(sql), tuple(values))
            return self._ask(statement, [statement]).rows

    def column(self, sql: str, values: Sequence[object] = ()) -> list[int]:
        """Return the first column of all rows of a statement."""
        return [row[0] for row in self.rows(sql, values)]

    def scalar(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the first column of the first row of a statement."""
        rows = self.rows(sql, values)
        return int(rows[0][0]) if rows else 0  # no rows while they are only asked for ahead

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows one by one, where all of them at once would be too many for memory."""
        with contextlib.ExitStack() as stack:
            if self._transaction is None:
                stack.enter_context(self.snapshot())
            self._cursors += 1
            name = f"rows_{self._cursors}"
            text, fetch = to_statement(sql), Statement(f"FETCH FORWARD {FETCHED_AT_ONCE} FROM {name}")
            declare = Statement(f"DECLARE {name} NO SCROLL CURSOR FOR {text}", tuple(values))
            with translate_postgres_errors():
                answer = self._ask(Statement(text, tuple(values)), [declare, fetch])
            while True:
                yield from answer.rows
                if len(answer.rows) < FETCHED_AT_ONCE or answer.more is None:
                    return
                with translate_postgres_errors():
                    answer = self._ask(answer.more, [answer.more])

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement that returns nothing; inside a transaction."""
        self.execute_many(sql, [values])

    def execute_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each set of values; inside a transaction."""
        transaction = self._transaction
        assert transaction is not None
        assert transaction.is_write
        text = to_statement(sql)
        transaction.answers.clear()
        for one in values:
            transaction.unsent.append(Statement(text, tuple(one)))
            if len(transaction.unsent) >= SENT_AT_ONCE:
                with translate_postgres_errors():
                    self._send([])

    def prefetch(self, *reads: Callable[[], object]) -> bool:
        """Ask at once for what the calls will ask for; inside a transaction.

        Each call is made twice: now, to note its statements, which find nothing, and by the caller later.
        """
        transaction = self._transaction
        if transaction is None:
            return False
        asked = transaction.asked = {}
        try:
            for read in reads:
                read()
        finally:
            transaction.asked = None
        groups = list(asked.items())
        with translate_postgres_errors():
            answers = self._send([statement for _, group in groups for statement in group])
        for key, group in groups:
            done, answers = answers[: len(group)], answers[len(group) :]
            transaction.answers[key] = Answer(done[-1].fetchall(), group[-1])
        return True

    def _ask(self, key: Statement, statements: list[Statement]) -> Answer:
        """Return the answer of the last statement, which may have been read ahead."""
        transaction = self._transaction
        if transaction is None:
            opening = [BEGIN_READ, self._reader]
            try:
                *_, answer, _ = self._send_anew([*opening, *statements, COMMIT])
            except BaseException:
                self._roll_back()
                raise
        elif transaction.asked is not None:
            transaction.asked[key] = statements
            return Answer([])
        elif (known := transaction.answers.get(key)) is not None:
            return known
        else:
            *_, answer = self._send(statements)
        return Answer(answer.fetchall(), statements[-1])

    def _send(self, statements: list[Statement]) -> list[Cursor]:
        """Send the opening of the transaction and what waits, then the statements: one round trip.

        Returns the answers of ``statements``.
        """
        transaction = self._transaction
        assert transaction is not None
        opening, waiting = transaction.opening, transaction.unsent
        if not opening and not waiting and not statements:
            return []
        all_of_them = [*opening, *waiting, *statements]
        if opening:
            answers = self._send_anew(all_of_them)
            transaction.opening = []
            (row,) = answers[len(opening) - 1].fetchall()
            transaction.sequence = Numbers(*row)
        else:
            answers = self._connection.send_all(all_of_them)
        transaction.unsent = []
        return answers[len(opening) + len(waiting) :]

    def _send_anew(self, statements: list[Statement]) -> list[Cursor]:
        """Send the beginning of a transaction, over another connection if this one is broken."""
        connection = self._connection
        try:
            return connection.send_all(statements)
        except Exception as error:
            if isinstance(error, NoAnswer) or not is_broken_by(connection, error):
                self._roll_back()
                raise
        assert self._lease is not None
        self._lease.renew()
        return self._connection.send_all(statements)
