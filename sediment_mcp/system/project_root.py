"""Find the project of a process: the git work tree around a folder, or a host's root folder.

A project is named by its absolute real path, with U+FFFD for bytes that are no Unicode. The home directory
and the root of a file system are never one: a home directory under version control (dotfiles) would make
everything the same project.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sediment_mcp.system.text import valid_text

_DRIVE = re.compile(r"/[A-Za-z][:|](?=/|$)")


def find_project(folder: Path) -> str | None:
    """Return the git work tree that holds ``folder``; None if there is none that can be read."""
    try:
        place = folder.resolve(strict=True)
        for candidate in (place, *place.parents):
            if (candidate / ".git").exists():
                return valid_text(str(candidate)) if _can_be_project(candidate) else None
    except (OSError, RuntimeError, ValueError):  # missing, forbidden, a loop of links, a null character
        return None
    return None


def find_project_of_roots(uris: Sequence[str]) -> str | None:
    """Return the project of the first usable ``file://`` root.

    It is the git work tree around the root, or else the root itself.
    """
    for uri in uris:
        path = parse_file_uri(uri)
        if path is None or not Path(path).is_absolute():
            continue
        project = find_project(Path(path)) or _find_project_of_folder(Path(path))
        if project is not None:
            return project
    return None


def _find_project_of_folder(folder: Path) -> str | None:
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
