"""Add to the own log what the other devices lack, and rewrite it where that is due."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sediment_mcp.sync import compaction, digests
from sediment_mcp.sync.compaction import MEMORIES_PER_FILE
from sediment_mcp.sync.digests import State
from sediment_mcp.sync.folder import is_complete
from sediment_mcp.sync.log_file import Extras, format_head
from sediment_mcp.sync.project_pairs import list_project_pairs
from sediment_mcp.transfer.exporter import READ_AT_ONCE, format_memories
from sediment_mcp.transfer.records import ALL_MEMORIES, split_into_batches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sediment_mcp.app import Application
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.embeddings.protocols import Embedder
    from sediment_mcp.storage.sqlite.session import SqliteSession
    from sediment_mcp.sync.own_log import OwnLog, WrittenFile
    from sediment_mcp.sync.project_identity import ProjectNames
    from sediment_mcp.sync.report import SyncReport
    from sediment_mcp.system.progress import Progress


@dataclass(slots=True)
class _Written:
    """Finished files without names, and what they hold: (item, digest, number of the file)."""

    files: list[WrittenFile] = field(default_factory=list["WrittenFile"])
    states: list[tuple[str, bytes, int]] = field(default_factory=list[tuple[str, bytes, int]])


class Giving:
    """One pass that writes to the own log."""

    def __init__(
        self, app: Application, log: OwnLog, names: ProjectNames, report: SyncReport, progress: Progress
    ) -> None:
        self._app = app
        self._log = log
        self._names = names
        self._report = report
        self._progress = progress
        self._embedder: Embedder | None = None

    def run(self) -> None:
        """Write what is new, or everything if the own log is not whole.

        Raises:
            Stopped: the progress asked for it; what was written by then is whole.
        """
        before = self._log.number
        self._date_rules()
        if is_complete(self._log.files(), self._log.number):
            self._add()
            self._compact()
        else:
            self._write_all()
        if self._log.number != before or not self._log.has_about:
            self._log.write_about()

    def _date_rules(self) -> None:
        with self._app.file.read() as session:
            is_due = bool(session.retention.undated())
        if is_due:
            with self._app.file.write() as session:
                session.retention.date_changes(self._app.now())

    # --- what is new ------------------------------------------------------------------------------

    def _add(self) -> None:
        """Add files with what no log holds yet."""
        with self._app.file.read() as session:
            seq = session.changes.seq()
            extras, states = _find_new_extras(session)
            if seq == self._log.given_seq and not extras:
                return
            new = self._find_new(session, session.changes.memories_since(self._log.given_seq))
            is_first = True
            for memories in split_into_batches(new, MEMORIES_PER_FILE):
                self._add_file(
                    session, memories, extras if is_first else Extras(), states if is_first else []
                )
                is_first = False
            if is_first and extras:
                self._add_file(session, [], extras, states)
        if seq != self._log.given_seq:
            self._log.note_seq(seq)

    def _add_file(
        self, session: SqliteSession, memories: Sequence[Memory], extras: Extras, states: Sequence[State]
    ) -> None:
        number = self._log.number + 1
        lines = format_head(self._log.settings.device, number, number, self._app.now(), extras)
        written = self._log.write(number, number, [*lines, *self._format(session, memories)])
        note = [(memory.id, digests.digest_memory(memory), number) for memory in memories]
        note += [(item, digest, 0) for item, digest in states]
        self._log.commit([written], number, note=note, erased=extras.erased)
        self._report.given += len(memories)

    def _find_new(self, session: SqliteSession, memories: Iterable[Memory]) -> Iterator[Memory]:
        """Yield those of the memories of which no log holds this state."""
        erased = session.erased_ids()
        done, total = 0, session.changes.count_memories()
        for batch in split_into_batches(memories, READ_AT_ONCE):
            known = session.sync.digests([memory.id for memory in batch])
            for memory in batch:
                if memory.id not in erased and known.get(memory.id) != digests.digest_memory(memory):
                    yield memory
            done += len(batch)
            self._progress(min(done, total), total)

    def _format(self, session: SqliteSession, memories: Sequence[Memory]) -> Iterator[str]:
        embedder = self._find_model() if memories else None
        for batch in split_into_batches(memories, READ_AT_ONCE):
            shared = [
                replace(memory, project=memory.project and self._names.to_shared(memory.project))
                for memory in batch
            ]
            yield from format_memories(session, shared, embedder)

    def _find_model(self) -> Embedder | None:
        if self._embedder is None:
            self._embedder = self._app.model.get()
        return self._embedder

    # --- everything anew --------------------------------------------------------------------------

    def _write_all(self) -> None:
        """Write a log of all that is here, in the place of what is left of it."""
        files, first, number = self._log.files(), 1, self._log.number + 1
        written = _Written()
        try:
            with self._app.file.read() as session:
                seq = session.changes.seq()
                extras, states = _list_extras(session)
                memories = session.bulk.memories(ALL_MEMORIES, include_deleted=True)
                new = self._find_new(session, memories)
                for batch in split_into_batches(new, MEMORIES_PER_FILE):
                    self._write(session, written, (first, number), batch, Extras())
                    first, number = number + 1, number + 1
                self._write(session, written, (first, number), [], extras)
        except BaseException:
            self._log.discard(written.files)
            raise
        note = [*written.states, *((item, digest, 0) for item, digest in states)]
        names = [file.path.name for file in files]
        self._log.commit(
            written.files, number, note=note, erased=extras.erased, replaced=names, given_seq=seq
        )
        self._report.given += len(written.states)

    def _write(
        self,
        session: SqliteSession,
        written: _Written,
        numbers: tuple[int, int],
        memories: Sequence[Memory],
        extras: Extras,
    ) -> None:
        first, last = numbers
        lines = format_head(self._log.settings.device, first, last, self._app.now(), extras)
        written.files.append(self._log.write(first, last, [*lines, *self._format(session, memories)]))
        written.states += [(memory.id, digests.digest_memory(memory), last) for memory in memories]

    # --- compaction -------------------------------------------------------------------------------

    def _compact(self) -> None:
        """Rewrite files if one holds what was erased, or if there are too many."""
        files = self._log.files()
        with self._app.file.read() as session:
            purged = session.sync.erased_given()
            if not purged and len(files) <= compaction.MAX_FILES:
                return
            given = _Given(session.sync.given(), set(purged))
        must_go = compaction.find_holding(files, purged, self._log.settings.identity)
        number = self._log.number + 1
        counts = [len(given.between(file.first, file.last)) for file in files]
        rewrites = compaction.plan(files, counts, must_go, number)
        if not purged and not compaction.is_worthwhile(files, rewrites):
            return
        written = _Written()
        try:
            with self._app.file.read() as session:
                extras, states = _list_extras(session)
                for rewrite in rewrites:
                    found = session.get(given.between(rewrite.first, rewrite.last))
                    rest = extras if rewrite is rewrites[-1] else Extras()
                    numbers = rewrite.first, rewrite.last
                    self._write(session, written, numbers, list(found.values()), rest)
                    self._progress(len(written.files), len(rewrites))
        except BaseException:
            self._log.discard(written.files)
            raise
        replaced = [file.path.name for rewrite in rewrites for file in rewrite.replaced]
        self._log.commit(
            written.files,
            number,
            note=[(item, digest, 0) for item, digest in states],
            erased=extras.erased,
            purged=purged,
            replaced=replaced,
        )


class _Given:
    """The memories that the own log holds, by the numbers of its files."""

    def __init__(self, rows: Iterator[tuple[str, int]], without: set[str]) -> None:
        rest = [(item, number) for item, number in rows if item not in without]
        self._items = [item for item, _ in rest]
        self._numbers = [number for _, number in rest]

    def between(self, first: int, last: int) -> list[str]:
        """Return the ids in files with these numbers."""
        return self._items[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]


def _list_extras(session: SqliteSession) -> tuple[Extras, list[State]]:
    """Return all that is no memory, and the states of it."""
    extras = Extras(
        erased=tuple(sorted(session.erased_ids())),
        rules=tuple(session.retention.changes()),
        kept_pairs=tuple(session.kept_pairs.list_all()),
        projects=tuple(list_project_pairs(session)),
    )
    states = [(digests.name_rule(change), digests.digest_rule(change)) for change in extras.rules]
    states += [(digests.name_kept_pair(pair), digests.digest_kept_pair(pair)) for pair in extras.kept_pairs]
    states += [
        (digests.name_project_pair(pair), digests.digest_project_pair(pair)) for pair in extras.projects
    ]
    return extras, states


def _find_new_extras(session: SqliteSession) -> tuple[Extras, list[State]]:
    """Return what is no memory and what no log holds, and the states of it."""
    extras, states = _list_extras(session)
    known = session.sync.digests([item for item, _ in states])
    new = {item for item, digest in states if known.get(item) != digest}
    fresh = Extras(
        erased=tuple(session.sync.ungiven_erased()),
        rules=tuple(change for change in extras.rules if digests.name_rule(change) in new),
        kept_pairs=tuple(pair for pair in extras.kept_pairs if digests.name_kept_pair(pair) in new),
        projects=tuple(pair for pair in extras.projects if digests.name_project_pair(pair) in new),
    )
    return fresh, [(item, digest) for item, digest in states if item in new]
