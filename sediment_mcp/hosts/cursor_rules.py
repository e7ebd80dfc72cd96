"""A rules file of Cursor, with what its hooks should have brought into the conversation.

Cursor drops what a hook says at the start of a session now and then, but reads the rules of the project each
time. The file is written anew when a session starts, and is kept out of git by the repository's own list of
files to ignore (`info/exclude`), which nobody commits.
"""

from __future__ import annotations

from pathlib import Path

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import config_file
from sediment_mcp.system.git_repository import find_git_folder
from sediment_mcp.system.project_root import find_work_tree

RULES = ".cursor/rules/sediment-memory.mdc"
_FRONT_MATTER = """\
---
description: What is remembered of this project, written anew when a session starts
alwaysApply: true
---
"""


def write_rules(project: Path, text: str) -> None:
    """Write what is to be known from the start; nothing to say removes the file.

    Raises:
        UnusableFile: It cannot be written, or leads out of the project.
    """
    path = project / RULES
    if not path.resolve().is_relative_to(project.resolve()):
        raise UnusableFile(f"{path} is a link that leads out of the project: remove it and try again.")
    before = config_file.read_text(path)
    after = f"{_FRONT_MATTER}\n{text.strip()}\n" if text.strip() else None
    if before == after:
        return
    if after is not None:
        _ignore_in_git(project)
    config_file.replace_text(path, before, after, keep_backup=False)


def _ignore_in_git(project: Path) -> None:
    """Have git ignore the file, where the project lies in the work tree of a repository."""
    tree = find_work_tree(project)
    folder = None if tree is None else find_git_folder(tree)
    if tree is None or folder is None:
        return
    pattern = f"/{(project.resolve() / RULES).relative_to(tree).as_posix()}"
    exclude = folder / "info" / "exclude"
    before = config_file.read_text(exclude)
    if pattern in (before or "").splitlines():
        return
    line_break = "" if not before or before.endswith("\n") else "\n"
    config_file.replace_text(exclude, before, f"{before or ''}{line_break}{pattern}\n", keep_backup=False)
