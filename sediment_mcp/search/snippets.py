"""Choose the text shown of each memory found, within a budget of characters.

A snippet is always one unchanged piece of the text: nothing is added, not even an ellipsis. A separate flag
says whether something is missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Span = tuple[int, int]
"""Where a piece of a text begins and ends, in characters."""

_WORD_ENDS = re.compile(r"(?<=\S)(?=\s)")


def select_snippets(contents: Sequence[tuple[str, Span | None]], max_chars: int) -> list[tuple[str, bool]]:
    """Choose the text shown of ``contents``, and return (text, truncated) for the first ones.

    Each content is a whole text with the span of its best chunk (None: the text is its own), best first.
    Each first gets its best chunk; while the budget lasts, whole texts then take the chunks' place, best
    first. Results that no longer fit are left out at the end. The texts have at most ``max_chars`` characters
    in all. There is at least one result if there was one to begin with: the first is cut at the end of a word
    if it must be.
    """
    if not contents:
        return []
    spans = _take_fitting([_resolve_span(*content) for content in contents], max_chars)
    if not spans:
        text, (start, _) = contents[0][0], _resolve_span(*contents[0])
        spans = [(start, start + _find_cut(text[start:], max_chars))]
    return _expand_whole_texts([text for text, _ in contents], spans, max_chars)


def _expand_whole_texts(
    texts: Sequence[str], spans: Sequence[Span], max_chars: int
) -> list[tuple[str, bool]]:
    """Return the chunks at ``spans``, the first ones as whole texts while the budget lasts."""
    left = max_chars - sum(end - start for start, end in spans)
    shown: list[tuple[str, bool]] = []
    for text, (start, end) in zip(texts, spans, strict=False):
        missing = len(text) - (end - start)
        whole = missing <= left
        left -= missing if whole else 0
        shown.append((text if whole else text[start:end], not whole))
    return shown


def _resolve_span(text: str, span: Span | None) -> Span:
    return span if span is not None and span[0] < span[1] <= len(text) else (0, len(text))


def _take_fitting(spans: Sequence[Span], max_chars: int) -> list[Span]:
    """Return as many of the first ``spans`` as the budget holds."""
    used = 0
    for count, (start, end) in enumerate(spans):
        used += end - start
        if used > max_chars:
            return list(spans[:count])
    return list(spans)


def _find_cut(text: str, max_chars: int) -> int:
    """Return where to cut a text that is too long.

    That is after the last word that fits, or within the first word if none fits.
    """
    ends = [match.start() for match in _WORD_ENDS.finditer(text, 0, max_chars + 1)]
    return ends[-1] if ends and ends[-1] > 0 else max_chars
