"""Questions that found nothing, kept beside the memories for their owner, if the owner wants that.

One line of JSON each, appended in one step, so that several processes can write at once. A line that
cannot be read is passed over: nothing depends on this file, and it can be deleted at any time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sediment_mcp.system.files import PRIVATE_FILE, locked_if_free, write_atomically

FILE = "questions.jsonl"
LOCK = "questions.lock"
MOST_BYTES = 256 * 1024  # from there on the older half is dropped
MOST_CHARACTERS = 500  # of one question


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question, how often it was asked in vain, and when last (ISO 8601)."""

    question: str
    times: int
    last: str


def keep(directory: Path, question: str, now: datetime) -> None:
    """Add a question that found nothing.

    Raises:
        OSError: the file cannot be written.
    """
    path = directory / FILE
    line = json.dumps({"question": question[:MOST_CHARACTERS], "asked_at": now.isoformat()}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
    try:
        os.write(descriptor, line.encode())
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if size > MOST_BYTES:
        _drop_older_half(directory)


def _drop_older_half(directory: Path) -> None:
    """What another process appends meanwhile may be lost, which is no harm here."""
    with locked_if_free(directory / LOCK) as is_ours:
        if is_ours:
            data = (directory / FILE).read_bytes()
            write_atomically(directory / FILE, data[data.find(b"\n", len(data) // 2) + 1 :])


def unanswered(directory: Path) -> list[Unanswered]:
    """What was asked in vain, the most frequent first, of these the last asked first."""
    last: dict[str, str] = {}
    times: Counter[str] = Counter()
    for question, asked_at in _lines(directory / FILE):
        times[question] += 1
        last[question] = max(asked_at, last.get(question, ""))
    found = [Unanswered(question, count, last[question]) for question, count in times.items()]
    return sorted(found, key=lambda one: (one.times, one.last), reverse=True)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry: Any = json.loads(line)
            question, asked_at = entry["question"], entry["asked_at"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(question, str) and isinstance(asked_at, str):
            yield question, asked_at


def forget(directory: Path) -> None:
    """Forget all of them."""
    (directory / FILE).unlink(missing_ok=True)
