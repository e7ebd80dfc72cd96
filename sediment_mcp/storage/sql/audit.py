"""The audit in SQL: what each transaction changes is recorded in itself, what is read by its reader later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from sediment_mcp.domain.audit import Action, AuditEntry, AuditFilter
from sediment_mcp.domain.caller import LOCAL, assert_may_write, current_caller
from sediment_mcp.storage.sql.database import Database, batched, placeholders
from sediment_mcp.system.timestamps import from_micros, to_micros

IDS_AT_ONCE = 100  # in one entry; more are several


class SqlAudit:
    """The table ``audit`` of one connection; what changes it needs a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._time: datetime | None = None
        self._caller = LOCAL

    # --- what a transaction changes -------------------------------------------------------------

    def begin(self, time: datetime | None, caller: str | None = None) -> None:
        """Begin to record changes, as done at this time; None records nothing.

        Without a ``caller`` they are done by whoever calls.
        """
        current = current_caller()
        self._time = time
        self._caller = caller or (current.name if current else LOCAL)

    def act_for(self, caller: str) -> None:
        """Record what follows as done by somebody else than who calls."""
        self._caller = caller

    def record(self, action: Action, memory_ids: Iterable[str] = ()) -> None:
        """Check that whoever calls may change memories, and record that it happens.

        Every change of memories and rules passes here.

        Raises:
            NotAllowed: they may only read; nothing is changed.
        """
        assert_may_write()
        if self._time is None:
            return
        ids = tuple(memory_ids)
        for start in range(0, max(1, len(ids)), IDS_AT_ONCE):
            batch = ids[start : start + IDS_AT_ONCE]
            self.add([AuditEntry(self._time, self._caller, action, batch)])

    def add(self, entries: Iterable[AuditEntry]) -> None:
        """Add entries as they are."""
        self._database.execute_many(
            "INSERT INTO audit (at, caller, action, memories, text) VALUES (?,?,?,?,?)",
            [
                (to_micros(one.at), one.caller, one.action, json.dumps(one.memory_ids), one.text)
                for one in entries
            ],
        )

    # --- what is recorded -----------------------------------------------------------------------

    def list_entries(self, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
        """Return the newest entries, the newest first."""
        conditions, values = ["at IS NOT NULL"], list[object]()
        for condition, value in (
            ("at >= ?", to_micros(wanted.since)),
            ("caller = ?", wanted.caller),
            ("action = ?", wanted.action),
            ("memories LIKE ? ESCAPE '\\'", wanted.memory_id and _build_id_pattern(wanted.memory_id)),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        rows = self._database.rows(
            f"SELECT at, caller, action, memories, text FROM audit WHERE {' AND '.join(conditions)} "
            "ORDER BY at DESC, number DESC LIMIT ?",
            [*values, limit],
        )
        return [_decode(*row) for row in rows]

    def texts(self) -> list[tuple[int, tuple[str, ...], str]]:
        """Return (number, memory ids, text) of each query whose text is kept."""
        rows = self._database.rows("SELECT number, memories, text FROM audit WHERE text IS NOT NULL")
        return [(row[0], tuple(json.loads(row[1])), row[2]) for row in rows]

    def clear_texts(self, numbers: Sequence[int] | None = None) -> None:
        """Forget the texts of these queries, or of all; that they were asked stays."""
        own = self._database.dialect.own_rows
        if numbers is None:
            self._database.execute(f"UPDATE audit SET text = NULL WHERE text IS NOT NULL AND {own}")
            return
        for batch in batched(numbers):
            self._database.execute(
                f"UPDATE audit SET text = NULL WHERE number IN ({placeholders(batch)}) AND {own}", batch
            )

    def is_older_than(self, time: datetime) -> bool:
        """Return True if there is an entry from before ``time``."""
        return bool(self._database.rows("SELECT 1 FROM audit WHERE at < ? LIMIT 1", (to_micros(time),)))

    def drop_before(self, time: datetime) -> None:
        """Remove the entries from before ``time``."""
        self._database.execute(
            f"DELETE FROM audit WHERE at < ? AND {self._database.dialect.own_rows}", (to_micros(time),)
        )


def _build_id_pattern(memory_id: str) -> str:
    """Return a LIKE pattern for JSON lists that hold the id."""
    escaped = "".join(f"\\{sign}" if sign in "%_\\" else sign for sign in json.dumps(memory_id))
    return f"%{escaped}%"


def _decode(at: int, caller: str, action: Action, memories: str, text: str | None) -> AuditEntry:
    return AuditEntry(from_micros(at), caller, action, tuple(json.loads(memories)), text)
