"""Stores to test, one a backend, and memories to put into them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sediment_mcp.domain.memory import Memory, NewMemory
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.sqlite.storage import SqliteStorage
from sediment_mcp.tuning import Tuning

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)


@contextmanager
def open_sqlite(directory: Path) -> Iterator[MemoryStorage]:
    """Open an empty store in a file."""
    storage = SqliteStorage(directory / "data", Tuning())
    try:
        yield storage
    finally:
        storage.close()


BACKENDS: dict[str, Callable[[Path], Any]] = {"sqlite": open_sqlite}
"""How a store of each backend is opened. A new backend is one more entry, and passes the same tests."""


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
