"""What of the calls is recorded, and how reads are: in batches, off the answering path.

A change and its entry are in one transaction (`storage.sql.audit`). An answer waits for no entry: those of
reads are kept in memory for some seconds and written together, so that a process that is killed loses the
last of them. When too many wait, the call that adds one more writes them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sediment_mcp.background.interval import Interval
from sediment_mcp.config import TENANTS, Audit, Config
from sediment_mcp.domain.audit import Action, AuditEntry
from sediment_mcp.domain.caller import LOCAL, current_caller
from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sqlite.tokens import ACCESS_FILE
from sediment_mcp.system.progress import Progress

if TYPE_CHECKING:
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.storage.protocols import MemoryStorage, WriteSession

MAX_WAITING = 1000  # entries of reads in memory; one more, and they are written at once
WRITE_EVERY = 5.0  # seconds between two batches
CHECK_EVERY = timedelta(hours=1)  # between two looks for entries that are too old

logger = logging.getLogger(__name__)


class AuditPolicy:
    """What is recorded of a call: what is configured, else what befits who calls.

    Without a setting everything but texts is recorded of callers who have signed in, the changes of the local
    user where others can sign in too, and nothing where there is only one user.
    """

    def __init__(self, config: Config, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._now = clock

    def change_time(self) -> datetime | None:
        """Return the time to record a change with now, or None if none is recorded."""
        return None if self._level() == "off" else self._now()

    @property
    def records_reads(self) -> bool:
        """Whether it is recorded now which memories a call has been shown."""
        return self._level() in ("all", "texts")

    @property
    def records_texts(self) -> bool:
        """Whether the texts of queries are recorded."""
        return self._level() == "texts"

    def _level(self) -> Audit:
        if self._config.audit:
            return self._config.audit
        if current_caller() is not None:
            return "all"
        return "changes" if self._is_shared() else "off"

    def _is_shared(self) -> bool:
        directory = self._config.data_dir
        return bool(self._config.database) or any(
            (directory / name).exists() for name in (ACCESS_FILE, TENANTS)
        )


class ReadAudit:
    """The entries of reads of one process and tenant; may be used from any thread."""

    def __init__(
        self, policy: AuditPolicy, storage: MemoryStorage, clock: Callable[[], datetime], kept_days: int
    ) -> None:
        self._policy = policy
        self._storage = storage
        self._now = clock
        self._kept = timedelta(days=kept_days)
        self._guard = threading.Lock()
        self._waiting: list[AuditEntry] = []
        self._written_at = float("-inf")
        self._seen_seq: int | None = None  # what was erased later may be what a text that waits tells of
        self._age_check = Interval(CHECK_EVERY)

    def note(self, action: Action, memory_ids: Iterable[str], text: str | None = None) -> None:
        """Note which memories a call has been shown; ``text`` is that of a query."""
        if not self._policy.records_reads:
            return
        caller = current_caller()
        name = caller.name if caller else LOCAL
        kept_text = text if self._policy.records_texts else None
        if kept_text is not None and self._seen_seq is None:
            with self._storage.read() as session:
                self._seen_seq = session.changes.seq()
        with self._guard:
            self._waiting.append(AuditEntry(self._now(), name, action, tuple(memory_ids), kept_text))
            is_full = len(self._waiting) > MAX_WAITING
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Write what waits; a failure is logged, and what is not too much is tried again later.

        If anything was erased for good in the meantime, the texts are left out.
        """
        with self._guard:
            batch, self._waiting = self._waiting, []
            self._written_at = time.monotonic()
        if not batch:
            return
        try:
            with self._storage.write() as session:
                if self._seen_seq is not None and session.changes.has_erased_since(self._seen_seq):
                    batch = [replace(entry, text=None) for entry in batch]
                session.audit.add(batch)
                self._seen_seq = session.changes.seq()
        except StorageError as error:
            with self._guard:
                self._waiting = [*batch, *self._waiting][-MAX_WAITING:]
            logger.warning("Who asked for what could not be recorded: %s", error)

    def run(self, progress: Progress) -> None:
        """Write what has waited for some seconds, and remove entries that are too old."""
        if time.monotonic() - self._written_at >= WRITE_EVERY:
            self.flush()
        now = self._now()
        if not self._age_check.is_due(now):
            return
        self._age_check.start(now)
        with self._storage.read() as session:
            is_due = session.audit.is_older_than(now - self._kept)
        if is_due:
            with self._storage.write() as writer:
                writer.audit.drop_before(now - self._kept)


def forget_queries_about(session: WriteSession, erased: Sequence[Memory]) -> None:
    """Forget the texts of audited queries that share a word with what is erased, or were answered by it.

    Who asked, when, and for which ids stays: an id tells nothing of a text. One text too many may go.
    """
    asked = session.audit.texts()
    if not asked:
        return
    from sediment_mcp.search.unanswered_queries import find_about

    ids = {memory.id for memory in erased}
    about = find_about([text for _, _, text in asked], [memory.content for memory in erased])
    session.audit.clear_texts(
        [number for number, shown, text in asked if text in about or not ids.isdisjoint(shown)]
    )
