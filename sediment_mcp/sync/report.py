"""What a synchronization has done."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class SyncReport:
    """What a synchronization has done.

    Attributes:
        taken: number of memories that were added or changed here.
        given: number of memories that were written for the others.
        erased: number of memories that were erased here, because another device has erased them.
        rules: number of retention rules that were changed here.
        kept_pairs: number of kept pairs that were added here.
        waiting: (device, why its next file cannot be taken over yet).
        new_name: the name that this device had to take, because its folder was another's; None: it has kept
            its own.
    """

    taken: int = 0
    given: int = 0
    erased: int = 0
    rules: int = 0
    kept_pairs: int = 0
    waiting: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    new_name: str | None = None

    @property
    def has_changes(self) -> bool:
        """Whether anything was taken or given."""
        return bool(self.taken or self.given or self.erased or self.rules or self.kept_pairs)
