"""A model folder for sentence-transformers: the packaged model, with prompts of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sediment_mcp.embeddings import minilm

PROMPTS = {"query": "search for: ", "passage": "remember this: "}


def make_folder(folder: Path, prompts: dict[str, str]) -> Path:
    """Copy the packaged model to a folder; the weights are a link where links are allowed."""
    source = minilm.find_packaged_folder()
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(minilm.WEIGHTS))
    try:
        (folder / minilm.WEIGHTS).symlink_to(source / minilm.WEIGHTS)
    except OSError:
        shutil.copy(source / minilm.WEIGHTS, folder)
    config = folder / "config_sentence_transformers.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "prompts": prompts}))
    return folder
