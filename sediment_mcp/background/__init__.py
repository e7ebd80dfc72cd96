"""Work that runs by itself: embedding, index snapshots, retention, secure erasure, backups."""
