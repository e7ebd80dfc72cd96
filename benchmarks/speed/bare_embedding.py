"""A process that does nothing but embed, for comparison: asked line by line like a server, it answers with
the milliseconds that the model took, so that neither the pipe nor the JSON counts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        embedder = load_embedder(Config(Path(empty)))
    embed = {"query": embedder.embed_query, "document": lambda text: embedder.embed_documents([text])}
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        embed[request["method"]](request["params"]["text"])
        took = (time.perf_counter() - started) * 1000
        print(json.dumps({"id": request["id"], "result": took}), flush=True)


if __name__ == "__main__":
    main()
