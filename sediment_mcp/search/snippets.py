"""What of the memories found is shown, within a budget of characters.

An excerpt is always a piece of the text as it is: nothing is put in between and nothing added, no
ellipsis either. Whether something is missing is said beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Span = tuple[int, int]

_WORD_ENDS = re.compile(r"(?<=\S)(?=\s)")


def excerpts(contents: Sequence[tuple[str, Span | None]], max_chars: int) -> list[tuple[str, bool]]:
    """Choose what is shown of ``contents``, each a whole text with the span of its best passage (None:
    the text is its own best passage), best first.

    Each first gets its best passage; while the budget lasts, whole texts then take the passages' place,
    best first. Results that no longer fit are left out at the end. Returns, for the first results,
    (text, truncated); the texts have at most ``max_chars`` characters in all. There is at least one result if
    there was one to begin with: the first is cut at the end of a word if it must be.
    """
    if not contents:
        return []
    spans = _within([_passage(*content) for content in contents], max_chars)
    if not spans:
        text, (start, _) = contents[0][0], _passage(*contents[0])
        spans = [(start, start + _cut(text[start:], max_chars))]
    return _with_whole_texts([text for text, _ in contents], spans, max_chars)


def _with_whole_texts(texts: Sequence[str], spans: Sequence[Span], max_chars: int) -> list[tuple[str, bool]]:
    """The passages at ``spans``, those of the first texts replaced by the whole while the budget lasts."""
    left = max_chars - sum(end - start for start, end in spans)
    shown: list[tuple[str, bool]] = []
    for text, (start, end) in zip(texts, spans, strict=False):
        missing = len(text) - (end - start)
        whole = missing <= left
        left -= missing if whole else 0
        shown.append((text if whole else text[start:end], not whole))
    return shown


def _passage(text: str, span: Span | None) -> Span:
    return span if span is not None and span[0] < span[1] <= len(text) else (0, len(text))


def _within(spans: Sequence[Span], max_chars: int) -> list[Span]:
    """As many of the first ``spans`` as the budget holds."""
    used = 0
    for count, (start, end) in enumerate(spans):
        used += end - start
        if used > max_chars:
            return list(spans[:count])
    return list(spans)


def _cut(text: str, max_chars: int) -> int:
    """Where to cut a text that is too long: after the last word that fits, or within the only one."""
    ends = [match.start() for match in _WORD_ENDS.finditer(text, 0, max_chars + 1)]
    return ends[-1] if ends and ends[-1] > 0 else max_chars
