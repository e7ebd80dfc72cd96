"""What keeps the memories of the servers under test, as the campaign sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .history import History
from .injuries import Injury
from .shim import Shim
from .slot import Common, Machine
from .versions import REPOSITORY


class Backend(Protocol):
    """A database, the machines whose servers use it, and the faults that it can have."""

    machines: Sequence[Machine]
    injuries: Mapping[str, Injury]
    """By name; those that cannot be done here are in ``skipped``, with the reason."""
    skipped: Mapping[str, str]
    longest_call: float
    """Seconds within which every call is answered, whatever happens."""
    shim: Shim | None
    """The system calls and the clock of the first machine."""

    def prepare(self, make_common: Callable[[Sequence[Machine], History], Common]) -> None:
        """Make what the injuries need, before any server of the campaign runs."""
        ...

    def read(self) -> AbstractContextManager[Any]:
        """Open a read session of the package."""
        ...

    def find_halves(self) -> Iterable[str]:
        """Name what is wrong in the database itself; nobody is writing."""
        ...

    def find_words(self, words: Sequence[str]) -> Mapping[str, set[str]]:
        """Name by word the places in which those of these words still are."""
        ...

    def remove(self) -> None:
        """End everything and remove all files."""
        ...


def variables_of_servers(model: bool, shim: Shim | None) -> dict[str, str]:
    """Return the environment in which a server of the campaign is started."""
    variables = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    variables |= shim.variables if shim else {}
    return variables | ({} if model else {"SEDIMENT_MODEL": "none"})
