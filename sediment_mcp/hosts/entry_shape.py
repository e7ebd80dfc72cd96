"""Entry shapes: the names that a host has for the parts of a command.

Everywhere else an entry has the common form (``command``, ``args``, ``env``), in which entries are compared
and merged; a shape translates it when an entry is read from a host's file or written into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sediment_mcp.hosts.jsonc import to_object

COMMAND, ARGUMENTS, ENVIRONMENT = "command", "args", "env"
"""The fields of the common form."""


@dataclass(frozen=True, slots=True)
class EntryShape:
    """The names of the fields that hold a command in a host's entries."""

    command: str = COMMAND
    arguments: str = ARGUMENTS
    """Where it is empty, the command is a list of the program and its arguments."""
    environment: str = ENVIRONMENT

    def write(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry of the common form as the host has it."""
        names = {COMMAND: self.command, ARGUMENTS: self.arguments, ENVIRONMENT: self.environment}
        written = {names.get(name, name): value for name, value in entry.items()}
        if not self.arguments and COMMAND in entry:
            written[self.command] = [entry[COMMAND], *written.pop("", [])]
        return written

    def read(self, entry: Any) -> Any:
        """Return a host's entry in the common form; one that is no object as it is."""
        found = to_object(entry)
        if found is None:
            return entry
        names = {self.command: COMMAND, self.arguments: ARGUMENTS, self.environment: ENVIRONMENT}
        common: dict[str, Any] = {}
        for name, value in found.items():
            common[names.get(name, name)] = value
            if not self.arguments and name == self.command and isinstance(value, list) and value:
                common[COMMAND], *common[ARGUMENTS] = cast("list[Any]", value)
        return common


COMMON_SHAPE = EntryShape()
"""That of most hosts."""
