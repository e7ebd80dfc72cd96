"""Recognize a text that is stored already, and merge its attributes into that memory.

Only exact repetition is recognized: the same characters, apart from how a line ends, from white space at the
ends of the text and from the two ways in which Unicode spells an accented letter. Case, indentation and white
space within a line count, because they do in code.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta

from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.merging import Attributes, combine
from sediment_mcp.system.text import compose_accents
from sediment_mcp.system.timestamps import means_time

_LINE_END = re.compile(r"\r\n?")
RETRY_WINDOW = timedelta(minutes=5)  # hosts repeat a call that seemed lost; real events recur later than that


def fold_text(text: str) -> str:
    """Return the form in which texts that count as the same are equal.

    It is the NFC form with LF for line ends, without white space at the end and blank lines at the beginning.
    A single line loses its indentation too; the first of several keeps it, as it says how they are nested.
    """
    lines = _LINE_END.sub("\n", compose_accents(text)).rstrip().split("\n")
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    return "\n".join(lines[first:]) if len(lines) - first > 1 else lines[-1].strip()


def is_same_text(one: str, other: str) -> bool:
    """Return True if two texts count as the same."""
    return one == other or fold_text(one) == fold_text(other)


def compute_content_hash(text: str) -> bytes:
    """Return the 32 bytes by which the same text is looked for.

    They are equal for texts that count as the same, and also for texts that differ in white space alone,
    which `is_same_text` tells apart. They are the SHA-256 of the NFC form, with single spaces for white space
    and none at the ends. Databases keep them and earlier imports have derived ids from them, so this never
    changes.
    """
    return _hash(" ".join(compose_accents(text).split()))


def compute_exact_hash(text: str) -> bytes:
    """Return the SHA-256 of `fold_text`, equal only for texts that count as the same."""
    return _hash(fold_text(text))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def is_same_event(
    existing: Memory, *, session: str | None, occurred_at: datetime | None, now: datetime
) -> bool:
    """Return whether an episodic memory with ``existing``'s text tells of the same event.

    It does if session and time are the same. If no time is given (``occurred_at`` None), it does only as a
    retry, up to `RETRY_WINDOW` after ``existing`` was created.
    """
    if existing.session != session:
        return False
    if occurred_at is not None:
        return means_time(occurred_at, existing.occurred_at)
    return abs(now - existing.created_at) <= RETRY_WINDOW


def is_duplicate(
    existing: Memory, *, session: str | None, occurred_at: datetime | None, now: datetime
) -> bool:
    """Return whether a memory with ``existing``'s text, project and kind is a duplicate of it.

    It always is, except for episodic memories: two events may be told in the same words.
    """
    return existing.kind != "episodic" or is_same_event(
        existing, session=session, occurred_at=occurred_at, now=now
    )


def add_repetition(existing: Memory, repeated: Attributes, occurred_at: datetime | None) -> Memory:
    """Return ``existing`` with the attributes that storing its text again adds.

    ``occurred_at`` is the time that was given with ``repeated``; None adds no time, because the default is
    only the moment at which a memory is stored.
    """
    given = replace(repeated, occurred_at=occurred_at or existing.occurred_at)
    return combine(existing, given, "other")
