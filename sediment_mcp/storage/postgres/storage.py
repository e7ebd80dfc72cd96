"""The shared storage: the memories of one tenant in a PostgreSQL database.

Any number of processes on any number of machines use it. The connections are those of the process
(`storage.postgres.pool`); a session has one for as long as it lasts.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Hashable
from datetime import datetime
from pathlib import Path

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.postgres.connection import Connection, Statement, translate_postgres_errors
from sediment_mcp.storage.postgres.database import PostgresDatabase
from sediment_mcp.storage.postgres.dialect import SCHEMA
from sediment_mcp.storage.postgres.leases import give_lease_back, take_lease
from sediment_mcp.storage.postgres.pool import ConnectionPool, Lease, leave_pool, open_pool
from sediment_mcp.storage.postgres.session import PostgresSession
from sediment_mcp.system.data_directory import CACHE_ID, prepare_directory
from sediment_mcp.system.files import write_atomically
from sediment_mcp.tuning import Tuning

FIND_TENANT = f"SELECT number FROM {SCHEMA}.tenants WHERE name = $1"


class PostgresStorage:
    """`MemoryStorage` over one tenant's rows in a PostgreSQL database.

    May be used from any thread.
    """

    def __init__(
        self,
        url: str,
        tenant: str,
        directory: Path,
        tuning: Tuning,
        *,
        on_change: Callable[[], None] = lambda: None,
        audit_time: Callable[[], datetime | None] = lambda: None,
        may_create: bool = True,
    ) -> None:
        """Create a storage; nothing is opened before the first use.

        ``directory`` holds the indexes of this machine. ``on_change`` is called when the storage has been
        opened, and after each write. ``audit_time`` gives the time with which a write is recorded in the
        audit, or None. Without ``may_create`` only what is there is used: neither are tables made, nor is a
        tenant written down.
        """
        self._url = url
        self._tenant = tenant
        self._directory = directory
        self._tuning = tuning
        self._on_change = on_change
        self._audit_time = audit_time
        self._may_create = may_create
        self._opening = threading.Lock()
        self._pool: ConnectionPool | None = None
        self._number = 0
        self._cache_id = ""
        self._is_closed = False
        self._is_read_only = False
        self._writing = threading.local()
        self._model_keys = defaultdict[str, dict[tuple[str, str], int]](dict)

    # --- opening and closing ------------------------------------------------------------------

    def open(self) -> None:
        """Open the storage, unless it is open; see `MemoryStorage`."""
        with self._opening:
            if self._is_closed:
                raise StorageError("sediment-mcp is ending: call again once it has been started anew.")
            if self._pool is not None:
                return
            pool = open_pool(self._url, may_create=self._may_create)
            try:
                with translate_postgres_errors(), pool.lend(self._tuning.lock_timeout) as lease:
                    self._number = _find_tenant(lease.connection, self._tenant, may_create=self._may_create)
                    self._is_read_only = lease.connection.is_standby
                self._cache_id = read_cache_id(self._directory) if self._may_create else ""
            except BaseException:
                leave_pool(pool)
                raise
            self._pool = pool
        self._on_change()

    @property
    def is_read_only(self) -> bool:
        """Whether the server was found to be a standby, which may only be read."""
        return self._is_read_only

    def close(self) -> None:
        """Let the connections go; a running write keeps its own until it ends."""
        with self._opening:
            pool, self._pool, self._is_closed = self._pool, None, True
        if pool is not None:
            leave_pool(pool)

    # --- sessions -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def write(self, *, secure_erase: bool = False) -> Generator[PostgresSession]:
        """Write in one transaction; see `MemoryStorage`.

        What ``secure_erase`` asks for is the server's: it removes the remains of erased rows by itself.
        """
        if getattr(self._writing, "is_held", False):
            raise RuntimeError("A write inside a write of the same thread would wait for itself.")
        self._writing.is_held = True
        try:
            with self.lend() as lease:
                session = self.build_session(lease)
                session.audit.begin(self._audit_time())
                with session.database.lent(lease), session.database.transaction():
                    yield session
                self._is_read_only = False
        finally:
            self._writing.is_held = False
        self._on_change()

    @contextlib.contextmanager
    def read(self) -> Generator[PostgresSession]:
        """Open a read transaction, whose reads all see the same moment."""
        with self.connect() as session, session.snapshot():
            yield session

    @contextlib.contextmanager
    def connect(self) -> Generator[PostgresSession]:
        """Lend a connection for long work, whose reads each see the newest commit."""
        with self.lend() as lease:
            session = self.build_session(lease)
            with session.database.lent(lease):
                yield session

    @contextlib.contextmanager
    def lease(self, name: str, now: datetime) -> Generator[bool]:
        """Hold a row of the tenant's until ``now`` and `LEASE_LIFE`; see `MemoryStorage`."""
        with self.write() as session:
            end = take_lease(session.database, name, now)
        try:
            yield end is not None
        finally:
            if end is not None:
                with contextlib.suppress(StorageError), self.write() as session:  # it ends by itself, too
                    give_lease_back(session.database, name, end)

    def reader(self) -> PostgresReader:
        """Return a session that is kept over many calls, each with a connection of the pool."""
        return PostgresReader(self)

    def finish_secure_erase(self) -> None:
        """Do nothing: the server removes the remains of erased rows by itself."""

    @contextlib.contextmanager
    def lend(self) -> Generator[Lease]:
        """Lend a connection, opening the storage if it is not open."""
        self.open()
        pool = self._pool
        if pool is None:
            raise StorageError("sediment-mcp is ending: call again once it has been started anew.")
        with pool.lend(self._tuning.lock_timeout) as lease:
            self._is_read_only = lease.connection.is_standby
            yield lease

    def build_session(self, lease: Lease) -> PostgresSession:
        """Return a session, which has no connection yet."""
        database = PostgresDatabase(
            self._number, self._tuning.lock_timeout, self._model_keys[lease.connection.server_id]
        )
        return PostgresSession(database, self.identify(lease), self._cache_id)

    def identify(self, lease: Lease) -> Hashable:
        """Return what differs after a server was replaced: one may have lost the last changes."""
        return (self._url, self._number, lease.connection.server_id)


class PostgresReader:
    """`SessionReader` over a tenant's rows: one session over many connections."""

    def __init__(self, storage: PostgresStorage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._session: PostgresSession | None = None

    @contextlib.contextmanager
    def session(self) -> Generator[PostgresSession]:
        """Lend the session to one thread at a time.

        It is a new session if the server was started anew or replaced in the meantime.
        """
        with self._lock, self._storage.lend() as lease:
            session = self._session
            if session is None or session.store_id != self._storage.identify(lease):
                session = self._session = self._storage.build_session(lease)
            with session.database.lent(lease):
                yield session

    def close(self) -> None:
        """Do nothing: the connections are those of the storage."""


def _find_tenant(connection: Connection, name: str, *, may_create: bool) -> int:
    """Return the number of a tenant, who is written down at the first use.

    Raises:
        StorageError: the tenant is not there, and may not be written down.
    """
    found = connection.fetch(FIND_TENANT, (name,))
    if found:
        return int(found[0][0])
    if not may_create:
        raise StorageError(f"Nothing is stored for the tenant {name} yet: store something first.")
    with connection.transaction():
        connection.send(
            Statement(f"INSERT INTO {SCHEMA}.tenants (name) VALUES ($1) ON CONFLICT DO NOTHING", (name,))
        )
        ((number,),) = connection.fetch(FIND_TENANT, (name,))
        connection.send(Statement("SELECT set_config('sediment.tenant', $1, true)", (str(number),)))
        connection.send(Statement(f"INSERT INTO {SCHEMA}.sequences DEFAULT VALUES ON CONFLICT DO NOTHING"))
    return int(number)


def read_cache_id(directory: Path) -> str:
    """Return the name of the indexes in a directory, which is made up when they are first used."""
    path = directory / CACHE_ID
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii").strip()
    prepare_directory(directory)
    made = secrets.token_hex(16)
    write_atomically(path, made.encode())
    return made
