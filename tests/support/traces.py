"""Where a text has left traces: in which files of a data directory its words can be read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tantivy

from sediment_mcp.indexes.analyzer import extract_terms
from support.encryption import read_plain


def traces(directory: Path, text: str) -> list[str]:
    """Return where something of ``text`` is left.

    Files that hold any of its words, decrypted if they are encrypted, and text indexes, unused ones too, that
    know any of them (tantivy writes words apart, so their bytes do not show).
    """
    words = long_words(text)
    files = [
        str(file.relative_to(directory))
        for file in directory.rglob("*")
        if file.is_file() and holds_any(read_plain(file), words)
    ]
    return files + [folder.name for folder in directory.glob("text-*") if _knows(folder, words)]


def holds_any(data: bytes, words: Iterable[str]) -> bool:
    """Whether any of the words is among the bytes."""
    return any(word.encode() in data for word in words)


def long_words(text: str) -> list[str]:
    """The words of a text that no other text has by chance."""
    return list(dict.fromkeys(word for word in text.split() if len(word) > 9))


def _knows(folder: Path, words: list[str]) -> bool:
    searcher = tantivy.Index.open(
        str(folder)
    ).searcher()  # its frequencies count deleted chunks too, until their words are gone
    return any(searcher.doc_freq("body", term) for word in words for term in extract_terms(word))
