"""Find the folder that a host means by the name of a folder of its own.

Hosts name the folder of a project's transcripts by its path, with a dash for each character that is no letter
or digit. That loses what the characters were, so the folder is looked for on the disk.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MAX_LOOKED_AT = 20_000  # folders in all
MAX_SLUG_CHARS = 1000
_DRIVE = re.compile(r"([A-Za-z])-+(?=[^-])")
_OTHER = re.compile(r"[^A-Za-z0-9]")


def find_slug_folder(slug: str) -> str | None:
    """Return the folder here whose path a host has turned into this name; None if none is."""
    if not slug or len(slug) > MAX_SLUG_CHARS:
        return None
    drive = _DRIVE.match(slug) if os.name == "nt" else None
    start = Path(f"{drive[1]}:\\" if drive else "/")
    rest = slug[drive.end() :] if drive else slug.removeprefix("-")
    found = _descend(start, rest, [MAX_LOOKED_AT])
    return str(found) if found is not None else None


def _descend(folder: Path, rest: str, left: list[int]) -> Path | None:
    """Return the folder below ``folder`` that ``rest`` stands for.

    ``left`` has one item: how many folders may still be looked at.
    """
    for name in _list_folders(folder):
        left[0] -= 1
        if left[0] < 0:
            return None
        slug = _OTHER.sub("-", name)
        if slug == rest:
            return folder / name
        if rest.startswith(f"{slug}-") and (found := _descend(folder / name, rest[len(slug) + 1 :], left)):
            return found
    return None


def _list_folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
