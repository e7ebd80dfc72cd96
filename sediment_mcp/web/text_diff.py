"""Text diff: how two texts differ, word by word; line by line where they are long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

DiffPart = tuple[Literal["same", "out", "in"], str]

MAX_WORDS = 4000  # of both texts together; the comparison takes time by their product
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def diff_texts(old: str, new: str) -> list[DiffPart]:
    """Return the parts of both texts in order, each marked "same", "out" or "in".

    "same" and "out" parts put together are the old text, "same" and "in" parts the new one.
    """
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if len(before) + len(after) > MAX_WORDS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if len(before) + len(after) > MAX_WORDS:
        return _drop_empty([("out", old), ("in", new)])
    return _drop_empty(list(_compare(before, after)))


def _compare(before: list[str], after: list[str]) -> Iterator[DiffPart]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for operation, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if operation == "equal":
            yield "same", "".join(before[old_start:old_end])
        else:
            yield "out", "".join(before[old_start:old_end])
            yield "in", "".join(after[new_start:new_end])


def _drop_empty(parts: list[DiffPart]) -> list[DiffPart]:
    return [part for part in parts if part[1]]
