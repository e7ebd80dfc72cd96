"""Which project a process works for: the git work tree around a folder, or the folder a host names.

A project is its absolute real path, with U+FFFD for what is no Unicode in it. The home directory and the
root of a file system are never one: a home directory under version control (dotfiles) would make everything
the same project.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sediment_mcp.server.jsonrpc import valid_text

_DRIVE = re.compile(r"/[A-Za-z][:|](?=/|$)")


def project_of_folder(folder: Path) -> str | None:
    """The git work tree that holds ``folder``; None if there is none, or if it cannot be read."""
    try:
        place = folder.resolve(strict=True)
        for candidate in (place, *place.parents):
            if (candidate / ".git").exists():
                return valid_text(str(candidate)) if _may_be_project(candidate) else None
    except (OSError, RuntimeError, ValueError):  # missing, forbidden, a loop of links, a null character
        return None
    return None


def project_of_roots(uris: Sequence[str]) -> str | None:
    """The first usable ``file://`` root: its git work tree, else the root folder itself; or None."""
    for uri in uris:
        path = path_of_uri(uri)
        if path is None or not Path(path).is_absolute():
            continue
        project = project_of_folder(Path(path)) or _as_project(Path(path))
        if project is not None:
            return project
    return None


def _as_project(folder: Path) -> str | None:
    try:
        place = folder.resolve(strict=True)
        return valid_text(str(place)) if place.is_dir() and _may_be_project(place) else None
    except (OSError, RuntimeError, ValueError):
        return None


def _may_be_project(place: Path) -> bool:
    return place != Path(place.anchor) and place != _home()


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def path_of_uri(uri: str) -> str | None:
    """The path in a ``file`` URI (RFC 8089): ``file:///home/ann``, ``file://localhost/home/ann``,
    ``file:///C:/work`` and, as some hosts write, ``file:///c%3A/work`` or ``file://C:/work``. None for
    anything else, shares on other machines included."""
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
