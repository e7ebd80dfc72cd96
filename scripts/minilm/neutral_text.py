"""Neutral English text under permissive licences, from which a projection of token vectors is made.

    apt-get download wordnet-base sqlite3-doc
    for file in *.deb; do dpkg -x $file ROOT; done

Two Debian packages are read, extracted under one folder:

- **wordnet-base** 1:3.0-37: the definitions and example sentences of WordNet 3.0 (WordNet licence: use, copy,
  modify and distribute for any purpose), every sixth.
- **sqlite3-doc** 3.40.1-2+deb12u2: the paragraphs of SQLite's documentation (public domain), every second.

Nothing of them resembles what the project is measured on. The lines must have the SHA-256 given here.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

WORDNET, SQLITE = "usr/share/wordnet", "usr/share/doc/sqlite3"
EVERY_GLOSS, EVERY_PARAGRAPH = 6, 2
MIN_CHARACTERS, MAX_CHARACTERS = 20, 1_000
SHA256 = "2b8b04bd849e1c304c3101f92962e2e676d02aeb012bf4d35778cd588a396f92"
PROSE = {"p", "li", "dd", "td", "blockquote"}
SKIPPED = {"script", "style", "pre", "svg", "head"}


class _Paragraphs(HTMLParser):
    """Collects the text of a page by its elements of prose."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = [""]
        self._depth = 0  # of elements whose text is skipped

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._depth += tag in SKIPPED
        if tag in PROSE:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag in SKIPPED and self._depth > 0
        if tag in PROSE:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if not self._depth:
            self.found[-1] += data


def read_glosses(folder: Path) -> Iterator[str]:
    """Each definition and each example sentence."""
    for path in sorted(folder.glob("data.*")):
        for line in path.read_text(encoding="latin-1").splitlines():
            _, bar, gloss = line.partition(" | ")
            if bar:
                yield from re.findall(r'"([^"]+)"', gloss)
                yield re.sub(r'\s*;?\s*"[^"]*"?', "", gloss)


def read_paragraphs(folder: Path) -> Iterator[str]:
    """Each paragraph of each page that ends as a sentence does, without lists of names."""
    for path in sorted(folder.glob("*.html")):
        page = _Paragraphs()
        page.feed(path.read_text(encoding="utf-8", errors="replace"))
        yield from (text for text in page.found if text.rstrip().endswith(".") and "matrix:" not in text)


def clean(texts: Iterator[str]) -> list[str]:
    """Without those that are too short or come twice, white space made one space, long ones cut off."""
    shortened = (" ".join(text.split())[:MAX_CHARACTERS] for text in texts)
    return list(dict.fromkeys(text for text in shortened if len(text) >= MIN_CHARACTERS))


def read_neutral_texts(root: Path) -> list[str]:
    """The texts, some 45,000; ends the program if they are not those of the packages named above."""
    glosses, paragraphs = clean(read_glosses(root / WORDNET)), clean(read_paragraphs(root / SQLITE))
    texts = glosses[::EVERY_GLOSS] + paragraphs[::EVERY_PARAGRAPH]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{root} does not hold the packages that are named in neutral_text.py (SHA-256 {digest}).")
    return texts
