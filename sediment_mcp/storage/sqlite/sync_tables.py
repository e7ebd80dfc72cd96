"""The tables of the synchronization with other devices, which only a SQLite file has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sediment_mcp.storage.sql.database import batched, placeholders
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.system.project_root import REMOTE_PREFIX, is_path

UNKNOWN = b"?"  # the digest of an item whose state in the logs was forgotten
ERASED = b""  # the digest of an item that is known to be erased
NUMBER = "number"  # the setting that says the number of the last file of the own log, 0 before the first
GIVEN_SEQ = "given_seq"  # up to this change of the database all was given
FILES = "files"  # the files of the own log and their digests, in JSON
WAITING = "waiting"  # files that are noted and have no name yet, in JSON
MERGED_SEQ = "merged_seq"  # up to this change of the database memories that say the same were merged
FORMER = "former"  # by former name of the device the number up to which it wrote that log, in JSON
LOG_STATE = (NUMBER, GIVEN_SEQ, FILES, WAITING, MERGED_SEQ, FORMER)
"""The settings that say how far the work has come; all others are the user's."""
CLEARED_TABLES = ("sync_settings", "sync_positions", "sync_known")


class SyncTables:
    """What one connection sees of the synchronization; changes need a transaction."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    # --- settings -----------------------------------------------------------------------------

    def settings(self) -> dict[str, str]:
        """Return all settings by name; empty if nothing is synchronized."""
        return dict(self._database.rows("SELECT name, value FROM sync_settings"))

    def set_settings(self, values: Mapping[str, str | None]) -> None:
        """Replace these settings; None removes one."""
        for name, value in values.items():
            self._database.execute("DELETE FROM sync_settings WHERE name = ?", (name,))
            if value is not None:
                self._database.execute("INSERT INTO sync_settings VALUES (?,?)", (name, value))

    def clear(self) -> None:
        """Forget all of the synchronization but what was erased, and the names of projects."""
        for table in CLEARED_TABLES:
            self._database.execute(f"DELETE FROM {table}")

    # --- positions ----------------------------------------------------------------------------

    def positions(self) -> dict[str, int]:
        """Return by device the number of the last file of its log that was taken over."""
        return dict(self._database.rows("SELECT device, number FROM sync_positions"))

    def set_position(self, device: str, number: int) -> None:
        """Note that the log of a device was taken over up to this file."""
        self._database.execute("INSERT OR REPLACE INTO sync_positions VALUES (?,?)", (device, number))

    def remove_position(self, device: str) -> None:
        """Forget how far the log of a device was taken over."""
        self._database.execute("DELETE FROM sync_positions WHERE device = ?", (device,))

    # --- what the logs hold ---------------------------------------------------------------------

    def digests(self, items: Sequence[str]) -> dict[str, bytes]:
        """Return the digest of the state of each of these items that some log holds."""
        return {
            row[0]: row[1]
            for batch in batched(items)
            for row in self._database.rows(
                f"SELECT item, digest FROM sync_known WHERE item IN ({placeholders(batch)})", batch
            )
        }

    def note(self, digests: Iterable[tuple[str, bytes]]) -> None:
        """Note states that the log of another device holds."""
        self._database.execute_many(
            "INSERT INTO sync_known VALUES (?,?,0,1) ON CONFLICT (item) DO UPDATE "
            "SET digest = excluded.digest, is_taken = is_taken OR digest <> excluded.digest",
            digests,
        )

    def note_better(self, items: Sequence[str]) -> None:
        """Note that the log of another device says more of these than the own log does."""
        for batch in batched(items):
            self._database.execute(
                f"UPDATE sync_known SET is_taken = 1 WHERE item IN ({placeholders(batch)})", batch
            )

    def note_given(self, states: Iterable[tuple[str, bytes, int]]) -> None:
        """Note (item, digest, number of the file) of states that the own log holds."""
        self._database.execute_many("INSERT OR REPLACE INTO sync_known VALUES (?,?,?,0)", states)

    def forget_taken(self) -> None:
        """Forget what only the logs of other devices hold, so that it is given here too."""
        self._database.execute("DELETE FROM sync_known WHERE number = 0")
        self._database.execute("UPDATE sync_known SET digest = ? WHERE is_taken", (UNKNOWN,))

    def forget_known(self) -> None:
        """Forget what the logs hold, so that everything is given anew."""
        self._database.execute("DELETE FROM sync_known")

    def forget_given(self) -> None:
        """Forget what the own log may hold, or only it, so that it is given anew.

        Which log holds it is not noted of what is erased, and of what is no memory, whose name has spaces.
        """
        self._database.execute(
            "DELETE FROM sync_known WHERE number > 0 OR NOT is_taken OR digest = ? OR item GLOB '* *'",
            (ERASED,),
        )

    def given(self) -> Iterator[tuple[str, int]]:
        """Yield (item, number of the file) of what the own log holds, oldest file first."""
        rows: Iterator[tuple[Any, ...]] = self._database.iterate(
            "SELECT item, number FROM sync_known WHERE number > 0 ORDER BY number, item"
        )
        return ((row[0], row[1]) for row in rows)

    def ungiven_erased(self) -> list[str]:
        """Return the ids that were erased here, and of which no log says so."""
        rows = self._database.rows(
            "SELECT id FROM erased WHERE NOT EXISTS "
            "(SELECT 1 FROM sync_known WHERE item = id AND digest = x'') ORDER BY id"
        )
        return [row[0] for row in rows]

    def erased_given(self) -> list[str]:
        """Return the ids of what was erased, and whose text may be in the own log."""
        rows = self._database.rows("SELECT item FROM sync_known JOIN erased ON item = id WHERE number > 0")
        return [row[0] for row in rows]

    def forget_erased_given(self, items: Iterable[str]) -> None:
        """Note that the own log no longer holds the text of these erased items."""
        self._database.execute_many(
            "UPDATE sync_known SET number = 0 WHERE item = ?", ((item,) for item in items)
        )

    def forget_returned(self) -> None:
        """Count nothing as erased that is here again.

        While nothing is synchronized, an import or a backup brings it back under its own id.
        """
        self._database.execute("DELETE FROM erased WHERE id IN (SELECT id FROM memories)")

    # --- projects -----------------------------------------------------------------------------

    def projects(self) -> list[tuple[str, str, bool]]:
        """Return (shared name, project here, whether it was chosen by hand) of all projects."""
        rows = self._database.rows("SELECT shared, local, is_chosen FROM sync_projects ORDER BY shared")
        return [(row[0], row[1], bool(row[2])) for row in rows]

    def set_project(self, shared: str, local: str, *, is_chosen: bool) -> None:
        """Say which project here has this shared name."""
        self._database.execute(
            "INSERT OR REPLACE INTO sync_projects VALUES (?,?,?)", (shared, local, int(is_chosen))
        )

    def move_project(self, old: str, new: str) -> None:
        """Give the shared names of a project to the one that it has become.

        A project that no folder here had is called by its shared name itself, which then is the new one's.
        """
        self._database.execute("UPDATE sync_projects SET local = ? WHERE local = ?", (new, old))
        if not is_path(old) and self.settings():
            self.set_project(old, new, is_chosen=not old.startswith(REMOTE_PREFIX))
