"""Derived indexes of words (tantivy) and of embeddings (binary codes), with their memtables.

BM25 is over the words of chunks, cosines over their embeddings.
"""
