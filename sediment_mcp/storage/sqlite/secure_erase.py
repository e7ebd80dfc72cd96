"""Remove what erased rows leave behind in a SQLite file.

SQLite overwrites deleted rows, but not the copies that it leaves in the free space of a page when it moves
rows from one page to another. So the file is rewritten; a counter holds the change up to which that is done.
"""

from __future__ import annotations

from sediment_mcp.storage.sqlite.session import SqliteSession

CLEAN = "clean"  # the counter that says up to which change nothing erased is left in the file


def has_remains(session: SqliteSession) -> bool:
    """Return True if parts of erased rows may still be in the file."""
    counted = session.database.rows("SELECT value FROM counters WHERE name = ?", (CLEAN,))
    return session.changes.has_erased_since(int(counted[0][0]) if counted else 0)


def erase_remains(session: SqliteSession) -> None:
    """Rewrite the file, which takes half a second at 100,000 memories.

    The caller holds the write lock and no transaction is open.

    Raises:
        DiskFull: there is no room for it.
    """
    database, seq = session.database, session.changes.seq()
    database.vacuum()
    with database.transaction():
        database.execute("INSERT OR REPLACE INTO counters VALUES (?,?)", (CLEAN, seq))
