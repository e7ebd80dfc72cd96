"""What both ways of searching share: a snapshot that any process may replace, and how far it is trusted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.storage.sql.memories import Store

ATTEMPTS = 3  # at opening a snapshot that another process is replacing at this moment


class Snapshot(Protocol):
    """An open index: the ``seq`` it has reached, and the ``token`` by which its database knows it."""

    @property
    def seq(self) -> int: ...
    @property
    def token(self) -> int: ...


SnapshotT = TypeVar("SnapshotT", bound=Snapshot)


class Leg(ABC, Generic[SnapshotT]):
    """One way of searching. Not to be used by two threads at once.

    The order matters: `reload` first, then `read` inside a read transaction, then the search inside the
    same one, so that SQLite is never older than the snapshot it corrects.
    """

    def __init__(self, directory: Path, index_name: str) -> None:
        self.directory = directory
        self.index_name = index_name
        self.is_rejected = False
        self._known: Hashable = None
        self._start_from(None)

    @abstractmethod
    def _stamp(self) -> Hashable:
        """What tells the snapshot on disk from the one before; raises OSError or ValueError without one."""

    @abstractmethod
    def _open_snapshot(self) -> SnapshotT: ...

    @abstractmethod
    def _empty_tail(self) -> None: ...

    def _start_from(self, snapshot: SnapshotT | None) -> None:
        self._snapshot: SnapshotT | None = snapshot
        self.seen = snapshot.seq if snapshot else 0
        self._empty_tail()

    @abstractmethod
    def read(self, store: Store) -> None:
        """Take up all changes since the snapshot, or since the last call."""

    @property
    @abstractmethod
    def is_holding(self) -> bool:
        """Whether anything is in the tail."""

    @property
    def snapshot_seq(self) -> int:
        """What the snapshot has reached; 0 without one."""
        return self._snapshot.seq if self._snapshot else 0

    def reload(self, store: Store) -> None:
        """Take up the newest snapshot, if it is sound and comes from this database's own history;
        `is_rejected` says that there is one and it is not."""
        for _ in range(ATTEMPTS):
            stamp = self._stamp_or_none()
            if stamp == self._known:
                return
            snapshot = self._trusted(store) if stamp is not None else None
            self._known, self.is_rejected = stamp, stamp is not None and snapshot is None
            self._start_from(snapshot)
            if snapshot is not None:
                return

    def reject(self) -> None:
        """Do without a snapshot that has failed in use, until there is another one."""
        self.is_rejected = True
        self._start_from(None)

    def _stamp_or_none(self) -> Hashable:
        try:
            return self._stamp()
        except (DamagedSnapshot, OSError, ValueError, KeyError, TypeError):
            return None

    def _trusted(self, store: Store) -> SnapshotT | None:
        try:
            snapshot = self._open_snapshot()
        except DamagedSnapshot:
            return None
        return snapshot if store.knows_snapshot(self.index_name, snapshot.token, snapshot.seq) else None
