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


def has_prompt_injection(text: str) -> bool:
    """Return whether the text tries to command a language model.

    It does if it holds a sentence, or a token of a chat template, that makes no sense otherwise. Characters
    that only a machine sees hide none: tag characters are read as the letters they stand for.
    """
    return _COMMANDS.search(reveal_invisible(text)) is not None
