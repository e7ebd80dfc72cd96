"""Is this text here already, and what does storing it again add to the memory that holds it?

Only exact repetition is recognised: the same characters, apart from white space and from the two ways
in which Unicode spells an accented letter. Case counts, because it does in code.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAGS, Memory

RETRY_WINDOW = timedelta(minutes=5)  # hosts repeat a call that seemed lost; a real event recurs later


def text_key(text: str) -> bytes:
    """32 bytes that are equal for texts that count as the same: SHA-256 of the NFC form, each run of
    white space one space, none at the ends."""
    folded = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()


def is_same_event(
    existing: Memory, *, session: str | None, occurred_at: datetime | None, now: datetime
) -> bool:
    """Whether an episodic memory with ``existing``'s text tells of the same event and not of another one.

    It does within the same session at the same time; where no time is given (``occurred_at`` None), only
    as a retry, up to `RETRY_WINDOW` after ``existing`` was created.
    """
    if existing.session != session:
        return False
    if occurred_at is not None:
        return occurred_at == existing.occurred_at
    return abs(now - existing.created_at) <= RETRY_WINDOW


def is_duplicate(
    existing: Memory, *, session: str | None, occurred_at: datetime | None, now: datetime
) -> bool:
    """Whether a text with ``existing``'s key, project and kind is a duplicate of it: always, save for
    events, of which two may be told in the same words."""
    return existing.kind != "episodic" or is_same_event(
        existing, session=session, occurred_at=occurred_at, now=now
    )


def merged(
    existing: Memory,
    *,
    tags: Sequence[str],
    metadata: Mapping[str, Any],
    importance: float,
    occurred_at: datetime | None,
    expires_at: datetime | None,
) -> Memory:
    """``existing`` with what the duplicate adds: its tags, its metadata (a new value wins; if both together
    are too large, none), the higher importance, the newer time, the later end. Doing it twice changes
    nothing. ``expires_at`` None means "never" on either side, and that outlasts any time."""
    return replace(
        existing,
        tags=both_tags(existing.tags, tags),
        metadata=both_metadata(existing.metadata, metadata) or existing.metadata,
        importance=max(existing.importance, importance),
        occurred_at=max(existing.occurred_at, occurred_at or existing.occurred_at),
        expires_at=later_end(existing.expires_at, expires_at),
    )


def both_tags(first: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """All of ``first``, and of ``more`` what the limit leaves room for."""
    return tuple(dict.fromkeys((*first, *more)))[: max(MAX_TAGS, len(first))]


def both_metadata(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Both together, the new value first; None if that is too large."""
    both = {**old, **new}
    size = len(json.dumps(both, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return both if size <= MAX_METADATA_BYTES else None


def later_end(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two expiry times; None, "never", is later than any."""
    return None if one is None or other is None else max(one, other)
