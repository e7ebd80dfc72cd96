"""What memories hold, made harmless for a terminal."""

from __future__ import annotations

_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_REPLACED = (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
SHOWN_AS = _PICTURES | dict.fromkeys(_REPLACED, 0xFFFD)
"""Character → what is shown in its place, as numbers."""


def visible(text: str) -> str:
    """The text with control characters made visible: an escape sequence in a memory must not reach the
    terminal, and what turns the direction of writing must not disguise what stands there."""
    return text.replace("\r\n", "\n").translate(SHOWN_AS)
