"""Files that belong to somebody else: read as they are, replaced in one step, never half-written.

A link is followed (people keep such files in a repository of dotfiles), permissions stay, and a copy of what
was there before is kept beside the file.
"""

from __future__ import annotations

import codecs
import difflib
import os
import stat
from pathlib import Path

from sediment_mcp.errors import UnusableFile
from sediment_mcp.system.files import PRIVATE_FILE, write_atomically

BACKUP = ".sediment.bak"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def backup_of(path: Path) -> Path:
    """Where the text before our last change is kept."""
    return path.with_name(path.name + BACKUP)


def read(path: Path) -> str | None:
    """The text, line endings as they are; None if there is no file.

    Raises:
        UnusableFile: it cannot be read, or is no UTF-8 text.
    """
    data = _bytes(path)
    if data is None:
        return None
    if data.startswith(_MARKS):
        raise UnusableFile(
            f"{path} starts with a byte order mark: save it as UTF-8 without one and try again."
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnusableFile(f"{path} is no UTF-8 text: save it as UTF-8 and try again.") from None


def change(path: Path, before: str | None, after: str | None, *, backup: bool = True) -> None:
    """Replace the text, or remove the file where ``after`` is None; what was there is kept as a backup.

    Raises:
        UnusableFile: it cannot be written, or is not what it was when ``before`` was read.
    """
    if read(path) != before:
        raise UnusableFile(f"{path} was changed by its owner just now: run the command again.")
    target = Path(os.path.realpath(path))
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if before is not None else PRIVATE_FILE
        if before is not None and backup:
            _write(backup_of(path), before, mode)
        if after is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, after, mode)
    except OSError as error:
        raise UnusableFile(
            f"{path} cannot be written ({error.strerror}): check the permissions of its folder and try again."
        ) from None


def diff(path: Path, before: str | None, after: str | None) -> str:
    """What `diff -u` would show of the change; empty where there is none."""
    old, new = ("/dev/null" if text is None else str(path) for text in (before, after))
    one, other = ((text or "").splitlines() for text in (before, after))
    return "\n".join(difflib.unified_diff(one, other, old, new, lineterm=""))


def forget_backup(path: Path) -> None:
    """Remove the backup once the file is what it was before us."""
    backup_of(path).unlink(missing_ok=True)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise UnusableFile(f"{path} is a directory: move it away and try again.") from None
    except OSError as error:
        raise UnusableFile(
            f"{path} cannot be read ({error.strerror}): check its permissions and try again."
        ) from None


def _write(target: Path, text: str, mode: int) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "it is read-only")
    write_atomically(target, text.encode(), mode)
