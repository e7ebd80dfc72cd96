"""Know every file of a data directory by its name, and whether it is encrypted.

A file that is not known here is nobody's: it is named to the user and never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sediment_mcp.background import backups
from sediment_mcp.config import TENANTS
from sediment_mcp.embeddings import file_hashes
from sediment_mcp.operations import capture_state, kept_pairs, project_history
from sediment_mcp.search import unanswered_queries
from sediment_mcp.storage.sqlite.page_salvage import is_likely_encrypted
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.storage.sqlite.swap import COMPANIONS
from sediment_mcp.storage.sqlite.tokens import ACCESS_FILE
from sediment_mcp.system.data_directory import CACHE_ID, SOCKET
from sediment_mcp.system.database_files import SQLITE_MAGIC, is_encrypted
from sediment_mcp.system.directory_encryption import MAGIC, MARKER
from sediment_mcp.system.encrypted_file import MAGIC as BLOCKS_MAGIC
from sediment_mcp.system.encrypted_lines import BEGINNING

FileKind = Literal[
    "database", "access", "backup", "damaged", "lines", "content", "index", "leftover", "other"
]
"""What a file holds.

Databases, copies of damaged ones, lines that are appended, content that is replaced as a whole, derived
indexes, what a process that was killed has left behind, and files that are not known.
"""
SHOWN = "shown.jsonl"  # of `recall`, a layer that stands beside this one
HEAD_BYTES = 32  # by which a file tells of which kind it is
CONVERTING = ".converting.tmp"  # ends the name of a database that is being written
LINES = (unanswered_queries.FILE, SHOWN)
CONTENT = (capture_state.FILE, project_history.FILE)
_NAMED: dict[str, FileKind] = {
    DATABASE: "database",
    ACCESS_FILE: "access",
    **dict.fromkeys(LINES, "lines"),
    **dict.fromkeys(CONTENT, "content"),
}
_DAMAGED = re.compile(r"memories\.damaged-[^/]*")
_INDEX = re.compile(r"text\.json|text-.*|terms\..*|vectors-.*")
_WITHOUT_TEXT = re.compile(r".*\.(lock|queue)|.*-shm")  # and what is named below: nothing that was stored
WITHOUT_TEXT = (
    MARKER,
    SOCKET,
    file_hashes.RECORD_NAME,
    CACHE_ID,
    kept_pairs.FORMER_FILE,  # ids alone
)
_OF_DATABASES = tuple(name + companion for name in (DATABASE, ACCESS_FILE) for companion in COMPANIONS)


@dataclass(frozen=True, slots=True)
class DirectoryFile:
    """A file of a data directory, or of a tenant's folder in it."""

    path: Path
    kind: FileKind

    @property
    def is_database(self) -> bool:
        """Whether SQLite reads it, so that it is encrypted page by page."""
        return self.kind in ("database", "access", "backup")

    @property
    def is_plain(self) -> bool:
        """Whether what was stored can be read in it as it lies there."""
        if self.path.is_dir():
            return True
        if self.is_database:
            return is_encrypted(self.path) is False
        head = _read_head(self.path)
        if self.kind == "lines":
            return any(not line.startswith(BEGINNING) for line in self.path.read_bytes().splitlines())
        if self.kind == "damaged" and not self.is_wrapped:
            return head.startswith(SQLITE_MAGIC) or not is_likely_encrypted(self.path)
        return bool(head) and not head.startswith((MAGIC, BLOCKS_MAGIC))

    @property
    def is_marked_encrypted(self) -> bool:
        """Whether it says at its beginning that it was encrypted here, as no SQLite file does."""
        return not self.path.is_dir() and _read_head(self.path).startswith((MAGIC, BLOCKS_MAGIC, BEGINNING))

    @property
    def is_wrapped(self) -> bool:
        """Whether it was encrypted as a whole, as a database is that cannot be read page by page."""
        return self.kind in ("backup", "damaged") and _read_head(self.path).startswith(BLOCKS_MAGIC)

    @property
    def size(self) -> int:
        """The bytes of the file with its log; 0 if it is gone."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return sum(path.stat().st_size for path in (self.path, log) if path.is_file())


def list_stores(data_dir: Path) -> list[Path]:
    """Return the folders with memories: the data directory, and that of each other tenant."""
    tenants = data_dir / TENANTS
    others = sorted(path for path in tenants.iterdir() if path.is_dir()) if tenants.is_dir() else []
    return [data_dir, *others]


def list_files(store: Path) -> list[DirectoryFile]:
    """Return the files of one store that may hold what was stored, the databases first."""
    found = [DirectoryFile(path, kind) for path in _walk(store) if (kind := _find_kind(path, store))]
    order = ("database", "access", "backup", "damaged", "lines", "content", "index", "leftover", "other")
    return sorted(found, key=lambda file: (order.index(file.kind), file.path))


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        return b""


def _walk(store: Path) -> Iterator[Path]:
    """Yield the files of a store, without those of the tenants; an index's folder counts as one."""
    if not store.is_dir():
        return
    for path in sorted(store.iterdir()):
        if path.name == backups.FOLDER:
            yield from sorted(path.iterdir())
        elif path.name != TENANTS:
            yield path


def _find_kind(path: Path, store: Path) -> FileKind | None:
    """Return the kind of a file; None if it never holds anything that was stored."""
    name = path.name
    if path.parent != store:
        is_backup = name.endswith(".db") and path.is_file()
        return "backup" if is_backup else "leftover" if backups.UNFINISHED in name else "other"
    if name in WITHOUT_TEXT or name in _OF_DATABASES or _WITHOUT_TEXT.fullmatch(name):
        return None
    if name in _NAMED:
        return _NAMED[name]
    if _DAMAGED.fullmatch(name):
        return "damaged"
    if _INDEX.fullmatch(name):
        return "index"
    return "leftover" if backups.UNFINISHED in name else "other"
