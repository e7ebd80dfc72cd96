"""Derived indexes: BM25 (tantivy) and HNSW (usearch), with their memtables.

BM25 is over the words of chunks, HNSW over their embeddings.
"""
