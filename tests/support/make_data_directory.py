"""How the data directory of an earlier version was made; run by hand, with that version's package.

    git worktree add EARLIER af0ef1e
    PYTHONPATH=EARLIER python tests/support/make_data_directory.py tests/data/data_directory_0_1_0.tar.gz

The modules imported here are those of that version (0.1.0, before modules moved into folders). Beside the
directory, the archive holds ``answers.json``: what that version itself answered about it. Thresholds are
small, so that a few memories are enough for a snapshot of both indexes, and some come after the snapshots.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sediment_mcp.contract import DeleteMemory, ListMemories, QueryMemory, StoreMemory, parse
from sediment_mcp.forgetting import list_deleted, retention_rules, set_rule
from sediment_mcp.history import history
from sediment_mcp.library import Library
from sediment_mcp.policy import Rule
from sediment_mcp.progress import unwatched
from sediment_mcp.stats import stats

from sediment_mcp import library as library_module
from sediment_mcp import upkeep
from sediment_mcp.config import Config
from sediment_mcp.operations import delete_memory, list_memories, query_memory, store_memory

PROJECT = "/home/ann/code/shop"
BEFORE_SNAPSHOT: dict[str, dict[str, Any]] = {
    "Releases go out on Tuesdays after the standup.": {"tags": ["release", "team"]},
    "The staging database listens on port 5433.": {"tags": ["database"], "importance": 1.0},
    "To roll back, run make rollback and tell the channel.": {"kind": "procedural", "tags": ["release"]},
    "We met the accountant and agreed on quarterly invoices.": {"kind": "episodic", "session": "monday"},
    "The accountant asked for scanned receipts too.": {"kind": "episodic", "session": "monday"},
    "Currently refactoring the login form.": {"kind": "working", "session": "tuesday"},
    "The user prefers tabs over spaces.": {"scope": "global", "tags": ["style"]},
    "Grüße aus München: das Büro hat einen Kühlschrank.": {"scope": "global", "metadata": {"lang": "de"}},
    "The old parking permit number is 4711.": {"tags": ["permit"], "occurred_at": "2025-11-02"},
    "Deploys need approval from Grace.": {"tags": ["release"]},
    "Deploys need approval from Heidi.": {"tags": ["release"]},
    "The lunch menu changes on Fridays.": {"tags": ["office"]},
    "A stale note about the printer.": {"tags": ["office"]},
    "The secret handshake is xylophone.": {"tags": ["private"]},
}
AFTER_SNAPSHOT: dict[str, dict[str, Any]] = {
    "The new parking permit number is 1234.": {"tags": ["permit"]},
    "Backups run every night at three.": {"kind": "procedural", "tags": ["database"]},
}
CHAIN = ["Deploys need approval from Grace.", "Deploys need approval from Heidi."]
TRASHED, ERASED = "A stale note about the printer.", "The secret handshake is xylophone."
QUESTIONS = [
    "When do we ship a new version?",
    "How can a bad deployment be undone?",
    "Which indentation does she like?",
    "When is data saved elsewhere?",
]
UNANSWERED = "quantum chromodynamics of gluons"


class Maker:
    """One library of the earlier version, a clock for it, and the ids of what was stored."""

    def __init__(self, directory: Path) -> None:
        self.time = datetime(2026, 5, 8, 12, 0, tzinfo=UTC)
        config = Config(directory, project=PROJECT, questions="keep")
        self.library = Library(config, clock=lambda: self.time, patience=60)
        self.ids: dict[str, str] = {}

    def store(self, content: str, **more: Any) -> None:
        arguments = parse(StoreMemory, {"content": content, **more})
        self.ids[content] = store_memory(self.library, arguments, PROJECT)["id"]
        self.time += timedelta(minutes=1)

    def query(self, text: str) -> Any:
        return query_memory(self.library, parse(QueryMemory, {"query": text, "limit": 20}), PROJECT)

    def delete(self, content: str, *, permanent: bool) -> None:
        arguments = parse(DeleteMemory, {"ids": [self.ids[content]], "permanent": permanent})
        delete_memory(self.library, arguments, PROJECT)

    def fill(self) -> None:
        for content, more in BEFORE_SNAPSHOT.items():
            replaced = [self.ids[CHAIN[0]]] if content == CHAIN[1] else []
            self.store(content, replaces=replaced, **more)
        self.delete(TRASHED, permanent=False)
        self.delete(ERASED, permanent=True)
        set_rule(self.library, Rule("kind", "episodic", max_age=timedelta(days=400)))
        set_rule(self.library, Rule("tag", "release", max_count=50))
        self.library.tend(unwatched)  # both snapshots, and the backup of the day
        for content, more in AFTER_SNAPSHOT.items():
            self.store(content, **more)
        self.query(UNANSWERED)

    def answers(self) -> dict[str, Any]:
        """What this version says about what it has stored; ids and times are those of this making."""
        listing = parse(ListMemories, {"limit": 100, "include_superseded": True})
        (backup,) = self.library.backups.all()
        return {
            "time": self.time.isoformat(),
            "project": PROJECT,
            "memories": list_memories(self.library, listing, PROJECT)["memories"],
            "words": {memory: self._found(memory) for memory in [*BEFORE_SNAPSHOT, *AFTER_SNAPSHOT]},
            "meaning": {question: self._by_meaning(question) for question in QUESTIONS},
            "history": history(self.library, self.ids[CHAIN[0]]),
            "trash": list_deleted(self.library, 100),
            "rules": retention_rules(self.library),
            "unanswered": stats(self.library)["unanswered"],
            "backup": backup.name,
            "erased": ERASED,
        }

    def _found(self, content: str) -> list[str]:
        """The ids of memories that share a word with ``content``."""
        return sorted(r["id"] for r in self.query(content)["results"] if r["signals"]["lexical"] > 0)

    def _by_meaning(self, question: str) -> list[str]:
        """The contents that are nearest to the question, nearest first."""
        results = [r for r in self.query(question)["results"] if "semantic" in r["signals"]]
        return [r["content"] for r in sorted(results, key=lambda r: -r["signals"]["semantic"])][:3]


def main(archive: Path) -> None:
    library_module.TEXT_TAIL, library_module.EXACT_UP_TO, library_module.VECTOR_TAIL = 6, 6, 6
    upkeep.SETTLE = 1e6
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(Path(folder) / "data")
        maker.fill()
        maker.library.config = replace(maker.library.config, questions="forget")  # what follows only looks
        answers = maker.answers()
        maker.library.close()
        (Path(folder) / "answers.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False))
        with tarfile.open(archive, "w:gz") as tar:
            for name in ("answers.json", "data"):
                tar.add(Path(folder) / name, name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]))
