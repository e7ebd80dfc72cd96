"""A store to test, over the engine of the test, and memories to put into it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sediment_mcp.config import Config
from sediment_mcp.domain.memory import Memory, NewMemory
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.sqlite.storage import SqliteStorage
from sediment_mcp.tuning import Tuning
from support.backends import settings

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)


@contextmanager
def open_storage(directory: Path, tuning: Tuning | None = None, tenant: str = "") -> Iterator[MemoryStorage]:
    """Open the store of a data directory over the engine of the test."""
    where = settings(directory, tenant)
    storage: MemoryStorage = SqliteStorage(directory, tuning or Tuning())
    if where.get("database"):
        from sediment_mcp.storage.postgres.storage import PostgresStorage

        config = Config(directory, **where)
        storage = PostgresStorage(config.database, config.tenant, config.store_dir, tuning or Tuning())
    try:
        yield storage
    finally:
        storage.close()


def new_memory(content: str = "kiwi", **changes: Any) -> NewMemory:
    """Return a memory to store, plain but for the changes."""
    plain = NewMemory(
        content=content, content_hash=content.encode(), spans=((0, len(content)),), kind="semantic", tags=(),
        project=None, session=None, importance=0.5, metadata={}, occurred_at=NOW, created_at=NOW,
        changed_at=NOW,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def add(storage: MemoryStorage, content: str = "kiwi", **changes: Any) -> Memory:
    """Store a memory in a transaction of its own."""
    with storage.write() as session:
        return session.add(new_memory(content, **changes)).memory
