"""Read the memories of a data directory without changing anything in it.

A hook runs beside servers of any version, and where nobody has stored anything yet. So it creates no
directory, brings no database up to date and finishes nothing that another process has begun.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sediment_mcp.config import DATABASE as DATABASE_VARIABLE
from sediment_mcp.config import POSTGRES_EXTRA
from sediment_mcp.embeddings.loader import ModelLoader, load_embedder
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.sqlite.read_only import open_in_place
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.storage.sqlite.storage import DATABASE, SqliteStorage
from sediment_mcp.storage.sqlite.swap import replacement_path
from sediment_mcp.system.data_directory import find_fault
from sediment_mcp.system.directory_encryption import DirectoryEncryption, find_encryption
from sediment_mcp.system.extras import check_module

if TYPE_CHECKING:
    from sediment_mcp.config import Config
    from sediment_mcp.embeddings.protocols import Embedder
    from sediment_mcp.recall.finding import SearchedStore
    from sediment_mcp.recall.found_memory import FoundMemory


def has_memories(config: Config) -> bool:
    """Return whether there is a database that may be read as it is.

    Whether one in PostgreSQL is, shows when it is read.
    """
    if config.database:
        return True
    path = config.store_dir / DATABASE
    try:
        return path.stat().st_size > 0 and not replacement_path(path).exists()
    except OSError:
        return False


def list_readable(config: Config) -> list[Config]:
    """Return the settings of the stores that may be read as they are: one's own, the team's."""
    both = (config, config.of_team)
    return [one for one in both if one is not None and has_memories(one)]


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
        session = open_in_place(self.path, self.encryption)
        applied, known = session.database.schema()
        if applied != known:
            session.close()
            raise StorageError("The database is of another version: a server brings it up to date.")
        return session

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()
        super().close()


def open_unchanged(config: Config, encryption: DirectoryEncryption | None = None) -> MemoryStorage:
    """Open the storage so that reading it changes nothing; see `has_memories`.

    ``encryption`` is that of the data directory, if the caller has it.

    Raises:
        StorageError: it cannot be read.
    """
    if config.database:
        check_module("psycopg", POSTGRES_EXTRA, DATABASE_VARIABLE)
        from sediment_mcp.storage.postgres.storage import PostgresStorage

        storage = PostgresStorage(
            config.database, config.tenant, config.store_dir, config.tuning, may_create=False
        )
    else:
        own = encryption or find_encryption(config)
        storage = UnchangedStorage(config.store_dir, config.tuning, encryption=own)
    storage.open()
    return storage


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

    encryption = find_encryption(config)
    storage = open_unchanged(config, encryption)
    retriever = Retriever(
        config.store_dir,
        storage,
        _WithoutModel(lambda: load_embedder(config)),
        Indexer(config.store_dir, storage, config.tuning.lock_timeout, encryption),
        encryption,
        clock=lambda: datetime.now(UTC),
        tuning=replace(config.tuning, far_behind=sys.maxsize),  # an index is never written here
    )
    return SearchedStore(retriever, storage.read, is_team)
