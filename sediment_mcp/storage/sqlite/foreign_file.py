"""Read tables of SQLite databases of other programs, without changing or trusting them.

The file may be in use, damaged, or made to do harm: it is opened read-only, tables are read by name and never
views or triggers, and text that is no UTF-8 is read as far as it goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sqlite.connection import UNREADABLE, SqliteDatabase


class ForeignDatabase:
    """A database of another program, open for reading."""

    def __init__(self, database: SqliteDatabase, tables: dict[str, frozenset[str]]) -> None:
        self._database = database
        self.tables = tables
        """Table → the names of its columns."""

    def rows(
        self, table: str, columns: Sequence[str], condition: str = "1", values: Sequence[object] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows of a table; a column that it lacks is None in each.

        ``condition`` is SQL of the caller's own. Without the table there are no rows.
        """
        if table not in self.tables:
            return
        names = ", ".join(name if name in self.tables[table] else "NULL" for name in columns)
        yield from self._database.iterate(f'SELECT {names} FROM "{table}" WHERE {condition}', values)

    def count(self, table: str) -> int:
        """Return how many rows a table has; without the table none."""
        return self._database.scalar(f'SELECT COUNT(*) FROM "{table}"') if table in self.tables else 0


@contextlib.contextmanager
def open_foreign(path: Path) -> Generator[ForeignDatabase]:
    """Open another program's database.

    Raises:
        BadArgument: it cannot be read, from its beginning or from some row on.
    """
    try:
        database = SqliteDatabase(path, read_only=True)
        with contextlib.closing(database):
            database.accept_any_text()
            database.execute("PRAGMA trusted_schema = OFF")
            yield ForeignDatabase(database, _list_tables(database))
    except UNREADABLE as error:
        raise BadArgument(
            f"{path} cannot be read as an SQLite database: end the program that it belongs to, and try again."
        ) from error


def _list_tables(database: SqliteDatabase) -> dict[str, frozenset[str]]:
    found = database.rows(
        "SELECT s.name, c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
        "WHERE s.type = 'table' AND s.sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return {name: frozenset(column for table, column in found if table == name) for name, _ in found}
