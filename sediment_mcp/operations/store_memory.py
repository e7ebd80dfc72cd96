"""Store a memory.

The text is checked, split into chunks, embedded and compared with similar memories without any lock; then one
transaction writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sediment_mcp.config import SECRETS
from sediment_mcp.domain.chunking import split_into_chunks
from sediment_mcp.domain.duplicates import (
    add_repetition,
    compute_content_hash,
    is_duplicate,
    is_same_text,
)
from sediment_mcp.domain.memory import TEAM, Memory, NewMemory
from sediment_mcp.domain.merging import combine
from sediment_mcp.domain.retention import WORKING_LIFE
from sediment_mcp.domain.secrets import find_secret_kinds
from sediment_mcp.domain.tags import unique_tags
from sediment_mcp.embeddings.loader import EmbeddedTexts
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import BadArgument, HoldsSecret, UnknownMemory
from sediment_mcp.operations.arguments import OwnScope, StoreMemory
from sediment_mcp.operations.content_notes import note_texts
from sediment_mcp.operations.project_scope import raise_no_project
from sediment_mcp.operations.projects import open_project
from sediment_mcp.operations.results import SimilarResult, StoreResult, build_result, describe_similar
from sediment_mcp.operations.stores import choose_store, refuse_foreign
from sediment_mcp.system.text import list_names
from sediment_mcp.system.timestamps import isoformat_to_second, means_time

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.search.similar import SimilarMemory
    from sediment_mcp.storage.protocols import ReadSession, WriteSession

CORRECTABLE = {"content", "tags", "session", "importance", "occurred_at", "expires_at", "metadata"}
"""What a memory that is stored again may say otherwise, without being another one by its kind or scope."""
MAX_CHUNKS_AT_ONCE = 8  # a longer text is embedded in the background, so that storing stays quick


def store_memory(app: Application, arguments: StoreMemory, project: str | None) -> StoreResult:
    """Store a memory, unless its text is stored already; durable when this returns.

    The scope ``team`` stores it in the team's store, and nothing else does.

    Raises:
        NoProject, UnknownMemory, HoldsSecret, BadArgument: nothing was stored.
        StorageError: the disk is full or the directory cannot be written; nothing was stored.
    """
    from sediment_mcp.search.similar import find_near_duplicates, find_similar

    own, app = app, choose_store(app, arguments.scope)
    refuse_foreign(own, app, arguments.replaces)
    now = app.now()
    memory = new_memory(arguments, owner_of(arguments.scope, project), now)
    open_project(app, memory.project, is_storing=True)
    app.model.start()
    secret_warnings = check_secrets(app, arguments)
    embedded = _embed(app, memory) if len(memory.spans) <= MAX_CHUNKS_AT_ONCE else None
    similar = find_similar(app.retriever, memory, embedded)
    with app.storage.write() as session:
        replaced = _find_replaced(session, arguments.replaces)
        existing = find_duplicate(session, memory, arguments.occurred_at)
        if existing is not None and existing.id in arguments.replaces and changes(arguments, existing):
            existing = None  # a correction, however small, becomes a version of its own
        older = find_near_duplicates(session, memory, similar, now) if not (existing or replaced) else []
        if existing is not None:
            stored = add_repetition(existing, memory, arguments.occurred_at)
            session.update(stored, now)  # counts as a change even if it adds nothing: somebody wants it kept
        else:
            for old in older:
                memory = combine(memory, old, precedence="target")
            stored, chunk_ids = session.add(memory)
            if embedded is not None:
                model_key = session.embeddings.register(embedded.model)
                session.embeddings.add(model_key, zip(chunk_ids, embedded.vectors, strict=True))
                if embedded.token_model is not None:
                    model_key = session.token_vectors.register(embedded.token_model)
                    session.token_vectors.add(model_key, zip(chunk_ids, embedded.tokens, strict=True))
        superseded, warnings = _supersede(session, replaced or older, stored)
    shown = _describe_similar(similar, {stored.id, *superseded, *arguments.replaces})
    return build_result(
        StoreResult,
        id=stored.id,
        status="duplicate" if existing else "merged" if older else "stored",
        superseded=superseded,
        similar=shown,
        expires_at=isoformat_to_second(stored.expires_at),
        warnings=[
            *secret_warnings,
            *warnings,
            *note_texts((near["id"], [near["content"]]) for near in shown),
        ],
    )


def _embed(app: Application, memory: NewMemory) -> EmbeddedTexts | None:
    """Return the embeddings of the chunks, those that are stored already if the same text is."""
    return _read_embeddings(app, memory) or app.model.embed_documents(
        [memory.content[start:end] for start, end in memory.spans]
    )


def _read_embeddings(app: Application, memory: NewMemory) -> EmbeddedTexts | None:
    """Return the embeddings of a stored memory with this very text, or None if any is missing.

    The background makes token vectors that are not known.
    """
    embedder = app.model.ready
    if embedder is None:
        return None
    with app.storage.read() as session:
        same = session.find_by_content_hash(
            memory.content_hash, memory.kind, memory.project, memory.created_at
        )
        keys = [existing.key for existing in same if existing.content == memory.content][:1]
        model_key = session.embeddings.model_key(embedder.identity.fingerprint) if keys else None
        if model_key is None:
            return None
        chunks = {(chunk.start, chunk.end): chunk.id for chunk in session.chunks_of(keys)}
        vectors = session.embeddings.get(model_key, list(chunks.values()))
        tokens = _read_token_vectors(session, embedder.token_identity, list(chunks.values()))
    own = [chunks.get(span, 0) for span in memory.spans]
    if any(chunk_id not in vectors for chunk_id in own):
        return None
    known = all(chunk_id in tokens for chunk_id in own)
    return EmbeddedTexts(
        embedder.identity,
        [vectors[chunk_id] for chunk_id in own],
        embedder.token_identity if known else None,
        [tokens[chunk_id] for chunk_id in own] if known else [],
    )


def _read_token_vectors(
    session: ReadSession, model: ModelIdentity | None, chunk_ids: list[int]
) -> dict[int, bytes]:
    model_key = session.token_vectors.model_key(model.fingerprint) if model else None
    return session.token_vectors.get(model_key, chunk_ids) if model_key is not None else {}


def check_secrets(app: Application, arguments: StoreMemory) -> list[str]:
    """Return a warning that names the kinds of secrets in the arguments, if there are any.

    Raises:
        HoldsSecret: there are secrets, and the configuration refuses them.
    """
    metadata = json.dumps(arguments.metadata, ensure_ascii=False)
    kinds = find_secret_kinds([arguments.content, *arguments.tags, metadata])
    if not kinds:
        return []
    fault = f"This seems to hold a secret ({', '.join(kinds)})"
    if app.config.secrets == "refuse":
        raise HoldsSecret(
            f"{fault}, and {SECRETS}=refuse is set: store it without, and say where it is kept."
        )
    return [
        f"{fault}: memories are plain text on disk, for every host to read. Delete it with permanent true, "
        "and store instead where the secret is kept."
    ]


def owner_of(scope: OwnScope | None, project: str | None) -> str | None:
    """Return the project that a new memory belongs to; None: it is global, or the team's.

    Raises:
        NoProject: ``scope`` is "project", and no project is known.
    """
    if scope == "project" and project is None:
        raise_no_project("store the memory with scope global")
    return None if scope in ("global", TEAM) else project


def new_memory(arguments: StoreMemory, project: str | None, now: datetime) -> NewMemory:
    """Return the memory to store, with the spans of its chunks.

    Raises:
        BadArgument: ``expires_at`` lies in the past.
    """
    expires_at = arguments.expires_at
    if expires_at is not None and expires_at <= now:
        raise BadArgument("expires_at lies in the past: give a later time, or none to keep the memory.")
    if expires_at is None and arguments.kind == "working":
        expires_at = now + WORKING_LIFE
    return replace(build_memory(arguments, project, now), expires_at=expires_at)


def build_memory(arguments: StoreMemory, project: str | None, created_at: datetime) -> NewMemory:
    """Return a memory with the attributes of ``arguments`` as they are, cut into chunks."""
    return NewMemory(
        content=arguments.content,
        content_hash=compute_content_hash(arguments.content),
        spans=tuple(split_into_chunks(arguments.content)),
        kind=arguments.kind,
        tags=unique_tags(arguments.tags),
        project=project,
        session=arguments.session,
        importance=arguments.importance,
        metadata=arguments.metadata,
        occurred_at=arguments.occurred_at or created_at,
        created_at=created_at,
        changed_at=created_at,
        expires_at=arguments.expires_at,
    )


def _find_replaced(session: WriteSession, ids: list[str]) -> list[Memory]:
    """Return the memories to supersede; each id must name one that is not deleted."""
    found = session.get(ids)
    unknown = [memory_id for memory_id in ids if memory_id not in found or found[memory_id].deleted_at]
    if unknown:
        raise UnknownMemory(
            f"replaces names no memory: {list_names(unknown)}. Nothing was stored; "
            "look the ids up with query_memory or list_memories."
        )
    return list(found.values())


def find_duplicate(session: ReadSession, memory: NewMemory, occurred_at: datetime | None) -> Memory | None:
    """Return a stored memory that ``memory`` only repeats.

    ``occurred_at`` is the time that was given with it: see `domain.duplicates.is_same_event`.
    """
    now = memory.created_at
    for existing in session.find_by_content_hash(memory.content_hash, memory.kind, memory.project, now):
        if is_same_text(existing.content, memory.content) and is_duplicate(
            existing, session=memory.session, occurred_at=occurred_at, now=now
        ):
            return existing
    return None


def changes(arguments: StoreMemory, existing: Memory) -> bool:
    """Return whether anything that was given says something else than the memory."""
    given = {name: getattr(arguments, name) for name in arguments.given & CORRECTABLE}
    if "tags" in given:
        given["tags"] = unique_tags(arguments.tags)
    times = {name: given.pop(name) for name in ("occurred_at", "expires_at") if name in given}
    return any(value != getattr(existing, name) for name, value in given.items()) or not all(
        means_time(value, getattr(existing, name)) for name, value in times.items()
    )


def _supersede(
    session: WriteSession, replaced: Sequence[Memory], memory: Memory
) -> tuple[list[str], list[str]]:
    """Mark memories as superseded by ``memory``; returns the ids superseded, and warnings.

    A memory that is superseded already keeps the successor that it has.
    """
    superseded: list[str] = []
    warnings: list[str] = []
    for old in replaced:
        if old.id == memory.id:
            warnings.append(f"{old.id} says this already: it stays as it is.")
        elif old.superseded_by is not None:
            warnings.append(
                f"{old.id} was superseded by {old.superseded_by} before: "
                "if that one is wrong now too, store again with its id in replaces."
            )
        else:
            session.update(replace(old, superseded_by=memory.id))
            superseded.append(old.id)
    return superseded, warnings


def _describe_similar(similar: Sequence[SimilarMemory], settled_ids: set[str]) -> list[SimilarResult]:
    """Describe the most similar memories, for the agent to look at.

    ``settled_ids`` are left out: the memory stored, and those that it replaces.
    """
    from sediment_mcp.domain.near_duplicates import MAX_SIMILAR

    open_ones = [near for near in similar if near.memory.id not in settled_ids]
    return [describe_similar(near.memory, near.cosine) for near in open_ones[:MAX_SIMILAR]]
