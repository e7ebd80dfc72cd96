"""Another version of the package, taken from the repository's history, to run beside this one."""

from __future__ import annotations

import ast
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "sediment_mcp"
MIGRATIONS = (f"{PACKAGE}/storage/sqlite/migrations.py", f"{PACKAGE}/migrations.py")  # where it is and was


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", REPOSITORY, *arguments], check=True, capture_output=True).stdout


def commits() -> tuple[str | None, str | None]:
    """Return (the newest earlier commit of the package with today's schema, the newest with an older one).

    Each as far as the repository's history is here, else None.
    """
    try:
        today = schema("HEAD")
        package = _git("log", "--format=%h", "--", PACKAGE).decode().split()
        changes = _git("log", "--format=%h~1", "--", *MIGRATIONS).decode().split()
        same = next((commit for commit in package[1:] if schema(commit) == today), None)
        older = next((before for before in changes if 0 < schema(before) < today), None)
        return same, older and _git("rev-parse", "--short", older).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None, None


def schema(commit: str) -> int:
    """Return how many migrations the package at ``commit`` knows, 0 where there is no such list."""
    for path in MIGRATIONS:
        try:
            source = _git("show", f"{commit}:{path}")
        except subprocess.CalledProcessError:
            continue  # the file is elsewhere at this commit, or the commit before the first is asked for
        for node in ast.parse(source).body:
            if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Tuple):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, ast.Name) and target.id == "MIGRATIONS" for target in targets):
                    return len(node.value.elts)
    return 0


def unpack(commit: str, folder: Path) -> Path:
    """The package at this commit, in a folder for PYTHONPATH."""
    place = folder / commit
    with tarfile.open(fileobj=BytesIO(_git("archive", commit, PACKAGE))) as archive:
        archive.extractall(place, filter="data")
    return place
