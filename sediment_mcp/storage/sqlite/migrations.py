"""The schema of the SQLite database, as a list of named migrations.

Each migration commits together with its number. A migration is never edited once released; a change of schema
is a new one at the end. The number of migrations applied is SQLite's own ``user_version``.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from sediment_mcp.errors import NewerDatabase

M001_CREATE_TABLES = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('seq', 0);

-- Times are microseconds since 1970 in UTC. A project of NULL is global.
CREATE TABLE memories (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL,
    content TEXT NOT NULL,
    text_key BLOB NOT NULL,
    kind TEXT NOT NULL,
    tags TEXT NOT NULL,
    project TEXT,
    session TEXT,
    importance REAL NOT NULL,
    metadata TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    superseded_by TEXT,
    deleted_at INTEGER
) STRICT;
CREATE INDEX memories_by_seq ON memories (seq);
CREATE INDEX memories_by_time ON memories (occurred_at, number);
CREATE INDEX memories_by_text ON memories (text_key);
CREATE INDEX memories_by_session ON memories (session, occurred_at, number)
    WHERE session IS NOT NULL AND deleted_at IS NULL;

-- The same tags as in memories.tags, to find a memory by its tag.
CREATE TABLE tags (
    tag TEXT NOT NULL,
    memory INTEGER NOT NULL REFERENCES memories ON DELETE CASCADE,
    PRIMARY KEY (tag, memory)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_memory ON tags (memory);

-- Passages: content[start:end], in characters. Numbers are never used twice, because indexes know
-- passages by number and may be older than the database.
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    memory INTEGER NOT NULL REFERENCES memories ON DELETE CASCADE,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL
) STRICT;
CREATE INDEX chunks_by_memory ON chunks (memory);

-- Chunks that are gone for good, so that indexes can forget them too.
CREATE TABLE tombstones (chunk INTEGER PRIMARY KEY, memory INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;
CREATE INDEX tombstones_by_seq ON tombstones (seq);

CREATE TABLE models (
    number INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL
) STRICT;
-- Unit vectors, little-endian float16. seq is the change that added the embedding.
CREATE TABLE embeddings (
    number INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES models,
    chunk INTEGER NOT NULL REFERENCES chunks ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (model, chunk)
) STRICT;
CREATE INDEX embeddings_by_seq ON embeddings (model, seq);
CREATE INDEX embeddings_by_chunk ON embeddings (chunk);

-- One row for each snapshot written: one whose token is unknown here belongs to another history.
CREATE TABLE snapshots (token INTEGER PRIMARY KEY, index_name TEXT NOT NULL, seq INTEGER NOT NULL) STRICT;
"""
M002_ADD_RETENTION = """
-- What the user says of a kind or of a tag: at most so many days old, at most so many.
CREATE TABLE retention (
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    max_age INTEGER,
    max_count INTEGER,
    PRIMARY KEY (subject, name)
) STRICT, WITHOUT ROWID;
ALTER TABLE memories ADD COLUMN restored_at INTEGER;
CREATE INDEX memories_by_end ON memories (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX memories_by_deletion ON memories (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX memories_by_successor ON memories (superseded_by) WHERE superseded_by IS NOT NULL;
"""
M003_COVER_FILTERS_AND_SESSIONS = """
-- All that a filter asks, tags apart, stands in the index, so that a count and a page read rows only of
-- what they show; and all that says who stands beside whom in a session.
DROP INDEX memories_by_time;
CREATE INDEX memories_by_time ON memories
    (occurred_at, number, kind, project, session, expires_at, superseded_by, deleted_at);
DROP INDEX memories_by_session;
CREATE INDEX memories_by_session ON memories (session, occurred_at, number, project)
    WHERE session IS NOT NULL AND deleted_at IS NULL;
"""
M004_ADD_ERASED_IDS = """
-- Memories that are gone for good, so that backups can forget them too.
CREATE TABLE erased (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
M005_ADD_CHANGED_AT = """
-- When a memory was last changed, so that of two machines' words on it the later counts. Of what is here
-- already the best that is known.
ALTER TABLE memories ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
UPDATE memories SET changed_at =
    MAX(created_at, COALESCE(deleted_at, created_at), COALESCE(restored_at, created_at));
"""
M006_ADD_TOKEN_VECTORS = """
-- What each token of a chunk is compared by: rows of signed bytes, as many as the model's dimension each.
CREATE TABLE token_models (
    number INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL
) STRICT;
CREATE TABLE token_vectors (
    number INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES token_models,
    chunk INTEGER NOT NULL REFERENCES chunks ON DELETE CASCADE,
    vectors BLOB NOT NULL,
    UNIQUE (chunk, model)
) STRICT;
"""  # noqa: S105  its name has the word, it holds no secret
M007_KEY_SNAPSHOTS_BY_CACHE = """
-- Which directory of indexes a snapshot lies in, and when it was announced. In a file there is one.
ALTER TABLE snapshots ADD COLUMN cache TEXT NOT NULL DEFAULT '';
ALTER TABLE snapshots ADD COLUMN registered_at INTEGER NOT NULL DEFAULT 0;
"""
M008_ADD_AUDIT = """
-- Who stored, changed, deleted or was shown what (a JSON list of ids), and when.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    caller TEXT NOT NULL,
    action TEXT NOT NULL,
    memories TEXT NOT NULL,
    text TEXT
) STRICT;
CREATE INDEX audit_by_time ON audit (at, number);
CREATE INDEX audit_texts ON audit (number) WHERE text IS NOT NULL;
"""
M009_ADD_SYNC = """
-- Pairs of similar memories of which a person has said that both may stay, by their ids in order.
CREATE TABLE kept_pairs (
    first_id TEXT NOT NULL,
    second_id TEXT NOT NULL,
    kept_at INTEGER NOT NULL,
    PRIMARY KEY (first_id, second_id)
) STRICT, WITHOUT ROWID;

-- When each rule of retention was last changed and what it said then; a rule without limits was removed.
CREATE TABLE rule_changes (
    subject TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    name TEXT NOT NULL,
    max_age INTEGER,
    max_count INTEGER,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (subject, folded_name)
) STRICT, WITHOUT ROWID;

-- Of the synchronization with other devices: what is set, up to which file each device's log was read, and
-- which state of each item some log holds (an empty digest: that it is erased). The number is that of the
-- file of the own log that holds the item, 0 if only others' do; taken is a state that the own one lacks.
CREATE TABLE sync_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sync_positions (device TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sync_known (
    item TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    number INTEGER NOT NULL,
    is_taken INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX sync_known_by_number ON sync_known (number, item) WHERE number > 0;
-- The name that devices share of a project, and which project that is here.
CREATE TABLE sync_projects (
    shared TEXT PRIMARY KEY,
    local TEXT NOT NULL,
    is_chosen INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (
    M001_CREATE_TABLES,
    M002_ADD_RETENTION,
    M003_COVER_FILTERS_AND_SESSIONS,
    M004_ADD_ERASED_IDS,
    M005_ADD_CHANGED_AT,
    M006_ADD_TOKEN_VECTORS,
    M007_KEY_SNAPSHOTS_BY_CACHE,
    M008_ADD_AUDIT,
    M009_ADD_SYNC,
)

A001_CREATE_TOKENS = """
-- Who may call: a row for each token of any tenant, of which only its SHA-256 is kept.
CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    tenant_name TEXT NOT NULL,
    team_name TEXT,
    may_write INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    used_at INTEGER
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a file: its migrations, and how SQLite keeps a change until its commit."""

    migrations: tuple[str, ...]
    journal: Literal["WAL", "DELETE"]


MEMORIES = Schema(MIGRATIONS, "WAL")
ACCESS = Schema((A001_CREATE_TOKENS,), "DELETE")


def read_version(connection: sqlite3.Connection, schema: Schema = MEMORIES) -> int:
    """Return the number of migrations applied to this database.

    Raises:
        NewerDatabase: there are more of them than this version of the package knows.
    """
    (applied,) = connection.execute("PRAGMA user_version").fetchone()
    if applied > len(schema.migrations):
        raise NewerDatabase(
            f"This database was written by a newer sediment-mcp (schema {applied}, this one knows "
            f"{len(schema.migrations)}): update sediment-mcp, here or in the host that still runs the old "
            "one."
        )
    return int(applied)


def migrate(connection: sqlite3.Connection, up_to: int | None = None, schema: Schema = MEMORIES) -> None:
    """Bring the schema up to date, or to an earlier version; the caller holds the write lock."""
    for number, migration in enumerate(schema.migrations[:up_to], start=1):
        if number <= read_version(connection, schema):
            continue
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise
