"""Recognize a text that is stored already, and merge its attributes into that memory.

Only exact repetition is recognized: the same characters, apart from white space and from the two ways
in which Unicode spells an accented letter. Case counts, because it does in code.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.merging import Attributes, combine
from sediment_mcp.system.text import compose_accents

RETRY_WINDOW = timedelta(minutes=5)  # hosts repeat a call that seemed lost; real events recur later than that


def compute_content_hash(text: str) -> bytes:
    """Return 32 bytes that are equal for texts that count as the same.

    They are the SHA-256 of the NFC form, with single spaces for white space and none at the ends.
    """
    folded = " ".join(compose_accents(text).split())
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()


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
        return occurred_at == existing.occurred_at
    return abs(now - existing.created_at) <= RETRY_WINDOW


def is_duplicate(
    existing: Memory, *, session: str | None, occurred_at: datetime | None, now: datetime
) -> bool:
    """Return whether a text with ``existing``'s hash, project and kind is a duplicate of it.

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
