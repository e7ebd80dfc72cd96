"""Is a stored text addressed to the model that will read it?

What comes back from a memory is data, whatever it says; the tool's description tells a model so. Where a text
plainly tries to command it, the answer says so once more, beside the text, which is never changed. This
recognises only what no ordinary note says: a list that tries to know every attack would first of all disturb.
"""

from __future__ import annotations

import re

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


def commands_the_reader(text: str) -> bool:
    """Whether the text holds a sentence, or a chat template's mark, that only makes sense as an attempt to
    command a language model."""
    return _COMMANDS.search(text) is not None
