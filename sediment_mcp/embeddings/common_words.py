"""Tell common English words from names of programs, by the default model's vocabulary.

The vocabulary was made from books and Wikipedia, and holds whole the words that are frequent there: "kettle"
is in it, "pgbouncer", "nginx" and "redis" are not. Reading it needs no model, and no runtime for one.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path

from sediment_mcp.config import DEFAULT_MODEL

VOCABULARY = Path(__file__).parent / DEFAULT_MODEL / "vocabulary.txt"


@functools.cache
def load_common_words() -> Collection[str]:
    """Return the words in small letters, none if the file cannot be read (`doctor` says so)."""
    try:
        lines = VOCABULARY.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return frozenset[str]()
    return frozenset(line for line in lines if line.isalpha())
