"""Read the rows of a damaged database that SQLite can still read, into a new database.

A table is read row by row; where a page cannot be read, the rows after it are found by halving the range of
keys. Rows are returned unchecked, for the caller to repair.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sediment_mcp.storage.sql.database import placeholders
from sediment_mcp.storage.sql.fields import CONTENT_COLUMNS, CONTENT_HASH_COLUMN
from sediment_mcp.storage.sqlite.connection import UNREADABLE, UNSTORABLE, SqliteDatabase
from sediment_mcp.storage.sqlite.page_cipher import PAGE_BYTES, SALT_BYTES, PageCipher
from sediment_mcp.storage.sqlite.sync_tables import LOG_STATE

MEMORY_COLUMNS = ("id", *CONTENT_COLUMNS)
"""The columns of a memory that are kept; its key and its change number may be replaced."""
AUDIT_COLUMNS = "number, at, caller, action, memories, text"
WHOLE_TABLES = ("kept_pairs", "rule_changes", "sync_settings", "sync_projects")
"""Small tables that are kept as they are; what the logs of devices hold is read anew."""
ESSENTIAL_COLUMNS = ("number", "id", "seq", "content", CONTENT_HASH_COLUMN)

LOWEST_KEY, HIGHEST_KEY = -(2**63), 2**63 - 1
LOOKAHEAD_ROWS = 200  # read beyond a range, because one damaged key must not hide those after it
MAX_KEY = 10_000_000  # a higher value of a counter is taken for damage
ROWS_PER_PAGE = 100
HEADER_BYTES = 100  # SQLite's file format, section 1.3
ID_INDEX = "sqlite_autoindex_memories_1"
ID_STARTS = "0123456789abcdefghijklmnopqrstuvwxyz"

Row = tuple[Any, ...]


def iterate_memory_rows(database: SqliteDatabase) -> Iterator[dict[str, Any]]:
    """Yield every row of the memories by column name, in whatever schema the database has.

    Raises:
        DamagedDatabase: one cannot be read.
    """
    names = _read_column_names(database)
    return (dict(zip(names, row, strict=True)) for row in database.iterate("SELECT * FROM memories", ()))


def _read_column_names(database: SqliteDatabase) -> list[str]:
    return [row[0] for row in database.rows("SELECT name FROM pragma_table_info('memories')", ())]


# --- reading ------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_damaged(copy: Path, pattern: Path, key: bytes | None = None) -> Generator[SalvageReader | None]:
    """Open a copy of a damaged database, after repairing its first pages if needed.

    ``pattern`` is the path at which a new database is created, whose first bytes may replace those of the
    copy. ``key`` is for a copy that `make_readable` has prepared. The value is None if the copy cannot be
    opened.
    """
    for repaired_bytes in (0, HEADER_BYTES, PAGE_BYTES):
        if repaired_bytes:
            _repair_beginning(copy, pattern, repaired_bytes, key)
        source = _open_if_readable(copy, key)
        if source is not None:
            with contextlib.closing(source):
                yield SalvageReader(source, names_all_tables=repaired_bytes < PAGE_BYTES)
            return
    yield None


def _open_if_readable(copy: Path, key: bytes | None) -> SqliteDatabase | None:
    with contextlib.suppress(*UNREADABLE), contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(SqliteDatabase(copy, key=key)))
        source.accept_any_text()
        if source.holds_memories() and _read_column_names(source):
            stack.pop_all()
            return source
    return None


def _repair_beginning(copy: Path, pattern: Path, count: int, key: bytes | None) -> None:
    """Replace the first ``count`` bytes by those of a new database.

    They are the header, or the page that names all tables.
    """
    if not pattern.exists():
        with contextlib.closing(SqliteDatabase.prepare(pattern, key=key)) as database:
            database.empty_log()
    first = bytearray(_read_first_page(pattern, key))
    pages = max(1, copy.stat().st_size // PAGE_BYTES)
    first[28:32] = pages.to_bytes(4)  # size in pages, valid if the next two numbers are the same
    first[92:96] = first[24:28]
    first[32:40] = bytes(8)  # no free pages
    _write_first_page(copy, bytes(first[:count]) + _read_first_page(copy, key)[count:], key)


def _read_first_page(path: Path, key: bytes | None) -> bytes:
    with path.open("rb") as file:
        page = file.read(PAGE_BYTES)
    if key is None:
        return page
    return PageCipher(key, page[:SALT_BYTES]).decrypt(page.ljust(PAGE_BYTES, b"\0"), 1)


def _write_first_page(path: Path, page: bytes, key: bytes | None) -> None:
    with path.open("r+b") as file:
        written = page if key is None else PageCipher(key, file.read(SALT_BYTES)).encrypt(page, 1)
        file.seek(0)
        file.write(written)


class SalvageReader:
    """Reads the tables of a damaged database, as far as SQLite can.

    ``names_all_tables`` says whether the page that names the tables is the database's own.
    """

    def __init__(self, source: SqliteDatabase, *, names_all_tables: bool = True) -> None:
        self._source = source
        self._names_all_tables = names_all_tables
        self._columns = _read_column_names(source)
        self.last_memory_key = self._find_last_key("memories")

    def memories(self) -> Iterator[dict[str, Any]]:
        """Yield the memories' rows by column name, perhaps some twice.

        In a row that cannot be read completely, columns that are not essential are None.
        """
        essential = ", ".join(ESSENTIAL_COLUMNS)
        for row in self._iterate("memories", "*", self.last_memory_key, essential):
            if len(row) == len(self._columns):
                yield dict(zip(self._columns, row, strict=True))
            else:
                yield {**dict.fromkeys(self._columns), **dict(zip(ESSENTIAL_COLUMNS, row, strict=True))}

    def chunks(self) -> Iterator[Row]:
        """Yield (chunk id, memory key, start, end)."""
        return self._iterate("chunks", 'number, memory, start, "end"', self._find_last_key("chunks"))

    def embeddings(self) -> Iterator[Row]:
        """Yield (key, model key, chunk id, vector)."""
        columns = "number, model, chunk, vector"
        return self._iterate("embeddings", columns, self._find_last_key("embeddings"))

    def token_vectors(self) -> list[Row]:
        """Return (model key, chunk id, token vectors) up to the first that cannot be read.

        The rest, or all in a schema without this table, is made anew later.
        """
        return self._read_readable("SELECT model, chunk, vectors FROM token_vectors NOT INDEXED")

    def models(self) -> list[Row]:
        """Return (key, fingerprint, name, dimension) of each model that made embeddings."""
        return self._read_readable("SELECT number, fingerprint, name, dimension FROM models")

    def token_models(self) -> list[Row]:
        """Return (key, fingerprint, name, dimension) of each model that made token vectors."""
        return self._read_readable("SELECT number, fingerprint, name, dimension FROM token_models")

    def rules(self) -> list[Row]:
        """Return the rows of the retention rules."""
        return self._read_readable("SELECT * FROM retention")

    def whole_tables(self) -> tuple[dict[str, list[Row]], set[str]]:
        """Return the rows of the tables that are kept as they are, and the names of unread ones.

        Those could not be read to their end, or the page that names them is not this database's own. A table
        that was read to its end lacks what the user has removed, such as the settings of a device that left.
        """
        tables = {table: self._read_to_end(f"SELECT * FROM {table}") for table in WHOLE_TABLES}
        found = {table: rows for table, (rows, _) in tables.items()}
        found["sync_settings"] = [row for row in found["sync_settings"] if row[0] not in LOG_STATE]
        ended = {table for table, (_, is_ended) in tables.items() if is_ended and self._names_all_tables}
        return found, tables.keys() - ended

    def erased_ids(self) -> list[str]:
        """Return the ids of permanently erased memories."""
        return [row[0] for row in self._read_readable("SELECT id FROM erased")]

    def audit(self) -> Iterator[Row]:
        """Yield (number, at, caller, action, memories, text) of the audit."""
        return self._iterate("audit", AUDIT_COLUMNS, self._find_last_key("audit"))

    def ids(self) -> tuple[dict[int, str], bool]:
        """Return the ids by key from the index, and whether all of it could be read.

        It is read from the front, and after a page that cannot be read from every possible beginning of an
        id.
        """
        sql = f"SELECT number, id FROM memories INDEXED BY {ID_INDEX} WHERE id >= ? ORDER BY id"
        with contextlib.suppress(*UNREADABLE):
            return {row[0]: row[1] for row in self._source.iterate(sql, ("",))}, True
        found: dict[int, str] = {}
        bounded = sql.replace("id >= ?", "id >= ? AND id < ?")
        for start in (first + second for first in ID_STARTS for second in ID_STARTS):
            for statement in (bounded, f"{bounded} DESC"):
                found.update(
                    {row[0]: row[1] for row in self._read_readable(statement, (start, start + "\x7f"))}
                )
        return found, False

    def endings(self) -> dict[int, tuple[int | None, str | None]]:
        """Return (deleted_at, superseded_by) by key, read from the indexes of these columns.

        They serve for rows that cannot be read themselves.
        """
        found: dict[int, tuple[int | None, str | None]] = {}
        for key, deleted_at in self._read_by_index("deleted_at", "memories_by_deletion"):
            found[key] = deleted_at, None
        for key, successor in self._read_by_index("superseded_by", "memories_by_successor"):
            found[key] = found.get(key, (None, None))[0], successor
        return found

    def _read_by_index(self, column: str, index: str) -> list[Row]:
        sql = f"SELECT number, {column} FROM memories INDEXED BY {index} WHERE {column} IS NOT NULL"
        return self._read_readable(sql)

    def _iterate(self, table: str, columns: str, last: int, essential: str = "") -> Iterator[Row]:
        """Yield every row that can be read, perhaps some twice, in about the order of their keys.

        If not all ``columns`` of a row can be read, only the ``essential`` ones are yielded.
        """
        ranges = [(LOWEST_KEY, HIGHEST_KEY)]
        while ranges:
            low, high = ranges.pop()
            try:
                for row in self._iterate_range(table, columns, low, high):
                    yield row
                    if low <= row[0] <= high:
                        low = row[0] + 1
            except UNREADABLE:
                low, high = max(low, 1), min(high, last)
                if low < high:
                    middle = (low + high) // 2
                    ranges += [(middle + 1, high), (low, middle)]
                elif low == high and essential:
                    sql = f"SELECT {essential} FROM {table} NOT INDEXED WHERE number = ?"
                    yield from self._read_readable(sql, (low,))

    def _iterate_range(self, table: str, columns: str, low: int, high: int) -> Iterator[Row]:
        sql = f"SELECT {columns} FROM {table} NOT INDEXED WHERE number >= ? ORDER BY number"
        beyond = 0
        for row in self._source.iterate(sql, (low,)):
            yield row
            beyond += row[0] > high
            if beyond > LOOKAHEAD_ROWS:
                return

    def _find_last_key(self, table: str) -> int:
        """Return the highest key that a table may contain."""
        counter = self._read_readable(f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'")
        highest = self._read_readable(f"SELECT MAX(number) FROM {table}")
        believed = [row[0] for row in (*counter, *highest) if isinstance(row[0], int)]
        guessed = self._source.path.stat().st_size // PAGE_BYTES * ROWS_PER_PAGE
        return min(MAX_KEY, max((key for key in believed if key > 0), default=guessed))

    def _read_readable(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a statement up to the first that cannot be read."""
        return self._read_to_end(sql, values)[0]

    def _read_to_end(self, sql: str, values: Sequence[object] = ()) -> tuple[list[Row], bool]:
        """Return the rows up to the first that cannot be read, and whether there is none such."""
        found: list[Row] = []
        with contextlib.suppress(*UNREADABLE):
            found.extend(self._source.iterate(sql, values))
            return found, True
        return found, False


# --- writing ------------------------------------------------------------------------------------


class SalvageWriter:
    """Writes salvaged rows into a new database, inside a transaction.

    Rows that already exist are not replaced.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def add_memory(self, memory_key: int, values: Mapping[str, Any], tags: Iterable[str]) -> None:
        """Write a memory unless its id is known, under its key if that is free.

        ``values`` are by `MEMORY_COLUMNS`.
        """
        is_free = not self._database.rows("SELECT 1 FROM memories WHERE number = ?", (memory_key,))
        row = (
            memory_key if is_free else None,
            self._database.next_seq(),
            *(values[c] for c in MEMORY_COLUMNS),
        )
        columns = ", ".join(("number", "seq", *MEMORY_COLUMNS))
        self._database.execute(
            f"INSERT OR IGNORE INTO memories ({columns}) VALUES ({placeholders(row)})", row
        )
        self._database.execute_many(
            "INSERT OR IGNORE INTO tags SELECT ?, number FROM memories WHERE id = ?",
            [(tag, values["id"]) for tag in tags],
        )

    def memories_without_chunks(self) -> list[tuple[int, str]]:
        """Return (memory key, content) of each memory that has no chunks."""
        sql = "SELECT number, content FROM memories WHERE number NOT IN (SELECT memory FROM chunks)"
        return [(row[0], row[1]) for row in self._database.rows(sql, ())]

    def add_chunks(self, chunks: Iterable[tuple[int | None, int, int, int]]) -> None:
        """Write chunks as (id, memory key, start, end); without an id a chunk gets a new one."""
        self._database.execute_many(
            'INSERT INTO chunks (number, memory, start, "end") VALUES (?,?,?,?)', chunks
        )

    def add_models(self, models: Iterable[Row]) -> set[int]:
        """Write models as `SalvageReader.models` gives them, and return the keys of all models."""
        self._database.execute_many("INSERT OR IGNORE INTO models VALUES (?,?,?,?)", models)
        return set(self._database.column("SELECT number FROM models", ()))

    def add_embeddings(self, embeddings: Iterable[tuple[int, int, bytes]]) -> None:
        """Write embeddings as (model key, chunk id, vector), all as one change."""
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT OR IGNORE INTO embeddings (model, chunk, seq, vector) VALUES (?,?,?,?)",
            ((model, chunk, seq, vector) for model, chunk, vector in embeddings),
        )

    def add_token_models(self, models: Iterable[Row]) -> set[int]:
        """Write models as `SalvageReader.token_models` gives them, and return the keys of all."""
        self._database.execute_many("INSERT OR IGNORE INTO token_models VALUES (?,?,?,?)", models)
        return set(self._database.column("SELECT number FROM token_models", ()))

    def add_token_vectors(self, token_vectors: Iterable[Row]) -> None:
        """Write token vectors as (model key, chunk id, token vectors)."""
        self._database.execute_many(
            "INSERT OR IGNORE INTO token_vectors (model, chunk, vectors) VALUES (?,?,?)", token_vectors
        )

    def add_rules(self, rules: Iterable[Row]) -> None:
        """Write retention rules as `SalvageReader.rules` gives them."""
        self._database.execute_many("INSERT OR IGNORE INTO retention VALUES (?,?,?,?)", rules)

    def adopt_rules(self) -> None:
        """Copy the retention rules of the attached database."""
        self._database.execute("INSERT OR IGNORE INTO main.retention SELECT * FROM other.retention", ())

    def add_whole_tables(self, tables: Mapping[str, Iterable[Row]]) -> None:
        """Write rows of `SalvageReader.whole_tables`, but for those with damaged values."""
        for table, rows in tables.items():
            for row in rows:
                with contextlib.suppress(*UNSTORABLE):
                    self._database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({placeholders(row)})", row)

    def adopt_whole_tables(self, unread: Iterable[str]) -> None:
        """Copy what is not here of the attached database's tables that could not be read here."""
        for table in unread:
            rule = f" WHERE name NOT IN ({placeholders(LOG_STATE)})" if table == "sync_settings" else ""
            self._database.execute(
                f"INSERT OR IGNORE INTO main.{table} SELECT * FROM other.{table}{rule}",
                LOG_STATE if rule else (),
            )

    def add_audit(self, entries: Iterable[Row]) -> None:
        """Write entries of the audit as `SalvageReader.audit` gives them."""
        self._database.execute_many(
            f"INSERT OR IGNORE INTO audit ({AUDIT_COLUMNS}) VALUES (?,?,?,?,?,?)", entries
        )

    def adopt_audit(self) -> None:
        """Copy the entries of the attached database that are not here: a number is given once."""
        self._database.execute("INSERT OR IGNORE INTO main.audit SELECT * FROM other.audit", ())

    def set_endings(self, endings: Iterable[tuple[int | None, str | None, str]]) -> None:
        """Write (deleted_at, superseded_by, id) of memories; None leaves a value unchanged."""
        self._database.execute_many(
            "UPDATE memories SET deleted_at = COALESCE(?, deleted_at), "
            "superseded_by = COALESCE(?, superseded_by) WHERE id = ?",
            endings,
        )

    def ids(self) -> set[str]:
        """Return the ids of all memories of the new database."""
        return {row[0] for row in self._database.rows("SELECT id FROM memories", ())}
