"""A data directory of any size without hours of embedding, and why its figures can be believed.

Texts. A memory is a sentence or several (`sentences.py`): half of them one, one in a hundred a document of
several passages; the median is about 110 characters, the mean 185. Two thirds stand in sessions of 12 on
average, whose memories share a topic and follow each other within minutes; over three years, in twelve
projects and global, of all kinds, with tags by topic and tags by chance (`BY_CHANCE`).

Vectors. The first `REAL` memories have the model's own embeddings. So has one sentence of each meaning, the
pool p. All other passages get, with w the share of the passage that each of its sentences takes and a, b two
pool entries drawn at random,

    v = unit(unit(sum of w p[meaning]) + SPREAD * unit(p[a] - p[b]))

because a mean-pooling model's embedding of a passage is close to the mean of its sentences, and what else
varies (the person, the place, numbers) moves it in directions in which real embeddings differ, not at random:
on random vectors neither the recall nor the speed of HNSW says anything. `similarity` compares the two kinds
over the same texts. All are stored under the default model's identity, so questions are embedded by it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
from sentences import MEANINGS, OF_TOPIC, TOPICS, Writer

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.domain.chunking import split_into_chunks
from sediment_mcp.domain.duplicates import compute_content_hash
from sediment_mcp.domain.memory import Kind, NewMemory
from sediment_mcp.embeddings.codec import encode_tokens, encode_vectors
from sediment_mcp.embeddings.minilm import IDENTITY, TOKEN_IDENTITY
from sediment_mcp.embeddings.protocols import DocumentEmbeddings
from sediment_mcp.embeddings.token_projection import MAX_TOKENS
from sediment_mcp.storage.protocols import WriteSession

REAL = 1000
SPREAD = 0.45
BATCH = 1000
SEED = 20261120
YEARS = timedelta(days=3 * 365)
BY_CHANCE = {"urgent": 0.01, "review": 0.10, "work": 0.50}  # tags that have nothing to do with the text
PROJECTS = tuple(f"https://example.com/team/project-{number}" for number in range(1, 13))
KINDS: tuple[Kind, ...] = ("semantic", "episodic", "procedural", "working")
KIND_WEIGHTS = (60, 25, 12, 3)
SENTENCES = (1, 2, 3, 4, 6, 10, 40)
SENTENCE_WEIGHTS = (50, 26, 12, 6, 3, 2, 1)
A_SESSION = 12  # memories on average
STRAY = 0.1  # sentences of another topic than their memory's

Embed = Callable[[Sequence[str]], DocumentEmbeddings]


@dataclass(frozen=True)
class Planned:
    """A memory to be: its draft, and for each sentence (start, end, meaning)."""

    draft: NewMemory
    sentences: list[tuple[int, int, int]]


# --- texts and what belongs to them -------------------------------------------------------------


def planned(now: datetime) -> Iterator[Planned]:
    """Memories without end, always the same ones but for their times, which count back from ``now``."""
    writer = Writer(SEED)
    while True:
        yield from _session(writer, now)


def _session(writer: Writer, now: datetime) -> Iterator[Planned]:
    chance = writer.chance
    topic, at = chance.choice(TOPICS), now - chance.random() * YEARS
    length = int(chance.expovariate(1 / A_SESSION)) + 1
    session = f"{writer.name()}-{chance.randrange(10**6)}" if chance.random() < 2 / 3 else None
    number = int(chance.expovariate(1) * 3)
    project = PROJECTS[number] if number < len(PROJECTS) and chance.random() < 0.6 else None
    for _ in range(length):
        at += timedelta(minutes=chance.expovariate(1 / 4)) if session else timedelta(0)
        occurred = min(at if session else now - chance.random() * YEARS, now)
        yield _memory(writer, topic, session, project, occurred, now)


def _memory(
    writer: Writer, topic: str, session: str | None, project: str | None, at: datetime, now: datetime
) -> Planned:
    chance = writer.chance
    text, sentences = _text(writer, topic)
    kind = chance.choices(KINDS, KIND_WEIGHTS)[0]
    draft = NewMemory(
        content=text,
        content_hash=compute_content_hash(text),
        spans=tuple(split_into_chunks(text)),
        kind=kind,
        tags=_tags(chance, topic),
        project=project,
        session=session,
        importance=0.5 if chance.random() < 0.8 else round(chance.random(), 1),
        metadata={"source": f"conversation {chance.randrange(10**4)}"} if chance.random() < 0.2 else {},
        occurred_at=at,
        created_at=now,
        changed_at=now,
        expires_at=now + YEARS if kind == "working" else None,
    )
    return Planned(draft, sentences)


def _text(writer: Writer, topic: str) -> tuple[str, list[tuple[int, int, int]]]:
    chance, parts, spans, at = writer.chance, list[str](), list[tuple[int, int, int]](), 0
    count = chance.choices(SENTENCES, SENTENCE_WEIGHTS)[0]
    for number in range(count):
        own = chance.random() >= STRAY
        meaning = chance.choice(OF_TOPIC[topic]) if own else chance.randrange(len(MEANINGS))
        text = writer.sentence(meaning)
        spans.append((at, at + len(text), meaning))
        parts += [text, "\n\n" if number % 5 == 4 else " "]
        at += len(text) + len(parts[-1])
    return "".join(parts[:-1]), spans


def _tags(chance: random.Random, topic: str) -> tuple[str, ...]:
    drawn = [tag for tag, share in BY_CHANCE.items() if chance.random() < share]
    return (topic, *drawn) if chance.random() < 0.7 else tuple(drawn)


# --- vectors ------------------------------------------------------------------------------------


class Vectors:
    """Embeddings for passages: the model's own for a pool of sentences, mixtures of these for the rest."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._rng = np.random.default_rng(SEED)

    @functools.cached_property
    def _pool(self) -> DocumentEmbeddings:
        writer = Writer()
        return self._embed([writer.sentence(meaning) for meaning in range(len(MEANINGS))])

    def real(self, memories: Sequence[Planned]) -> DocumentEmbeddings:
        """The model's own, one row a passage, in order."""
        return self._embed(
            [memory.draft.content[slice(*span)] for memory in memories for span in memory.draft.spans]
        )

    def mixed(self, memories: Sequence[Planned]) -> DocumentEmbeddings:
        """By the formula above, one row a passage, in order; token vectors are those of its meanings."""
        rows, meanings, weights = _shares(memories)
        pool, count = self._pool.vectors, rows[-1] + 1
        mixture = np.zeros((count, pool.shape[1]), np.float32)
        np.add.at(mixture, rows, pool[meanings] * weights[:, None])
        first, second = self._rng.integers(0, len(pool), (2, count))
        vectors = _unit(_unit(mixture) + SPREAD * _unit(pool[first] - pool[second] + 1e-6))
        parts: list[list[np.ndarray]] = [[] for _ in range(count)]
        for row, meaning in zip(rows.tolist(), meanings.tolist(), strict=True):
            parts[row].append(self._pool.tokens[meaning])
        return DocumentEmbeddings(vectors, [np.concatenate(own)[:MAX_TOKENS] for own in parts])


def _shares(memories: Sequence[Planned]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(passage, meaning, characters) wherever a sentence lies in a passage."""
    found: list[tuple[int, int, int]] = []
    passage = -1
    for memory in memories:
        for start, end in memory.draft.spans:
            passage += 1
            found += [
                (passage, meaning, min(end, last) - max(start, first))
                for first, last, meaning in memory.sentences
                if min(end, last) > max(start, first)
            ]
    rows, meanings, weights = np.array(found).T
    return rows, meanings, weights.astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def similarity(vectors: Vectors, count: int = REAL) -> dict[str, list[float]]:
    """Median cosines of the same passages, embedded and mixed: to the 1st, 10th and 50th nearest passage, and
    of all pairs."""
    memories = list(islice(planned(datetime.now(UTC)), count))
    return {
        "embedded": _spread(vectors.real(memories).vectors),
        "mixed": _spread(vectors.mixed(memories).vectors),
    }


def _spread(vectors: np.ndarray) -> list[float]:
    cosines = vectors @ vectors.T
    pairs = cosines[np.triu_indices(len(cosines), 1)]
    np.fill_diagonal(cosines, -1)
    nearest = -np.sort(-cosines, axis=1)
    return [float(np.median(nearest[:, min(k, len(vectors) - 1) - 1])) for k in (1, 10, 50)] + [
        float(np.median(pairs))
    ]


# --- filling ------------------------------------------------------------------------------------


def fill(config: Config, count: int, vectors: Vectors, progress: Callable[[int], object]) -> None:
    """Store so many memories, telling ``progress`` how many are there; writes no indexes."""
    now = datetime.now(UTC)
    source = planned(now)
    app = Application(config, is_resident=False)
    done = 0
    while done < count:
        known = done < REAL
        memories = list(islice(source, min(BATCH, count - done)))
        rows = vectors.real(memories) if known else vectors.mixed(memories)
        with app.storage.write() as session:
            _add(session, memories, rows)
        done += len(memories)
        progress(done)
    app.close()


def _add(session: WriteSession, memories: Sequence[Planned], rows: DocumentEmbeddings) -> None:
    chunks = [chunk for memory in memories for chunk in session.add(memory.draft)[1]]
    model = session.embeddings.register(IDENTITY)
    session.embeddings.add(model, zip(chunks, encode_vectors(rows.vectors), strict=True))
    token_model = session.token_vectors.register(TOKEN_IDENTITY)
    session.token_vectors.add(token_model, zip(chunks, encode_tokens(rows.tokens), strict=True))
