"""Memories made by hand, for what needs no store, and long texts to store."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from sediment_mcp.domain.memory import Memory

NOW = datetime(2026, 5, 8, tzinfo=UTC)


def memory_of(number: int, content: str = "", **more: Any) -> Memory:
    memory = Memory(
        key=number, id=f"id{number}", seq=number, content=content, kind="semantic", tags=(), project=None,
        session=None, importance=0.5, metadata={}, occurred_at=NOW, created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    return dataclasses.replace(memory, **more)


def long_text(marker: str, paragraphs: int = 40) -> str:
    """Return a text of many chunks, with ``marker`` in the middle one."""
    filler = "The committee met again and wrote down what everybody had said about the harbour wall. " * 4
    parts = [f"Paragraph {number}. {filler}" for number in range(paragraphs)]
    parts[paragraphs // 2] = f"Here alone stands the word {marker}. {filler}"
    return "\n\n".join(parts)
