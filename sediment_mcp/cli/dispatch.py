"""The commands: what each says in its options, does through the operations, and shows to a person.

`options` is the grammar of all of them, `examples` what their help shows, `console` what they share,
`terminal` how a terminal is written to, `shown` how results look. Every other module is a group of commands,
imported when one of them runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen

COMMANDS = {
    "store": "memory.store",
    "query": "memory.query",
    "list": "memory.list_",
    "delete": "lifecycle.delete",
    "restore": "lifecycle.restore",
    "history": "lifecycle.history",
    "revert": "lifecycle.revert",
    "retention": "lifecycle.retention",
    "stats": "stats.stats",
    "ui": "web.ui",
    "export": "transfer.export",
    "import": "transfer.import_",
    "backup": "backup.backup",
    "restore-backup": "backup.restore_backup",
    "doctor": "doctor.doctor",
    "reindex": "doctor.reindex",
    "install": "install.install",
    "guidance": "agents.guidance",
    "completions": "completions.completions",
}
"""Command → the function that runs it."""


def run(chosen: Chosen, library: Library) -> int:
    """Run the chosen command, anything but `serve`; returns the exit status."""
    module, _, function = COMMANDS[chosen.command].rpartition(".")
    status: int = getattr(import_module(f".commands.{module}", __package__), function)(chosen, library)
    return status
