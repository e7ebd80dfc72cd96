"""Keep the new turns of a session, in a process of its own.

They are stored first, and then it is noted how far the transcript was read: a process that is killed between
the two has its turns read again, which are known by their ids. Processes of the same data directory take
turns, by a lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.app import Application
from sediment_mcp.capture.start import is_transcript_path
from sediment_mcp.capture.transcript import find_format, read_pieces
from sediment_mcp.domain.captured import CAPTURED_IMPORTANCE, CAPTURED_LIFE
from sediment_mcp.domain.tags import CAPTURED_TAG
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.capture_state import (
    LOCK,
    LOCK_TIMEOUT,
    CaptureState,
    Position,
    read_state,
    write_state,
)
from sediment_mcp.system.locks import locked
from sediment_mcp.system.project_root import normalize_project
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import import_memories
from sediment_mcp.transfer.normalize import guard
from sediment_mcp.transfer.prepare import ImportOptions
from sediment_mcp.transfer.records import Item, MemoryRecord, Turn, TurnItem
from sediment_mcp.transfer.source import DEFAULT_LIMITS
from sediment_mcp.transfer.turns import build_items

if TYPE_CHECKING:
    from sediment_mcp.recall.hook_call import HookCall

KEY_CHARS = 32  # of the hash of a transcript's path


def capture_turns(call: HookCall) -> str:
    """Keep the new turns of the session that a hook was called for; say nothing.

    Raises:
        BadArgument: the transcript is none.
        SedimentError, OSError: they cannot be kept now; the next event of the session tries again.
    """
    if not is_transcript_path(call.transcript):
        raise BadArgument("The host has named no transcript: nothing was captured.")
    # A secret is never kept unasked, whatever the user has chosen for what is stored.
    app = Application(replace(call.config, secrets="refuse"), is_resident=False)
    try:
        app.storage.open()
        with locked(call.config.store_dir / LOCK, LOCK_TIMEOUT):
            capture_transcript(app, Path(call.transcript), call.session, call.folder)
    finally:
        app.close()
    return ""


def capture_transcript(app: Application, path: Path, session: str = "", folder: str = "") -> ImportReport:
    """Keep what is new in a transcript; the caller holds the lock of capture.

    ``session`` and ``folder`` are taken where the transcript does not say them.

    Raises:
        BadArgument: it is no transcript.
        SedimentError, OSError: it cannot be read, or nothing can be stored.
    """
    report = ImportReport()
    state = read_state(app.config.store_dir, app.encryption)
    since = state.since
    if since is None:
        return report
    transcript, key, now = find_format(path), _make_key(path), app.now()
    start = replace(state.positions.get(key, Position()), read_at=int(now.timestamp()))
    for piece in read_pieces(path, start, has_header=transcript.has_header):
        said = guard(path.name, transcript.read_turns(piece.source, DEFAULT_LIMITS))
        items = _mark(build_items(_complete(said, session, folder), "answers"), since, now)
        import_memories(app, items, _build_options(app), report, is_part=True)
        state = _move(app, state, key, piece.end)
    return report


def _make_key(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:KEY_CHARS]


def _move(app: Application, state: CaptureState, key: str, end: Position) -> CaptureState:
    moved = state.move(key, end)
    write_state(app.config.store_dir, moved, app.encryption)
    return moved


def _complete(turns: Iterable[TurnItem], session: str, folder: str) -> Iterator[TurnItem]:
    for turn in turns:
        if isinstance(turn, Turn):
            yield replace(turn, session=turn.session or session or None, folder=turn.folder or folder or None)
        else:
            yield turn


def _mark(items: Iterable[Item], since: datetime, now: datetime) -> Iterator[Item]:
    """Yield the memories as captured turns.

    Those from before capture was on are left out, and those that would have ended by now.
    """
    for item in items:
        if not isinstance(item, MemoryRecord):
            continue
        said_at = item.arguments.occurred_at or now
        if since <= said_at and said_at + CAPTURED_LIFE > now:
            marked = item.arguments.replace(
                tags=[CAPTURED_TAG],
                importance=CAPTURED_IMPORTANCE,
                expires_at=min(said_at, now) + CAPTURED_LIFE,
            )
            yield replace(item, arguments=marked)


def _build_options(app: Application) -> ImportOptions:
    """Return the options: a project that the user has configured wins over the session's."""
    configured = app.config.project
    if configured is None:
        return ImportOptions()
    if not configured:
        return ImportOptions(scope="global")
    return ImportOptions(normalize_project(configured), "project")
