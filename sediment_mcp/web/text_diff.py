"""Text diff: how two texts differ, word by word; line by line where they are long.

The shortest list of edits is searched greedily (E. W. Myers: "An O(ND) Difference Algorithm and Its
Variations", 1986). Its time grows with the square of the number of edits and not with that of the texts'
lengths, so a bound for the edits bounds it, whatever the texts hold; difflib's is cubic where words repeat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

DiffPart = tuple[Literal["same", "out", "in"], str]

MAX_WORDS = 4000  # of both texts together; what is longer is compared line by line
MAX_EDITS = 1000  # words or lines that are out or in; a text that differs in more is another text
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def diff_texts(old: str, new: str) -> list[DiffPart]:
    """Return the parts of both texts in order, each marked "same", "out" or "in".

    "same" and "out" parts put together are the old text, "same" and "in" parts the new one.
    """
    for cut in (_WORDS.findall, _split_lines):
        before, after = cut(old), cut(new)
        matches = (
            _match(before, after) if cut is _split_lines or len(before) + len(after) <= MAX_WORDS else None
        )
        if matches is not None:
            return _join_parts(before, after, matches)
    return _drop_empty([("out", old), ("in", new)])


def _split_lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _join_parts(
    before: Sequence[str], after: Sequence[str], matches: Sequence[tuple[int, int, int]]
) -> list[DiffPart]:
    parts: list[DiffPart] = []
    old = new = 0
    for old_start, new_start, length in (*matches, (len(before), len(after), 0)):
        parts.append(("out", "".join(before[old:old_start])))
        parts.append(("in", "".join(after[new:new_start])))
        parts.append(("same", "".join(before[old_start : old_start + length])))
        old, new = old_start + length, new_start + length
    return _drop_empty(parts)


def _drop_empty(parts: list[DiffPart]) -> list[DiffPart]:
    """Return the parts that hold something, neighbours of one kind as one."""
    joined: list[DiffPart] = []
    for kind, text in parts:
        if text and joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        elif text:
            joined.append((kind, text))
    return joined


def _match(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int]] | None:
    """Return what both have in common as (start in before, start in after, length), in order.

    None if it takes more than `MAX_EDITS` edits to turn one into the other; the beginning and the end that
    they share do not count, so that a long passage may be added or taken out.
    """
    shared = min(len(before), len(after))
    head = next((place for place in range(shared) if before[place] != after[place]), shared)
    tail = next(
        (place for place in range(shared - head) if before[-1 - place] != after[-1 - place]), shared - head
    )
    old, new = len(before) - tail, len(after) - tail
    middle = _find_shortest(before[head:old], after[head:new])
    if middle is None:
        return None
    inner = [(head + one, head + other, length) for one, other, length in middle]
    return [(0, 0, head), *inner, (old, new, tail)]


def _find_shortest(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int]] | None:
    if not before or not after:
        return []
    paths: list[dict[int, int]] = []  # after each edit: diagonal → how far in ``before``
    furthest = {1: 0}
    for edits in range(min(MAX_EDITS, len(before) + len(after)) + 1):
        paths.append(furthest)
        furthest = _extend(before, after, furthest, edits)
        if furthest.get(len(before) - len(after), -1) >= len(before):
            return _trace_back(paths, len(before), len(after))
    return None


def _extend(
    before: Sequence[str], after: Sequence[str], previous: dict[int, int], edits: int
) -> dict[int, int]:
    """Return how far each diagonal is reached with one more edit."""
    furthest: dict[int, int] = {}
    for diagonal in range(-edits, edits + 1, 2):
        old = _step(previous, diagonal, edits)
        new = old - diagonal
        while old < len(before) and new < len(after) and before[old] == after[new]:
            old, new = old + 1, new + 1
        furthest[diagonal] = old
    return furthest


def _step(previous: dict[int, int], diagonal: int, edits: int) -> int:
    """Return where one edit leads to on the diagonal: one word in or out, whichever is further."""
    if diagonal == -edits or (diagonal != edits and previous[diagonal - 1] < previous[diagonal + 1]):
        return previous[diagonal + 1]
    return previous[diagonal - 1] + 1


def _trace_back(paths: Sequence[dict[int, int]], old: int, new: int) -> list[tuple[int, int, int]]:
    matches: list[tuple[int, int, int]] = []
    for edits in range(len(paths) - 1, -1, -1):
        diagonal = old - new
        start = _step(paths[edits], diagonal, edits) if edits else 0
        if old > start:
            matches.append((start, start - diagonal, old - start))
        is_in = diagonal == -edits or (
            diagonal != edits and paths[edits][diagonal - 1] < paths[edits][diagonal + 1]
        )
        old = start if is_in else start - 1
        new = start - diagonal - 1 if is_in else start - diagonal
    return matches[::-1]
