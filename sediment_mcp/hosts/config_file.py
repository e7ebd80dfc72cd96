"""Read and replace files that belong to somebody else, in one step each.

A link is followed (people keep such files in a repository of dotfiles), permissions and a byte order mark of
UTF-8 stay, and a copy of the previous text is kept beside the file, because a mistake of this module could
destroy the owner's settings.
"""

from __future__ import annotations

import codecs
import difflib
import os
import stat
from pathlib import Path

from sediment_mcp.errors import UnusableFile
from sediment_mcp.system.files import PRIVATE_FILE, write_atomically

BACKUP_SUFFIX = ".sediment.bak"
_OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def get_backup_path(path: Path) -> Path:
    """Return the path of the file that keeps the text from before our last change."""
    return path.with_name(path.name + BACKUP_SUFFIX)


def read_text(path: Path) -> str | None:
    """Return the text, its line endings as they are and without a mark; None without a file.

    Raises:
        UnusableFile: The file cannot be read, or is no UTF-8 text.
    """
    data = _read_bytes(path)
    if data is None:
        return None
    if data.startswith(_OTHER_MARKS):
        raise UnusableFile(f"{path} has the byte order mark of UTF-16: save it as UTF-8 and try again.")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise UnusableFile(f"{path} is no UTF-8 text: save it as UTF-8 and try again.") from None


def replace_text(path: Path, before: str | None, after: str | None, *, keep_backup: bool = True) -> None:
    """Replace the text ``before`` by ``after``, or remove the file where ``after`` is None.

    Args:
        path: The file; it is made, with its folder, where ``before`` is None.
        before: What `read_text` gave.
        after: The new text; None removes the file.
        keep_backup: Whether ``before`` is kept beside the file.

    Raises:
        UnusableFile: The file cannot be written, or does not hold ``before`` any more.
    """
    if read_text(path) != before:
        raise UnusableFile(f"{path} was changed by its owner just now: run the command again.")
    target = Path(os.path.realpath(path))
    mark = codecs.BOM_UTF8 if (_read_bytes(path) or b"").startswith(codecs.BOM_UTF8) else b""
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if before is not None else PRIVATE_FILE
        if before is not None and keep_backup:
            _write(get_backup_path(path), mark + before.encode(), mode)
        if after is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, mark + after.encode(), mode)
    except OSError as error:
        raise UnusableFile(
            f"{path} cannot be written ({error.strerror}): check the permissions of its folder and try again."
        ) from None


def format_diff(path: Path, before: str | None, after: str | None) -> str:
    """Return what `diff -u` would show of the change; empty where there is none."""
    old_name, new_name = ("/dev/null" if text is None else str(path) for text in (before, after))
    old_lines, new_lines = ((text or "").splitlines() for text in (before, after))
    return "\n".join(difflib.unified_diff(old_lines, new_lines, old_name, new_name, lineterm=""))


def remove_backup(path: Path) -> None:
    """Remove the backup of a file, once the file is again what it was before us."""
    get_backup_path(path).unlink(missing_ok=True)


def detect_line_break(text: str) -> str:
    r"""Return the line break that the text uses: ``\r\n`` if it holds any, else ``\n``."""
    return "\r\n" if "\r\n" in text else "\n"


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UnusableFile(f"{path} is a directory: move it away and try again.") from None
    except OSError as error:
        raise UnusableFile(
            f"{path} cannot be read ({error.strerror}): check its permissions and try again."
        ) from None


def _write(target: Path, data: bytes, mode: int) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "it is read-only")
    write_atomically(target, data, mode)
