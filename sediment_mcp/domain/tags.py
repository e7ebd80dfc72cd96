"""Tags: how they are written, and when two of them are the same.

A tag is shown as it was given. Two are the same whatever their capitals, a "#" before them, blanks around
them and the way in which Unicode spells them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from sediment_mcp.system.text import compose_accents

CAPTURED_TAG = "captured"  # of turns that were kept without anybody having stored them
REMEMBERED_TAGS = 4096  # folded tags that are cached, because they repeat


def clean_tag(tag: str) -> str:
    """Return the tag without blanks around it and without a "#" at its beginning."""
    return tag.strip().lstrip("#").strip() or tag.strip()


@functools.lru_cache(REMEMBERED_TAGS)
def fold_tag(tag: str) -> str:
    """Return the form in which tags that are the same are equal."""
    return compose_accents(compose_accents(" ".join(clean_tag(tag).split())).casefold())


def unique_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags in their order, the first of those that are the same."""
    unique: dict[str, str] = {}
    for tag in tags:
        unique.setdefault(fold_tag(tag), tag)
    return tuple(unique.values())
