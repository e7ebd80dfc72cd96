"""Memories as the tools and the command line answer with them."""

from __future__ import annotations

from datetime import datetime

from sediment_mcp.domain.memory import Memory
from sediment_mcp.operations.arguments import PREVIEW, MemoryResult


def preview(memory: Memory) -> MemoryResult:
    """The memory with the beginning of its text."""
    return described(memory, memory.content[:PREVIEW], truncated=len(memory.content) > PREVIEW)


def described(memory: Memory, content: str, *, truncated: bool) -> MemoryResult:
    """The memory with ``content`` for its text."""
    return MemoryResult(
        id=memory.id,
        content=content,
        truncated=truncated,
        kind=memory.kind,
        tags=list(memory.tags),
        scope="global" if memory.project is None else "project",
        project=memory.project,
        session=memory.session,
        importance=memory.importance,
        metadata=dict(memory.metadata),
        occurred_at=written(memory.occurred_at),
        created_at=written(memory.created_at),
        expires_at=iso(memory.expires_at),
        superseded_by=memory.superseded_by,
    )


def iso(time: datetime | None) -> str | None:
    return written(time) if time is not None else None


def written(time: datetime) -> str:
    """ISO 8601 in UTC, with Z."""
    return time.isoformat().replace("+00:00", "Z")
