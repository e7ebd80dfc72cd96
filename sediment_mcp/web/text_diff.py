"""How two texts differ, word by word; line by line where they are long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

Part = tuple[Literal["same", "out", "in"], str]

MOST_WORDS = 4000  # of both texts; the comparison takes time by their product
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def difference(old: str, new: str) -> list[Part]:
    """The parts of both texts in order: in both, only in the old one, only in the new one. Those of the old
    one, put together, are the old text, and so with the new."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if len(before) + len(after) > MOST_WORDS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if len(before) + len(after) > MOST_WORDS:
        return _without_empty([("out", old), ("in", new)])
    return _without_empty(list(_parts(before, after)))


def _parts(before: list[str], after: list[str]) -> Iterator[Part]:
    for word, start, end, begin, finish in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if word == "equal":
            yield "same", "".join(before[start:end])
        else:
            yield "out", "".join(before[start:end])
            yield "in", "".join(after[begin:finish])


def _without_empty(parts: list[Part]) -> list[Part]:
    return [part for part in parts if part[1]]
