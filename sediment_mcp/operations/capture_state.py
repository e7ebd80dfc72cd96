"""Keep whether turns are captured, and how far each transcript was read.

That is a small file of the data directory. Without it, or with one that cannot be read, nothing is captured.
Positions only save work and keep away what the user has erased for good: a turn that is read twice is one
memory all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.files import read_record, translate_os_errors, write_record
from sediment_mcp.system.locks import locked
from sediment_mcp.system.timestamps import isoformat, parse_iso

FILE = "capture.json"
LOCK = "capture.lock"
LOCK_TIMEOUT = 120.0  # seconds; whoever holds it reads a transcript
MAX_POSITIONS = 1000
POSITION_LIFE = timedelta(days=60)  # twice the life of what was captured, so that nothing comes back


@dataclass(frozen=True, slots=True)
class Position:
    """How far a transcript was read: bytes and lines; ``read_at`` in seconds since 1970."""

    offset: int = 0
    lines: int = 0
    read_at: int = 0


@dataclass(frozen=True, slots=True)
class CaptureState:
    """The state of capture.

    Attributes:
        since: nothing said before this moment is captured; None: capture is off.
        positions: by the key of a transcript.
    """

    since: datetime | None = None
    positions: dict[str, Position] = field(default_factory=dict[str, Position])

    def move(self, key: str, position: Position) -> CaptureState:
        """Return the state with a transcript read further, and without those read long ago."""
        oldest = position.read_at - int(POSITION_LIFE.total_seconds())
        others = {name: one for name, one in self.positions.items() if one.read_at > oldest and name != key}
        latest = sorted(others.items(), key=lambda item: item[1].read_at)[-MAX_POSITIONS + 1 :]
        return replace(self, positions={**dict(latest), key: position})


def read_state(directory: Path, encryption: DirectoryEncryption) -> CaptureState:
    """Return the state; off where there is none, or where it cannot be read.

    Raises:
        KeyUnavailable: there is no key.
    """
    try:
        record = read_record(directory / FILE, encryption)
        since = parse_iso(record["since"]) if record.get("since") else None
        positions = {
            str(name): Position(*map(int, numbers))
            for name, numbers in cast("dict[str, list[Any]]", record["positions"]).items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return CaptureState()
    return CaptureState(since if isinstance(since, datetime) else None, positions)


def write_state(directory: Path, state: CaptureState, encryption: DirectoryEncryption) -> None:
    """Replace the state; the caller holds `LOCK`.

    Raises:
        StorageError: it cannot be written.
    """
    positions = {name: [one.offset, one.lines, one.read_at] for name, one in state.positions.items()}
    with translate_os_errors():
        record = {"since": isoformat(state.since), "positions": positions}
        write_record(directory / FILE, record, encryption)


def switch_capture(directory: Path, encryption: DirectoryEncryption, *, on: bool, now: datetime) -> None:
    """Capture from now on, or no more; the data directory must be there.

    Raises:
        Busy: a transcript is being read for too long.
        StorageError: it cannot be written.
    """
    with locked(directory / LOCK, LOCK_TIMEOUT):
        state = read_state(directory, encryption)
        if on != (state.since is not None):
            write_state(directory, replace(state, since=now if on else None), encryption)
