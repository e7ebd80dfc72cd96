"""Read the memories of a data directory without changing anything in it, not even by opening it.

A hook runs beside servers of any version, and where nobody has stored anything yet. So it creates no
directory, brings no database up to date and finishes nothing that another process has begun.
"""

from __future__ import annotations

from pathlib import Path

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sqlite.session import SqliteSession, open_session
from sediment_mcp.storage.sqlite.storage import DATABASE, SqliteStorage
from sediment_mcp.storage.sqlite.swap import replacement_path
from sediment_mcp.system.data_directory import find_fault
from sediment_mcp.system.project_root import find_project_of_roots, normalize_project


def has_memories(directory: Path) -> bool:
    """Return whether there is a database that may be read as it is."""
    path = directory / DATABASE
    try:
        return path.stat().st_size > 0 and not replacement_path(path).exists()
    except OSError:
        return False


class UnchangedStorage(SqliteStorage):
    """A storage that only reads what is there already; see `has_memories`."""

    def open(self) -> None:
        """Check that no other user has put anything into the directory.

        Raises:
            StorageError: somebody has.
        """
        if fault := find_fault(self.path.parent):
            raise StorageError(str(fault))

    @property
    def is_read_only(self) -> bool:
        """Whether nothing may be written, as always here."""
        return True

    def open_session(self) -> SqliteSession:
        """Open a session that only reads.

        Raises:
            StorageError: it cannot be read, or its schema is not that of this version.
        """
        session = open_session(self.path, read_only=True)
        applied, known = session.database.schema()
        if applied != known:
            session.close()
            raise StorageError("The database is of another version: a server brings it up to date.")
        return session


def find_project(configured: str | None, folder: str) -> str | None:
    """Return the project of a hook: what the user has configured, else that of the host's folder."""
    if configured is not None:
        return normalize_project(configured) if configured else None
    try:
        return find_project_of_roots([Path(folder).as_uri()]) if folder else None
    except ValueError:  # a relative path, which names another folder for the host than here
        return None
