"""The commands: what each says in its options, does through the operations, and shows to a person.

`options` is the grammar of all of them, `examples` what their help shows, `console` what they share,
`terminal` how a terminal is written to, `shown` how results look. Every other module is a group of commands,
imported when one of them runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..library import Library
    from .options import Chosen

COMMANDS = {
    "store": "tools.store",
    "query": "tools.query",
    "list": "tools.list_",
    "delete": "lifetime.delete",
    "restore": "lifetime.restore",
    "history": "lifetime.history",
    "revert": "lifetime.revert",
    "retention": "lifetime.retention",
    "stats": "stats.stats",
    "ui": "ui.ui",
    "export": "transfer.export",
    "import": "transfer.import_",
    "backup": "backups.backup",
    "restore-backup": "backups.restore_backup",
    "doctor": "doctor.doctor",
    "reindex": "doctor.reindex",
    "install": "install.install",
    "guidance": "guidance.guidance",
    "completions": "completions.completions",
}
"""Command → the function that runs it."""


def run(chosen: Chosen, library: Library) -> int:
    """Run the chosen command, anything but `serve`; returns the exit status."""
    module, _, function = COMMANDS[chosen.command].partition(".")
    status: int = getattr(import_module(f".{module}", __name__), function)(chosen, library)
    return status
