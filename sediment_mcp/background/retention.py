"""Removing what has ended: the expired, the end of the trash, and what the user's rules take.

`policy` decides, for a preview and for a run alike. One process does it at a time, an hour or more apart in
the background, and in batches, so that nobody waits for long and it can be stopped between two of them. The
background does not trust the clock at once, as `Looks` tells; who asks for a run has seen what it removes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from sediment_mcp.domain.retention import Due, due
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.indexes.indexer import CatchUp
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.system.files import locked, locked_if_free
from sediment_mcp.system.progress import Progress, unwatched

LOCK = "retention.lock"
EVERY = timedelta(hours=1)  # between two looks of one process
BATCH = 500  # memories removed between two commits


class Write(Protocol):
    """A transaction; with ``erase`` its log is emptied at the end."""

    def __call__(self, *, erase: bool) -> AbstractContextManager[Store]: ...


def upcoming(store: Store, now: datetime) -> list[Due]:
    """What a run at this moment would remove; inside a read transaction."""
    rules = store.ages.rules()
    return due(store.ages.candidates(rules, now), rules, now)


class Retention:
    """Removes what is due in one data directory. May be used from any number of processes."""

    def __init__(
        self,
        directory: Path,
        open_store: Callable[[], Store],
        write: Write,
        catch_up: CatchUp,
        clock: Callable[[], datetime],
    ) -> None:
        """``open_store`` gives a connection for reading."""
        self._lock = directory / LOCK
        self._open_store = open_store
        self._write = write
        self._catch_up = catch_up
        self._now = clock
        self._looked: datetime | None = None
        self._had_model = False

    def tend(self, identity: ModelIdentity | None, progress: Progress) -> None:
        """Remove what is due, unless this process has looked within the hour or another one is at it;
        ``identity`` is the model in use, once it is loaded, which is a reason to look again.

        Raises:
            Stopped: ``progress`` asked for it; the rest is left for the next time.
        """
        now = self._now()
        is_model_new = identity is not None and not self._had_model
        if self._looked is not None and timedelta(0) <= now - self._looked < EVERY and not is_model_new:
            return
        self._looked, self._had_model = now, identity is not None
        with locked_if_free(self._lock) as held:
            if held:
                self._run(self._agreed(now), identity, progress, wait=False)

    def run(self, identity: ModelIdentity | None, progress: Progress = unwatched) -> list[Due]:
        """Remove what is due, now; returns what that was.

        Raises:
            Busy: another process is at it, and goes on for too long.
        """
        with locked(self._lock):
            return self._run(self._due(self._now()), identity, progress, wait=True)

    def _due(self, now: datetime) -> list[Due]:
        with contextlib.closing(self._open_store()) as store, store.snapshot():
            return upcoming(store, now)

    def _agreed(self, now: datetime) -> list[Due]:
        """What two looks at the clock agree on, of which this is one."""
        with contextlib.closing(self._open_store()) as store, store.snapshot():
            found, looks = upcoming(store, now), store.ages.looks()
            is_ahead = looks.latest is not None and now < looks.latest
            looked = looks.then(now) if found or is_ahead else looks
            before = upcoming(store, looked.before) if looked.before else []
        if looked != looks:
            with self._write(erase=False) as store:
                store.ages.set_looks(looked)
        agreed = {(one.number, one.action) for one in before}  # the reason may be another one
        return [one for one in found if (one.number, one.action) in agreed]

    def _run(
        self, found: Sequence[Due], identity: ModelIdentity | None, progress: Progress, *, wait: bool
    ) -> list[Due]:
        erases = any(one.action == "erase" for one in found)
        removed: list[Due] = []
        for start in range(0, len(found), BATCH):
            progress(start, len(found))
            is_last = start + BATCH >= len(found)  # then the file is written anew, once for all of them
            removed += self._remove(found[start : start + BATCH], erase=erases and is_last)
        self._catch_up.forget_erased(identity, wait=wait, progress=progress)
        return removed

    def _remove(self, batch: Sequence[Due], *, erase: bool) -> list[Due]:
        """Remove those that are still as they were when it was decided."""
        removed, now = list[Due](), self._now()
        with self._write(erase=erase) as store:
            there = store.by_ids([one.id for one in batch])
            for one in batch:
                memory = there.get(one.id)
                if memory is None or memory.seq != one.seq:
                    continue
                if one.action == "erase":
                    store.erase(memory)
                else:
                    store.update(replace(memory, deleted_at=now), now)
                removed.append(one)
        return removed
