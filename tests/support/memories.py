"""Memories made by hand, for what needs no store."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from sediment_mcp.domain.memory import Memory

NOW = datetime(2026, 5, 8, tzinfo=UTC)


def memory_of(number: int, content: str = "", **more: Any) -> Memory:
    memory = Memory(
        number=number, id=f"id{number}", seq=number, content=content, kind="semantic", tags=(), project=None,
        session=None, importance=0.5, metadata={}, occurred_at=NOW, created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    return dataclasses.replace(memory, **more)
