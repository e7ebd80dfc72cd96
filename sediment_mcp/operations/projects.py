"""Projects as folders: what belongs to which, and how it follows a folder elsewhere.

A project's name is the real path of its folder. Memories that were stored under another spelling of the same
folder, under a linked work tree of its repository, or under its remote, are taken over when the project is
first used. A folder that was renamed or moved cannot be told from a new one by its path;
`operations.project_history` recognises it, and the user decides.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.config_paths import parse_path
from sediment_mcp.errors import BadArgument, NotAllowed, StorageError, UnknownProject
from sediment_mcp.operations.project_history import find_moved_project, record_project
from sediment_mcp.operations.results import MoveResult, ProjectResult, build_result
from sediment_mcp.system.project_root import REMOTE_PREFIX, find_project, name_by_remote, normalize_project

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.protocols import ReadSession

logger = logging.getLogger(__name__)


# --- first use ----------------------------------------------------------------------------------


def open_project(app: Application, project: str | None, *, is_storing: bool = False) -> None:
    """Prepare a project at its first use in this process.

    Memories under other spellings of its path are taken over, what tells its git history from others is
    recorded, and a project that has moved here is looked for. ``is_storing`` says that a memory is about to
    be stored in it. None of this ever fails a call.
    """
    if project is None or not os.path.isabs(project):
        return
    try:
        if project not in app.opened_projects:
            app.opened_projects[project] = _prepare(app, project)
        if is_storing:
            record_project(app, project)
    except (StorageError, NotAllowed, OSError) as error:  # such as a directory that may only be read
        app.opened_projects.setdefault(project, None)
        logger.debug("The project %s could not be prepared: %s", project, error)


def _prepare(app: Application, project: str) -> str | None:
    """Return the project that has moved here, or None."""
    with app.storage.read() as session:
        counts = session.statistics.all_by_project()
    aliases = [name for name in counts if name != project and _is_same_project(name, project)]
    if aliases:
        with app.storage.write() as session:
            moved = sum(session.move_project(name, project) for name in aliases)
        logger.info("%d memories of %s belong to %s, the same project", moved, ", ".join(aliases), project)
    if project in counts or aliases:
        record_project(app, project)
    return find_moved_project(app, project, [name for name in counts if name not in (*aliases, project)])


def _is_same_project(name: str, project: str) -> bool:
    """Return whether a name is another spelling of the folder, or the folder's remote.

    The latter is what another device calls a project that had no folder here.
    """
    if name.startswith(REMOTE_PREFIX):
        return name == name_by_remote(project)
    return _is_same_folder(name, project)


def _is_same_folder(name: str, project: str) -> bool:
    return os.path.isabs(name) and normalize_project(name) == project


def note_moved_project(app: Application, project: str | None, *, is_urgent: bool) -> list[str]:
    """Return a sentence on the project that seems to have moved here, or nothing.

    A process says it once for each project, and again where ``is_urgent``: nothing was found.
    """
    old = app.opened_projects.get(project) if project is not None else None
    if project is None or old is None or (project in app.told_projects and not is_urgent):
        return []
    with app.storage.read() as session:
        count = session.statistics.all_by_project().get(old, 0)
    if not count:  # somebody has moved them since
        return []
    app.told_projects.add(project)
    return [
        f"The folder {old} is gone, and its git history is that of this project: to take along what belongs "
        f"to it ({count:,} stored), run `sediment-mcp project move {_quote(old)} {_quote(project)}`."
    ]


def _quote(path: str) -> str:
    import shlex
    import subprocess
    import sys

    return subprocess.list2cmdline([path]) if sys.platform == "win32" else shlex.quote(path)


# --- what a user asks for -----------------------------------------------------------------------


def list_projects(app: Application) -> list[ProjectResult]:
    """Return every project, the largest first; old versions and the trash count too."""
    with app.storage.read() as session:
        counts = session.statistics.all_by_project()
    return [
        ProjectResult(project=name, memories=count, exists=os.path.isdir(name))
        for name, count in counts.items()
    ]


def plan_move(app: Application, old: str, new: str) -> MoveResult:
    """Return what `move_project` would do.

    ``old`` and ``new`` are paths, or the name of a project as it is stored.

    Raises:
        BadArgument: both are the same project, or ``new`` can be none.
        UnknownProject: nothing belongs to ``old``.
    """
    with app.storage.read() as session:
        return _plan(session, old, new)[1]


def move_project(app: Application, old: str, new: str) -> MoveResult:
    """Move everything of one project to another: memories, their history, the trash.

    Ids, texts and times stay as they are.

    Raises:
        BadArgument, UnknownProject: nothing was changed; see `plan_move`.
        StorageError: the directory cannot be written; nothing was changed.
    """
    with app.storage.write() as session:
        names, result = _plan(session, old, new)
        for name in names:
            session.move_project(name, result["to"])
    app.opened_projects.clear()
    open_project(app, result["to"])
    return result


def _plan(session: ReadSession, old: str, new: str) -> tuple[list[str], MoveResult]:
    """Return the stored names of the old project, and what moving them does."""
    counts = session.statistics.all_by_project()
    target = _parse_project(new, counts)
    source = _parse_project(old, counts)
    names = [name for name in counts if name == source or name.rstrip("/\\") == source]
    if not names:
        names = [name for name in counts if _is_same_folder(name, source)]
    if not old.strip() or not new.strip():
        raise BadArgument("A project has no name: give the old folder and the new one.")
    if source == target:
        raise BadArgument(f"{old} and {new} are the same project: name two folders.")
    if not names:
        raise UnknownProject(
            f"Nothing belongs to {source}: `sediment-mcp project list` shows the projects that there are."
        )
    return names, build_result(
        MoveResult,
        moved=sum(counts[name] for name in names),
        **{"from": source, "to": target},
        there_before=sum(count for name, count in counts.items() if name == target and name not in names),
        notes=_note_target(target),
    )


def _parse_project(name: str, counts: Mapping[str, int]) -> str:
    """Return the project that a user names exactly, or by a path of its folder."""
    if name in counts:
        return name
    return normalize_project(parse_path(name.strip(), "The project", may_be_relative=True))


def _note_target(target: str) -> list[str]:
    if not os.path.isdir(target):
        return [f"There is no folder {target} here."]
    around = find_project(Path(target))
    if around not in (None, target):
        return [f"{target} lies in the work tree of {around}: calls from there belong to {around}."]
    return []
