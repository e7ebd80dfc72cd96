"""Read the memories of a data directory without changing anything in it.

A hook runs beside servers of any version, and where nobody has stored anything yet. So it creates no
directory, brings no database up to date and finishes nothing that another process has begun.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.embeddings.loader import ModelLoader, load_embedder
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sqlite.session import SqliteSession, open_session
from sediment_mcp.storage.sqlite.storage import DATABASE, SqliteStorage
from sediment_mcp.storage.sqlite.swap import replacement_path
from sediment_mcp.system.data_directory import find_fault

if TYPE_CHECKING:
    from sediment_mcp.config import Config
    from sediment_mcp.embeddings.protocols import Embedder
    from sediment_mcp.recall.finding import SearchedStore
    from sediment_mcp.recall.found_memory import FoundMemory
    from sediment_mcp.storage.protocols import ReadSession


def has_memories(directory: Path) -> bool:
    """Return whether there is a database that may be read as it is."""
    path = directory / DATABASE
    try:
        return path.stat().st_size > 0 and not replacement_path(path).exists()
    except OSError:
        return False


def list_readable(config: Config) -> list[Config]:
    """Return the settings of each store that may be read as it is: the caller's own, then the team's.

    Memories in PostgreSQL are none of these: a file beside their indexes is what was moved there once.
    """
    both = (config, config.of_team)
    return [one for one in both if one is not None and not one.database and has_memories(one.store_dir)]


def list_shared(config: Config) -> list[Config]:
    """Return the settings of each store in PostgreSQL that this machine has used."""
    both = (config, config.of_team)
    return [one for one in both if one is not None and one.store_dir.is_dir()]


@contextmanager
def read_store(config: Config) -> Generator[ReadSession]:
    """Read one of the stores of `list_readable` or `list_shared` at one moment.

    Raises:
        StorageError: it cannot be read.
    """
    if config.database:
        from sediment_mcp.app import build_storage

        with closing(build_storage(config)) as shared, shared.read() as session:
            yield session
        return
    storage = UnchangedStorage(config.store_dir, config.tuning)
    storage.open()
    with closing(storage.open_session()) as session, session.snapshot():
        yield session


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


class _WithoutModel(ModelLoader):
    """A loader that never loads."""

    def get(self, timeout: float | None = None) -> Embedder | None:
        """Return None at once."""
        return None


def search_unchanged(config: Config, asked: str, project: str | None) -> list[FoundMemory]:
    """Return the memories that this process finds by itself; see `finding.find_memories`.

    Words alone are searched: loading the model too would take as long as all else together.

    Raises:
        StorageError: they cannot be read.
    """
    from sediment_mcp.recall.finding import find_memories

    stores = [_search_store(one, is_team=one.tenant != config.tenant) for one in list_readable(config)]
    return find_memories(stores, None, asked, project) if stores else []


def _search_store(config: Config, *, is_team: bool) -> SearchedStore:
    from sediment_mcp.indexes.indexer import Indexer
    from sediment_mcp.recall.finding import SearchedStore
    from sediment_mcp.search.retriever import Retriever

    storage = UnchangedStorage(config.store_dir, config.tuning)
    storage.open()
    retriever = Retriever(
        config.store_dir,
        storage,
        _WithoutModel(lambda: load_embedder(config)),
        Indexer(config.store_dir, storage, config.tuning.lock_timeout),
        clock=lambda: datetime.now(UTC),
        tuning=replace(config.tuning, far_behind=sys.maxsize),  # an index is never written here
    )
    return SearchedStore(retriever, storage.read, is_team)
