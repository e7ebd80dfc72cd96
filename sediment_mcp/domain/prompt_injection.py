"""Recognize a stored text that tries to command the model that will read it.

The text of a memory is data, whatever it says; the tool's description tells a model so. Where a text plainly
tries to command the model, the answer has a warning besides; the text itself is never changed. Only phrases
that no ordinary note holds are recognized: a longer list would mostly give false warnings.
"""

from __future__ import annotations

import re

from sediment_mcp.system.text import reveal_invisible

_COMMANDS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\s(?:all\s|any\s|every\s)?(?:of\s)?(?:the\s|your\s|my\s)?"
    r"(?:previous|prior|earlier|preceding|above|system|original)\s"
    r"(?:instruction|prompt|rule|guideline|message|command)s?\b"
    r"|\byou\sare\s(?:now|no\slonger)\s(?:an?\s|the\s)?(?:\w+\s)?(?:ai|assistant|language\smodel|chatbot|dan)\b"
    r"|\b(?:reveal|print|show|repeat|output|leak)\s(?:me\s)?your\s(?:system\s|hidden\s)?(?:prompt|instructions)\b"
    r"|\b(?:(?:do\snot|don't|never)\s(?:tell|inform|alert)|without\s(?:telling|informing|alerting|asking))"
    r"\s(?:the|your)\s(?:user|human|operator)\b"
    r"|<\|im_start\|>|<\|(?:system|assistant|user)\|>|\[/?INST\]|<</?SYS>>|</?system(?:[-_]prompt)?>"
    r"|^[ #*]{0,8}(?:system|assistant)\s(?:prompt|message|instructions?):",
    re.IGNORECASE | re.MULTILINE,
)


_HINTS = (
    "ignore", "disregard", "forget", "override", "bypass", "you", "tell", "inform", "alert", "asking",
    "system", "assistant", "<|user|>", "inst]", "sys>>", "<|im_start|>",
)  # fmt: skip
"""Of these every text that `_COMMANDS` matches holds one; looking for them is quicker."""
_DOTTED = frozenset("\u0130\u0131")  # which are an i for `re` alone


def has_prompt_injection(text: str) -> bool:
    """Return whether the text tries to command a language model.

    It does if it holds a sentence, or a token of a chat template, that makes no sense otherwise. Characters
    that only a machine sees hide none: tag characters are read as the letters they stand for.
    """
    plain = reveal_invisible(text)
    folded = plain.casefold()
    has_hint = any(hint in folded for hint in _HINTS) or not _DOTTED.isdisjoint(plain)
    return has_hint and _COMMANDS.search(plain) is not None
