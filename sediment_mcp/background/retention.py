"""Remove memories that are due: expired ones, old trash, and those due by the rules.

`domain.retention` decides, for a preview and for a run alike. One process does it at a time, an hour or more
apart in the background, and in batches, so that other writes do not wait for long and it can be stopped
between two batches. The background worker does not trust the clock at once, see `ClockReadings`; a user who
starts a run has seen what it removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.background.interval import Interval
from sediment_mcp.domain.retention import Removal, plan_removals
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.storage.protocols import MemoryStorage, ReadSession
from sediment_mcp.system.locks import locked, locked_if_free
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.tuning import Tuning

if TYPE_CHECKING:
    from sediment_mcp.indexes.indexer import Indexer

LOCK = "retention.lock"
LEASE = "retention"  # what the lock is between machines
CHECK_EVERY = timedelta(hours=1)  # between two checks of one process


def list_due(session: ReadSession, now: datetime) -> list[Removal]:
    """Return what a run would remove now; needs a session inside a read transaction."""
    rules = session.retention.rules()
    return plan_removals(session.retention.candidates(rules, now), rules, now)


class Retention:
    """Removes the memories that are due in one data directory.

    May be used from any number of processes.
    """

    def __init__(
        self,
        directory: Path,
        storage: MemoryStorage,
        indexer: Indexer,
        clock: Callable[[], datetime],
        tuning: Tuning,
        *,
        purge_queries: Callable[[Iterable[str]], None],
    ) -> None:
        """Keep what it works with; ``purge_queries`` is given the texts that were erased."""
        self._lock = directory / LOCK
        self._storage = storage
        self._indexer = indexer
        self._now = clock
        self._commit_every = tuning.retention_batch
        self._lock_timeout = tuning.lock_timeout
        self._interval = Interval(CHECK_EVERY)
        self._had_model = False
        self._purge_queries = purge_queries

    def run_if_due(self, model: ModelIdentity | None, progress: Progress) -> None:
        """Remove memories that are due, unless this process has checked within the hour.

        Nothing happens while another process is doing it.

        ``model`` is the one in use, once it is loaded, which is a reason to check again.

        Raises:
            Stopped: ``progress`` asked for it; the rest is left for the next time.
        """
        now = self._now()
        is_model_new = model is not None and not self._had_model
        if not self._interval.is_due(now) and not is_model_new:
            return
        self._interval.start(now)
        self._had_model = model is not None
        with locked_if_free(self._lock) as is_held:
            if is_held:
                found = self._confirm_due(now)
                with self._storage.lease(LEASE, now) if found else nullcontext(True) as is_ours:
                    if is_ours:
                        self._remove_all(found, model, progress, wait=False)

    def run(self, model: ModelIdentity | None, progress: Progress = ignore_progress) -> list[Removal]:
        """Remove the memories that are due now, and return what was removed.

        Raises:
            Busy: another process is doing the same for too long.
        """
        with locked(self._lock, self._lock_timeout):
            with self._storage.connect() as session, session.snapshot():
                found = list_due(session, self._now())
            return self._remove_all(found, model, progress, wait=True)

    def _confirm_due(self, now: datetime) -> list[Removal]:
        """Return the removals that are due by this clock reading and by an earlier one."""
        with self._storage.connect() as session, session.snapshot():
            found, readings = list_due(session, now), session.retention.readings()
            is_ahead = readings.latest is not None and now < readings.latest
            taken = readings.add(now) if found or is_ahead else readings
            before = list_due(session, taken.before) if taken.before else []
        if taken != readings:
            with self._storage.write() as writer:
                writer.retention.set_readings(taken)
        agreed = {(removal.memory_key, removal.action) for removal in before}  # the reason may differ
        return [removal for removal in found if (removal.memory_key, removal.action) in agreed]

    def _remove_all(
        self, found: Sequence[Removal], model: ModelIdentity | None, progress: Progress, *, wait: bool
    ) -> list[Removal]:
        erases = any(removal.action == "erase" for removal in found)
        removed: list[Removal] = []
        for start in range(0, len(found), self._commit_every):
            progress(start, len(found))
            is_last = start + self._commit_every >= len(
                found
            )  # then the file is rewritten, once for all batches
            removed += self._remove(
                found[start : start + self._commit_every], secure_erase=erases and is_last
            )
        self._indexer.purge_erased(model, wait=wait, progress=progress)
        return removed

    def _remove(self, batch: Sequence[Removal], *, secure_erase: bool) -> list[Removal]:
        """Remove the memories of a batch that have not changed since it was decided."""
        removed, erased, now = list[Removal](), list[str](), self._now()
        with self._storage.write(secure_erase=secure_erase) as writer:
            memories = writer.get([removal.memory_id for removal in batch])
            for removal in batch:
                memory = memories.get(removal.memory_id)
                if memory is None or memory.seq != removal.seq:
                    continue
                if removal.action == "erase":
                    writer.erase(memory)
                    erased.append(memory.content)
                else:
                    writer.update(replace(memory, deleted_at=now), now)
                removed.append(removal)
        if erased:
            self._purge_queries(erased)
        return removed
