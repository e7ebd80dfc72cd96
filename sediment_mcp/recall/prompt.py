"""What is added to a prompt: at most three memories that fit beyond doubt, each once in a session.

A running server is asked first. Where none answers, this process searches by itself, with the model if that
is loaded in time.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sediment_mcp.recall.asked_text import select_asked
from sediment_mcp.recall.hook_call import HookCall
from sediment_mcp.recall.reading import UnchangedStorage, find_project, has_memories
from sediment_mcp.recall.shown import ShownRecord
from sediment_mcp.recall.wording import describe_age, render_block, render_memory
from sediment_mcp.system.timestamps import from_micros

if TYPE_CHECKING:
    from sediment_mcp.recall.finding import FoundMemory

MOST_SHOWN = 3
MAX_MEMORY_CHARS = 600  # of one memory's line
SERVER_TIMEOUT = 0.25  # seconds that a server has to answer
MODEL_TIMEOUT = 0.2  # seconds that a search of this process waits for the model, loaded beside all else


def recall_for_prompt(call: HookCall) -> str:
    """Return the block for a prompt; empty if nothing fits beyond doubt.

    Raises:
        SedimentError: the memories cannot be read, or the record of what was shown cannot be written.
    """
    asked = select_asked(call.prompt)
    if not asked or not has_memories(call.config.data_dir):
        return ""
    project = find_project(call.config.project, call.folder)
    found = _ask_server(call, asked, project)
    if found is None:
        found = _search(call, asked, project)
    if not found:
        return ""
    now = datetime.now(UTC)
    by_id = {memory.id: memory for memory in found}
    record = ShownRecord(call.config.data_dir, call.session)
    claimed = record.claim(list(by_id), now.timestamp(), MOST_SHOWN)
    lines = [_render(by_id[memory_id], now) for memory_id in claimed]
    return render_block(lines) if lines else ""


def _ask_server(call: HookCall, asked: str, project: str | None) -> list[FoundMemory] | None:
    """Return what a running server finds; None if none answers."""
    from sediment_mcp.recall.local_socket import ask

    answer = ask(call.config.data_dir, {"asked": asked, "project": project}, SERVER_TIMEOUT)
    rows = None if answer is None else answer.get("found")
    if rows is None:
        return None
    from sediment_mcp.recall.found_memory import parse_found

    try:
        return parse_found(rows)
    except TypeError:  # of a server of another version
        return None


def _search(call: HookCall, asked: str, project: str | None) -> list[FoundMemory]:
    """Return what this process finds, without changing anything in the data directory."""
    from sediment_mcp.embeddings.loader import ModelLoader, load_embedder

    config = call.config
    model = ModelLoader(lambda: load_embedder(config), MODEL_TIMEOUT)
    model.start()
    from sediment_mcp.indexes.indexer import Indexer
    from sediment_mcp.recall.finding import find_memories
    from sediment_mcp.search.retriever import Retriever

    storage = UnchangedStorage(config.data_dir, config.tuning)
    storage.open()
    retriever = Retriever(
        config.data_dir,
        storage,
        model,
        Indexer(config.data_dir, storage, config.tuning.lock_timeout),
        clock=lambda: datetime.now(UTC),
        tuning=replace(config.tuning, far_behind=sys.maxsize),  # an index is never written here
    )
    embedder = model.get()
    identity = None if embedder is None else embedder.identity
    return find_memories(retriever, storage.read, identity, asked, project)


def _render(memory: FoundMemory, now: datetime) -> str:
    remark = ""
    if memory.newer:
        age = describe_age(from_micros(memory.newer_at), now)
        remark = f"a newer one may contradict it: {memory.newer}, {age}"
    age = describe_age(from_micros(memory.at), now)
    return render_memory(memory.id, memory.text, age, MAX_MEMORY_CHARS, remark)
