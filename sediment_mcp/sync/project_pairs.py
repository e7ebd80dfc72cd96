"""Shared names that mean one project, which devices tell each other.

A folder is called after its device until it has a remote, or until a person says which folder of another
device it is. From then on it has two names, and what was given under the former belongs to the latter on all
devices.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sediment_mcp.system.project_root import REMOTE_PREFIX, is_path

if TYPE_CHECKING:
    from sediment_mcp.storage.sqlite.session import SqliteSession

FOLDER_PREFIX = "folder:"
"""What the shared name of a folder without a remote begins with; its device and its path follow."""


class ProjectPair(NamedTuple):
    """Two shared names of one project; the first is kept where there is no folder."""

    kept: str
    former: str


def is_shared_name(name: object) -> bool:
    """Return whether a name is one that devices share, and no word that a user has chosen."""
    return isinstance(name, str) and name.startswith((REMOTE_PREFIX, FOLDER_PREFIX))


def rank_name(name: str) -> tuple[bool, str]:
    """Return what is smaller for the name that is kept of two: a remote, then by letters."""
    return name.startswith(FOLDER_PREFIX), name


def rank_owner(name: str | None) -> tuple[bool, tuple[bool, str]]:
    """Return what is smaller for the better of two projects of one memory."""
    return name is None, rank_name(name or "")


def list_project_pairs(session: SqliteSession) -> list[ProjectPair]:
    """Return the names that mean one project on this device."""
    names: dict[str, set[str]] = defaultdict(set)
    for shared, local, _ in session.sync.projects():
        names[local].update(filter(is_shared_name, (shared, local)))
    pairs = [(min(group, key=rank_name), name) for group in names.values() for name in group]
    return sorted(ProjectPair(kept, name) for kept, name in pairs if kept != name)


def adopt_project_pair(session: SqliteSession, pair: ProjectPair) -> None:
    """Let two shared names mean one project here too, unless they are two folders here."""
    local = {shared: project for shared, project, _ in session.sync.projects()}
    kept, former = (local.get(name, name) for name in sorted(pair, key=rank_name))
    if kept == former or (is_path(kept) and is_path(former)):
        return
    target, source = (former, kept) if is_path(former) else (kept, former)
    session.move_project(source, target)
    session.sync.set_project(source, target, is_chosen=False)
