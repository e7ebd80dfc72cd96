"""The job of taking something in: in batches, each one transaction, so that it can be interrupted at any
moment and begun anew; what is in already is recognized and changes nothing.

Rows come first and their embeddings after them, by the backlog, as everywhere: a memory is found by its words
at once, and an import that is interrupted while it embeds is complete all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sediment_mcp.domain.duplicates import both_tags, is_duplicate, merged, text_key
from sediment_mcp.domain.retention import Rule
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.tools import owner
from sediment_mcp.storage.sql import bulk
from sediment_mcp.system.progress import Progress, unwatched
from sediment_mcp.transfer.formats.sediment_jsonl import vectors_of
from sediment_mcp.transfer.prepare import Arrival, Choices, arrival
from sediment_mcp.transfer.records import Item, Problem, Record, RuleRecord
from sediment_mcp.transfer.sync import joined, settled, together

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.embeddings.protocols import ModelIdentity
    from sediment_mcp.storage.sql.memories import Store

BATCH = 200  # memories in one transaction: a tenth of a second for whoever else waits to write
ANOTHER_TEXT = "has the id of a memory here that says something else: take the id away to import it anew."


@dataclass(slots=True)
class Report:
    """What came of an import: memories ``imported``, ``updated`` (known, and changed by it), ``known`` (and
    left as they are), ``joined`` (current before, and now history of one that says the same). ``skipped`` and
    ``notes`` are (place, sentence)."""

    imported: int = 0
    updated: int = 0
    known: int = 0
    joined: int = 0
    rules: list[Rule] = field(default_factory=list[Rule])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    notes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    conflicts: list[str] = field(default_factory=list[str])

    def add(self, other: Report) -> None:
        self.imported += other.imported
        self.updated += other.updated
        self.known += other.known
        self.rules += other.rules
        self.skipped += other.skipped
        self.notes += other.notes


def take_in(
    library: Library,
    items: Iterable[Item],
    choices: Choices,
    report: Report,
    *,
    where: Callable[[], tuple[int, int]] = lambda: (0, 0),
    progress: Progress = unwatched,
) -> None:
    """Store what is new, join what is known, and say in ``report`` what was done and what could not be, batch
    by batch; ``where`` tells how far the reading is.

    Raises:
        NoProject: all shall belong to the project, and none is known.
        Stopped: ``progress`` asked for it; what is in ``report`` by then is on disk.
    """
    owner(choices.scope, choices.project)
    work = _Import(library, choices, report)
    for batch in _batches(items):
        work.write(batch)
        progress(*where())
    if not choices.dry:
        work.settle_links()
        work.join_twins()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


class _Import:
    """One import under way: ``seen`` are the ids that it has met, ``links`` what replaced them elsewhere."""

    def __init__(self, library: Library, choices: Choices, report: Report) -> None:
        self.library = library
        self.choices = choices
        self.report = report
        self.seen: set[str] = set()
        self.links: dict[str, str] = {}

    # --- batch by batch -----------------------------------------------------------------------

    def write(self, batch: Sequence[Item]) -> None:
        """Prepare without any lock, then write in one transaction; report only what is on disk then."""
        report = Report()
        arrivals = [one for item in batch if (one := self._prepared(item, report)) is not None]
        model = self._model(arrivals)
        with self._transaction() as store:
            here = store.by_ids([one.id for one in arrivals])
            for one in arrivals:
                self._file(store, here, one, model, report)
            self._set_rules(store, [item.rule for item in batch if isinstance(item, RuleRecord)], report)
        self.report.add(report)

    def _transaction(self) -> AbstractContextManager[Store]:
        return self.library.read() if self.choices.dry else self.library.write()

    def _prepared(self, item: Item, report: Report) -> Arrival | None:
        if isinstance(item, Problem):
            report.skipped.append((item.place, item.reason))
        if not isinstance(item, Record):
            return None
        try:
            return arrival(self.library, item, self.choices)
        except BadArgument as error:
            report.skipped.append((item.place, str(error)))
            return None

    def _model(self, arrivals: Sequence[Arrival]) -> ModelIdentity | None:
        """The model in use, if any of these may bring its embeddings."""
        has_vectors = any(one.exported and one.exported.vectors for one in arrivals)
        embedder = self.library.embedder() if has_vectors and not self.choices.dry else None
        return embedder.identity if embedder else None

    def _file(
        self, store: Store, here: dict[str, Memory], one: Arrival, model: ModelIdentity | None, report: Report
    ) -> None:
        """Find the place of one memory: known by its id, known by its text, or new."""
        existing = here.get(one.id)
        if existing is None and one.exported is None:
            existing = self._same_text(store, one)
        elif existing is not None and text_key(existing.content) != one.draft.text_key:
            report.skipped.append((one.place, ANOTHER_TEXT))
            return
        if existing is not None:
            self._join(store, here, existing, one, report)
        elif one.id in self.seen:  # only when nothing is written
            report.known += 1
        else:
            report.imported += 1
            report.notes += [(one.place, note) for note in one.notes]
            if not self.choices.dry:
                here[one.id] = self._add(store, one, model)
        self.seen.add(one.id)
        if one.draft.superseded_by is not None:
            self.links[one.id] = one.draft.superseded_by

    def _same_text(self, store: Store, one: Arrival) -> Memory | None:
        draft = one.draft
        for existing in store.with_text(draft.text_key, draft.kind, draft.project, draft.created_at):
            if is_duplicate(
                existing, session=draft.session, occurred_at=draft.occurred_at, now=draft.created_at
            ):
                return existing
        return None

    def _join(
        self, store: Store, here: dict[str, Memory], existing: Memory, one: Arrival, report: Report
    ) -> None:
        base = joined(existing, one.draft) if one.exported else existing
        memory = self._added_to(base, one)
        if memory == existing:
            report.known += 1
            return
        report.updated += 1
        if not self.choices.dry:
            store.update(memory, self.library.now() if memory != base else None)
            here[memory.id] = memory

    def _added_to(self, base: Memory, one: Arrival) -> Memory:
        """``base`` with the tags that the user wants on everything. Other programs do not say what was taken
        away, and when: what comes from them is added too, as where the same text is stored again."""
        if one.exported:
            return replace(base, tags=both_tags(base.tags, self.choices.tags))
        return merged(
            base,
            tags=one.draft.tags,
            metadata=one.draft.metadata,
            importance=one.draft.importance,
            occurred_at=one.occurred_at,
            expires_at=one.draft.expires_at,
        )

    def _add(self, store: Store, one: Arrival, model: ModelIdentity | None) -> Memory:
        memory, chunks = store.add(one.draft)
        vectors = vectors_of(one.exported, model) if one.exported and model else None
        if vectors and model:
            number = store.embeddings.register(model)
            store.embeddings.add(number, zip(chunks, vectors, strict=True))
        return memory

    def _set_rules(self, store: Store, rules: Sequence[Rule], report: Report) -> None:
        """Take over a rule where there is none of its kind or tag; what the user has said here stays."""
        own = {(rule.subject, rule.name) for rule in store.ages.rules()} if rules else set[object]()
        for rule in rules:
            if (rule.subject, rule.name) not in own:
                report.rules.append(rule)
                if not self.choices.dry:
                    store.ages.set_rule(rule)

    # --- at the end ---------------------------------------------------------------------------

    def settle_links(self) -> None:
        """Let what was replaced elsewhere be history here too."""
        with self.library.write() as store:
            links = bulk.links(store)
            rivals = {i: (links[i], new) for i, new in self.links.items() if links.get(i, new) != new}
            known = store.by_ids([identity for pair in rivals.values() for identity in pair])
            changes = settled(links, self.links, known)
            memories = store.by_ids(list(changes))
            for identity, memory in memories.items():
                store.update(replace(memory, superseded_by=changes[identity]))
            self.report.updated += len(memories)
            self._report_conflicts(store.by_ids([i for pair in rivals.values() for i in pair]), rivals)

    def _report_conflicts(self, known: dict[str, Memory], rivals: dict[str, tuple[str, str]]) -> None:
        for identity, (one, other) in rivals.items():
            both = [known.get(one), known.get(other)]
            if all(m is not None and m.superseded_by is None and m.deleted_at is None for m in both):
                self.report.conflicts.append(
                    f"{identity} was replaced by {one} here and by {other} there: both are current, "
                    "delete the one that is wrong or store a new one that replaces both."
                )

    def join_twins(self) -> None:
        """The same text, stored on two machines, has two ids: the older stays, the other becomes its history.
        Only looks at texts that the import has brought, so it may be repeated."""
        with self.library.write() as store:
            for ids in bulk.twins(store, self.library.now()):
                if not self.seen.isdisjoint(ids):
                    self._join_group(store, list(store.by_ids(ids).values()))

    def _join_group(self, store: Store, same: list[Memory]) -> None:
        eldest, *others = sorted(same, key=lambda memory: (memory.created_at, memory.id))
        whole = eldest
        for other in others:
            whole = together(whole, other)
            store.update(replace(other, superseded_by=eldest.id))
        if whole != eldest:
            store.update(whole)
        self.report.joined += len(others)
