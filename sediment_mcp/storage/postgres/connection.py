"""One connection to a PostgreSQL server, with clear errors.

This and `adapters` are the only modules that import psycopg.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Generator, Sequence
from typing import Any, ClassVar, LiteralString, NamedTuple, TypeAlias, cast

import psycopg
from psycopg import sql
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
BROKEN = "The connection to the database broke"
IS_ENDING = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""The server is ending or starting, or has ended a connection that was idle for too long."""

DISCONNECTED = (psycopg.OperationalError, psycopg.InterfaceError)

_ADAPTERS = build_adapters()


Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]


class Statement(NamedTuple):
    """A statement as psycopg takes it, with its values."""

    text: str
    values: Sequence[object] = ()


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection in which each statement is a transaction of its own, unless one is begun.

    ``server_id`` differs from that of the server before it was started anew, and of any that replaces it.
    """

    server_id: str = ""

    round_trips: ClassVar[int] = 0
    """How often this process has waited for an answer, which tests bound."""

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
        with self.pipeline() if len(statements) > 1 else contextlib.nullcontext():
            return [self.execute(cast(LiteralString, text), values) for text, values in statements]

    def quote(self, name: str) -> str:
        """Return a name as an identifier of SQL."""
        return sql.Identifier(name).as_string(self)

    @property
    def is_usable(self) -> bool:
        """Whether nothing has happened to the connection while nobody used it; takes microseconds.

        A server that ends a connection says so, and closes it: both can be read.
        """
        if self.closed or self.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
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
    with translate_postgres_errors():
        given = conninfo_to_dict(url)
        connection = Connection.connect(
            make_conninfo(url, **{k: v for k, v in OPTIONS.items() if k not in given}),
            autocommit=True,
            context=_ADAPTERS_CONTEXT,
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
def translate_postgres_errors() -> Generator[None]:
    """Translate the errors of server and connection into errors whose messages say what to do."""
    try:
        yield
    except psycopg.Error as error:
        translated = _translate(error)
        if translated is None:
            raise
        raise translated from error


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
        ("25006",),
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


def _translate(error: psycopg.Error) -> SedimentError | None:
    """Return the error that says what to do, or None for one that only a fault of this package explains."""
    code, said = error.sqlstate or "", str(error).strip().split("\n")[0].removesuffix(".")
    if _is_of_connection(code) or (not code and isinstance(error, DISCONNECTED)):
        return BrokenConnection(f"The database server cannot be reached: check that it runs ({said}).")
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


def close_quietly(connection: Connection) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(psycopg.Error, OSError):
        connection.close()
