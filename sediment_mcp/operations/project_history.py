"""What tells the git histories of projects apart, kept in a file of the data directory.

So a project whose folder was renamed, moved or cloned anew can be recognised at its new path. The file holds
paths and hashes, no addresses. Nothing depends on it: it can be deleted at any time, and a project that
cannot be recognised can still be moved by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sediment_mcp.system.files import read_record, write_record
from sediment_mcp.system.git_repository import read_history

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

FILE = "projects.json"
MAX_MARKS = 16  # kept of one project; git drops old entries of its logs, so that a project gets new ones


def record_project(app: Application, project: str) -> None:
    """Record what tells the project's git history from others, unless that is recorded already.

    Projects without memories are dropped from the file meanwhile.

    Raises:
        OSError: the file cannot be written.
    """
    found = sorted(read_history(Path(project)).marks)
    path = app.config.store_dir / FILE
    recorded = _read_marks(path, app.encryption)
    known = recorded.get(project, [])
    if set(found) <= set(known):
        return
    with app.storage.read() as session:
        stored = session.statistics.all_by_project()
    kept = {name: marks for name, marks in recorded.items() if name in stored}
    kept[project] = [*(mark for mark in known if mark not in found), *found][-MAX_MARKS:]
    write_record(path, {"projects": kept}, app.encryption)


def find_moved_project(app: Application, project: str, others: Sequence[str]) -> str | None:
    """Return which of ``others`` has the project's git history and no folder any more.

    ``others`` are projects with memories, the largest first.
    """
    gone = [name for name in others if os.path.isabs(name) and not os.path.isdir(name)]
    if not gone:
        return None
    history = read_history(Path(project))
    recorded = _read_marks(app.config.store_dir / FILE, app.encryption)

    def is_same(name: str) -> bool:
        return name == history.source or not history.marks.isdisjoint(recorded.get(name, ()))

    return next(filter(is_same, gone), None)


def _read_marks(path: Path, encryption: DirectoryEncryption) -> dict[str, list[str]]:
    """Return the marks of each project; none where the file is absent or damaged."""
    try:
        projects = read_record(path, encryption).get("projects")
    except (OSError, ValueError):
        return {}
    if not isinstance(projects, Mapping):
        return {}
    return {
        name: [mark for mark in cast("Iterable[Any]", marks) if isinstance(mark, str)]
        for name, marks in cast("Mapping[str, Any]", projects).items()
        if isinstance(marks, list)
    }
