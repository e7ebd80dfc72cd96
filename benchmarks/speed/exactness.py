"""What the indexes leave out: recall of search by meaning, and filters against brute force.

Both compare scores, not ids, so that ties do not count as misses: the k-th best found must be as good as the
k-th best there is.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from corpus import BY_CHANCE, PROJECTS
from hosts import SCRIPT
from sentences import TOPICS, Writer
from stdio_client import Server, close_input

from sediment_mcp.domain.filters import Filters, matches
from sediment_mcp.domain.memory import Memory
from sediment_mcp.embeddings.codec import decode_vectors
from sediment_mcp.embeddings.loader import EmbeddedQuery
from sediment_mcp.embeddings.minilm import IDENTITY
from sediment_mcp.search.index_view import FIRST_FETCH, IndexView, Query
from sediment_mcp.search.ranking import read_asking
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.storage.sqlite.session import open_session
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.tuning import Tuning

K = 10
TOLERANCE = 1e-3  # of a cosine: float16 summed in another order
BLOCK = 50_000  # vectors multiplied at a time
SHARES = (0.01, 0.1, 0.5)


@dataclass(frozen=True)
class Asked:
    """A question with its topic and its embedding."""

    text: str
    topic: str
    vector: np.ndarray


def questions(embed: Any, count: int) -> list[Asked]:
    writer = Writer(11)
    topics = [writer.chance.choice(TOPICS) for _ in range(count)]
    texts = [writer.question(topic) for topic in topics]
    return [Asked(*asked) for asked in zip(texts, topics, embed(texts).vectors, strict=True)]


class Whole:
    """All memories and passages of a directory, to search them without any index."""

    def __init__(self, session: ReadSession) -> None:
        self.memories = {memory.key: memory for memory in session.changes.memories_since(0)}
        model = session.embeddings.model_key(IDENTITY.fingerprint)
        assert model is not None
        vectors = session.embeddings.since(model, 0)
        self.owner = {chunk: number for number, chunk in _owners(session, list(self.memories))}
        self.memory_of = np.array([self.owner[chunk] for chunk in vectors])
        self._vectors = list(vectors.values())

    def cosines(self, asked: Sequence[Asked]) -> np.ndarray:
        """Shape (questions, passages); float32."""
        wanted = np.stack([one.vector for one in asked])
        parts = [
            wanted @ decode_vectors(self._vectors[start : start + BLOCK]).T
            for start in range(0, len(self._vectors), BLOCK)
        ]
        return np.concatenate(parts, axis=1)


def _owners(session: ReadSession, numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(chunk.memory_key, chunk.id) for chunk in session.chunks_of(numbers)]


@contextlib.contextmanager
def _opened(directory: Path) -> Generator[tuple[ReadSession, IndexView]]:
    """A moment of the data directory, its snapshots taken up."""
    with contextlib.closing(open_session(directory / DATABASE, read_only=True)) as session:
        search = IndexView(directory, Tuning(), DirectoryEncryption(directory))
        search.reload(session, IDENTITY)
        with session.snapshot():
            search.apply_changes(session)
            yield session, search


def recall(directory: Path, asked: Sequence[Asked]) -> dict[str, float]:
    """Return the share of each question's `K` nearest passages that search by meaning brings.

    The mean over the questions, and the worst of them.
    """
    with _opened(directory) as (session, search):
        assert search.vectors is not None
        exact = -np.sort(np.partition(-Whole(session).cosines(asked), K - 1, axis=1)[:, :K], axis=1)
        shares = [
            _share([hit.cosine for hit in search.vectors.search(one.vector, FIRST_FETCH)], best)
            for one, best in zip(asked, exact, strict=True)
        ]
        has_index = search.vectors.snapshot_seq > 0
    return {"mean": statistics.fmean(shares), "worst": min(shares), "by_index": has_index}


def _share(found: Sequence[float], best: Sequence[float] | np.ndarray, tolerance: float = TOLERANCE) -> float:
    """How many of the `K` best scores there are have been found, from 0 to 1."""
    wanted = list(best[:K])
    if not wanted:
        return 1.0
    got = sorted(found, reverse=True)[: len(wanted)]
    return sum(a >= b - tolerance for a, b in zip(got, wanted, strict=False)) / len(wanted)


# --- filters ------------------------------------------------------------------------------------


def cases(memories: Sequence[Memory], now: datetime) -> dict[str, dict[str, Any]]:
    """Filters by name, as arguments of `query_memory`; a tag of "{topic}" is the question's own topic, and of
    "{other}" another one."""
    times = sorted(memory.occurred_at for memory in memories)
    found: dict[str, dict[str, Any]] = {
        f"tag, by chance, {share:.0%}": {"tags": [tag]} for tag, share in BY_CHANCE.items()
    }
    found |= {
        "tag, the question's topic": {"tags": ["{topic}"]},
        "tag, another topic": {"tags": ["{other}"]},
        "two tags and a kind": {"tags": ["{topic}", "review"], "kind": "episodic"},
        "kind working": {"kind": "working"},
        "kind semantic": {"kind": "semantic"},
        "project": {"scope": "project"},
        "global": {"scope": "global"},
        "session": {"session": _longest_session(memories)},
    }
    found |= {
        f"newest {share:.0%}": {"since": times[int(len(times) * (1 - share))].isoformat()} for share in SHARES
    }
    return found | {"a month long ago": {"since": (now - timedelta(800)).isoformat(),
                                         "until": (now - timedelta(770)).isoformat()}}  # fmt: skip


def _longest_session(memories: Sequence[Memory]) -> str:
    sizes: dict[str, int] = {}
    for memory in memories:
        if memory.session is not None:
            sizes[memory.session] = sizes.get(memory.session, 0) + 1
    return max(sizes, key=sizes.__getitem__)


def _for(arguments: dict[str, Any], topic: str) -> dict[str, Any]:
    other = TOPICS[(TOPICS.index(topic) + len(TOPICS) // 2) % len(TOPICS)]
    tags = [tag.format(topic=topic, other=other) for tag in arguments.get("tags", ())]
    return arguments | {"tags": tags} if tags else arguments


def _filters(arguments: dict[str, Any]) -> Filters:
    times = {
        name: datetime.fromisoformat(arguments[name]) for name in ("since", "until") if name in arguments
    }
    return replace(
        Filters(project=PROJECTS[0]), **(arguments | {"tags": tuple(arguments.get("tags", ()))} | times)
    )


def filters(directory: Path, asked: Sequence[Asked], rounds: int) -> list[dict[str, Any]]:
    """For each filter: the share of memories it admits, whether the candidates hold the best by meaning and
    by words that there are, how many wrong ones they hold, and what it costs over stdio."""
    now = datetime.now(UTC)
    with _opened(directory) as (session, search):
        whole = Whole(session)
        chosen = cases(list(whole.memories.values()), now)
        truth = _Truth(session, search, whole, asked, now)
        figures = {name: truth.compare(arguments) for name, arguments in chosen.items()}
    costs = _costs(directory, chosen, asked, rounds)
    unfiltered = costs.pop("")
    return [
        {
            "filter": name,
            **figures[name],
            "p50_ms": cost["p50"],
            "above_unfiltered_ms": cost["p50"] - unfiltered["p50"],
            "cpu_ms": cost["cpu"],
            "cpu_above_unfiltered_ms": cost["cpu"] - unfiltered["cpu"],
        }
        for name, cost in costs.items()
    ]


class _Truth:
    """Every question's scores over all passages, and what a filter should leave of them."""

    def __init__(
        self, session: ReadSession, search: IndexView, whole: Whole, asked: Sequence[Asked], now: datetime
    ) -> None:
        self._store, self._search, self._whole, self._asked, self._now = session, search, whole, asked, now
        self._cosines = whole.cosines(asked)
        self._words = [self._by_words(one) for one in asked]
        self._allowed: dict[Filters, set[int]] = {}

    def _by_words(self, one: Asked) -> tuple[np.ndarray, np.ndarray]:
        """(memories, scores) of every passage that shares a word with the question, best first."""
        text = self._search.text
        hits = text.search(text.select_terms(one.text), Filters(), self._now, len(self._whole.memory_of))
        return np.array([hit.memory_key for hit in hits]), np.array([hit.score for hit in hits])

    def _admitted(self, chosen: Filters) -> set[int]:
        if chosen not in self._allowed:
            self._allowed[chosen] = {
                n for n, m in self._whole.memories.items() if matches(chosen, m, self._now)
            }
        return self._allowed[chosen]

    def compare(self, arguments: dict[str, Any]) -> dict[str, Any]:
        meaning, words, wrong, admitted = list[float](), list[float](), 0, list[float]()
        for row, one in enumerate(self._asked):
            chosen = _filters(_for(arguments, one.topic))
            allowed = self._admitted(chosen)
            asking = read_asking(one.text, project=chosen.project, now=self._now)
            none = np.zeros((0, 0))
            embedded = EmbeddedQuery(IDENTITY, one.vector, None, none, none)
            query = Query(one.text, embedded, chosen, self._now, K, asking)
            numbers = set(self._search.find_candidates(self._store, query).memory_keys.tolist())
            admitted.append(len(allowed) / len(self._whole.memories))
            wrong += len(numbers - allowed)
            meaning.append(_share(self._best_cosines(row, numbers), self._best_cosines(row, allowed)))
            words.append(_share(self._best_by_words(row, numbers), self._best_by_words(row, allowed)))
        return {
            "admits": statistics.fmean(admitted),
            "by_meaning": statistics.fmean(meaning),
            "by_words": statistics.fmean(words),
            "wrong": wrong,
        }

    def _best_by_words(self, row: int, among: set[int]) -> np.ndarray:
        memories, scores = self._words[row]
        return scores[np.isin(memories, list(among))][:K]

    def _best_cosines(self, row: int, among: set[int]) -> list[float]:
        """Of each of these memories the best passage, the best `K` of these."""
        own = np.isin(self._whole.memory_of, list(among))
        cosines, memories = self._cosines[row][own], self._whole.memory_of[own]
        best: dict[int, float] = {}
        for place in np.argsort(-cosines):
            best.setdefault(int(memories[place]), float(cosines[place]))
            if len(best) == K:
                break
        return list(best.values())


def _costs(
    directory: Path, chosen: dict[str, dict[str, Any]], asked: Sequence[Asked], rounds: int
) -> dict[str, dict[str, float]]:
    """Median milliseconds, as the client and as the processor sees them, by filter; "" is none. All are asked
    in turn, so that all feel the same load."""
    server = Server([str(SCRIPT)], directory, SEDIMENT_PROJECT=PROJECTS[0])
    server.initialize()
    server.call("query_memory", {"query": "A first question loads the model."})
    every = {"": dict[str, Any]()} | chosen
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in every}
    for one in islice(cycle(asked), rounds):
        for name, arguments in every.items():
            busy = server.busy()
            took, _ = server.call("query_memory", {"query": one.text, **_for(arguments, one.topic)})
            times[name].append((took, server.busy() - busy))
    server.end(close_input)
    medians = {
        name: [statistics.median(part) for part in zip(*both, strict=True)] for name, both in times.items()
    }
    return {name: {"p50": took, "cpu": cpu} for name, (took, cpu) in medians.items()}
