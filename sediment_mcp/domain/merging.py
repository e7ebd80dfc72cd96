"""Combine memories: one takes on the attributes of another, by a given precedence.

Text, kind, project, id and the link to a successor are never combined. None as an expiry means "never", which
is later than any time; None as another moment means "not at all", which is earlier than any.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAGS
from sediment_mcp.domain.tags import fold_tag, unique_tags

Precedence = Literal["target", "other", "symmetric", "newest"]
"""Whose tags come first, and whose value of a metadata key is kept; see `combine`."""

Metadata = Mapping[str, Any]


class Attributes(Protocol):
    """The attributes that `combine` reads of a `Memory` or a `NewMemory`; both are dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags in their order."""
        ...

    @property
    def metadata(self) -> Metadata:
        """Return the caller's own attributes."""
        ...

    @property
    def session(self) -> str | None:
        """Return the session, or None."""
        ...

    @property
    def importance(self) -> float:
        """Return the importance, 0 to 1."""
        ...

    @property
    def occurred_at(self) -> datetime:
        """Return when it happened."""
        ...

    @property
    def expires_at(self) -> datetime | None:
        """Return when it expires; None is never."""
        ...

    @property
    def deleted_at(self) -> datetime | None:
        """Return when it was deleted, if it is."""
        ...

    @property
    def restored_at(self) -> datetime | None:
        """Return when it was last restored, if ever."""
        ...

    @property
    def changed_at(self) -> datetime:
        """Return when somebody last changed it."""
        ...


AttributesT = TypeVar("AttributesT", bound=Attributes)


def combine(target: AttributesT, other: Attributes, precedence: Precedence) -> AttributesT:
    """Return ``target`` with the attributes of both.

    With every precedence but "newest", the higher importance, the later occurrence and the later expiry are
    taken, and combining with the same ``other`` again changes nothing. If the metadata of both are too large
    together, those of one side are kept whole. Tags, session and metadata depend on the precedence:

    "target"     A new memory takes the place of near-identical or chosen ones (a store that merges, a merge
                 on the web page). The target is the newest: its tags come first, its metadata values are
                 kept, and it takes over a session only if it has none.
    "other"      A text is stored again (a duplicate, an import from another program). The target is older
                 and keeps its tags first and its session, but the other's metadata values are newer and
                 replace its own; if both are too large together, the target's metadata stay.
    "symmetric"  Two memories turn out to be one (import of an export). No side is newer: both machines must
                 come to the same tags and metadata, whichever imports from the other, so the values alone
                 decide the order. The later deletion, restoration and change are taken.
    "newest"     One memory in two states (an export comes back). Tags, metadata, importance, occurrence,
                 expiry and deletion are as a whole those of the side that was changed last, so that what was
                 removed there stays removed. If both were changed at the same moment: "symmetric".
    """
    if precedence == "newest" and target.changed_at != other.changed_at:
        return _take_newest(target, other)
    if precedence in ("newest", "symmetric"):
        return _combine_symmetrically(target, other)
    first, second = (target, other) if precedence == "target" else (other, target)
    metadata = merge_metadata(second.metadata, first.metadata) or target.metadata
    combined = _combine(target, other, append_tags(target.tags, other.tags), metadata)
    is_filled = precedence == "other" or target.session
    return combined if is_filled else replace(combined, session=other.session)


def _combine(
    target: AttributesT, other: Attributes, tags: tuple[str, ...], metadata: Metadata
) -> AttributesT:
    return replace(
        target,
        tags=tags,
        metadata=metadata,
        importance=max(target.importance, other.importance),
        occurred_at=max(target.occurred_at, other.occurred_at),
        expires_at=choose_later_expiry(target.expires_at, other.expires_at),
    )


def _combine_symmetrically(target: AttributesT, other: Attributes) -> AttributesT:
    tags = _unite_tags(target.tags, other.tags)
    combined = _combine(target, other, tags, _unite_metadata(target.metadata, other.metadata))
    return replace(
        combined,
        deleted_at=_choose_later(target.deleted_at, other.deleted_at),
        restored_at=_choose_later(target.restored_at, other.restored_at),
        changed_at=max(target.changed_at, other.changed_at),
    )


def _take_newest(target: AttributesT, other: Attributes) -> AttributesT:
    last: Attributes = target if target.changed_at > other.changed_at else other
    return replace(
        target,
        tags=last.tags,
        metadata=last.metadata,
        importance=last.importance,
        occurred_at=last.occurred_at,
        expires_at=last.expires_at,
        deleted_at=last.deleted_at,
        restored_at=_choose_later(target.restored_at, other.restored_at),
        changed_at=last.changed_at,
    )


# --- the parts ----------------------------------------------------------------------------------


def append_tags(first: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Return all of ``first``, then as many of ``more`` as the limit allows."""
    return unique_tags((*first, *more))[: max(MAX_TAGS, len(first))]


def merge_metadata(old: Metadata, new: Metadata) -> Metadata | None:
    """Return both together, with the ``new`` value of a key that both have; None if too large."""
    both = {**old, **new}
    size = len(json.dumps(both, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return both if size <= MAX_METADATA_BYTES else None


def choose_later_expiry(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two expiry times; None, "never", is later than any."""
    return None if one is None or other is None else max(one, other)


def _choose_later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two moments; None, "not at all", is earlier than any."""
    return max((time for time in (one, other) if time is not None), default=None)


def _unite_tags(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return all tags of both, in the same order whichever is ``one``.

    If one side has all tags of the other, its order is kept, otherwise they are sorted. So if there are too
    many, every machine keeps the same ones, and keeps them when they are united again.
    """
    first, second = set(map(fold_tag, one)), set(map(fold_tag, other))
    if first == second:
        return min(one, other)
    if first > second or second > first:
        return one if first > second else other
    return unique_tags(sorted({*one, *other}))[:MAX_TAGS]


def _unite_metadata(one: Metadata, other: Metadata) -> Metadata:
    """Return all metadata of both; if they are too large together, those of one side.

    Of two values of the same key, the one whose JSON sorts last is kept.
    """
    sort_key: Callable[[Any], str] = _dump_sorted
    lesser, greater = sorted((one, other), key=sort_key)
    chosen = {key: max((lesser[key], greater[key]), key=sort_key) for key in lesser if key in greater}
    both = merge_metadata({**lesser, **greater}, chosen)
    return greater if both is None else both


def _dump_sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
