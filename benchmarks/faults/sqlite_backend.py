"""A SQLite database in one data directory, which all servers share."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from support.encryption import SETTINGS_HOME, make_encrypted

from sediment_mcp.storage.sqlite.library import connect
from sediment_mcp.storage.sqlite.session import open_session
from sediment_mcp.system.directory_encryption import DirectoryEncryption

from . import derived, sqlite_injuries, texts, versions
from .backend import variables_of_servers
from .checker import Checker
from .disk import Disk
from .history import History
from .injuries import CLOCK, DERIVED, PROCESSES, Injury
from .residue import find_in_files, find_residue
from .shim import Shim
from .slot import Common, Machine, Slot

OWN = (
    sqlite_injuries.DISK, sqlite_injuries.SYSTEM_CALLS, sqlite_injuries.FILES,
    sqlite_injuries.OTHER, sqlite_injuries.OLDER,
)  # fmt: skip


class SqliteBackend:
    faults = (*PROCESSES, *CLOCK, *DERIVED, *(name for part in OWN for name in part))
    longest_call = 150.0

    def __init__(self, folder: Path, *, model: bool, seed: int, is_encrypted: bool = False) -> None:
        self._folder, self._model = folder, model
        self.disk = Disk(folder)
        self.directory, self.foreign = self.disk.data, folder / "foreign"
        self.skipped: dict[str, str] = {}
        self._is_encrypted = is_encrypted
        if is_encrypted:
            self._encrypt()
        self.encryption = DirectoryEncryption(self.directory)
        self.shim = self._shim(seed)
        self.machines = [Machine(self.directory, variables_of_servers(model, self.shim))]
        self.other = self._unpack(versions.commits()[0], sqlite_injuries.OTHER)
        self.older = self._unpack(versions.commits()[1], sqlite_injuries.OLDER)
        if not self.disk.is_own:
            self._skip(sqlite_injuries.DISK, "a disk of its own can be mounted by root on Linux only")
        own = {name: partial(injury, self) for part in OWN for name, injury in part.items()}
        self.injuries: Mapping[str, Injury] = {**PROCESSES, **CLOCK, **DERIVED, **own}

    def _encrypt(self) -> None:
        """Let both directories be encrypted from the start; the servers inherit where their keys are."""
        os.environ[SETTINGS_HOME] = str(self._folder / "settings")
        for directory in (self.directory, self.foreign):
            make_encrypted(directory)
        why = "versions before encryption take such a database for a damaged one"
        self._skip([*sqlite_injuries.OTHER, *sqlite_injuries.OLDER], why)
        self._skip([derived.SWAPPED], "an encrypted text index is one file")

    def _shim(self, seed: int) -> Shim | None:
        try:
            return Shim(self._folder, self.directory, seed)
        except (OSError, subprocess.CalledProcessError) as error:
            why = f"the shim cannot be made here: {error}"
            self._skip([*sqlite_injuries.SYSTEM_CALLS, *CLOCK], why)
            return None

    def _unpack(self, commit: str | None, names: Iterable[str]) -> Path | None:
        if commit is None:
            self._skip(names, "no such version in the repository's history here")
            return None
        return versions.unpack(commit, self._folder)

    def _skip(self, names: Iterable[str], why: str) -> None:
        self.skipped.update(dict.fromkeys(names, why))

    def prepare(self, make_common: Callable[[Sequence[Machine], History], Common]) -> None:
        """Make another data directory with indexes of its own."""
        history = History(self._folder / "foreign.jsonl", Checker())
        machine = Machine(self.foreign, self.machines[0].variables)
        slot = Slot(1000, make_common([machine], history))
        for _ in range(60):
            slot.store_one()
        limit = time.monotonic() + 20
        while not derived.has_text_index(self.foreign) and time.monotonic() < limit:
            time.sleep(0.05)
        slot.end()
        history.close()

    def read(self) -> contextlib.AbstractContextManager[Any]:
        path = self.directory / "memories.db"
        return contextlib.closing(open_session(path, read_only=True, key=self.encryption.database_key(path)))

    def connect(self, path: Path) -> sqlite3.Connection:
        """Connect to a database of the directory, or of a copy of it, by the library that opens it."""
        return connect(str(path), self.encryption.database_key(self.directory / "memories.db"))

    def find_halves(self) -> Iterable[str]:
        yield from self._find_readable()
        with contextlib.closing(self.connect(self.directory / "memories.db")) as database:
            for check in ("integrity_check", "foreign_key_check"):
                rows = database.execute(f"PRAGMA {check}").fetchall()
                if rows not in ([], [("ok",)]):
                    yield f"{check}: {rows[:3]}"
            halves = database.execute(
                "SELECT id FROM memories WHERE number NOT IN (SELECT memory FROM chunks) "
                "OR number NOT IN (SELECT memory FROM tags)"
            ).fetchall()
            if halves:
                yield f"without chunks or tags: {halves[:3]}"

    def _find_readable(self) -> Iterable[str]:
        """Name the files of an encrypted directory in which anything of any memory can be read."""
        if self._is_encrypted:
            words = [texts.TAG, *texts.SUBJECTS, *texts.PLACES]
            for word, files in find_in_files(self.directory, words).items():
                yield f"the word {word} can be read in {sorted(files)}"

    def find_words(self, words: Sequence[str]) -> Mapping[str, set[str]]:
        return find_residue(self.directory, words)

    def remove(self) -> None:
        self.disk.remove()
