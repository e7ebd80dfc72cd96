"""The system of record: memories, chunks, embeddings and the change sequence."""
