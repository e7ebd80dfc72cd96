"""Texts that can be told apart: by a word of their own, and by their meaning without sharing a word."""

from __future__ import annotations

import random
from typing import Any

LETTERS = "bcdfghjklmnpqrstvwxz"
SUBJECTS = ("gardener", "captain", "librarian", "plumber", "violinist", "surgeon", "painter", "pilot")
VERBS = ("repaired", "borrowed", "measured", "forgot", "described", "ordered", "cleaned", "sold")
THINGS = ("telescope", "kettle", "bicycle", "ladder", "compass", "blanket", "hammer", "lantern")
PLACES = ("harbour", "orchard", "museum", "kitchen", "station", "cellar", "library", "bridge")
TIMES = ("yesterday", "before breakfast", "during winter", "after midnight", "every Thursday", "since April")


TAG = "campaign"


def marker(chance: random.Random) -> str:
    """A word that no other text holds."""
    return "".join(chance.choices(LETTERS, k=9))


def text(word: str) -> str:
    """The text that belongs to a marker; always the same one."""
    chance = random.Random(word)
    pick = chance.choice
    return (
        f"{word}: the {pick(SUBJECTS)} {pick(VERBS)} the {pick(THINGS)} beside the {pick(PLACES)} "
        f"{pick(TIMES)}, and the {pick(SUBJECTS)} {pick(VERBS)} another {pick(THINGS)}."
    )


def attributes(word: str) -> dict[str, Any]:
    """What is stored beside the text, to see that it comes back whole."""
    return {"tags": [f"tag-{word}", TAG], "metadata": {"word": word}}


def hidden(content: str) -> str:
    """The same to the model, which drops replacement characters; to the search by words, different words."""
    return " ".join(f"{word[: len(word) // 2]}\ufffd{word[len(word) // 2 :]}" for word in content.split())
