"""Copy a SQLite file into an encrypted one or back, and compare what both hold.

SQLCipher copies between a file with a key and one without; the log of the source is read along. What is
compared is every row of every table, whatever the order, so a copy that lacks anything never takes the place
of its source.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.storage.sqlite.connection import SqliteDatabase, translate_sqlite_errors
from sediment_mcp.storage.sqlite.library import connect
from sediment_mcp.system.files import touch_private

DIGEST_BYTES = 32
PRAGMAS = ("user_version", "application_id")  # the numbers of a file's header that copying leaves out


def write_converted(source: Path, source_key: bytes | None, target: Path, target_key: bytes | None) -> None:
    """Copy a database into a new file of the other kind, and check that this holds the same.

    Exactly one of the keys is given. The caller holds the lock under which the source is written, and syncs
    the target.

    Raises:
        DamagedDatabase: the source is damaged, or the target does not hold what it should.
    """
    touch_private(target)
    encrypted, key = (target, target_key) if source_key is None else (source, source_key)
    plain, exports = (source, "'main', 'plain'") if source_key is None else (target, "'plain', 'main'")
    into, out_of = ("main", "plain") if source_key is None else ("plain", "main")
    with translate_sqlite_errors(), contextlib.closing(connect(str(encrypted), key)) as sql:
        sql.execute("ATTACH ? AS plain KEY ''", (str(plain),))
        sql.execute(f"PRAGMA {into}.synchronous = OFF")  # the caller syncs the finished file
        sql.execute(f"SELECT sqlcipher_export({exports})").fetchall()
        for pragma in PRAGMAS:
            sql.execute(
                f"PRAGMA {into}.{pragma} = {int(sql.execute(f'PRAGMA {out_of}.{pragma}').fetchone()[0])}"
            )
        journal = str(sql.execute(f"PRAGMA {out_of}.journal_mode").fetchone()[0])
        sql.execute(f"PRAGMA {into}.journal_mode = {journal}").fetchall()
    if digest_tables(target, target_key) != digest_tables(source, source_key):
        raise DamagedDatabase


def digest_tables(path: Path, key: bytes | None) -> dict[str, tuple[int, int]]:
    """Return for each table, for the schema and for the header's numbers how many rows there are, and a sum.

    The sum is that of the rows' SHA-256, so it is the same in whatever order they come.

    Raises:
        DamagedDatabase: SQLite finds a fault.
    """
    with contextlib.closing(SqliteDatabase(path, key=key)) as database, database.snapshot():
        if database.integrity_faults():
            raise DamagedDatabase
        tables = [
            str(name) for (name,) in database.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        statements = {name: f'SELECT * FROM "{name}"' for name in tables}
        statements["sqlite_schema"] = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        statements |= {pragma: f"PRAGMA {pragma}" for pragma in PRAGMAS}
        return {name: _digest_rows(database, statement) for name, statement in statements.items()}


def _digest_rows(database: SqliteDatabase, statement: str) -> tuple[int, int]:
    count = total = 0
    for row in database.iterate(statement):
        count += 1
        total += int.from_bytes(hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest(), "big")
    return count, total % 256**DIGEST_BYTES
