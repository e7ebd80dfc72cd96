"""Another version of the package, taken from the repository's history, to run beside this one."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = "sediment_mcp/storage/sqlite/migrations.py"


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", REPOSITORY, *arguments], check=True, capture_output=True).stdout


def commits() -> tuple[str | None, str | None]:
    """(the newest earlier commit of the package with today's schema, the newest with an older one), as far
    as the repository's history is here."""
    try:
        changes = _git("log", "--format=%h", "--", SCHEMA).decode().split()
        package = _git("log", "--format=%h", "--", "sediment_mcp").decode().split()
        same = [
            commit for commit in package[1:] if not _git("diff", "--name-only", commit, "HEAD", "--", SCHEMA)
        ]
    except (OSError, subprocess.CalledProcessError):
        return None, None
    older = _git("rev-parse", "--short", f"{changes[0]}~1").decode().strip() if len(changes) > 1 else None
    return (same[0] if same else None), older


def unpack(commit: str, folder: Path) -> Path:
    """The package at this commit, in a folder for PYTHONPATH."""
    place = folder / commit
    with tarfile.open(fileobj=BytesIO(_git("archive", commit, "sediment_mcp"))) as archive:
        archive.extractall(place, filter="data")
    return place
