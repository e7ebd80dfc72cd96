"""Taking memories over from another database, attached as ``other``, in SQL.

What comes over gets new numbers: numbers are this database's own, and its indexes know passages by them.
So to the indexes and to running servers it is a change like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sediment_mcp.domain.filters import micros
from sediment_mcp.storage.sql.memories import CHANGED, Store

KEPT = (
    "content, text_key, kind, tags, project, session, importance, metadata, occurred_at, created_at, "
    "expires_at, superseded_by, deleted_at"
)
CHANGING = (
    "kind", "tags", "project", "session", "importance", "metadata", "occurred_at", "expires_at",
    "superseded_by", "deleted_at",
)  # fmt: skip
DIFFERENT = " OR ".join(f"mine.{name} IS NOT theirs.{name}" for name in CHANGING)
BOTH = "main.memories AS mine JOIN other.memories AS theirs USING (id)"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a return to the other database means for what can be found: memories that come back, those that
    go to the trash, and those that stay but were changed since."""

    returning: int
    leaving: int
    changing: int


def difference(store: Store) -> Difference:
    """Inside a read transaction."""
    return Difference(
        returning=store.scalar(
            "SELECT COUNT(*) FROM other.memories AS theirs WHERE deleted_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM main.memories WHERE id = theirs.id AND deleted_at IS NULL)", (),
        ),
        leaving=store.scalar(
            "SELECT COUNT(*) FROM main.memories AS mine WHERE deleted_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM other.memories WHERE id = mine.id AND deleted_at IS NULL)", (),
        ),
        changing=store.scalar(
            f"SELECT COUNT(*) FROM {BOTH} WHERE mine.deleted_at IS NULL AND theirs.deleted_at IS NULL "
            f"AND ({DIFFERENT})", (),
        ),
    )  # fmt: skip


def adopt(store: Store, now: datetime) -> int:
    """Take over what only the other database holds, with passages and embeddings, unless it is known here as
    erased; returns how many. Ages count from now, or a rule would remove it at once. In a transaction."""
    seq = store.next_seq()
    store.execute(
        f"INSERT INTO main.memories (id, seq, {KEPT}, restored_at, changed_at) "
        f"SELECT id, ?, {KEPT}, ?, changed_at FROM other.memories "
        "WHERE id NOT IN (SELECT id FROM main.memories) AND id NOT IN (SELECT id FROM main.erased) "
        "ORDER BY number",
        (seq, micros(now)),
    )
    new = f"{BOTH} WHERE mine.seq = ?"
    store.execute(
        f"INSERT OR IGNORE INTO main.tags SELECT tag, mine.number FROM {BOTH} "
        "JOIN other.tags ON memory = theirs.number WHERE mine.seq = ?", (seq,),
    )  # fmt: skip
    store.execute(
        'INSERT INTO main.chunks (memory, start, "end") SELECT mine.number, start, "end" FROM other.chunks '
        "JOIN other.memories AS theirs ON memory = theirs.number JOIN main.memories AS mine USING (id) "
        "WHERE mine.seq = ? ORDER BY chunks.number", (seq,),
    )  # fmt: skip
    _adopt_embeddings(store, seq)
    return store.scalar(f"SELECT COUNT(*) FROM {new}", (seq,))


def _adopt_embeddings(store: Store, seq: int) -> None:
    store.execute(
        "INSERT OR IGNORE INTO main.models (fingerprint, name, dimension) "
        "SELECT fingerprint, name, dimension FROM other.models", (),
    )  # fmt: skip
    store.execute(
        "INSERT OR IGNORE INTO main.embeddings (model, chunk, seq, vector) "
        "SELECT models.number, own.number, ?, vector FROM main.memories AS mine "
        "CROSS JOIN other.memories AS theirs ON theirs.id = mine.id "
        "CROSS JOIN main.chunks AS own ON own.memory = mine.number "
        'CROSS JOIN other.chunks AS old ON old.memory = theirs.number AND (old.start, old."end") = '
        '(own.start, own."end") '
        "CROSS JOIN other.embeddings AS given ON given.chunk = old.number "
        "CROSS JOIN other.models AS named ON named.number = given.model "
        "CROSS JOIN main.models AS models ON models.fingerprint = named.fingerprint WHERE mine.seq = ?",
        (seq, seq),
    )


def return_to(store: Store, now: datetime) -> None:
    """Make what can be found what it is in the other database. What that one lacks goes to the trash, from
    where it can be restored; what was erased since comes back, as it was asked for. Whatever that touches is
    changed now: another machine's export does not undo it. In a transaction."""
    before = store.seq()
    store.execute("DELETE FROM main.erased WHERE id IN (SELECT id FROM other.memories)", ())
    changed = store.column(f"SELECT mine.number FROM {BOTH} WHERE {DIFFERENT}", ())
    adopt(store, now)
    store.execute(
        "UPDATE main.memories SET seq = ?, deleted_at = ? WHERE deleted_at IS NULL "
        "AND id NOT IN (SELECT id FROM other.memories)",
        (store.next_seq(), micros(now)),
    )
    seq, names = store.next_seq(), ", ".join(f"{name} = theirs.{name}" for name in CHANGING)
    store.execute_many(
        f"UPDATE main.memories AS mine SET seq = ?, restored_at = ?, {names} FROM other.memories AS theirs "
        "WHERE theirs.id = mine.id AND mine.number = ?",
        [(seq, micros(now), number) for number in changed],
    )
    store.execute_many("DELETE FROM main.tags WHERE memory = ?", [(number,) for number in changed])
    store.execute(
        f"INSERT OR IGNORE INTO main.tags SELECT tag, mine.number FROM {BOTH} "
        "JOIN other.tags ON memory = theirs.number WHERE mine.seq = ?", (seq,),
    )  # fmt: skip
    store.execute(f"UPDATE main.memories SET changed_at = {CHANGED} WHERE seq > ?", (micros(now), 1, before))
    store.execute("DELETE FROM main.retention", ())
    store.execute("INSERT INTO main.retention SELECT * FROM other.retention", ())
