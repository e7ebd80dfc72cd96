"""Read git's own files: whose work tree a folder is, and what identifies a history.

No git is started: a server asks at its first call, and hosts run it where there may be no git at all. The
layout is that of gitrepository-layout(5).
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

MAX_LINE_BYTES = 8192  # longer than any path or address
MAX_FILE_BYTES = 64 * 1024  # of one of git's files that is read; those read here are a few lines
_LINK = b"gitdir:"
_LOGGED = re.compile(rb"[0-9a-f]{40,64} [0-9a-f]{40,64} ")
_SCP_ADDRESS = re.compile(r"(?:[^/@:]+@)?([^/:@]{2,}):(?!//|:)([^@/]*(?:/.*)?)")


class History(NamedTuple):
    """What tells the history of a repository from others, as far as git's files show it.

    ``marks`` are hashes: of the oldest entry in the log of HEAD, which moves and is copied along with the
    folder, and of the address of the remote "origin". ``source`` is the folder that "origin" names, if it
    is one.
    """

    marks: frozenset[str]
    source: str | None = None


def find_main_work_tree(folder: Path) -> Path:
    """Return the repository's folder for a linked work tree, else ``folder`` itself.

    It is the main work tree, or the repository's own folder where that is bare. A submodule is a repository
    of its own. A link that leads nowhere, or that the repository does not know, counts as none.
    """
    try:
        git_folder = _follow_link(folder / ".git")
        if git_folder is None or not (common := _read_common_folder(git_folder)):
            return folder
        if common != git_folder.parent.parent or git_folder.parent.name != "worktrees":
            return folder
        known = _read_line(git_folder / "gitdir")
        owner = Path(os.path.realpath(git_folder / os.fsdecode(known))) if known else None
        is_other = owner is not None and owner != folder / ".git" and owner.exists()
        return folder if owner is None or is_other else _find_owner(common)
    except (OSError, ValueError, RuntimeError):
        return folder


def read_history(folder: Path) -> History:
    """Return what identifies the history in ``folder``; no marks if there is none.

    Reads two small files.
    """
    try:
        git_folder = find_git_folder(folder)
        if git_folder is None:
            return History(frozenset())
        marks = [b"log " + first] if (first := _read_line(git_folder / "logs" / "HEAD")) else []
        marks = [mark for mark in marks if _LOGGED.match(mark.removeprefix(b"log "))]
        origin = _read_origin(git_folder)
        source = _parse_folder(origin, folder) if origin else None
        if origin and source is None:
            marks.append(b"origin " + _normalize_address(origin).encode(errors="surrogateescape"))
    except (OSError, ValueError, RuntimeError):
        return History(frozenset())
    return History(frozenset(hashlib.sha256(mark).hexdigest()[:32] for mark in marks), source)


def find_remote(folder: Path) -> str | None:
    """Return the address of the remote "origin" as `parse_remote` does; None without one."""
    try:
        git_folder = find_git_folder(folder)
        origin = None if git_folder is None else _read_origin(git_folder)
        return parse_remote(origin) if origin else None
    except (OSError, ValueError, RuntimeError):
        return None


# --- git's files --------------------------------------------------------------------------------


def find_git_folder(folder: Path) -> Path | None:
    """Return the folder in which git keeps the repository of this one; None if it keeps none."""
    place = folder / ".git"
    if place.is_dir():
        return place
    if place.is_file():
        linked = _follow_link(place)
        return None if linked is None else _read_common_folder(linked) or linked
    is_bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return folder if is_bare else None


def _follow_link(file: Path) -> Path | None:
    """Return the real folder that a ``.git`` file names; None if it is no such file."""
    if not file.is_file():
        return None
    line = _read_line(file)
    if not line.startswith(_LINK):
        return None
    target = os.fsdecode(line.removeprefix(_LINK).strip())
    return Path(os.path.realpath(file.parent / target)) if target else None


def _read_common_folder(git_folder: Path) -> Path | None:
    """Return the real folder that work trees share; None for a main work tree's own."""
    common = git_folder / "commondir"
    line = _read_line(common) if common.is_file() else b""
    return Path(os.path.realpath(git_folder / os.fsdecode(line))) if line else None


def _find_owner(common: Path) -> Path:
    """Return the folder that a repository in ``common`` belongs to."""
    beside = common.parent
    if common.name == ".git" or _follow_link(beside / ".git") == common:
        return beside
    worktree = _read_setting(common, "core", "worktree")  # of a submodule
    return Path(os.path.realpath(common / worktree)) if worktree else common


def _read_line(file: Path) -> bytes:
    """Return the first line of a file, stripped; empty if there is no file."""
    try:
        with file.open("rb") as opened:
            return opened.readline(MAX_LINE_BYTES).strip()
    except FileNotFoundError:
        return b""


def _read_setting(git_folder: Path, section: str, name: str) -> str | None:
    """Return a setting of a repository, without git's escapes; None if it is not set."""
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, allow_no_value=True, comment_prefixes=("#", ";"), delimiters=("=",)
    )
    with (git_folder / "config").open("rb") as file:
        text = file.read(MAX_FILE_BYTES).decode("utf-8", "surrogateescape")
    try:
        # git indents settings, which the parser would take for the end of the setting before; and the parser
        # takes quadratic time for a long row of blanks
        lines = (" ".join(line.split()) for line in text.splitlines())
        parser.read_string("\n".join(line for line in lines if len(line) <= MAX_LINE_BYTES))
    except configparser.Error:
        return None
    value = parser.get(section, name, fallback=None)
    return value.strip('"') if value else None


def _read_origin(git_folder: Path) -> str | None:
    if not (git_folder / "config").is_file():
        return None
    return _read_setting(git_folder, 'remote "origin"', "url")


# --- addresses ----------------------------------------------------------------------------------


def parse_remote(address: str) -> str | None:
    """Return the address of a repository as host and path; None if it is on this machine.

    All ways to write the address of one repository have the same result, without scheme, user, password, port
    and query.
    """
    if address.startswith("file://") or not ("://" in address or _SCP_ADDRESS.fullmatch(address)):
        return None
    try:
        host, _, path = _normalize_address(address).partition("/")
    except ValueError:
        return None
    return f"{host}/{path}" if host and path else None


def _parse_folder(address: str, folder: Path) -> str | None:
    """Return the folder that an address names; None if it is on another machine."""
    if address.startswith("file://"):
        return urlsplit(address).path or None
    if "://" in address or _SCP_ADDRESS.fullmatch(address):
        return None
    path = Path(os.path.realpath(folder / address))
    return str(path.parent if path.name == ".git" else path)


def _normalize_address(address: str) -> str:
    """Return one text for all ways to write an address, without user and password."""
    if "://" not in address and (short := _SCP_ADDRESS.fullmatch(address)):
        host, path = short[1], short[2]
    else:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path
    return f"{host.lower()}/{path.strip('/').removesuffix('.git').strip('/')}"
