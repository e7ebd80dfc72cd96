"""Captured turns: what was said in a session, and is kept for a while unasked.

They are events with a tag and an end. A user keeps one as a fact, or drops it; nothing hands them to a host
by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sediment_mcp.domain.memory import Memory, NewMemory
from sediment_mcp.domain.merging import append_tags
from sediment_mcp.domain.tags import CAPTURED_TAG, fold_tag

CAPTURED_LIFE = timedelta(days=30)  # from when it was said
CAPTURED_IMPORTANCE = 0.25  # nobody has chosen it, so what somebody has stored comes first
NEUTRAL_IMPORTANCE = 0.5


def is_captured(memory: Memory | NewMemory) -> bool:
    """Return whether a memory is a captured turn that nobody has decided about."""
    return memory.kind == "episodic" and any(fold_tag(tag) == CAPTURED_TAG for tag in memory.tags)


def remove_tag(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags without the one of captured turns."""
    return tuple(tag for tag in tags if fold_tag(tag) != CAPTURED_TAG)


def release(memory: Memory, tags: Sequence[str] = ()) -> Memory:
    """Return a captured turn as an event that stays, with more tags."""
    kept = append_tags(remove_tag(memory.tags), tags)
    importance = max(memory.importance, NEUTRAL_IMPORTANCE)
    return replace(memory, tags=kept, importance=importance, expires_at=None)
