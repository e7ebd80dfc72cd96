"""Queries that found nothing, kept in a file of the data directory if the user wants that.

Each is one line of JSON, appended in one step, so that several processes can write at once; in an encrypted
directory each line is encrypted. A line that cannot be read is skipped: nothing depends on this file, and it
can be deleted at any time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.encrypted_lines import decrypt_line, encrypt_line
from sediment_mcp.system.files import PRIVATE_FILE, write_atomically
from sediment_mcp.system.locks import locked, locked_if_free

FILE = "questions.jsonl"
LOCK = "questions.lock"
MAX_FILE_BYTES = 256 * 1024  # from there on the older half is dropped
LOCK_TIMEOUT = 5.0  # seconds; the lock is held for a moment
MAX_QUERY_CHARS = 500  # of one query


@dataclass(frozen=True, slots=True)
class UnansweredQuery:
    """A query that found nothing: how often it was asked, and when last (ISO 8601)."""

    question: str
    times: int
    last: str


def keep_query(directory: Path, question: str, now: datetime, encryption: DirectoryEncryption) -> None:
    """Add a query that found nothing to the file.

    Raises:
        OSError: the file cannot be written.
        KeyUnavailable: there is no key.
    """
    path = directory / FILE
    entry = json.dumps({"question": question[:MAX_QUERY_CHARS], "asked_at": now.isoformat()})
    line = encrypt_line(entry, FILE, encryption)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
    try:
        os.write(descriptor, line)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if size > MAX_FILE_BYTES:
        _drop_older_half(directory)


def _drop_older_half(directory: Path) -> None:
    """Drop the older half of the file.

    A line that another process appends at that moment may be lost, which does no harm.
    """
    with locked_if_free(directory / LOCK) as is_held:
        if is_held:
            data = (directory / FILE).read_bytes()
            write_atomically(directory / FILE, data[data.find(b"\n", len(data) // 2) + 1 :])


def list_unanswered(directory: Path, encryption: DirectoryEncryption) -> list[UnansweredQuery]:
    """Return the queries that found nothing, the most frequent first, then the latest first.

    Raises:
        KeyUnavailable: there is no key.
    """
    last: dict[str, str] = {}
    times: Counter[str] = Counter()
    for question, asked_at in _read_lines(directory / FILE, encryption):
        times[question] += 1
        last[question] = max(asked_at, last.get(question, ""))
    found = [UnansweredQuery(question, count, last[question]) for question, count in times.items()]
    return sorted(found, key=lambda one: (one.times, one.last), reverse=True)


def _read_lines(path: Path, encryption: DirectoryEncryption) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    yield from filter(None, (_read_line(line, encryption) for line in lines))


def _read_line(line: bytes, encryption: DirectoryEncryption) -> tuple[str, str] | None:
    """Return the query of a line, and when it was asked."""
    try:
        entry: Any = json.loads(decrypt_line(line, FILE, encryption))
        question, asked_at = entry["question"], entry["asked_at"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (question, asked_at) if isinstance(question, str) and isinstance(asked_at, str) else None


def drop_queries_about(directory: Path, texts: Iterable[str], encryption: DirectoryEncryption) -> None:
    """Drop the queries that share a word with texts that were erased for good.

    A query tells of what it asks for, so it must not outlive that; one too many may go.

    Raises:
        OSError: the file cannot be written.
        KeyUnavailable: there is no key.
    """
    path = directory / FILE
    if not path.exists():
        return
    with locked(directory / LOCK, LOCK_TIMEOUT):
        data = path.read_bytes()
        lines = data.splitlines(keepends=True)
        asked = {line: found[0] for line in lines if (found := _read_line(line, encryption))}
        about = find_about(asked.values(), texts)
        kept = [line for line in lines if asked.get(line) not in about]
        if len(b"".join(kept)) < len(data):
            write_atomically(path, b"".join(kept))


def find_about(queries: Iterable[str], texts: Iterable[str]) -> set[str]:
    """Return those of the queries that share a word with the texts."""
    from sediment_mcp.indexes.analyzer import extract_terms
    from sediment_mcp.indexes.query_analysis import extract_query_terms

    words = {term for text in texts for term in extract_terms(text)}
    return {query for query in queries if not words.isdisjoint(extract_query_terms(query))}


def delete_all(directory: Path) -> None:
    """Delete all queries that are kept."""
    (directory / FILE).unlink(missing_ok=True)
