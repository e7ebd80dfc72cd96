"""Find the project of a process: the git work tree around a folder, or a host's root folder.

A project is named by its absolute real path, with U+FFFD for bytes that are no Unicode; a linked work tree
of git belongs to the project of its repository. Unless the user names them, the home directory and the root
of a file system are never one: a home directory under version control (dotfiles) would make everything the
same project. Between devices, whose folders differ, it is named by the remote of its repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sediment_mcp.system.git_repository import find_main_work_tree, find_remote
from sediment_mcp.system.text import valid_text

REMOTE_PREFIX = "git:"
"""What a project's name begins with where it is that of a remote, as ``git:github.com/ann/shop``."""

_PATH = re.compile(r"/|\\\\|[A-Za-z]:[\\/]")
_DRIVE = re.compile(r"/[A-Za-z][:|](?=/|$)")


def find_project(folder: Path) -> str | None:
    """Return the git repository whose work tree holds ``folder``; None without one."""
    place = find_work_tree(folder)
    return None if place is None else _name_work_tree(place)


def find_work_tree(folder: Path) -> Path | None:
    """Return the git work tree that holds ``folder``, linked or not; None without one."""
    try:
        place = folder.resolve(strict=True)
        for candidate in (place, *place.parents):
            if (candidate / ".git").exists():
                return candidate if _can_be_project(candidate) else None
    except (OSError, RuntimeError, ValueError):  # missing, forbidden, a loop of links, a null character
        return None
    return None


def find_project_of_folder(name: str) -> str | None:
    """Return the project of a folder in which a host was working, which may be gone since.

    It is the git work tree around it, or else the folder itself. A share on another machine is none: to look
    at one would send the user's credentials there.
    """
    if name.startswith(("\\\\", "//")) or not os.path.isabs(name):
        return None
    place = Path(name)
    try:
        is_gone = not place.exists()
    except (OSError, ValueError):
        return None
    if is_gone:
        return normalize_project(name) if _can_be_project(place) else None
    return find_project(place) or _find_project_of_existing(place)


def find_project_of_roots(uris: Sequence[str]) -> str | None:
    """Return the project of the first usable ``file://`` root.

    It is the git work tree around the root, or else the root itself.
    """
    for uri in uris:
        path = parse_file_uri(uri)
        if path is None or not Path(path).is_absolute():
            continue
        project = find_project(Path(path)) or _find_project_of_existing(Path(path))
        if project is not None:
            return project
    return None


def normalize_project(name: str) -> str:
    """Return the name of a project that the user has spelt in some way: its real path.

    ``name`` is an absolute path or a ``file://`` URI; anything else is returned as it is. The folder need not
    exist. A linked work tree of git stands for its repository, a folder within a work tree for itself.
    """
    path = parse_file_uri(name) or name
    if not os.path.isabs(path):
        return valid_text(name)
    try:
        return _name_work_tree(Path(os.path.realpath(path)))
    except (OSError, RuntimeError, ValueError):  # such as a null character
        return valid_text(path)


def is_path(project: str) -> bool:
    """Return whether a project is named by an absolute path, of this system or another."""
    return _PATH.match(project) is not None


def name_by_remote(project: str) -> str | None:
    """Return the name by its remote of a project that is a folder; None if it has no remote."""
    remote = find_remote(Path(project)) if os.path.isabs(project) else None
    return None if remote is None else valid_text(f"{REMOTE_PREFIX}{remote}")


def _name_work_tree(folder: Path) -> str:
    """Return the project of a work tree's real folder."""
    owner = find_main_work_tree(folder)
    return valid_text(str(owner if _can_be_project(owner) else folder))


def _find_project_of_existing(folder: Path) -> str | None:
    try:
        place = folder.resolve(strict=True)
        return valid_text(str(place)) if place.is_dir() and _can_be_project(place) else None
    except (OSError, RuntimeError, ValueError):
        return None


def _can_be_project(place: Path) -> bool:
    return place != Path(place.anchor) and place != _find_home()


def _find_home() -> Path | None:
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def parse_file_uri(uri: str) -> str | None:
    """Return the path in a ``file`` URI (RFC 8089); None for anything else.

    Accepted are ``file:///home/ann``, ``file://localhost/home/ann``, ``file:///C:/work`` and, as some hosts
    write, ``file:///c%3A/work`` or ``file://C:/work``; shares on other machines are not.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = unquote(parts.path, errors="surrogateescape")
    if _DRIVE.match("/" + parts.netloc):
        path = f"/{parts.netloc}{path}"
    elif parts.netloc.lower() not in ("", "localhost"):
        return None
    if parts.scheme != "file" or not path:
        return None
    return f"{path[1]}:{path[3:] or '/'}" if _DRIVE.match(path) else path
