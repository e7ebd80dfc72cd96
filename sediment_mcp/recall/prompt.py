"""What is added to a prompt: at most three memories that fit beyond doubt.

Each is shown once in a session. A running server is asked first, by meaning and words. Where none answers,
this process searches by itself, by words alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sediment_mcp.recall.asked_text import select_asked
from sediment_mcp.recall.hook_call import HookCall, find_project

if TYPE_CHECKING:
    from sediment_mcp.recall.finding import FoundMemory

MOST_SHOWN = 3
MAX_MEMORY_CHARS = 600  # of one memory's line
SERVER_TIMEOUT = 0.25  # seconds that a server has to answer


def recall_for_prompt(call: HookCall) -> str:
    """Return the block for a prompt; empty if nothing fits beyond doubt.

    Raises:
        SedimentError: the memories cannot be read, or the record of what was shown cannot be written.
    """
    asked = select_asked(call.prompt)
    found = _find(call, asked, find_project(call)) if asked else []
    if not found:
        return ""
    from sediment_mcp.recall.shown import open_record
    from sediment_mcp.recall.wording import render_block

    now = datetime.now(UTC)
    by_id = {memory.id: memory for memory in found}
    claimed = open_record(call).claim(list(by_id), now.timestamp(), MOST_SHOWN)
    lines = [_render(by_id[memory_id], now) for memory_id in claimed]
    return render_block(lines) if lines else ""


def _find(call: HookCall, asked: str, project: str | None) -> list[FoundMemory]:
    """Return what a running server finds, or else this process.

    What only the latter needs is imported where it is needed.
    """
    found = _ask_server(call, asked, project)
    if found is not None:
        return found
    from sediment_mcp.recall.reading import search_unchanged

    return search_unchanged(call.config, asked, project)


def _ask_server(call: HookCall, asked: str, project: str | None) -> list[FoundMemory] | None:
    """Return what a running server finds; None if none answers."""
    from sediment_mcp.recall.local_socket import ask

    answer = ask(call.config.store_dir, {"asked": asked, "project": project}, SERVER_TIMEOUT)
    rows = None if answer is None else answer.get("found")
    if rows is None:
        return None
    from sediment_mcp.recall.found_memory import parse_found

    try:
        return parse_found(rows)
    except TypeError:  # of a server of another version
        return None


def _render(memory: FoundMemory, now: datetime) -> str:
    from sediment_mcp.recall.wording import OF_TEAM, describe_age, render_memory
    from sediment_mcp.system.timestamps import from_micros

    remarks = [OF_TEAM] if memory.of_team else []
    if memory.newer:
        age = describe_age(from_micros(memory.newer_at), now)
        remarks.append(f"a newer one may contradict it: {memory.newer}, {age}")
    age = describe_age(from_micros(memory.at), now)
    return render_memory(memory.id, memory.text, age, MAX_MEMORY_CHARS, "; ".join(remarks))
