"""The documents as data: pages, code blocks, tables and links; the program's help to hold them against."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from support.stdio_peer import SERVER

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sediment_mcp"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "cli.md"
"""Written from the grammar, and executed nowhere: its examples name ids and files that nobody has."""

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


class Block(NamedTuple):
    """A fenced code block of a page."""

    page: Path
    language: str
    text: str


def name_of(page: Path) -> str:
    """Return a page's path as the repository knows it."""
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    """Return the text of a page."""
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the code blocks of a page, of these languages or of all."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [Block(page, *block) for block in found if not languages or block[0] in languages]


def shell_lines(page: Path) -> list[str]:
    """Return every shell line of a page."""
    return [line for block in blocks(page, "sh") for line in block.text.splitlines() if line.strip()]


def section(page: Path, title: str) -> str:
    """Return what stands under a heading of the second level, up to the next."""
    found = text_of(page).partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found, f"{name_of(page)} has no section {title}"
    return found


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows in a text, heads left out."""
    found: list[list[str]] = []
    lines = text.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        is_head = not before.startswith("|")
        if line.startswith("|") and not is_head and not re.fullmatch(r"[|:\- ]+", line):
            found.append([cell.strip() for cell in re.split(r" \| |^\| ?| ?\|$", line)[1:-1]])
    return found


def names(text: str) -> list[str]:
    """Return what is set in backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


# --- the program --------------------------------------------------------------------------------


@functools.cache
def help_of(*command: str) -> str:
    """Return what `sediment-mcp COMMAND --help` prints."""
    environment = {**os.environ, "COLUMNS": "1000", "PYTHONPATH": str(ROOT)}
    outcome = subprocess.run(
        [*SERVER, *command, "--help"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return outcome.stdout


@functools.cache
def commands(*parent: str) -> tuple[str, ...]:
    """Return the commands that the program's help lists, or the sub-commands of one."""
    listing = re.split(r"^commands:$", help_of(*parent), flags=re.MULTILINE | re.IGNORECASE)[1:]
    text = re.split(r"^\S", listing[0], maxsplit=1, flags=re.MULTILINE)[0] if listing else ""
    return tuple(re.findall(r"^ {2,4}([a-z][a-z-]+)(?: {2,}\S.*)?$", text, re.MULTILINE))


def flags_of(*command: str) -> set[str]:
    """Return the options that a command's help names, those of its sub-commands included."""
    own = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_of(*command)))
    return own.union(*(flags_of(*command, sub) for sub in (commands(*command) if command else ())))


@functools.cache
def all_flags() -> set[str]:
    """Return every option of the program."""
    return flags_of().union(*(flags_of(command) for command in commands()))
