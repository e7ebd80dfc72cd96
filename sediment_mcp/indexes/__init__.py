"""Derived indexes: BM25 over passages (tantivy) and HNSW over embeddings (usearch), with their memtables."""
