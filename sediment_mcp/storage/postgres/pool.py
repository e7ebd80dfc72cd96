"""The connections of a process to one database, which all its storages share.

A thread waits while too many are in use, but one that holds a connection never does: it would wait for
itself. No thread of its own is needed, and a server that cannot be reached is an error at once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator

from sediment_mcp.errors import Busy
from sediment_mcp.storage.postgres.connection import (
    Connection,
    close_quietly,
    connect,
    translate_postgres_errors,
)
from sediment_mcp.storage.postgres.migrations import prepare

MAX_IN_USE = 16  # threads that use a connection at once; a server takes 100 connections unless told otherwise
MAX_IDLE = 8  # connections kept for the next use


class Lease:
    """A connection that is lent, and may be replaced by another if it breaks."""

    def __init__(self, pool: ConnectionPool, connection: Connection) -> None:
        self._pool = pool
        self.connection = connection

    def renew(self) -> None:
        """Replace the connection by a new one.

        Raises:
            StorageError: the server cannot be reached.
        """
        close_quietly(self.connection)
        self.connection = connect(self._pool.url)


class ConnectionPool:
    """The connections of this process to the database of one URL.

    May be used from any thread.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._users = 0
        self._guard = threading.Lock()
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(MAX_IN_USE)
        self._held = threading.local()
        self._preparing = threading.Lock()
        self._is_prepared = False

    def prepare(self, *, may_create: bool = True) -> None:
        """Check the role and bring the tables up to date if it may be done, once in this process.

        Raises:
            StorageError: see `migrations.prepare`.
        """
        with self._preparing:
            if not self._is_prepared:
                with translate_postgres_errors(), self.lend() as lease:
                    prepare(lease.connection, may_create=may_create)
                self._is_prepared = True

    @contextlib.contextmanager
    def lend(self, timeout: float = 30.0) -> Generator[Lease]:
        """Lend a connection to this thread.

        Raises:
            Busy: all are in use for ``timeout`` seconds.
            StorageError: the server cannot be reached.
        """
        depth: int = getattr(self._held, "depth", 0)
        if not depth and not self._free.acquire(timeout=timeout):
            raise Busy("Too many calls use the database at once: try again.")
        self._held.depth = depth + 1
        try:
            lease = Lease(self, self._take())
            try:
                yield lease
            finally:
                self._give_back(lease.connection)
        finally:
            self._held.depth = depth
            if not depth:
                self._free.release()

    def _take(self) -> Connection:
        while True:
            with self._guard:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if connection.is_usable:
                return connection
            close_quietly(connection)
        return connect(self.url)

    def _give_back(self, connection: Connection) -> None:
        if connection.is_usable:
            with self._guard:
                if len(self._idle) < MAX_IDLE and self._users:
                    self._idle.append(connection)
                    return
        close_quietly(connection)

    def join(self) -> None:
        """Count one more storage that uses the pool."""
        with self._guard:
            self._users += 1

    def leave(self) -> bool:
        """Count one less, and close what is idle after the last; returns whether it was that."""
        with self._guard:
            self._users -= 1
            idle, is_last = list(self._idle), self._users == 0
            if is_last:
                self._idle.clear()
        for connection in idle if is_last else ():
            close_quietly(connection)
        return is_last


_pools: dict[str, ConnectionPool] = {}
_pools_guard = threading.Lock()


def open_pool(url: str, *, may_create: bool = True) -> ConnectionPool:
    """Join the pool of this process for a URL, over tables that are up to date.

    Each call needs its `leave_pool`.

    Raises:
        StorageError: the server cannot be reached, or see `migrations.prepare`.
    """
    with _pools_guard:
        pool = _pools.setdefault(url, ConnectionPool(url))
        pool.join()
    try:
        pool.prepare(may_create=may_create)
    except BaseException:
        leave_pool(pool)
        raise
    return pool


def leave_pool(pool: ConnectionPool) -> None:
    """Say that one of those who joined a pool needs it no longer."""
    with _pools_guard:
        if pool.leave():
            _pools.pop(pool.url, None)
