"""Leases: what one process of all machines does at a time for a tenant, as a counter with an end.

A lease is taken and given back in transactions of their own, so no connection and no lock is held meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sediment_mcp.storage.postgres.database import PostgresDatabase
from sediment_mcp.storage.postgres.dialect import OWN_ROWS
from sediment_mcp.system.timestamps import to_micros

LEASE_LIFE = timedelta(minutes=10)  # after which the holder counts as dead


def take_lease(database: PostgresDatabase, name: str, now: datetime) -> int | None:
    """Take a lease, unless another holder's has not ended; needs a transaction.

    Returns when it ends, in microseconds, or None. One that ends later than any taken now could is of a clock
    that was wrong, and counts as ended.
    """
    counter, start, end = _name_counter(name), to_micros(now), to_micros(now + LEASE_LIFE)
    held = database.column("SELECT value FROM counters WHERE name = ?", (counter,))
    if held and start < held[0] <= end:
        return None
    database.execute(f"DELETE FROM counters WHERE name = ? AND {OWN_ROWS}", (counter,))
    database.execute("INSERT INTO counters (name, value) VALUES (?,?)", (counter, end))
    return end


def give_lease_back(database: PostgresDatabase, name: str, end: int) -> None:
    """End a lease, unless it has ended and is another holder's now; needs a transaction."""
    database.execute(
        f"DELETE FROM counters WHERE name = ? AND value = ? AND {OWN_ROWS}", (_name_counter(name), end)
    )


def _name_counter(name: str) -> str:
    return f"lease-{name}"
