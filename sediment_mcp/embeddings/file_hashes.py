"""SHA-256 hashes of model files, computed once for each file and kept in the data directory.

Hashing 90 MB takes longer than all the rest of loading the default model, and the file hardly ever
changes. So a hash is kept with the size, the modification time and the inode of the file it belongs
to, and counts for as long as these stay the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, cast

from sediment_mcp.errors import StorageError
from sediment_mcp.system.data_directory import find_fault, prepare_directory
from sediment_mcp.system.files import write_atomically

RECORD_NAME = "verified.json"


def hash_file(path: Path, data_dir: Path) -> str:
    """Return the SHA-256 of a file, in hex; an unchanged file is not read again.

    The record of earlier hashes is ``verified.json`` in ``data_dir``. It only saves time: one that cannot be
    read counts as empty, and failing to write it is ignored.

    Raises:
        OSError: the file cannot be read.
    """
    path = path.resolve()
    known = None if find_fault(data_dir) else _read_record(data_dir / RECORD_NAME).get(str(path))
    with path.open("rb") as file:
        stamp = _read_stamp(file.fileno())
        if known is not None and known[:3] == stamp:
            return cast("str", known[3])
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        unchanged = _read_stamp(file.fileno()) == stamp
    if unchanged:
        _remember(data_dir, str(path), [*stamp, digest])
    return digest


def _read_stamp(descriptor: int) -> list[int]:
    status = os.fstat(descriptor)
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _read_record(record: Path) -> dict[str, list[Any]]:
    """Read the valid entries: path → [size, mtime in ns, inode, SHA-256]."""
    try:
        entries: Any = json.loads(record.read_text(encoding="utf-8"))["files"]
        return {path: entry for path, entry in entries.items() if _is_entry(entry)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, list):
        return False
    return [type(value).__name__ for value in cast("list[object]", entry)] == ["int", "int", "int", "str"]


def _remember(data_dir: Path, path: str, entry: list[Any]) -> None:
    """Add one entry and remove those of files that no longer exist.

    If two processes do this at once, one entry is lost, and that file is hashed again the next time.
    """
    with contextlib.suppress(OSError, StorageError):
        prepare_directory(data_dir)
        entries = {
            name: old for name, old in _read_record(data_dir / RECORD_NAME).items() if Path(name).exists()
        }
        record = json.dumps({"files": {**entries, path: entry}}, indent=1)
        write_atomically(data_dir / RECORD_NAME, record.encode())
