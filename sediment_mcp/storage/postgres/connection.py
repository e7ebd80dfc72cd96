"""One connection to a PostgreSQL server, with clear errors.

This and `adapters` are the only modules that import psycopg.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, LiteralString, NamedTuple, TypeAlias, cast

import psycopg
from psycopg import RawCursor, sql
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sediment_mcp.errors import Busy, DiskFull, SedimentError, StorageError
from sediment_mcp.storage.postgres.adapters import build_adapters

CONNECT_TIMEOUT = 10  # seconds for each address of the server
OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "sediment-mcp",
    "client_encoding": "UTF8",
}
"""What a URL may say otherwise: a server that went away without a word is noticed within a minute."""
ANSWER_SECONDS = 35.0
"""Within which a server answers; a little longer than a write waits for its lock (`Tuning.lock_timeout`).

Neither keepalives nor an error tell of a server, or a proxy before it, that hangs and keeps its connections.
"""
BROKEN = "The connection to the database broke"
LOST = f"{BROKEN}, nothing was changed: try again ({{said}})."
UNREACHABLE = "The database server cannot be reached: check that it runs ({said})."
IS_ENDING = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""The server is ending or starting, or has ended a connection that was idle for too long."""

DISCONNECTED = (psycopg.OperationalError, psycopg.InterfaceError)

logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings follow an error that is said anyway
_ADAPTERS = build_adapters()


Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]


class Statement(NamedTuple):
    """A statement of PostgreSQL, with the values of ``$1``, ``$2``, …."""

    text: str
    values: Sequence[object] = ()


class NoAnswer(psycopg.OperationalError):
    """The server has not answered in time, and the connection was closed."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection in which each statement is a transaction of its own, unless one is begun.

    ``server_id`` differs from that of the server before it was started anew, and of any that replaces it.
    """

    server_id: str = ""
    _unanswered: AbstractContextManager[Any] | None = None
    answer_seconds: float | None = ANSWER_SECONDS
    """Within which an answer must come; None where a statement may take any time."""

    @contextlib.contextmanager
    def waiting_forever(self) -> Generator[None]:
        """Let statements inside take any time."""
        before, self.answer_seconds = self.answer_seconds, None
        try:
            yield
        finally:
            self.answer_seconds = before

    round_trips: ClassVar[int] = 0
    """How often this process has waited for an answer, which tests bound."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer as psycopg does, and close the connection when none comes in time.

        Raises:
            NoAnswer: none came.
        """
        limit = self.answer_seconds if timeout is None else timeout
        began = time.monotonic()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError as error:
            if limit is None or time.monotonic() - began < limit:
                raise
            self.pgconn.finish()  # how that ends which is under way is unknown, so nothing may follow it
            raise NoAnswer(f"no answer within {limit:.0f} s") from error

    def fetch(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        return self.send(Statement(statement, values)).fetchall()

    def run(self, script: str) -> None:
        """Run statements without values, separated by semicolons."""
        self.execute(cast(LiteralString, script))

    def send(self, statement: Statement) -> Cursor:
        """Run a statement and return the cursor with its answer."""
        return self.send_all([statement])[0]

    def send_all(self, statements: Sequence[Statement]) -> list[Cursor]:
        """Run statements in one round trip, and return the cursors with their answers."""
        Connection.round_trips += 1
        with contextlib.ExitStack() as stack:
            if (unanswered := self._unanswered) is not None:
                self._unanswered = None
                stack.push(unanswered)
            elif len(statements) > 1:
                stack.enter_context(self.pipeline())
            return [self.execute(cast(LiteralString, text), values) for text, values in statements]

    def send_ahead(self, statement: Statement) -> None:
        """Send a statement whose answer nobody waits for: it comes with the next one's.

        What it fails with, the next one says; a broken connection is closed.
        """
        pipeline = self.pipeline()
        pipeline.__enter__()
        self._unanswered = pipeline
        try:
            self.execute(cast(LiteralString, statement.text), statement.values)
        except psycopg.Error:
            close_quietly(self)

    def quote(self, name: str) -> str:
        """Return a name as an identifier of SQL."""
        return sql.Identifier(name).as_string(self)

    @property
    def is_usable(self) -> bool:
        """Whether nothing has happened to the connection while nobody used it; takes microseconds.

        A server that ends a connection says so, and closes it: both can be read.
        """
        is_idle = self.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if self.closed or not (is_idle or self._unanswered is not None):
            return False
        try:
            return not select.select([self.fileno()], [], [], 0)[0] or self._is_alive()
        except (OSError, ValueError, psycopg.Error):
            return False

    def _is_alive(self) -> bool:
        """Read what the server has said by itself: a notice, a changed setting, or its end."""
        self.pgconn.consume_input()
        return not self.closed and not select.select([self.fileno()], [], [], 0)[0]

    @property
    def is_standby(self) -> bool:
        """Whether the server only repeats what another one writes."""
        return self.info.parameter_status("in_hot_standby") == "on"


def connect(url: str) -> Connection:
    """Open a connection.

    Raises:
        StorageError: the server cannot be reached, or refuses the role.
    """
    with translate_postgres_errors(UNREACHABLE):
        given = conninfo_to_dict(url)
        connection = Connection.connect(
            make_conninfo(url, **{k: v for k, v in OPTIONS.items() if k not in given}),
            autocommit=True,
            context=_ADAPTERS_CONTEXT,
            cursor_factory=RawCursor,
        )
        ((connection.server_id,),) = connection.fetch("SELECT pg_postmaster_start_time()::text")
        return connection


class _AdaptersContext:
    """The adapters as psycopg takes them."""

    adapters = _ADAPTERS
    connection = None


_ADAPTERS_CONTEXT: Any = _AdaptersContext()


class BrokenConnection(StorageError):
    """The connection broke: nothing that was not committed is there."""


@contextlib.contextmanager
def translate_postgres_errors(broken: str = LOST) -> Generator[None]:
    """Translate the errors of server and connection into errors whose messages say what to do.

    ``broken`` is the sentence for a connection that cannot be used.
    """
    try:
        yield
    except psycopg.Error as error:
        translated = _translate(error, broken)
        if translated is None:
            raise
        raise translated from error


READ_ONLY = "25006"  # the code of the error that a standby answers a write with
SENTENCES: tuple[tuple[tuple[str, ...], type[StorageError], str], ...] = (
    (
        ("28", "3D"),
        StorageError,
        "The database refuses the connection: check the URL, and the password in ~/.pgpass ({said}).",
    ),
    (
        ("53100",),
        DiskFull,
        "The disk of the database server is full, nothing was changed: free space there, then try again.",
    ),
    (
        ("55P03", "57014"),
        Busy,
        "Another process has been writing for too long: try again, or end the one that hangs.",
    ),
    (
        (READ_ONLY,),
        StorageError,
        "The database may only be read, as a standby or by its settings: name the primary server in "
        "SEDIMENT_DATABASE, or several with target_session_attrs=read-write.",
    ),
    (
        ("42501",),
        StorageError,
        "The role may not do this in the database: run `sediment-mcp database upgrade` ({said}).",
    ),
    (
        ("40", "53", "58", "XX"),
        StorageError,
        "The database server says: {said}. Nothing was changed: try again.",
    ),
)
"""By the beginning of an error's code, the error that says what to do."""


def _translate(error: psycopg.Error, broken: str) -> SedimentError | None:
    """Return the error that says what to do; None for one that is a fault of this package."""
    code, said = error.sqlstate or "", str(error).strip().split("\n")[0].removesuffix(".")
    if _is_of_connection(code) or (not code and isinstance(error, DISCONNECTED)):
        return BrokenConnection(broken.format(said=said))
    for codes, kind, sentence in SENTENCES:
        if code.startswith(codes):
            return kind(sentence.format(said=said))
    return None


def is_broken_by(connection: Connection, error: BaseException) -> bool:
    """Return True if the error says that the connection can no longer be used."""
    code = getattr(error, "sqlstate", None) or ""
    return connection.closed or isinstance(error, BrokenConnection) or _is_of_connection(code)


def _is_of_connection(code: str) -> bool:
    return code in IS_ENDING or code.startswith("08")


def refuses_writes(error: BaseException) -> bool:
    """Return True if the server may only be read: another one may have taken its place."""
    return getattr(error.__cause__, "sqlstate", None) == READ_ONLY


def close_quietly(connection: Connection) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(psycopg.Error, OSError):
        connection.close()
