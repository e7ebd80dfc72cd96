"""A look at everything while nobody writes: every memory in every process, the database, and the files."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.tantivy_index import TantivyIndex
from sediment_mcp.storage.sqlite.session import open_session

from .checker import Checker, Known
from .slot import Common, Slot

TOGETHER = 5  # ids in one question
REMOVED = 40  # of the latest removed memories, asked for in each process
SETTLED = 90.0  # seconds until the background, which looks once a minute, must have done its work


def audit(common: Common, slots: Sequence[Slot]) -> None:
    """Let every slot look at everything. Nobody may be writing."""
    for future in [slot.job(lambda slot: slot.started()) for slot in slots]:
        future.result(60)
    _wait_for_embeddings(common, slots)
    common.history.add("settled", value=True)
    for future in [slot.job(_look_at_everything) for slot in slots]:
        future.result(600)
    common.history.add("settled", value=False)
    _database(common)
    _residue(common, slots)


def _look_at_everything(slot: Slot) -> None:
    checker, chance = slot.common.history.checker, random.Random(slot.number)
    slot.list_everything()
    with slot.common.history.lock:
        there = [
            known.word for known in checker.known.values() if known.store.happened and not known.gone(False)
        ]
        there = [word for word in there if checker.known[word].expires is None]
        history = [word for word, known in checker.known.items() if _is_history(known)][-REMOVED:]
        removed = [word for word, known in checker.known.items() if known.removals or known.expires][
            -REMOVED:
        ]
    chance.shuffle(there)
    for start in range(0, len(there), TOGETHER):
        slot.look("ids", there[start : start + TOGETHER])
    for word in there:
        slot.look("words", [word])
        slot.look("meaning", [word])
    for word in removed:
        slot.look("words", [word])
        slot.look("meaning", [word])
    for word in history:
        slot.look("history", [word])


def _is_history(known: Known) -> bool:
    return bool(known.removals) and all(one.kind == "replaced" for one in known.removals)


def _wait_for_embeddings(common: Common, slots: Sequence[Slot]) -> None:
    """Until every live passage has an embedding and token vectors."""
    if not common.model:
        return
    limit, database = time.monotonic() + SETTLED, common.directory / "memories.db"
    while database.exists():
        with contextlib.closing(open_session(database, read_only=True)) as session:
            embedded, total = session.embeddings.count_embedded(1)
            have = min(embedded, session.token_vectors.count_embedded(1)[0])
        if have == total:
            return
        if time.monotonic() > limit:
            common.history.complain(
                "wrong", f"{total - have} passages are not embedded after {SETTLED:.0f} s"
            )
            return
        slots[0].job(lambda slot: slot.look("meaning", list(slot.common.history.checker.live)[:1])).result(60)
        time.sleep(0.05)


def _database(common: Common) -> None:
    with contextlib.closing(sqlite3.connect(common.directory / "memories.db")) as database:
        for check in ("integrity_check", "foreign_key_check"):
            rows = database.execute(f"PRAGMA {check}").fetchall()
            if rows not in ([], [("ok",)]):
                common.history.complain("half", f"{check}: {rows[:3]}")
        halves = database.execute(
            "SELECT id FROM memories WHERE number NOT IN (SELECT memory FROM chunks) "
            "OR number NOT IN (SELECT memory FROM tags)"
        ).fetchall()
        if halves:
            common.history.complain("half", f"without chunks or tags: {halves[:3]}")


def erased(checker: Checker) -> Iterator[str]:
    """The words of which nothing may be left."""
    for known in checker.known.values():
        if any(one.kind == "erased" and one.change.happened for one in known.removals):
            yield known.word


def _residue(common: Common, slots: Sequence[Slot]) -> None:
    """Wait until no word of an erased memory is in any file."""
    limit = time.monotonic() + SETTLED
    words = [word.encode() for word in erased(common.history.checker)]
    while left := _found_in_files(common, words):
        if time.monotonic() > limit:
            for word, files in list(left.items())[:3]:
                common.history.complain("zombie", f"the erased word {word} is still in {sorted(files)}")
            return
        time.sleep(0.2)


def _found_in_files(common: Common, words: Sequence[bytes]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in common.directory.rglob("*"):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        for word in words:
            if word in data:
                found.setdefault(word.decode(), set()).add(path.name)
    with contextlib.suppress(DamagedSnapshot):  # tantivy writes words apart, so their bytes may not show
        index = TantivyIndex(common.directory)
        for word in words:
            if index.document_frequency(word.decode()):
                found.setdefault(word.decode(), set()).add("the text index")
    return found
