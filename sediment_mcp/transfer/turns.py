"""Make memories of what was said in a conversation: events, with session, time and project.

Everything that reads transcripts goes this way, an import as well as the capture of a running session, so
the same turn becomes the same memory on both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal, cast

from sediment_mcp.domain.turn_text import strip_turn
from sediment_mcp.transfer.normalize import normalize_memory, normalize_session
from sediment_mcp.transfer.records import Item, MemoryRecord, Origin, Turn, TurnItem

WhichTurns = Literal["user", "answers"]
WHICH_TURNS: tuple[WhichTurns, ...] = ("user", "answers")
"""What is taken of a conversation: what the user has said, or the assistant's answers to it too."""

MAX_TITLE = 200  # characters of a conversation's name that are kept with each turn
TEXT_BLOCKS = (None, "text", "input_text", "output_text")


def build_items(turns: Iterable[TurnItem], which: WhichTurns) -> Iterator[Item]:
    """Yield the memories of the turns; what cannot be read goes through."""
    for turn in _select(turns, which):
        if isinstance(turn, Turn):
            yield from _build(turn)
        else:
            yield turn


def _select(turns: Iterable[TurnItem], which: WhichTurns) -> Iterator[TurnItem]:
    """Leave out what the assistant says on its way.

    An answer is its last text before the user's next.
    """
    answer: Turn | None = None
    for turn in turns:
        if not isinstance(turn, Turn):
            yield turn
        elif turn.role == "assistant":
            if answer is not None and answer.session != turn.session:
                yield answer
            answer = turn if which == "answers" else None
        else:
            if answer is not None:
                yield answer
                answer = None
            yield turn
    if answer is not None:
        yield answer


def _build(turn: Turn) -> Iterator[Item]:
    text = strip_turn(turn.text)
    if not text:
        return
    items = normalize_memory(
        turn.location,
        text,
        metadata={"source": turn.source, "role": turn.role, "title": (turn.title or "")[:MAX_TITLE]},
        occurred_at=turn.occurred_at,
        kind="episodic",
        session=normalize_session(turn.session),
    )
    for number, item in enumerate(items):
        key = (turn.source, *turn.key, *([str(number)] if number else []))
        yield replace(item, origin=Origin(turn.folder, key)) if isinstance(item, MemoryRecord) else item


# --- for the formats ----------------------------------------------------------------------------


def join_blocks(content: object) -> str:
    """Return the text of a message: a text, or a list of blocks of which those of text count."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [cast("object", content)]
    blocks = cast("list[object]", content) if isinstance(content, list) else []
    return "\n".join(filter(None, map(_get_text, blocks)))


def _get_text(block: object) -> str:
    if isinstance(block, str):
        return block
    fields = cast("dict[str, Any]", block) if isinstance(block, dict) else {}
    text = fields.get("text")
    is_said = fields.get("type") in TEXT_BLOCKS and not fields.get("thought")
    return text if isinstance(text, str) and is_said else ""


def get_text(fields: object, *names: str) -> str | None:
    """Return the first of an object's values under these names that is a text and not empty."""
    found = cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}
    return next((value for name in names if isinstance(value := found.get(name), str) and value), None)


def get_fields(fields: object, name: str) -> dict[str, Any]:
    """Return an object's value under this name if it is an object too, else an empty one."""
    value = cast("dict[str, Any]", fields).get(name) if isinstance(fields, dict) else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def get_list(fields: object, name: str) -> list[object]:
    """Return an object's value under this name if it is a list, else an empty one."""
    value = cast("dict[str, Any]", fields).get(name) if isinstance(fields, dict) else None
    return cast("list[object]", value) if isinstance(value, list) else []


def digest(text: str) -> str:
    """Return a short digest of a text, for the key of a turn that has no id."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
