"""Which pairs of texts merge, and whether they should.

    python benchmarks/merging.py MEMORIES.jsonl

The file holds one JSON object with `content` a line. Three measurements: each text beside itself in another
frame, first letter or punctuation (all should merge, but where a capital or a comma may say something); each
beside a text in which one fact is changed (none may); and all texts beside each other, where every merge is
listed for a person to judge.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from sediment_mcp.config import Config
from sediment_mcp.domain.duplicates import is_same_text
from sediment_mcp.domain.near_duplicates import MIN_COSINE, is_near_duplicate
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder

Change = Callable[[str], str]

SAME: dict[str, Change] = {
    "Note: …": lambda text: f"Note: {text}",
    "Remember that …": lambda text: f"Remember that {text[0].lower()}{text[1:]}",
    "… (confirmed)": lambda text: f"{text} (confirmed)",
    "… — this is the current approach": lambda text: f"{text} — this is the current approach",
    "first letter": lambda text: text[0].swapcase() + text[1:],
    "no commas": lambda text: text.replace(", ", " "),
    "other full stop": lambda text: text[:-1] if text.endswith(".") else f"{text}.",
}
NAMES = r"(?<=[a-z,] )(?!I\b)[A-Z][a-z]{2,}\b"
VERBS = r"\b(is|are|was|were|must|should|can|will|use|prefer)\b"
UNITS = {
    "minutes": "hours",
    "seconds": "minutes",
    "hours": "days",
    "days": "weeks",
    "ms": "s",
    "MB": "GB",
    "GB": "MB",
}
DIFFERENT: dict[str, Change] = {
    "a number": lambda text: re.sub(r"\d+", lambda found: str(int(found.group()) + 1), text, count=1),
    "a name": lambda text: re.sub(NAMES, "Quentin", text, count=1),
    "a negation": lambda text: re.sub(VERBS, r"\1 not", text, count=1),
    "a unit": lambda text: re.sub(
        rf"(?<=\d)( ?)({'|'.join(UNITS)})\b", lambda found: found[1] + UNITS[found[2]], text, count=1
    ),
    "a path": lambda text: re.sub(r"(?<=[\w.])/(?=\w)", "/old/", text, count=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("memories", type=Path)
    chosen = parser.parse_args()
    lines = chosen.memories.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["content"] for line in lines]
    with tempfile.TemporaryDirectory() as directory:
        embedder = load_embedder(Config(Path(directory)))
        for title, changes in (("should merge", SAME), ("must not merge", DIFFERENT)):
            print(f"{title}:")
            for name, change in changes.items():
                report(name, texts, change, embedder)
        list_merges(texts, embedder)


def report(name: str, texts: list[str], change: Change, embedder: Embedder) -> None:
    pairs = [(text, change(text)) for text in texts if not is_same_text(change(text), text)]
    ours = embedder.embed_documents([text for text, _ in pairs]).vectors
    theirs = embedder.embed_documents([text for _, text in pairs]).vectors
    cosines = (ours * theirs).sum(axis=1)
    merged = [is_near_duplicate(*pair, float(cosine)) for pair, cosine in zip(pairs, cosines, strict=True)]
    close = int((cosines >= MIN_COSINE).sum())
    print(
        f"  {name:<34}{sum(merged):>5} of {len(pairs):>5} merge; "
        f"{close:>5} have a cosine of {MIN_COSINE} or more"
    )


def list_merges(texts: list[str], embedder: Embedder) -> None:
    vectors = embedder.embed_documents(texts).vectors
    cosines = vectors @ vectors.T
    print("all texts beside each other, exact repetitions marked =:")
    for newer in range(len(texts)):
        for older in range(newer):
            if is_near_duplicate(texts[older], texts[newer], float(cosines[older, newer])):
                mark = "=" if is_same_text(texts[older], texts[newer]) else "~"
                print(f"  {mark} {texts[older]}\n    {texts[newer]}")


if __name__ == "__main__":
    main()
