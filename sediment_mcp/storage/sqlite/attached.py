"""Merge memories from another database, attached as ``other``, in SQL.

Merged memories get new keys, because keys belong to one database and its indexes identify chunks by them.
To the indexes and to running servers a merge is therefore a change like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sediment_mcp.storage.sql.fields import CONTENT_COLUMNS, RESTORED_COLUMNS
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.system.timestamps import to_micros

COPIED = ", ".join(column for column in CONTENT_COLUMNS if column != "restored_at")
DIFFERENT = " OR ".join(f"mine.{column} IS NOT theirs.{column}" for column in RESTORED_COLUMNS)
BOTH = "main.memories AS mine JOIN other.memories AS theirs USING (id)"

IS_SYNCED = "EXISTS (SELECT 1 FROM main.sync_settings)"
STAYS_ERASED = f"({IS_SYNCED} AND theirs.id IN (SELECT id FROM main.erased))"
"""The condition that a memory of the other database was erased on every device, and does not come back."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How many memories restoring the other database would change.

    It counts memories that come back, those that go to the trash, and those that stay but were changed since.
    Those ``staying_erased`` do not come back, because other devices have erased them too.
    """

    returning: int
    leaving: int
    changing: int
    staying_erased: int


def count_differences(session: SqliteSession) -> Difference:
    """Compare this database with the other one; inside a read transaction."""
    scalar = session.database.scalar
    return Difference(
        returning=scalar(
            "SELECT COUNT(*) FROM other.memories AS theirs WHERE deleted_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM main.memories WHERE id = theirs.id AND deleted_at IS NULL) "
            f"AND NOT {STAYS_ERASED}"
        ),
        leaving=scalar(
            "SELECT COUNT(*) FROM main.memories AS mine WHERE deleted_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM other.memories WHERE id = mine.id AND deleted_at IS NULL)"
        ),
        changing=scalar(
            f"SELECT COUNT(*) FROM {BOTH} WHERE mine.deleted_at IS NULL AND theirs.deleted_at IS NULL "
            f"AND ({DIFFERENT})"
        ),
        staying_erased=scalar(f"SELECT COUNT(*) FROM other.memories AS theirs WHERE {STAYS_ERASED}"),
    )


def add_missing(session: SqliteSession, now: datetime) -> int:
    """Add the memories that only the other database holds, and return how many.

    Their chunks, embeddings and token vectors are added too. Memories recorded here as erased are left out.
    Their age is counted from now, because a retention rule would otherwise remove them at once. Needs a
    transaction.
    """
    database = session.database
    seq = database.next_seq()
    database.execute(
        f"INSERT INTO main.memories (id, seq, {COPIED}, restored_at) "
        f"SELECT id, ?, {COPIED}, ? FROM other.memories "
        "WHERE id NOT IN (SELECT id FROM main.memories) AND id NOT IN (SELECT id FROM main.erased) "
        "ORDER BY number",
        (seq, to_micros(now)),
    )
    _copy_tags(session, seq)
    database.execute(
        'INSERT INTO main.chunks (memory, start, "end") SELECT mine.number, start, "end" FROM other.chunks '
        "JOIN other.memories AS theirs ON memory = theirs.number JOIN main.memories AS mine USING (id) "
        "WHERE mine.seq = ? ORDER BY chunks.number",
        (seq,),
    )
    _copy_made(session, seq, "models", "embeddings", {"seq": seq, "vector": "vector"})
    _copy_made(session, seq, "token_models", "token_vectors", {"vectors": "vectors"})
    return database.scalar(f"SELECT COUNT(*) FROM {BOTH} WHERE mine.seq = ?", (seq,))


def _copy_tags(session: SqliteSession, seq: int) -> None:
    session.database.execute(
        f"INSERT OR IGNORE INTO main.tags SELECT tag, mine.number FROM {BOTH} "
        "JOIN other.tags ON memory = theirs.number WHERE mine.seq = ?",
        (seq,),
    )


def _copy_made(
    session: SqliteSession, seq: int, models: str, table: str, columns: Mapping[str, int | str]
) -> None:
    """Copy what models have made of the chunks of the memories added by the change ``seq``.

    ``columns`` of the ``table`` get a number or what the other table's column holds.
    """
    session.database.execute(
        f"INSERT OR IGNORE INTO main.{models} (fingerprint, name, dimension) "
        f"SELECT fingerprint, name, dimension FROM other.{models}"
    )
    session.database.execute(
        f"INSERT OR IGNORE INTO main.{table} (model, chunk, {', '.join(columns)}) "
        f"SELECT models.number, own.number, {', '.join(map(str, columns.values()))} "
        "FROM main.memories AS mine CROSS JOIN other.memories AS theirs ON theirs.id = mine.id "
        "CROSS JOIN main.chunks AS own ON own.memory = mine.number "
        'CROSS JOIN other.chunks AS old ON old.memory = theirs.number AND (old.start, old."end") = '
        '(own.start, own."end") '
        f"CROSS JOIN other.{table} AS given ON given.chunk = old.number "
        f"CROSS JOIN other.{models} AS named ON named.number = given.model "
        f"CROSS JOIN main.{models} AS models ON models.fingerprint = named.fingerprint WHERE mine.seq = ?",
        (seq,),
    )


def return_to_other(session: SqliteSession, now: datetime) -> None:
    """Restore the live memories of the other database; needs a transaction.

    Memories that it lacks go to the trash, from where they can be restored. Memories erased since then come
    back, because the user asked for it, unless other devices have erased them too. All of them count as
    changed now, so that importing another machine's export does not undo the restore.
    """
    database = session.database
    before = database.seq()
    database.execute(
        f"DELETE FROM main.erased WHERE id IN (SELECT id FROM other.memories) AND NOT {IS_SYNCED}"
    )
    changed_keys = database.column(f"SELECT mine.number FROM {BOTH} WHERE {DIFFERENT}")
    add_missing(session, now)
    database.execute(
        "UPDATE main.memories SET seq = ?, deleted_at = ? WHERE deleted_at IS NULL "
        "AND id NOT IN (SELECT id FROM other.memories)",
        (database.next_seq(), to_micros(now)),
    )
    _restore_attributes(session, changed_keys, now)
    database.execute(
        f"UPDATE main.memories SET changed_at = {session.later_change} WHERE seq > ?",
        (to_micros(now), 1, before),
    )
    database.execute("DELETE FROM main.retention")
    database.execute("INSERT INTO main.retention SELECT * FROM other.retention")


def _restore_attributes(session: SqliteSession, keys: list[int], now: datetime) -> None:
    """Copy the attributes of memories from the other database."""
    database = session.database
    seq = database.next_seq()
    assignments = ", ".join(f"{column} = theirs.{column}" for column in RESTORED_COLUMNS)
    database.execute_many(
        f"UPDATE main.memories AS mine SET seq = ?, restored_at = ?, {assignments} "
        "FROM other.memories AS theirs WHERE theirs.id = mine.id AND mine.number = ?",
        [(seq, to_micros(now), key) for key in keys],
    )
    database.execute_many("DELETE FROM main.tags WHERE memory = ?", [(key,) for key in keys])
    _copy_tags(session, seq)
