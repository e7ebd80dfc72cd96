"""Paragraphs of GNOME's help in twelve languages, from which statistics of a multilingual model are made.

    apt-get download gnome-user-docs
    dpkg -x gnome-user-docs*.deb ROOT

The pages are those of the Debian package gnome-user-docs 43.0-2 (CC BY-SA 3.0), and nothing of them is kept
but means and principal components of what a model computes. They say the same in each language, about mail,
music, colours, keyboards, privacy and more; nothing of them resembles what the project is measured on.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

PAGES = "usr/share/help/{language}/gnome-help"
LANGUAGES = {
    "en": "C", "de": "de", "fr": "fr", "es": "es", "ja": "ja", "ru": "ru", "zh": "zh_CN",
    "pt": "pt_BR", "it": "it", "pl": "pl", "sv": "sv", "ko": "ko",
}  # fmt: skip
PARAGRAPH = "{http://projectmallard.org/1.0/}p"
MIN_CHARACTERS, MAX_CHARACTERS = 20, 600
TEXTS_PER_LANGUAGE = 250
SHA256 = "56b4343f5d7e5c604efbf0f6d5b56b8db69b372615b446baf4d6e41125f0289b"


def read_paragraphs(folder: Path) -> Iterator[str]:
    """Each paragraph of each page, white space made one space."""
    for path in sorted(folder.glob("*.page")):
        for element in ElementTree.parse(path).iter(PARAGRAPH):
            text = " ".join("".join(element.itertext()).split())
            if MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
                yield text


def read_help_texts(root: Path) -> dict[str, list[str]]:
    """The same number of texts for each language; ends the program if they are not those named above."""
    texts: dict[str, list[str]] = {}
    for language, folder in LANGUAGES.items():
        found = list(dict.fromkeys(read_paragraphs(root / PAGES.format(language=folder))))
        step = max(len(found) // TEXTS_PER_LANGUAGE, 1)
        texts[language] = found[::step][:TEXTS_PER_LANGUAGE]
    digest = hashlib.sha256("\n".join(text for of in texts.values() for text in of).encode()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{root} does not hold the package that is named in help_pages.py (SHA-256 {digest}).")
    return texts
