"""Read and replace files that belong to somebody else, in one step each.

A link is followed (people keep such files in a repository of dotfiles), permissions and a byte order mark of
UTF-8 stay, and a copy of the previous text is kept beside the file, because a mistake of this module could
destroy the owner's settings.
"""

from __future__ import annotations

import codecs
import difflib
import os
import re
import stat
import sys
from pathlib import Path

from sediment_mcp.errors import UnusableFile
from sediment_mcp.system.files import PRIVATE_FILE, write_atomically

BACKUP_SUFFIX = ".sediment.bak"
_TOKEN = re.compile(r"(Bearer\s+)(?![${])[^\s\"',}]+|(MEMORY_TOKEN[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]+")
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

    A file that gets a token with this is readable by its owner alone from then on.

    Raises:
        UnusableFile: The file cannot be written, or does not hold ``before`` any more.
    """
    if read_text(path) != before:
        raise UnusableFile(f"{path} was changed by its owner just now: run the command again.")
    target = Path(os.path.realpath(path))
    mark = codecs.BOM_UTF8 if (_read_bytes(path) or b"").startswith(codecs.BOM_UTF8) else b""
    try:
        status = target.stat() if before is not None else _find_folder(target).stat()
        owner = status.st_uid, status.st_gid  # of a user's file that root changes
        mode = stat.S_IMODE(status.st_mode) if before is not None else PRIVATE_FILE
        if holds_token(after) and not holds_token(before):
            mode &= PRIVATE_FILE
        if before is not None and keep_backup:
            _write(get_backup_path(path), mark + before.encode(), mode, owner)
        if after is None:
            target.unlink()
        else:
            _make_folder(target.parent, owner)
            _write(target, mark + after.encode(), mode, owner)
    except OSError as error:
        raise UnusableFile(
            f"{path} cannot be written ({error.strerror}): check the permissions of its folder and try again."
        ) from None


def format_diff(path: Path, before: str | None, after: str | None) -> str:
    """Return what `diff -u` would show of the change, tokens masked; empty where there is none."""
    old_name, new_name = ("/dev/null" if text is None else str(path) for text in (before, after))
    old_lines, new_lines = ((text or "").splitlines() for text in (before, after))
    return mask_tokens("\n".join(difflib.unified_diff(old_lines, new_lines, old_name, new_name, lineterm="")))


def mask_tokens(text: str) -> str:
    """Return a text of a host's file as it may be shown: without the tokens in it."""
    return _TOKEN.sub(lambda match: f"{match[1] or match[2]}…", text)


def holds_token(text: str | None) -> bool:
    """Return whether a text of a host's file holds a token, and not only the name of a variable."""
    return _TOKEN.search(text or "") is not None


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


def _find_folder(path: Path) -> Path:
    """Return the nearest folder above the path that exists."""
    return next(folder for folder in path.parents if folder.is_dir())


def _make_folder(folder: Path, owner: tuple[int, int]) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "win32" and os.geteuid() == 0:
        for made in missing:
            os.chown(made, *owner, follow_symlinks=False)


def _write(target: Path, data: bytes, mode: int, owner: tuple[int, int]) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "it is read-only")
    write_atomically(target, data, mode, owner)
