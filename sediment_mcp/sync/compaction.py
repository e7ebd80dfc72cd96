"""Plan which files of a log become one, so that few remain and none holds what was erased.

A reader has come to some number of the log and needs all that is in files after it. So a file that takes the
place of others covers their numbers without a gap, and a memory stays at the number under which it was last
written, or comes to a later one. The name of a file is never used for another content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sediment_mcp.sync.folder import LogPath
from sediment_mcp.sync.log_file import UnreadableFile, read_encrypted

MEMORIES_PER_FILE = 1000  # about ten megabytes with embeddings; a reader takes a file in one transaction
MAX_FILES = 64  # before it is looked whether fewer would do
ID_FIELD = re.compile(rb'"id": ?"([0-9A-Za-z_-]{1,16})"')


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Files that become one, which holds these numbers of the log."""

    first: int
    last: int
    replaced: tuple[LogPath, ...]


def is_worthwhile(files: Sequence[LogPath], rewrites: Sequence[Rewrite]) -> bool:
    """Return True if there are many files, and rewriting leaves clearly fewer."""
    replaced = sum(len(rewrite.replaced) for rewrite in rewrites)
    return len(files) > MAX_FILES and replaced - len(rewrites) >= MAX_FILES // 2


def find_holding(files: Iterable[LogPath], memory_ids: Iterable[str], identity: str) -> set[LogPath]:
    """Return the files that hold one of these memories, or cannot be read."""
    wanted = {memory_id.encode() for memory_id in memory_ids}
    return {file for file in files if _holds(file, wanted, identity)} if wanted else set()


def _holds(file: LogPath, wanted: set[bytes], identity: str) -> bool:
    try:
        data = read_encrypted(file, identity)
    except UnreadableFile:
        return True
    return any(found[1] in wanted for found in ID_FIELD.finditer(data))


def plan(files: Sequence[LogPath], counts: Sequence[int], must_go: set[LogPath], last: int) -> list[Rewrite]:
    """Return which files become which; the last one ends with the new number ``last``.

    ``counts`` are the memories of each file that it would still hold, ``must_go`` the files that have to be
    replaced. Full files stay as they are.
    """
    rewrites: list[Rewrite] = []
    group: list[LogPath] = []
    held = 0
    for file, count in zip(files, counts, strict=True):
        is_alone = len(group) == 1 and group[0] in must_go  # as one file it would get its own name again
        if count >= MEMORIES_PER_FILE // 2 and file not in must_go and not is_alone:
            _close(rewrites, group)
            group, held = [], 0
            continue
        if group and held + count > MEMORIES_PER_FILE and not is_alone:
            _close(rewrites, group)
            group, held = [], 0
        group.append(file)
        held += count
    first = group[0].first if group else last
    rewrites.append(Rewrite(first, last, tuple(group)))
    return rewrites


def _close(rewrites: list[Rewrite], group: Sequence[LogPath]) -> None:
    """Add a group that is complete; a single file in it stays as it is."""
    if len(group) > 1:
        rewrites.append(Rewrite(group[0].first, group[-1].last, tuple(group)))
