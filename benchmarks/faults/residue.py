"""What is left of erased words in the files of a directory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from support.encryption import read_plain

from sediment_mcp.errors import DamagedFile, DamagedSnapshot
from sediment_mcp.indexes.text_files import TextWriter
from sediment_mcp.system.directory_encryption import DirectoryEncryption


def find_residue(directory: Path, words: Sequence[str]) -> dict[str, set[str]]:
    """Name by word the files of the directory that hold one of these words, once they are decrypted."""
    found = find_in_files(directory, words, read_plain)
    with contextlib.suppress(DamagedSnapshot):  # tantivy writes words apart, so their bytes may not show
        index = TextWriter(directory, DirectoryEncryption(directory)).open()
        for word in words:
            if index.document_frequency(word):
                found.setdefault(word, set()).add("the text index")
    return found


def find_in_files(
    directory: Path, words: Sequence[str], read: Callable[[Path], bytes] = Path.read_bytes
) -> dict[str, set[str]]:
    """Name by word the files that hold one of these words, by what ``read`` reads in them."""
    found: dict[str, set[str]] = {}
    for path in directory.rglob("*"):
        try:
            data = read(path) if path.is_file() else b""
        except (FileNotFoundError, DamagedFile):  # what is damaged is never read
            continue
        for word in words:
            if word.encode() in data:
                found.setdefault(word, set()).add(path.name)
    return found
