"""What a transaction over PostgreSQL begins and ends with, and what it knows meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sediment_mcp.storage.postgres.connection import Statement
from sediment_mcp.storage.postgres.dialect import OWN_ROWS, SCHEMA

IDLE_WRITE_MS = 60_000  # after which a server ends a write whose process hangs or whose machine is gone

BEGIN_READ = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
BEGIN_WRITE = Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
COMMIT = Statement("COMMIT")
SET_READER = (
    f"SELECT set_config('sediment.tenant', $1, true), set_config('search_path', '{SCHEMA}, pg_catalog', true)"
)
SET_WRITER = (
    f"{SET_READER}, set_config('lock_timeout', $2, true), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE_WRITE_MS}', true), "
    # A write is acknowledged when it is on the disk, whatever is usual in the database.
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
    "ELSE current_setting('synchronous_commit') END, true), "
    # A limit of the database's would end the wait of COMMIT for a standby, and have it answered all the same.
    "set_config('statement_timeout', '0', true)"
)
LOCK_NUMBERS = Statement(
    f"SELECT seq, memory, chunk, marks FROM {SCHEMA}.sequences WHERE {OWN_ROWS} FOR UPDATE"
)
READ_NUMBERS = Statement(f"SELECT seq FROM {SCHEMA}.sequences WHERE {OWN_ROWS}")
SAVE_NUMBERS = f"UPDATE {SCHEMA}.sequences SET seq = $1, memory = $2, chunk = $3, marks = $4 WHERE {OWN_ROWS}"


@dataclass(slots=True)
class Numbers:
    """The last numbers given, while the row that holds them is locked."""

    seq: int
    memories: int = 0
    chunks: int = 0
    marks: list[int] = field(default_factory=list[int])

    def save(self, marks: list[int]) -> Statement:
        """Return the statement that writes the numbers back, with the marks of the last writes."""
        return Statement(SAVE_NUMBERS, (self.seq, self.memories, self.chunks, marks))

    def next_number(self, table: str) -> int:
        """Return the number of a new row; those of other tables are given by the server."""
        if table == "memories":
            self.memories += 1
            return self.memories
        self.chunks += 1
        return self.chunks


@dataclass(slots=True)
class Transaction:
    """A transaction, which begins with its first statement that needs an answer.

    ``opening`` are the statements of its beginning, as long as they were not sent; the last of them tells
    ``sequence``, of which a reader only needs ``seq``. ``unsent`` are statements without an answer.
    ``answers`` were read ahead, ``asked`` are the statements that are being noted for that.
    """

    opening: list[Statement]
    is_write: bool
    sequence: Numbers | None = None
    unsent: list[Statement] = field(default_factory=list[Statement])
    answers: dict[Statement, Answer] = field(default_factory=dict[Statement, "Answer"])
    asked: dict[Statement, list[Statement]] | None = None


@dataclass(slots=True)
class Answer:
    """The rows of a statement, and the statement that fetches more of them, if there may be any."""

    rows: list[tuple[Any, ...]]
    more: Statement | None = None
