"""The record of which memories were shown in which session of a host.

A small file of the data directory: each line is JSON, appended in one step under a lock, so that several
hooks can run at once; in an encrypted directory each line is encrypted. It holds ids and times, of the host's
session only a hash, and nothing else; it is no part of the database, and can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sediment_mcp.system.directory_encryption import DirectoryEncryption, find_encryption
from sediment_mcp.system.encrypted_lines import decrypt_line, encrypt_line
from sediment_mcp.system.files import PRIVATE_FILE, translate_os_errors, write_atomically
from sediment_mcp.system.locks import locked

if TYPE_CHECKING:
    from sediment_mcp.recall.hook_call import HookCall

FILE = "shown.jsonl"
LOCK = "shown.lock"
LOCK_TIMEOUT = 0.1  # seconds; the lock is held for a moment
MAX_AGE = 14 * 86_400  # seconds after which a session is forgotten
MAX_FILE_BYTES = 128 * 1024  # from there on lines that are too old are dropped, or else the older half
SESSION_CHARS = 16  # of the hash of a session


def open_record(call: HookCall) -> ShownRecord:
    """Return the record of the session of a call, in a directory that is there.

    Who has stored nothing may still be shown what the team knows: then the record lies beside that.
    """
    own, team = call.config, call.config.of_team
    whose = own if team is None or own.store_dir.is_dir() else team
    encryption = find_encryption(whose)
    return ShownRecord(whose.store_dir, call.session, encryption)


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """The record of one session of a host, in a data directory that is there already."""

    directory: Path
    session: str
    encryption: DirectoryEncryption

    def claim(self, ids: Sequence[str], now: float, limit: int, *, anew: bool = False) -> list[str]:
        """Note that memories are shown now; return those that are to be shown, in order.

        These are the first ``limit`` that were not shown in this session yet. ``now`` is in seconds since
        1970. With ``anew`` the session has lost what it was shown, so that everything may be shown again.

        Without a session of the host's, nothing is noted.

        Raises:
            Busy: another process held the lock all the time.
            StorageError: the file cannot be read or written, or there is no key for it.
        """
        if not self.session:
            return list(ids[:limit])
        with locked(self.directory / LOCK, LOCK_TIMEOUT), translate_os_errors():
            shown: set[str] = set() if anew else self.read_shown()
            claimed = [memory_id for memory_id in dict.fromkeys(ids) if memory_id not in shown][:limit]
            if claimed or anew:
                self._append(claimed, now, anew=anew)
        return claimed

    def read_shown(self) -> set[str]:
        """Return the ids of the memories that were shown in this session.

        Raises:
            OSError: the file cannot be read.
        """
        shown: set[str] = set()
        for line in self._read_lines() if self.session else ():
            entry = self._parse(line)
            if entry is not None and entry.session == self._key:
                if entry.anew:
                    shown.clear()
                shown.update(entry.ids)
        return shown

    def _read_lines(self) -> list[bytes]:
        try:
            return (self.directory / FILE).read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []

    def _append(self, ids: Sequence[str], now: float, *, anew: bool) -> None:
        entry = {"session": self._key, "at": int(now), "ids": list(ids), **({"anew": True} if anew else {})}
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.directory / FILE, flags, PRIVATE_FILE)
        try:
            os.write(descriptor, encrypt_line(json.dumps(entry), FILE, self.encryption))
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > MAX_FILE_BYTES:
            self._drop_old(now)

    def _drop_old(self, now: float) -> None:
        lines = self._read_lines()
        kept = [line for line in lines if (entry := self._parse(line)) and entry.at > now - MAX_AGE]
        if sum(map(len, kept)) > MAX_FILE_BYTES // 2:
            kept = kept[len(kept) // 2 :]
        write_atomically(self.directory / FILE, b"".join(kept))

    def _parse(self, line: bytes) -> _Entry | None:
        return _parse_line(decrypt_line(line, FILE, self.encryption))

    @property
    def _key(self) -> str:
        return hashlib.sha256(self.session.encode("utf-8", "replace")).hexdigest()[:SESSION_CHARS]


@dataclass(frozen=True, slots=True)
class _Entry:
    session: str
    at: int
    ids: list[str]
    anew: bool


def _parse_line(line: bytes) -> _Entry | None:
    """Return the entry of a line; None if it cannot be read."""
    try:
        entry: Any = json.loads(line)
        session, at, ids = str(entry["session"]), int(entry["at"]), [str(one) for one in entry["ids"]]
        return _Entry(session, at, ids, bool(entry.get("anew", False)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
