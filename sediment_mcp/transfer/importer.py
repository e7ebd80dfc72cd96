"""Import items in batches, each one transaction.

An import can be interrupted at any moment and repeated: what is stored already is recognized and changes
nothing. Rows come first and their embeddings after them, by the embedding queue: a memory is found by its
words at once, and an import that is interrupted while it embeds is complete all the same.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sediment_mcp.domain.captured import is_captured, release
from sediment_mcp.domain.duplicates import add_repetition, fold_text, is_same_text
from sediment_mcp.domain.merging import append_tags, combine
from sediment_mcp.domain.retention import Rule
from sediment_mcp.domain.version_links import is_restored_since, resolve_links
from sediment_mcp.errors import BadArgument, SedimentError
from sediment_mcp.operations.projects import open_project
from sediment_mcp.operations.store_memory import find_duplicate, owner_of
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.transfer.import_embeddings import add_embeddings
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.prepare import ImportOptions, PreparedMemory, prepare_memory, rename_erased
from sediment_mcp.transfer.records import Item, MemoryRecord, Note, Problem, RuleRecord, split_into_batches

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.embeddings.protocols import Embedder
    from sediment_mcp.storage.protocols import ReadSession, WriteSession

logger = logging.getLogger(__name__)

COMMIT_EVERY = 200  # items; writing them takes a tenth of a second, for which other writers wait
ANOTHER_TEXT = "has the id of a memory here that says something else: take the id away to import it anew."


def import_memories(
    app: Application,
    items: Iterable[Item],
    options: ImportOptions,
    report: ImportReport,
    *,
    position: Callable[[], tuple[int, int]] = lambda: (0, 0),
    progress: Progress = ignore_progress,
    commit_every: int = COMMIT_EVERY,
    is_part: bool = False,
) -> None:
    """Store what is new, update what is known, and add to ``report`` after each batch.

    ``position`` returns (done, total) of the reading; ``commit_every`` is the number of items in a batch.
    ``is_part`` says that more comes later of what supersedes nothing, so that only new rows are written.

    Raises:
        NoProject: all shall belong to the project, and none is known.
        Stopped: ``progress`` asked for it; what is in ``report`` by then is on disk.
    """
    open_project(app, owner_of(options.scope, options.project), is_storing=not options.dry_run)
    importer = _Importer(app, options, report)
    for batch in split_into_batches(items, commit_every):
        importer.import_safely(batch)
        progress(*position())
    progress(*position())  # the last items may have been read after the last batch was full
    if not (options.dry_run or is_part):
        with app.storage.write() as session:
            importer.apply_links(session)
        with app.storage.write() as session:
            importer.merge_duplicates(session)


def take_over(
    app: Application,
    session: WriteSession,
    memories: Sequence[PreparedMemory],
    embedder: Embedder | None,
    report: ImportReport,
) -> None:
    """Import memories of the same person's other device in an open transaction.

    Those that say the same are not merged: see `merge_repeated`.
    """
    importer = _Importer(app, ImportOptions(trusted=True), report)
    importer.write(session, session, memories, embedder, report)
    importer.apply_links(session)


def merge_repeated(
    app: Application, session: WriteSession, memory_ids: Iterable[str], report: ImportReport
) -> None:
    """Merge the memories that say what one of these says, as an import does at its end."""
    importer = _Importer(app, ImportOptions(trusted=True), report)
    importer.seen.update(memory_ids)
    importer.merge_duplicates(session)


def _describe_fault(error: Exception) -> str:
    return f"cannot be imported ({type(error).__name__})."


@dataclass(slots=True)
class _Batch:
    """One transaction.

    Attributes:
        session: what is read from.
        writer: what is written to; None in a dry run.
        known: memories that are stored, by id.
        report: what is done once the transaction is on disk.
    """

    session: ReadSession
    writer: WriteSession | None
    known: dict[str, Memory]
    embedder: Embedder | None
    report: ImportReport


class _Importer:
    """One import under way.

    Attributes:
        seen: ids that were imported so far.
        links: memory id -> id of what superseded it elsewhere.
    """

    def __init__(self, app: Application, options: ImportOptions, report: ImportReport) -> None:
        self.app = app
        self.options = options
        self.report = report
        self.seen: set[str] = set()
        self.links: dict[str, str] = {}

    # --- batch by batch -----------------------------------------------------------------------

    def import_safely(self, items: Sequence[Item]) -> None:
        """Import a batch; if an item of it fails unforeseen, the others one by one."""
        try:
            self.import_batch(items)
        except SedimentError:
            raise
        except Exception as error:
            if len(items) > 1:
                for item in items:
                    self.import_safely([item])
            else:
                logger.debug("An item could not be imported", exc_info=True)
                self.report.skipped.append((items[0].location, _describe_fault(error)))

    def import_batch(self, items: Sequence[Item]) -> None:
        """Prepare without any lock, then write in one transaction; report only what is on disk then."""
        report = ImportReport()
        prepared = self._prepare(items, report)
        embedder = self._find_model(prepared)
        with self._open_sessions() as (session, writer):
            if session.is_synced:  # other devices would not take over what they have erased
                erased_ids = session.erased_ids()
                prepared = [rename_erased(memory, erased_ids) for memory in prepared]
            batch = self.write(session, writer, prepared, embedder, report)
            self._import_rules(batch, [item.rule for item in items if isinstance(item, RuleRecord)])
        self.report.add(report)

    def write(
        self,
        session: ReadSession,
        writer: WriteSession | None,
        prepared: Sequence[PreparedMemory],
        embedder: Embedder | None,
        report: ImportReport,
    ) -> _Batch:
        """Import prepared memories in the transaction of these sessions."""
        known = session.get([memory_id for memory in prepared for memory_id in _list_ids(memory)])
        batch = _Batch(session, writer, known, embedder, report)
        for memory in prepared:
            self._import_memory(batch, memory)
        if writer is not None and embedder is not None:
            add_embeddings(writer, embedder, batch.known, prepared)
        return batch

    @contextmanager
    def _open_sessions(self) -> Generator[tuple[ReadSession, WriteSession | None]]:
        """Open a session to read from, and one to write to unless this is a dry run."""
        if self.options.dry_run:
            with self.app.storage.read() as session:
                yield session, None
        else:
            with self.app.storage.write() as writer:
                yield writer, writer

    def _prepare(self, items: Iterable[Item], report: ImportReport) -> list[PreparedMemory]:
        prepared: list[PreparedMemory] = []
        for item in items:
            if isinstance(item, Problem):
                report.skipped.append((item.location, item.reason))
            elif isinstance(item, Note):
                report.notes.append((item.location, item.text))
            elif isinstance(item, MemoryRecord):
                try:
                    prepared.append(prepare_memory(self.app, item, self.options))
                except BadArgument as error:
                    report.skipped.append((item.location, str(error)))
                except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
                    report.skipped.append((item.location, _describe_fault(error)))
        return prepared

    def _find_model(self, prepared: Iterable[PreparedMemory]) -> Embedder | None:
        """Return the model in use, if any of these may bring its embeddings."""
        has_vectors = any(memory.exported and memory.exported.vectors for memory in prepared)
        return self.app.model.get() if has_vectors and not self.options.dry_run else None

    def _import_memory(self, batch: _Batch, incoming: PreparedMemory) -> None:
        existing = _find_known(batch.known, incoming)
        if existing is None and incoming.exported is None and not incoming.is_turn:
            existing = find_duplicate(batch.session, incoming.memory, incoming.memory.occurred_at)
        if existing is not None and incoming.is_turn:
            self._update_turn(batch, existing, incoming)
            return
        if existing is not None and not is_same_text(existing.content, incoming.memory.content):
            batch.report.skipped.append((incoming.location, ANOTHER_TEXT))
            return
        if existing is not None:
            self._update(batch, existing, incoming)
        elif incoming.id in self.seen:  # only in a dry run, which stores nothing
            batch.report.known += 1
        else:
            self._add(batch, incoming)
        self.seen.add(incoming.id)
        successor = incoming.memory.superseded_by
        if successor is not None and not (existing and is_restored_since(existing, incoming.memory)):
            self.links[incoming.id] = successor

    def _update(self, batch: _Batch, existing: Memory, incoming: PreparedMemory) -> None:
        changed = incoming.memory
        if not self.options.trusted and changed.importance < existing.importance:
            changed = replace(changed, importance=existing.importance)
        latest = combine(existing, changed, precedence="newest") if incoming.exported else existing
        if incoming.exported and is_restored_since(changed, existing):
            latest = replace(latest, superseded_by=None)
        memory = self._add_attributes(latest, incoming)
        if memory == existing:
            batch.report.known += 1
            return
        batch.report.updated += 1
        if batch.writer is not None:
            batch.writer.update(memory, self.app.now() if memory != latest else None)
            batch.known[memory.id] = memory

    def _update_turn(self, batch: _Batch, existing: Memory, incoming: PreparedMemory) -> None:
        """Leave a known turn as the user has it, unless it was captured and is imported now.

        An import is there to keep it, so it loses what lets it end.
        """
        self.seen.add(incoming.id)
        is_wanted = not is_captured(incoming.memory) and existing.state(self.app.now()) == "live"
        if not (is_captured(existing) and is_wanted):
            batch.report.known += 1
            return
        batch.report.updated += 1
        if batch.writer is not None:
            memory = release(existing, incoming.memory.tags)
            batch.writer.update(memory, self.app.now())
            batch.known[memory.id] = memory

    def _add_attributes(self, memory: Memory, incoming: PreparedMemory) -> Memory:
        """Add the tags that the user wants on everything, and what another program says.

        Other programs do not say what was removed, and when: so what comes from them is only added, as where
        the same text is stored again.
        """
        if incoming.exported:
            return replace(memory, tags=append_tags(memory.tags, self.options.tags))
        return add_repetition(memory, incoming.memory, incoming.occurred_at)

    def _add(self, batch: _Batch, incoming: PreparedMemory) -> None:
        batch.report.imported += 1
        batch.report.notes += [(incoming.location, note) for note in incoming.notes]
        if batch.writer is None:
            return
        batch.known[incoming.id] = batch.writer.add(incoming.memory).memory

    def _import_rules(self, batch: _Batch, rules: Sequence[Rule]) -> None:
        """Take over each rule whose kind or tag has none; what the user has set here stays.

        A rule deletes what the user has stored, so none comes from a file unless it is asked for.
        """
        if not self.options.rules:
            batch.report.rules_left += len(rules)
            return
        stored = batch.session.retention.rules() if rules else []
        own = {(rule.subject, rule.folded_name) for rule in stored}
        for rule in rules:
            if (rule.subject, rule.folded_name) not in own:
                batch.report.rules.append(rule)
                if batch.writer is not None:
                    batch.writer.retention.set_rule(rule, self.app.now())

    # --- at the end ---------------------------------------------------------------------------

    def apply_links(self, session: WriteSession) -> None:
        """Supersede here the memories that were superseded elsewhere."""
        links = session.bulk.successors()
        rivals = {
            memory_id: (links[memory_id], new)
            for memory_id, new in self.links.items()
            if links.get(memory_id, new) != new
        }
        rival_ids = [memory_id for pair in rivals.values() for memory_id in pair]
        changes = resolve_links(links, self.links, session.get(rival_ids))
        memories = session.get(list(changes))
        for memory_id, memory in memories.items():
            session.update(replace(memory, superseded_by=changes[memory_id]))
        self.report.updated += len(memories)
        self._report_conflicts(session.get(rival_ids), rivals)

    def _report_conflicts(self, known: dict[str, Memory], rivals: dict[str, tuple[str, str]]) -> None:
        for memory_id, (local, remote) in rivals.items():
            both = [known.get(local), known.get(remote)]
            if all(m is not None and m.superseded_by is None and m.deleted_at is None for m in both):
                self.report.conflicts.append(
                    f"{memory_id} was replaced by {local} here and by {remote} there: both are current, "
                    "delete the one that is wrong or store a new one that replaces both."
                )

    def merge_duplicates(self, session: WriteSession) -> None:
        """Merge memories of the same text that two machines have stored under two ids.

        The oldest stays, the others become its history. Only texts that the import has brought are looked at,
        so it may be repeated.
        """
        for ids in session.bulk.repeated_ids(self.app.now()):
            if not self.seen.isdisjoint(ids):
                for same in _group_by_text(session.get(ids).values()):
                    self._merge_group(session, same)

    def _merge_group(self, session: WriteSession, same: list[Memory]) -> None:
        oldest, *others = sorted(same, key=lambda memory: (memory.created_at, memory.id))
        combined = oldest
        for other in others:
            combined = combine(combined, other, precedence="symmetric")
            session.update(replace(other, superseded_by=oldest.id))
        if combined != oldest:
            session.update(combined)
        self.report.merged += len(others)


def _list_ids(memory: PreparedMemory) -> list[str]:
    return [memory.id] if memory.former_id is None else [memory.id, memory.former_id]


def _find_known(known: Mapping[str, Memory], incoming: PreparedMemory) -> Memory | None:
    """Return the memory that has the id, or that had its text imported by an earlier version."""
    former = known.get(incoming.former_id or "")
    if incoming.id not in known and former and is_same_text(former.content, incoming.memory.content):
        return former
    return known.get(incoming.id)


def _group_by_text(memories: Iterable[Memory]) -> list[list[Memory]]:
    groups: dict[str, list[Memory]] = defaultdict(list)
    for memory in memories:
        groups[fold_text(memory.content)].append(memory)
    return list(groups.values())
