"""What an import has done, and what it could not do."""

from __future__ import annotations

from dataclasses import dataclass, field

from sediment_mcp.domain.retention import Rule


@dataclass(slots=True)
class ImportReport:
    """What an import has done.

    Attributes:
        imported: number of memories that are new.
        updated: number of memories that were known, and changed by it.
        known: number of memories that were known, and left unchanged.
        merged: number of memories that were current, and are now history of one that says the same.
        rules: retention rules that were taken over.
        rules_left: number of retention rules that were not, because nobody asked for them.
        skipped: (location, sentence) of what could not be imported.
        notes: (location, sentence) of what was changed to fit.
        conflicts: sentences on memories that two machines replaced differently.
    """

    imported: int = 0
    updated: int = 0
    known: int = 0
    merged: int = 0
    rules: list[Rule] = field(default_factory=list[Rule])
    rules_left: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    notes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    conflicts: list[str] = field(default_factory=list[str])

    @property
    def is_failure(self) -> bool:
        """Whether there was something to import, and nothing of it could be taken."""
        taken = self.imported + self.updated + self.known + self.merged + len(self.rules)
        return bool(self.skipped) and not taken

    def add(self, batch: ImportReport) -> None:
        """Add what one batch has done."""
        self.imported += batch.imported
        self.updated += batch.updated
        self.known += batch.known
        self.rules += batch.rules
        self.rules_left += batch.rules_left
        self.skipped += batch.skipped
        self.notes += batch.notes
