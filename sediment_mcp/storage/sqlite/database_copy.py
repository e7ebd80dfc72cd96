"""Copy a database into a new file that has another key, or none.

SQLCipher copies all tables from one file into another in one statement, which leaves out only the numbers of
the header. What a copy of the other kind holds is compared with the original, row by row, in SQL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.system.database_files import is_open_here
from sediment_mcp.system.files import touch_private

HEADER_NUMBERS = ("user_version", "application_id")


def copy_database(
    source: Path, target: Path, *, source_key: bytes | None, key: bytes | None, read_only: bool = False
) -> None:
    """Copy a database into a new file with this key, or without one.

    The new file has no log. The caller holds the lock under which the source is written, and syncs the
    target. With ``read_only`` nothing is changed beside the source, not even a crash undone.

    Raises:
        DamagedDatabase: the source is damaged, or the copy does not hold the same.
    """
    if source_key == key:
        with contextlib.closing(SqliteDatabase(source, read_only=read_only, key=key)) as database:
            database.copy_to(target)
        return
    touch_private(target)
    if source_key is not None:
        with (
            contextlib.closing(SqliteDatabase(source, read_only=read_only, key=source_key)) as database,
            database.attached(target, key),
        ):
            _copy_tables(database, "main", "other")
    elif is_open_here(source):
        _encrypt_open(source, target, key)
    else:
        with (
            contextlib.closing(SqliteDatabase(target, key=key)) as database,
            database.attached(source, read_only=read_only),
        ):
            _copy_tables(database, "other", "main")


def _encrypt_open(source: Path, target: Path, key: bytes | None) -> None:
    """Encrypt a file that this process has open, by way of a copy that is not encrypted either.

    SQLCipher must not open the same file as Python's library, whose locks it would drop.
    """
    scratch = target.with_name(f"{target.name}.plain.tmp")
    try:
        with contextlib.closing(SqliteDatabase(source)) as database:
            database.copy_to(scratch)
        copy_database(scratch, target, source_key=None, key=key)
    finally:
        scratch.unlink(missing_ok=True)


def _copy_tables(database: SqliteDatabase, source: str, target: str) -> None:
    """Copy all that one of two attached databases holds into the other, which is empty."""
    database.execute(f"PRAGMA {target}.synchronous = OFF")
    database.rows(f"PRAGMA {target}.journal_mode = OFF")
    database.rows("SELECT sqlcipher_export(?, ?)", (target, source))
    for number in HEADER_NUMBERS:
        database.execute(f"PRAGMA {target}.{number} = {database.scalar(f'PRAGMA {source}.{number}')}")
    database.rows(f"PRAGMA {target}.journal_mode = DELETE")
    if any(_find_differences(database, source, target)):
        raise DamagedDatabase


def _find_differences(database: SqliteDatabase, source: str, target: str) -> Iterator[bool]:
    """Yield for each part of two attached databases whether it differs."""
    schema = "SELECT type, name, tbl_name, sql FROM {}.sqlite_schema ORDER BY type, name"
    yield database.rows(schema.format(source)) != database.rows(schema.format(target))
    tables = database.rows(f"SELECT name FROM {source}.sqlite_schema WHERE type = 'table' ORDER BY name")
    for (table,) in tables:
        counts = {database.scalar(f'SELECT COUNT(*) FROM {name}."{table}"') for name in (source, target)}
        yield counts != {_count_equal_rows(database, table, source, target)}


def _count_equal_rows(database: SqliteDatabase, table: str, source: str, target: str) -> int:
    """Return how many rows of a table are the same in both, found by their primary key."""
    columns = database.rows("SELECT name, pk FROM pragma_table_info(?, ?)", (table, source))
    if not any(is_key for _, is_key in columns):
        same = f'SELECT * FROM {source}."{table}" INTERSECT SELECT * FROM {target}."{table}"'
        return database.scalar(f"SELECT COUNT(*) FROM ({same})")
    joined = " AND ".join(f'a."{name}" = b."{name}"' for name, is_key in columns if is_key)
    equal = " AND ".join(f'a."{name}" IS b."{name}"' for name, is_key in columns if not is_key) or "TRUE"
    return database.scalar(
        f'SELECT COUNT(*) FROM {source}."{table}" AS a CROSS JOIN {target}."{table}" AS b ON {joined} '
        f"WHERE {equal}"
    )
