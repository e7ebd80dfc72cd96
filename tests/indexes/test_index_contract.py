"""One contract for both derived indexes, whatever technology is inside."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from support.embedding_double import DIMENSION, EmbeddingDouble
from support.memories import NOW, memory_of

from sediment_mcp.domain.memory import Filters
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes import tantivy_index, usearch_index
from sediment_mcp.indexes.analyzer import terms
from sediment_mcp.indexes.tantivy_index import Passage, TextIndex
from sediment_mcp.indexes.usearch_index import VectorIndex
from sediment_mcp.system.files import read_record, write_record

MODEL = EmbeddingDouble()
FINGERPRINT = MODEL.identity.fingerprint


def text_of(chunk: int) -> str:
    return f"passage word{chunk}"


class Adapter(Protocol):
    """What the contract needs of an index whose passage number n has the text ``text_of(n)``."""

    pointer: str

    def write(self, base: Any, added: Iterable[int], removed: Iterable[int], seq: int, token: int) -> Any: ...
    def open(self) -> Any: ...
    def all(self, snapshot: Any) -> set[int]: ...
    def nearest(self, snapshot: Any, chunk: int) -> int | None: ...
    def admitted(self, snapshot: Any, chunks: set[int], limit: int) -> set[int]: ...


class TextAdapter:
    pointer = tantivy_index.POINTER

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, base: Any, added: Iterable[int], removed: Iterable[int], seq: int, token: int) -> Any:
        passages = [Passage(n, memory_of(n, tags=(f"third{n % 3}", f"number{n}")), text_of(n)) for n in added]
        changed = [*removed, *(passage.chunk for passage in passages)]
        tantivy_index.write_snapshot(self.directory, base, passages, changed, seq=seq, token=token)
        return self.open()

    def open(self) -> TextIndex:
        return TextIndex(self.directory)

    def _search(self, snapshot: TextIndex, text: str, filters: Filters, limit: int) -> list[int]:
        weights = dict.fromkeys(terms(text), 1.0)
        return [hit.chunk for hit in snapshot.search(weights, filters, NOW, limit)]

    def all(self, snapshot: TextIndex) -> set[int]:
        return set(self._search(snapshot, "passage", Filters(), 10_000))

    def nearest(self, snapshot: TextIndex, chunk: int) -> int | None:
        return next(iter(self._search(snapshot, f"word{chunk}", Filters(), 1)), None)

    def admitted(self, snapshot: TextIndex, chunks: set[int], limit: int) -> set[int]:
        found: set[int] = set()
        for chunk in chunks:
            found.update(self._search(snapshot, "passage", Filters(tags=(f"number{chunk}",)), limit))
        return found


class VectorAdapter:
    pointer = f"vectors-{FINGERPRINT[:12]}.json"

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, base: Any, added: Iterable[int], removed: Iterable[int], seq: int, token: int) -> Any:
        chunks = list(added)
        matrix = np.empty((0, DIMENSION), np.float32)
        if chunks:
            matrix = MODEL.embed_documents([text_of(chunk) for chunk in chunks])
        usearch_index.write_snapshot(
            self.directory, base, (np.array(chunks, np.int64), matrix), removed,
            fingerprint=FINGERPRINT, seq=seq, token=token,
        )  # fmt: skip
        return self.open()

    def open(self) -> VectorIndex:
        return VectorIndex(self.directory, FINGERPRINT, DIMENSION)

    def all(self, snapshot: VectorIndex) -> set[int]:
        return {hit.chunk for hit in snapshot.search(MODEL.embed_query("anything"), 10_000)}

    def nearest(self, snapshot: VectorIndex, chunk: int) -> int | None:
        hits = snapshot.search(MODEL.embed_query(text_of(chunk)), 1)
        return hits[0].chunk if hits and hits[0].cosine > 0.99 else None

    def admitted(self, snapshot: VectorIndex, chunks: set[int], limit: int) -> set[int]:
        hits = snapshot.search(MODEL.embed_query("anything"), limit, mask(chunks))
        return {hit.chunk for hit in hits}


def mask(chunks: set[int]) -> np.ndarray:
    """What `Columns.admitted` gives for these chunks."""
    admitted = np.zeros(max(chunks, default=0) + 2, np.bool_)
    admitted[sorted(chunks)] = True
    return admitted


@pytest.fixture(params=[TextAdapter, VectorAdapter], ids=["text", "vectors"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(tmp_path)


def test_no_index_is_told_and_not_made(index: Any) -> None:
    with pytest.raises(DamagedSnapshot):
        index.open()
    assert list(index.directory.iterdir()) == []


def test_a_new_index_holds_what_it_was_given(index: Any) -> None:
    written = index.write(None, range(1, 41), (), seq=7, token=2**61 + 3)
    for snapshot in (written, index.open()):
        assert (snapshot.seq, snapshot.token, snapshot.count) == (7, 2**61 + 3, 40)
        assert index.all(snapshot) == set(range(1, 41))
        assert all(index.nearest(snapshot, chunk) == chunk for chunk in range(1, 41))


def test_an_empty_index_is_an_index(index: Any) -> None:
    snapshot = index.write(None, (), (), seq=3, token=5)
    assert (snapshot.seq, snapshot.token, snapshot.count) == (3, 5, 0)
    assert index.all(snapshot) == set()
    grown = index.write(snapshot, [1, 2], (), seq=4, token=6)
    assert index.all(grown) == {1, 2}


def test_on_a_base_the_removed_go_and_the_changed_are_replaced(index: Any) -> None:
    base = index.write(None, range(1, 21), (), seq=1, token=1)
    grown = index.write(base, [5, 21, 22], [6, 7, 999], seq=2, token=2)
    expected = set(range(1, 23)) - {6, 7}
    assert index.all(grown) == expected
    assert (grown.seq, grown.token, grown.count) == (2, 2, len(expected))
    assert index.nearest(grown, 5) == 5
    assert index.nearest(grown, 6) is None
    again = index.write(grown, [6], range(8, 22), seq=3, token=3)
    assert index.all(again) == {1, 2, 3, 4, 5, 6, 22}


def test_anew_nothing_of_the_old_remains(index: Any) -> None:
    index.write(None, range(1, 21), (), seq=1, token=1)
    anew = index.write(None, range(10, 15), (), seq=2, token=2)
    assert index.all(anew) == set(range(10, 15))
    names = {path.name for path in index.directory.iterdir()}
    assert len(names) == 2, "the pointer and what it names"


def test_an_open_reader_keeps_its_snapshot_while_others_replace_it(index: Any) -> None:
    first = index.write(None, range(1, 31), (), seq=1, token=1)
    for step in range(2, 6):
        base = index.open() if step % 2 else None
        index.write(base, range(100 * step, 100 * step + 40), range(1, 31), seq=step, token=step)
        assert index.all(first) == set(range(1, 31))
        assert index.nearest(first, 30) == 30
        assert (first.seq, first.token) == (1, 1)
    assert index.open().seq == 5


def test_every_write_changes_the_stamp(index: Any) -> None:
    def stamp() -> object:
        if isinstance(index, TextAdapter):
            return tantivy_index.stamp_of(index.directory)
        return usearch_index.stamp_of(index.directory, FINGERPRINT)

    with pytest.raises(OSError, match="No such file"):
        stamp()
    stamps = []
    snapshot = None
    for step in range(1, 6):
        snapshot = index.write(snapshot if step != 3 else None, [step], (), seq=step, token=step)
        stamps.append(stamp())
        assert stamp() == stamps[-1]
    assert len(set(stamps)) == 5


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_a_filter_gets_all_that_it_admits_up_to_the_limit(index: Any, limit: int) -> None:
    snapshot = index.write(None, range(1, 401), (), seq=1, token=1)
    admitted = {3, 77, 200, 399}
    found = index.admitted(snapshot, admitted | {5000}, limit)
    assert found <= admitted
    assert len(found) >= min(limit, len(admitted))
    if limit > len(admitted):
        assert found == admitted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_everything_written_is_private(index: Any) -> None:
    snapshot = index.write(None, range(1, 41), (), seq=1, token=1)
    index.write(snapshot, range(41, 90), range(5), seq=2, token=2)
    for path in index.directory.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    "what", ["missing", "empty", "garbage", "list", "number", "no settings", "null file"]
)
def test_a_pointer_that_says_nothing_is_damage(index: Any, what: str) -> None:
    index.write(None, range(1, 5), (), seq=1, token=1)
    pointer = index.directory / index.pointer
    content = json.loads(pointer.read_bytes())
    nothing_named = {key: None if key in ("file", "folder") else value for key, value in content.items()}
    replacement = {
        "empty": b"", "garbage": b"\xff\x00{", "list": b"[1]", "number": b"7",
        "no settings": {k: v for k, v in content.items() if k != "settings"},
        "null file": nothing_named,
    }  # fmt: skip
    if what == "missing":
        pointer.unlink()
    elif isinstance(replacement[what], dict):
        write_record(pointer, replacement[what])
    else:
        pointer.write_bytes(replacement[what])
    with pytest.raises(DamagedSnapshot):
        index.open()


def test_other_settings_are_damage_and_never_half_understood(index: Any) -> None:
    index.write(None, range(1, 5), (), seq=1, token=1)
    pointer = index.directory / index.pointer
    content = read_record(pointer)
    write_record(pointer, {**content, "settings": content["settings"] + " later"})
    with pytest.raises(DamagedSnapshot, match="settings"):
        index.open()


def test_a_pointer_is_believed_as_it_was_written_or_not_at_all(index: Any) -> None:
    """What it says of unreachable vectors, or of when nothing erased was left, cannot be seen elsewhere."""
    index.write(None, range(1, 5), (), seq=1, token=1)
    pointer = index.directory / index.pointer
    content = read_record(pointer)
    assert content["built"] == 1
    for key in content:
        pointer.write_text(
            json.dumps({**json.loads(pointer.read_text()), key: [7] if key == "unreachable" else 7})
        )
        with pytest.raises(DamagedSnapshot):
            index.open()
        write_record(pointer, content)
        index.open()


def test_a_pointer_cannot_lead_out_of_the_directory(
    index: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = type(index)(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.write(None, range(1, 5), (), seq=1, token=1)
    index.write(None, range(10, 15), (), seq=1, token=1)
    content = read_record(elsewhere.directory / elsewhere.pointer)
    key = "file" if "file" in content else "folder"
    content[key] = str(elsewhere.directory / content[key])
    write_record(index.directory / index.pointer, content)
    with pytest.raises(DamagedSnapshot):
        index.open()


def test_the_leavings_of_a_crash_go_with_the_next_write(index: Any) -> None:
    """What a process killed in the middle of a write has left, big as it may be."""
    snapshot = index.write(None, range(1, 5), (), seq=1, token=1)
    content = json.loads((index.directory / index.pointer).read_bytes())
    name = content.get("file") or content["folder"]
    orphan = index.directory / (name[:-8] + "00000000" if "folder" in content else f"{name[:-9]}0.usearch")
    half = (index.directory / name).with_suffix(".tmp")
    if (index.directory / name).is_dir():
        shutil.copytree(index.directory / name, orphan)
    else:
        shutil.copy(index.directory / name, orphan)
        shutil.copy(index.directory / name, half)
    index.write(snapshot, [9], (), seq=2, token=2)
    assert not orphan.exists()
    assert not half.exists()
    assert index.all(index.open()) == {1, 2, 3, 4, 9}


# --- each one's own -----------------------------------------------------------------------------


def test_the_mean_length_stays_true_over_many_small_writes(tmp_path: Path) -> None:
    """It grows by fractions of a term a write, which rounding must not swallow."""
    snapshot, lengths = None, []
    for step in range(1, 40):
        words = 5 if step == 1 else 30
        added = range(1, 201) if step == 1 else range(step * 1000, step * 1000 + 3)
        passages = [Passage(n, memory_of(n), " ".join(["word"] * words)) for n in added]
        lengths += [words] * len(passages)
        tantivy_index.write_snapshot(tmp_path, snapshot, passages, (), seq=step, token=step)
        snapshot = TextIndex(tmp_path)
        assert snapshot.mean_length == pytest.approx(sum(lengths) / len(lengths), rel=0.01)


def test_words_in_every_passage_of_many_memories_are_counted(tmp_path: Path) -> None:
    passages = [
        Passage(10 + n, memory_of(1 + n // 3), f"common {'rare' if n == 4 else ''}") for n in range(9)
    ]
    tantivy_index.write_snapshot(tmp_path, None, passages, (), seq=1, token=1)
    snapshot = TextIndex(tmp_path)
    assert snapshot.frequency("common") == 9
    assert snapshot.frequency("rare") == 1
    assert snapshot.frequency("absent") == 0
    hit = snapshot.search({"rare": 1.0}, Filters(), NOW, 5)[0]
    assert (hit.chunk, hit.memory) == (14, 2)


def test_what_has_expired_since_the_snapshot_was_written_is_not_found(tmp_path: Path) -> None:
    passages = [
        Passage(1, memory_of(1, expires_at=NOW + timedelta(microseconds=1)), "kiwi"),
        Passage(2, memory_of(2, expires_at=NOW + timedelta(hours=1)), "kiwi"),
        Passage(3, memory_of(3), "kiwi"),
    ]
    tantivy_index.write_snapshot(tmp_path, None, passages, (), seq=1, token=1)

    def found(now: datetime) -> set[int]:
        return {hit.chunk for hit in TextIndex(tmp_path).search({"kiwi": 1.0}, Filters(), now, 9)}

    assert found(NOW) == {1, 2, 3}
    assert found(NOW + timedelta(microseconds=1)) == {2, 3}
    assert found(NOW + timedelta(hours=1)) == {3}


def test_chunks_that_hnsw_cannot_reach_are_listed(tmp_path: Path) -> None:
    """Hundreds of equal vectors: no search among fifty can tell one of them from the others."""
    vector = MODEL.embed_query("the same")
    chunks, matrix = np.arange(1, 301, dtype=np.int64), np.tile(vector, (300, 1))
    usearch_index.write_snapshot(
        tmp_path, None, (chunks, matrix), (), fingerprint=FINGERPRINT, seq=1, token=1
    )
    snapshot = VectorIndex(tmp_path, FINGERPRINT, DIMENSION)
    reached = {hit.chunk for hit in snapshot.search(vector, 50)}
    assert reached | set(snapshot.unreachable) == set(range(1, 301))


def test_held_counts_only_what_the_snapshot_holds(tmp_path: Path) -> None:
    snapshot = VectorAdapter(tmp_path).write(None, range(1, 10), (), seq=1, token=1)
    assert snapshot.held([]) == 0
    assert snapshot.held({3, 9, 10, 5000}) == 2


@pytest.mark.parametrize("exactly", [0, 20, 20_000])
def test_a_filter_gets_the_very_nearest_of_what_it_admits(
    tmp_path: Path, exactly: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after vectors were taken out and others have moved into their rows, and among equal ones."""
    monkeypatch.setattr(usearch_index, "EXACTLY", exactly)
    monkeypatch.setattr(usearch_index, "COMPARED", 16)
    index, texts = VectorAdapter(tmp_path), {n: text_of(n) for n in range(1, 301)}
    base = index.write(None, texts, (), seq=1, token=1)
    snapshot = index.write(base, range(301, 400), range(50, 250), seq=2, token=2)
    live = [*range(1, 50), *range(250, 400)]
    matrix = MODEL.embed_documents([text_of(n) for n in live])
    asked = MODEL.embed_query("passage word17 anything")
    for wanted in ({n for n in live if n % 2}, {n for n in live if n % 9 == 0}, set(range(40, 260)), {7000}):
        cosines = sorted((float(row @ asked) for n, row in zip(live, matrix, strict=True) if n in wanted))
        hits = snapshot.search(asked, 30, mask(wanted))
        assert {hit.chunk for hit in hits} <= wanted & set(live)
        assert [hit.cosine for hit in hits] == pytest.approx(cosines[::-1][:30], abs=2e-3)
        assert len({hit.chunk for hit in hits}) == len(hits)
