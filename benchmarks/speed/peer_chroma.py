"""A process that keeps texts in Chroma, asked line by line; run by the interpreter of an environment with it.

    python peer_chroma.py DIRECTORY PACKAGE

PACKAGE is the folder of sediment_mcp, whose default model embeds here too: so the same vectors cost the same,
and the difference is the store.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    directory, package = map(Path, sys.argv[1:])
    embedder = _embedder(package, directory)
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(directory), Settings(anonymized_telemetry=False))
    kept = client.get_or_create_collection("memories", configuration={"hnsw": {"space": "cosine"}})
    for line in sys.stdin:
        request = json.loads(line)
        texts = request["params"]["texts"]
        vectors = embedder.embed_documents(texts).vectors.tolist()
        if request["method"] == "store":
            first = kept.count()
            names = [str(first + number) for number in range(len(texts))]
            kept.add(ids=names, embeddings=vectors, documents=texts)
            found: Any = names
        else:
            found = kept.query(query_embeddings=vectors, n_results=5)["documents"]
        print(json.dumps({"id": request["id"], "result": found}), flush=True)


def _embedder(package: Path, directory: Path) -> Any:
    """The default model by the package's own runtime; nothing else of that environment is visible here."""
    spec = importlib.util.spec_from_file_location(
        "sediment_mcp", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["sediment_mcp"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from sediment_mcp.embeddings import minilm

    return minilm.load(directory)


if __name__ == "__main__":
    main()
