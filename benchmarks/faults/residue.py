"""What is left of erased words in the files of a directory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.tantivy_index import TantivyIndex


def find_in_files(directory: Path, words: Sequence[str]) -> dict[str, set[str]]:
    """Name by word the files of the directory that hold one of these words."""
    found: dict[str, set[str]] = {}
    for path in directory.rglob("*"):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        for word in words:
            if word.encode() in data:
                found.setdefault(word, set()).add(path.name)
    with contextlib.suppress(DamagedSnapshot):  # tantivy writes words apart, so their bytes may not show
        index = TantivyIndex(directory)
        for word in words:
            if index.document_frequency(word):
                found.setdefault(word, set()).add("the text index")
    return found
