"""Find the memories that are related to one, each with the reason in plain words.

    score = versions + shared entities + session + similarity, times `OTHER_PROJECT_FACTOR`

Versions of the same fact come first; then what shares rare entities (`shared_entities`), stands near in the
session, or is similar in meaning. Nothing is stored for it: the indexes propose and the rows decide, as for a
query, with a fixed number of searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sediment_mcp.domain.near_duplicates import MIN_SIMILAR_COSINE
from sediment_mcp.embeddings.codec import decode_vectors
from sediment_mcp.search.ranking import OTHER_PROJECT_FACTOR
from sediment_mcp.search.shared_entities import find_shared_entities
from sediment_mcp.system.text import format_count

if TYPE_CHECKING:
    from datetime import datetime

    from sediment_mcp.domain.filters import Filters
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.search.index_view import IndexView
    from sediment_mcp.storage.protocols import ReadSession

SESSION_REACH = 10  # turns before and after
VERSION_WEIGHT = 10.0  # more than anything else adds up to
SESSION_WEIGHT = 0.4  # of the next turn; of the n-th 1/n of it
SIMILARITY_WEIGHT = 6.0  # of each unit of the cosine beyond `MIN_SIMILAR_COSINE`
MAX_VECTORS = 3  # chunks of a long memory that are compared
SHOWN_NAMES = 3  # of the entities that both mention
SHOWN_CHARS = 60  # of each


@dataclass(frozen=True, slots=True)
class RelatedMemory:
    """A memory that is related to another one, and the reason, such as "both mention pgbouncer"."""

    memory: Memory
    reason: str


def find_related(
    session: ReadSession, view: IndexView, memory: Memory, filters: Filters, now: datetime
) -> list[RelatedMemory]:
    """Return the memories that are related to this one and pass the filters, the nearest first.

    The view must have applied all changes, in the read transaction of the session.

    Raises:
        DamagedSnapshot: a snapshot turns out to be damaged, and is not used any more.
    """
    relations = _Relations(session, view, memory, filters, now)
    relations.add_versions()
    relations.add_shared_entities()
    relations.add_session()
    relations.add_similar()
    found = session.get_by_keys(list(relations.scores), filters, now)

    def score(other: Memory) -> float:
        is_own = other.project is None or other.project == filters.project
        return relations.scores[other.key] * (1.0 if is_own else OTHER_PROJECT_FACTOR)

    found.sort(key=lambda other: (-score(other), -other.key))
    return [RelatedMemory(other, "; ".join(relations.reasons[other.key])) for other in found]


@dataclass(slots=True)
class _Relations:
    """What relates other memories to the given one: by key their scores, and their reasons."""

    session: ReadSession
    view: IndexView
    memory: Memory
    filters: Filters
    now: datetime
    scores: dict[int, float] = field(default_factory=dict[int, float])
    reasons: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def _add(self, key: int, score: float, reason: str) -> None:
        if key != self.memory.key:
            self.scores[key] = self.scores.get(key, 0.0) + score
            self.reasons.setdefault(key, []).append(reason)

    def add_versions(self) -> None:
        """Add what the memory has replaced, directly or not, and what has replaced it."""
        chain = self.session.versions(self.memory.id)
        replaced: dict[str | None, list[Memory]] = {}
        for version in chain:
            replaced.setdefault(version.superseded_by, []).append(version)
        direct = replaced.pop(self.memory.id, [])
        self._add_versions(direct, "replaced by this one")
        while direct := [older for version in direct for older in replaced.pop(version.id, ())]:
            self._add_versions(direct, "an earlier version of this")
        waiting = {version.id: version for version in chain if version.id != self.memory.id}
        reason, successor = "replaces this one", self.memory.superseded_by
        while (version := waiting.pop(successor or "", None)) is not None:
            self._add_versions([version], reason)
            reason, successor = "a later version of this", version.superseded_by

    def _add_versions(self, versions: Sequence[Memory], reason: str) -> None:
        for version in versions:
            self._add(version.key, VERSION_WEIGHT, reason)

    def add_shared_entities(self) -> None:
        """Add what names the same rare entities."""
        shared = find_shared_entities(self.session, self.view.text, self.memory, self.filters, self.now)
        for key, entities in shared.items():
            self._add(key, entities.weight, f"both mention {_list_shared(entities.names)}")

    def add_session(self) -> None:
        """Add the turns around the memory in its session."""
        for line in self.session.session_neighbours([self.memory.key], SESSION_REACH).values():
            own = line.index(self.memory.key)
            for turns, key in enumerate(line, start=-own):
                if turns:
                    self._add(key, SESSION_WEIGHT / abs(turns), f"same session, {_describe_turns(turns)}")

    def add_similar(self) -> None:
        """Add what is near in meaning, by the embeddings that are kept."""
        session, vectors = self.session, self.view.vectors
        model_key = vectors and session.embeddings.model_key(vectors.model.fingerprint)
        if model_key is None:
            return
        chunk_ids = sorted(chunk.id for chunk in session.chunks_of([self.memory.key]))[:MAX_VECTORS]
        encoded = list(session.embeddings.get(model_key, chunk_ids).values())
        cosines: dict[int, float] = {}
        for vector in decode_vectors(encoded) if encoded else ():
            near = self.view.nearest(session, vector, self.filters, self.now, MIN_SIMILAR_COSINE)
            for other, _, cosine in near:
                cosines[other.key] = max(cosine, cosines.get(other.key, 0.0))
        for key, cosine in cosines.items():
            self._add(key, SIMILARITY_WEIGHT * (cosine - MIN_SIMILAR_COSINE), "similar in meaning")


def _describe_turns(turns: int) -> str:
    return f"{format_count(abs(turns), 'turn')} {'later' if turns > 0 else 'earlier'}"


def _list_shared(names: Sequence[str]) -> str:
    shown = [
        name if len(name) <= SHOWN_CHARS else f"{name[: SHOWN_CHARS - 1]}…" for name in names[:SHOWN_NAMES]
    ]
    if len(names) > SHOWN_NAMES:
        shown.append(f"{len(names) - SHOWN_NAMES} more")
    *others, last = shown
    return f"{', '.join(others)} and {last}" if others else last
