"""The index files of a data directory as a whole, of whichever kind they are."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from sediment_mcp.system.files import translate_os_errors
from sediment_mcp.system.locks import locked

TEXT_LOCK, VECTOR_LOCK = "text.lock", "vectors.lock"
ENCRYPTED_TEXT = "terms.encrypted"
TEXT_FILES, VECTOR_FILES = ("text.json*", "text-*", f"{ENCRYPTED_TEXT}*"), ("vectors-*",)


def remove_index_files(directory: Path, timeout: float) -> None:
    """Delete all indexes, which are derived; a running server writes them anew.

    It waits ``timeout`` seconds for a process that is writing one.

    Raises:
        Busy: a process is writing one for too long.
        StorageError: a file cannot be deleted.
    """
    for lock, patterns in ((TEXT_LOCK, TEXT_FILES), (VECTOR_LOCK, VECTOR_FILES)):
        with locked(directory / lock, timeout), translate_os_errors():
            for path in [path for pattern in patterns for path in directory.glob(pattern)]:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
