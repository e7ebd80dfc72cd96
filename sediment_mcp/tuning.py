"""The thresholds, batch sizes and timeouts that were measured, none a setting of the user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Measured thresholds, batch sizes and timeouts; only tests and benchmarks set them."""

    text_memtable_limit: int = 256  # chunks; an index commit costs the same for one and for hundreds
    text_memtable_share: int = 100  # or one in so many of those in a snapshot that is written whole each time
    exact_search_limit: int = 2_000  # embeddings; every process holds so many in its memory, 3 MB
    vector_memtable_limit: int = 2_000  # embeddings beyond a snapshot; 0.2 ms more for a query ...
    vector_memtable_share: int = 100  # ... or one in so many of those in the snapshot, if that is more
    far_behind: int = 2000  # chunks not indexed, 0.1 ms each; from this number on, an index is written first
    common_terms_from: int = 1000  # chunks; from this number on, common terms are left out for rarer ones
    foremost: int = 48  # memories whose neighbours are read, which is most of the cost of a query ...
    foremost_per_result: int = 8  # ... or so many for each result, because neighbours change the ranking
    commit_every: int = 512  # chunks embedded between two commits; one of 32 takes a fifth longer
    retention_batch: int = 500  # memories removed between two commits
    settle_seconds: float = 0.2  # to wait for more writes before background work begins
    cold_seconds: float = 2.0  # before the first work in the background, with a database beside which it runs
    rest_seconds: float = 60.0  # between two checks for work that other processes may have left undone
    sync_seconds: float = 15.0  # at least, between two runs by which local changes go to other devices
    sync_wait_seconds: float = 0.3  # a query waits so long for what another device has stored
    lock_timeout: float = 30.0  # seconds; a writer holds a lock for milliseconds, unless it hangs
    close_timeout: float = 0.5  # seconds that the end of the process waits for work under way
    erase_timeout_ms: int = 2000  # how long emptying the log waits for readers
    max_wal_bytes: int = 4 * 1024 * 1024  # a longer log is moved into the database
    spare_disk_bytes: int = 100 * 1024 * 1024  # that a backup leaves free for storing memories
