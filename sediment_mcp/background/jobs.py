"""The background jobs of one data directory, in the order in which they run.

A job checks by itself whether anything is due, so running one costs little if nothing is. A job that must
not run in two processes at once holds a lock file, by which the doctor names the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sediment_mcp.background import backups, embedding_queue, retention
from sediment_mcp.indexes import index_files
from sediment_mcp.system.progress import Progress

SYNC_LOCK = "sync.lock"
"""Held by `sync.engine`, which is above this package."""

LOCKED_WORK = {
    embedding_queue.LOCK: "embedding",
    retention.LOCK: "removing what has ended",
    index_files.TEXT_LOCK: "writing the text index",
    index_files.VECTOR_LOCK: "writing the vector index",
    backups.LOCK: "working on the backups",
    SYNC_LOCK: "synchronizing with other devices",
}
"""By lock file, what a process is doing while it holds it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A background job; with ``only_resident`` a single command does not run it."""

    name: str
    run: Callable[[Progress], None]
    only_resident: bool = False
