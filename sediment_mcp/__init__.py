"""sediment-mcp: a local memory for desktop agents, shared by all hosts.

Memories are found by meaning and by words. The database (SQLite) is the system of record, and its COMMIT is
the only point of durability. The text index (tantivy) and the vector index are derived snapshots that may be
stale, damaged or missing at any time; what a snapshot lacks is searched directly, in its memtable. Indexes
propose candidates, the database decides which of them exist, ranking reads nothing but its arguments, and
everything works without an embedding model.

docs/architecture.md has the layers, what happens when a memory is stored or queried, and the terms.
"""

__version__ = "0.1.0"
