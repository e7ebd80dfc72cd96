"""One contract for both derived indexes, whatever technology is inside."""

from __future__ import annotations

import errno
import json
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.embedding_double import DIMENSION, EmbeddingDouble
from support.encryption import make_encrypted, own_keys
from support.memories import NOW, memory_of

from sediment_mcp.domain.filters import Filters
from sediment_mcp.errors import DamagedDatabase, DamagedSnapshot, DiskFull, Stopped
from sediment_mcp.indexes import encrypted_text_index, quantized_index, tantivy_index
from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.encrypted_text_index import EncryptedTextWriter
from sediment_mcp.indexes.filter_mask import FilterMask
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.quantized_index import QuantizedIndex, QuantizedWriter
from sediment_mcp.indexes.tantivy_index import TantivyIndex, TantivyWriter
from sediment_mcp.indexes.vector_matrix import _widen
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption
from sediment_mcp.system.files import read_record, write_record

MODEL = EmbeddingDouble()
FINGERPRINT = MODEL.identity.fingerprint
WIDTH = 128  # dimensions, where many vectors are needed
NAMES = {"folder", "codes", "matrix"}  # entries of a pointer that name what it points to


def text_of(chunk: int) -> str:
    return f"passage word{chunk}"


class Adapter(Protocol):
    """What the contract needs of an index whose chunk n has the text ``text_of(n)``."""

    pointer: str
    directory: Path
    writer: Any

    def write(self, base: Any, added: Iterable[int], removed: Iterable[int], seq: int, token: int) -> Any: ...
    def open(self) -> Any: ...
    def all(self, snapshot: Any) -> set[int]: ...
    def nearest(self, snapshot: Any, chunk: int) -> int | None: ...
    def admitted(self, snapshot: Any, chunks: set[int], limit: int) -> set[int]: ...


class TextAdapter:
    pointer = tantivy_index.POINTER

    def __init__(self, directory: Path, writer: Any = None) -> None:
        self.directory = directory
        self.writer = writer or TantivyWriter(directory)

    def write(self, base: Any, added: Iterable[int], removed: Iterable[int], seq: int, token: int) -> Any:
        chunks = [
            IndexedChunk(n, memory_of(n, tags=(f"third{n % 3}", f"number{n}")), text_of(n)) for n in added
        ]
        changed = [*removed, *(chunk.chunk_id for chunk in chunks)]
        self.writer.write(base, chunks, changed, SnapshotId(seq, token))
        return self.open()

    def open(self) -> TantivyIndex:
        return self.writer.open()

    def _search(self, snapshot: TantivyIndex, text: str, filters: Filters, limit: int) -> list[int]:
        weights = dict.fromkeys(extract_terms(text), 1.0)
        return [hit.chunk_id for hit in snapshot.search(weights, filters, NOW, limit)]

    def all(self, snapshot: TantivyIndex) -> set[int]:
        return set(self._search(snapshot, "passage", Filters(), 10_000))

    def nearest(self, snapshot: TantivyIndex, chunk: int) -> int | None:
        return next(iter(self._search(snapshot, f"word{chunk}", Filters(), 1)), None)

    def admitted(self, snapshot: TantivyIndex, chunks: set[int], limit: int) -> set[int]:
        found: set[int] = set()
        for chunk in chunks:
            found.update(self._search(snapshot, "passage", Filters(tags=(f"number{chunk}",)), limit))
        return found


class VectorAdapter:
    pointer = f"vectors-3-{FINGERPRINT[:12]}.json"

    def __init__(self, directory: Path, encryption: DirectoryEncryption | None = None) -> None:
        self.directory = directory
        self.writer = QuantizedWriter(directory, FINGERPRINT, DIMENSION, encryption)

    def write(self, base: Any, added: Iterable[int], removed: Iterable[int], seq: int, token: int) -> Any:
        chunks = sorted(added)
        blocks = [
            (np.array(part, np.int64), MODEL.embed_documents([text_of(chunk) for chunk in part]).vectors)
            for part in (chunks[: len(chunks) // 3], chunks[len(chunks) // 3 :])
            if part
        ]
        self.writer.write(base, blocks, removed, SnapshotId(seq, token))
        return self.open()

    def open(self) -> QuantizedIndex:
        return self.writer.open()

    def all(self, snapshot: QuantizedIndex) -> set[int]:
        return {hit.chunk_id for hit in snapshot.search(MODEL.embed_query("anything").vector, 10_000)}

    def nearest(self, snapshot: QuantizedIndex, chunk: int) -> int | None:
        hits = snapshot.search(MODEL.embed_query(text_of(chunk)).vector, 1)
        return hits[0].chunk_id if hits and hits[0].cosine > 0.99 else None

    def admitted(self, snapshot: QuantizedIndex, chunks: set[int], limit: int) -> set[int]:
        hits = snapshot.search(MODEL.embed_query("anything").vector, limit, mask(chunks))
        return {hit.chunk_id for hit in hits}


def mask(chunks: set[int]) -> FilterMask:
    """What `AttributeColumns.build_mask` gives for these chunks."""
    admitted = np.zeros(max(chunks, default=0) + 2, np.bool_)
    admitted[sorted(chunks)] = True
    return FilterMask(admitted)


def encrypted_text(directory: Path) -> TextAdapter:
    return TextAdapter(directory, EncryptedTextWriter(directory, DirectoryEncryption(directory)))


def encrypted_vectors(directory: Path) -> VectorAdapter:
    return VectorAdapter(directory, DirectoryEncryption(directory))


ENCRYPTED = [
    pytest.param(make, marks=pytest.mark.encrypt, id=f"encrypted {name}")
    for make, name in ((encrypted_text, "text"), (encrypted_vectors, "vectors"))
]


@pytest.fixture(
    params=[pytest.param(TextAdapter, id="text"), pytest.param(VectorAdapter, id="vectors"), *ENCRYPTED]
)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with own_keys():
        if request.param not in (TextAdapter, VectorAdapter):
            make_encrypted(tmp_path)
        yield request.param(tmp_path)


@pytest.fixture(params=[TextAdapter, VectorAdapter], ids=["text", "vectors"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(tmp_path)


@pytest.fixture(params=ENCRYPTED)
def encrypted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with own_keys():
        make_encrypted(tmp_path)
        yield request.param(tmp_path)


def test_a_missing_index_is_an_error_and_is_not_made(index: Any) -> None:
    with pytest.raises(DamagedSnapshot):
        index.open()
    assert {path.name for path in index.directory.iterdir()} <= {MARKER}


def test_a_new_index_holds_what_it_was_given(index: Any) -> None:
    written = index.write(None, range(1, 41), (), seq=7, token=2**61 + 3)
    for snapshot in (written, index.open()):
        assert (snapshot.snapshot, len(snapshot)) == (SnapshotId(7, 2**61 + 3), 40)
        assert index.all(snapshot) == set(range(1, 41))
        assert all(index.nearest(snapshot, chunk) == chunk for chunk in range(1, 41))


def test_an_empty_index_is_an_index(index: Any) -> None:
    snapshot = index.write(None, (), (), seq=3, token=5)
    assert (snapshot.snapshot, len(snapshot)) == (SnapshotId(3, 5), 0)
    assert index.all(snapshot) == set()
    grown = index.write(snapshot, [1, 2], (), seq=4, token=6)
    assert index.all(grown) == {1, 2}


def test_on_a_base_the_removed_go_and_the_changed_are_replaced(index: Any) -> None:
    base = index.write(None, range(1, 21), (), seq=1, token=1)
    grown = index.write(base, [5, 21, 22], [6, 7, 999], seq=2, token=2)
    expected = set(range(1, 23)) - {6, 7}
    assert index.all(grown) == expected
    assert (grown.snapshot, len(grown)) == (SnapshotId(2, 2), len(expected))
    assert index.nearest(grown, 5) == 5
    assert index.nearest(grown, 6) is None
    again = index.write(grown, [6], range(8, 22), seq=3, token=3)
    assert index.all(again) == {1, 2, 3, 4, 5, 6, 22}


def test_anew_nothing_of_the_old_remains(plain: Any) -> None:
    plain.write(None, range(1, 21), (), seq=1, token=1)
    anew = plain.write(None, range(10, 15), (), seq=2, token=2)
    assert plain.all(anew) == set(range(10, 15))
    names = {path.name for path in plain.directory.iterdir()}
    named = [name for key, name in read_record(plain.directory / plain.pointer).items() if key in NAMES]
    assert names == {plain.pointer, *named}


def test_an_open_reader_keeps_its_snapshot_while_others_replace_it(index: Any) -> None:
    first = index.write(None, range(1, 31), (), seq=1, token=1)
    for step in range(2, 6):
        base = index.open() if step % 2 else None
        index.write(base, range(100 * step, 100 * step + 40), range(1, 31), seq=step, token=step)
        assert index.all(first) == set(range(1, 31))
        assert index.nearest(first, 30) == 30
        assert first.snapshot == SnapshotId(1, 1)
    assert index.open().snapshot.seq == 5


def test_every_write_changes_the_stamp(index: Any) -> None:
    def stamp() -> object:
        return index.writer.stamp()

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
def test_a_pointer_that_says_nothing_is_damage(plain: Any, what: str) -> None:
    plain.write(None, range(1, 5), (), seq=1, token=1)
    pointer = plain.directory / plain.pointer
    content = json.loads(pointer.read_bytes())
    nothing_named = {key: None if key in NAMES else value for key, value in content.items()}
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
        plain.open()


def test_other_settings_are_damage_and_never_half_understood(plain: Any) -> None:
    plain.write(None, range(1, 5), (), seq=1, token=1)
    pointer = plain.directory / plain.pointer
    content = read_record(pointer)
    write_record(pointer, {**content, "settings": content["settings"] + " later"})
    with pytest.raises(DamagedSnapshot, match="settings"):
        plain.open()


def test_a_pointer_is_believed_as_it_was_written_or_not_at_all(plain: Any) -> None:
    """What it says of the change that is reached, or of the mean vector, cannot be seen elsewhere."""
    plain.write(None, range(1, 5), (), seq=1, token=1)
    pointer = plain.directory / plain.pointer
    content = read_record(pointer)
    assert plain.writer.built_seq() == 1
    for key in content:
        pointer.write_text(json.dumps({**json.loads(pointer.read_text()), key: 7}))
        with pytest.raises(DamagedSnapshot):
            plain.open()
        write_record(pointer, content)
        plain.open()


def test_a_pointer_cannot_lead_out_of_the_directory(
    plain: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = type(plain)(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.write(None, range(1, 5), (), seq=1, token=1)
    plain.write(None, range(10, 15), (), seq=1, token=1)
    content = read_record(elsewhere.directory / elsewhere.pointer)
    for key in content.keys() & NAMES:
        led_out = {**content, key: str(elsewhere.directory / content[key])}
        write_record(plain.directory / plain.pointer, led_out)
        with pytest.raises(DamagedSnapshot):
            plain.open()


def test_the_leavings_of_a_crash_go_with_the_next_write(plain: Any) -> None:
    """What a process killed in the middle of a write has left, big as it may be."""
    snapshot = plain.write(None, range(1, 5), (), seq=1, token=1)
    content = json.loads((plain.directory / plain.pointer).read_bytes())
    orphans = []
    for key in content.keys() & NAMES:
        there = plain.directory / content[key]
        orphans.append(there.with_name(f"{there.stem[:-8]}00000000{there.suffix}"))
        if there.is_dir():
            shutil.copytree(there, orphans[-1])
        else:
            orphans.append(there.with_name(f"{there.name}.tmp"))
            shutil.copy(there, orphans[-2])
            shutil.copy(there, orphans[-1])
    plain.write(snapshot, [9], (), seq=2, token=2)
    assert [orphan for orphan in orphans if orphan.exists()] == []
    assert plain.all(plain.open()) == {1, 2, 3, 4, 9}


# --- the encrypted ones -------------------------------------------------------------------------


def files_of(index: Any) -> set[str]:
    return {path.name for path in index.directory.iterdir()} - {MARKER}


def test_of_an_encrypted_index_nothing_old_and_nothing_unfinished_remains(encrypted: Any) -> None:
    encrypted.write(None, range(1, 21), (), seq=1, token=1)
    count = len(files_of(encrypted))
    for name in files_of(encrypted):
        shutil.copy(encrypted.directory / name, encrypted.directory / f"{name}.00.tmp")
    grown = encrypted.write(encrypted.open(), [30], [1], seq=2, token=2)
    unnamed = {f"vectors-3-{FINGERPRINT[:12]}.json.00.tmp"}  # a record's own, as of every small file
    assert len(files_of(encrypted) - unnamed) == count
    assert encrypted.all(grown) == {*range(2, 21), 30}
    assert encrypted.writer.built_seq() == 2


def test_no_word_and_no_vector_stands_open_in_an_encrypted_index(encrypted: Any) -> None:
    encrypted.write(None, range(1, 21), (), seq=1, token=1)
    vector = MODEL.embed_documents([text_of(7)]).vectors.astype("<f2").tobytes()
    numbers = np.arange(5, 8, dtype=np.int64).tobytes()
    for name in files_of(encrypted):
        data = (encrypted.directory / name).read_bytes()
        assert data.startswith(b"sediment-mcp/"), name
        for open_text in (b"passage", b"word7", b"number7", b"settings", b"center", vector, numbers):
            assert open_text not in data, name


@pytest.mark.parametrize("place", [0, 30, 60, 100, -1])
def test_a_changed_byte_of_an_encrypted_index_is_damage(encrypted: Any, place: int) -> None:
    encrypted.write(None, range(1, 21), (), seq=1, token=1)
    for name in files_of(encrypted):
        path = encrypted.directory / name
        before = path.read_bytes()
        changed = bytearray(before)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises(DamagedSnapshot):
            encrypted.open()
        path.write_bytes(before[: len(before) // 2])
        with pytest.raises(DamagedSnapshot):
            encrypted.open()
        path.write_bytes(before)
    assert len(encrypted.open()) == 20


def test_an_encrypted_index_of_other_settings_is_damage(
    encrypted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted.write(None, range(1, 5), (), seq=1, token=1)
    for module in (encrypted_text_index, quantized_index):
        monkeypatch.setattr(module, "SETTINGS", f"{module.SETTINGS} later")
    with pytest.raises(DamagedSnapshot, match="settings"):
        encrypted.open()


def test_an_encrypted_index_does_not_open_with_another_key(encrypted: Any) -> None:
    encrypted.write(None, range(1, 5), (), seq=1, token=1)
    (encrypted.directory / MARKER).unlink()
    make_encrypted(encrypted.directory)
    with pytest.raises(DamagedSnapshot, match="does not open"):
        encrypted.open()


# --- each one's own -----------------------------------------------------------------------------


def test_the_mean_length_stays_true_over_many_small_writes(tmp_path: Path) -> None:
    """It grows by fractions of a term a write, which rounding must not swallow."""
    snapshot, lengths = None, []
    for step in range(1, 40):
        words = 5 if step == 1 else 30
        added = range(1, 201) if step == 1 else range(step * 1000, step * 1000 + 3)
        chunks = [IndexedChunk(n, memory_of(n), " ".join(["word"] * words)) for n in added]
        lengths += [words] * len(chunks)
        TantivyWriter(tmp_path).write(snapshot, chunks, (), SnapshotId(step, step))
        snapshot = TantivyIndex(tmp_path)
        assert snapshot.mean_length == pytest.approx(sum(lengths) / len(lengths), rel=0.01)


def test_words_in_every_passage_of_many_memories_are_counted(tmp_path: Path) -> None:
    chunks = [
        IndexedChunk(10 + n, memory_of(1 + n // 3), f"common {'rare' if n == 4 else ''}") for n in range(9)
    ]
    TantivyWriter(tmp_path).write(None, chunks, (), SnapshotId(1, 1))
    snapshot = TantivyIndex(tmp_path)
    assert snapshot.document_frequency("common") == 9
    assert snapshot.document_frequency("rare") == 1
    assert snapshot.document_frequency("absent") == 0
    hit = snapshot.search({"rare": 1.0}, Filters(), NOW, 5)[0]
    assert (hit.chunk_id, hit.memory_key) == (14, 2)


def test_what_has_expired_since_the_snapshot_was_written_is_not_found(tmp_path: Path) -> None:
    chunks = [
        IndexedChunk(1, memory_of(1, expires_at=NOW + timedelta(microseconds=1)), "kiwi"),
        IndexedChunk(2, memory_of(2, expires_at=NOW + timedelta(hours=1)), "kiwi"),
        IndexedChunk(3, memory_of(3), "kiwi"),
    ]
    TantivyWriter(tmp_path).write(None, chunks, (), SnapshotId(1, 1))

    def found(now: datetime) -> set[int]:
        return {hit.chunk_id for hit in TantivyIndex(tmp_path).search({"kiwi": 1.0}, Filters(), now, 9)}

    assert found(NOW) == {1, 2, 3}
    assert found(NOW + timedelta(microseconds=1)) == {2, 3}
    assert found(NOW + timedelta(hours=1)) == {3}


def test_among_hundreds_of_equal_vectors_as_many_are_found_as_are_wanted(tmp_path: Path) -> None:
    vector = MODEL.embed_query("the same").vector
    blocks = [(np.arange(1, 301, dtype=np.int64), np.tile(vector, (300, 1)))]
    QuantizedWriter(tmp_path, FINGERPRINT, DIMENSION).write(None, blocks, (), SnapshotId(1, 1))
    snapshot = QuantizedIndex(tmp_path, FINGERPRINT, DIMENSION, min_compared=10)
    for limit in (1, 20, 300):
        hits = snapshot.search(vector, limit)
        assert len({hit.chunk_id for hit in hits}) == len(hits) == limit
        assert [hit.cosine for hit in hits] == pytest.approx([1] * limit, abs=1e-3)


def unit_vectors(count: int, seed: int, drift: float = 0.0) -> NDArray[np.float32]:
    """Vectors in clusters, as those of texts are; with ``drift`` they all point into about one direction."""
    random = np.random.default_rng(seed)
    topics = np.random.default_rng(1).normal(size=(60, WIDTH))
    vectors = topics[random.integers(0, len(topics), count)] + random.normal(size=(count, WIDTH)) + drift
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def written(directory: Path, vectors: NDArray[np.float32], min_compared: int) -> QuantizedIndex:
    blocks = [(np.arange(1, len(vectors) + 1), vectors)]
    QuantizedWriter(directory, FINGERPRINT, WIDTH).write(None, blocks, (), SnapshotId(1, 1))
    return QuantizedIndex(directory, FINGERPRINT, WIDTH, min_compared=min_compared)


@pytest.mark.parametrize("drift", [0.0, 3.0])
@pytest.mark.parametrize("step", [1, 2], ids=["all", "every second"])
def test_of_thousands_of_vectors_the_nearest_are_found_by_comparing_hundreds(
    tmp_path: Path, drift: float, step: int
) -> None:
    vectors, asked = unit_vectors(4000, 2, drift), unit_vectors(20, 3, drift)
    snapshot = written(tmp_path, vectors, 400)
    allowed = mask(set(range(1, 4001, step))) if step > 1 else None
    shares = []
    for query in asked:
        best = np.sort(vectors[::step] @ query)[::-1][:10]
        cosines = [hit.cosine for hit in snapshot.search(query, 10, allowed)]
        shares.append(np.mean(np.array(cosines) >= best - 1e-3))
    assert np.mean(shares) > 0.97


def test_every_vector_is_found_by_itself(tmp_path: Path) -> None:
    vectors = unit_vectors(3000, 4)
    snapshot = written(tmp_path, vectors, 10)
    for n in range(0, 3000, 50):
        assert snapshot.search(vectors[n], 1)[0].chunk_id == n + 1


@given(bit=st.integers(min_value=0), file=st.sampled_from(["codes", "npy"]))
def test_a_changed_bit_is_noticed_before_a_wrong_answer(
    tmp_path_factory: pytest.TempPathFactory, bit: int, file: str
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    vectors = unit_vectors(30, 5)
    written(directory, vectors, 1000)
    (path,) = directory.glob(f"*.{file}")
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)
    with pytest.raises(DamagedSnapshot):
        QuantizedIndex(directory, FINGERPRINT, WIDTH).search(vectors[0], 5)
    with pytest.raises(DamagedSnapshot):
        QuantizedIndex(directory, FINGERPRINT, WIDTH).verify()


def test_what_is_not_read_of_a_matrix_is_not_checked_before_it_is_verified(tmp_path: Path) -> None:
    """Opening a matrix takes the same time whatever its size."""
    vectors = unit_vectors(3000, 6)
    snapshot = written(tmp_path, vectors, 10)
    (path,) = tmp_path.glob("*.npy")
    found = {hit.chunk_id for hit in snapshot.search(vectors[0], 2)}
    far = next(n for n in range(3000) if vectors[n] @ vectors[0] < 0 and n + 1 not in found)
    size = path.stat().st_size // 3000
    with path.open("r+b") as there:
        there.seek(path.stat().st_size - (3000 - far) * size + 20)
        there.write(b"\xff\x7f")
    again = QuantizedIndex(tmp_path, FINGERPRINT, WIDTH, min_compared=10)
    assert {hit.chunk_id for hit in again.search(vectors[0], 2)} == found
    for fail in (again.verify, lambda: again.vectors([far + 1]), lambda: again.search(vectors[far], 1)):
        with pytest.raises(DamagedSnapshot, match="is damaged: it is rebuilt"):
            fail()


def test_every_finite_float16_becomes_the_float32_of_the_same_value() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    assert _widen(finite).tobytes() == finite.astype(np.float32).tobytes()


def test_only_what_the_snapshot_holds_is_counted_and_given(tmp_path: Path) -> None:
    snapshot = VectorAdapter(tmp_path).write(None, range(1, 10), (), seq=1, token=1)
    assert snapshot.count_contained([]) == 0
    assert snapshot.count_contained({3, 9, 10, 5000}) == 2
    chunk_ids, vectors = snapshot.vectors([9, 5000, 3, 0, 10])
    assert chunk_ids == [9, 3]
    expected = MODEL.embed_documents([text_of(9), text_of(3)]).vectors
    np.testing.assert_allclose(vectors, expected, atol=1e-3)
    assert snapshot.vectors([])[1].shape == (0, DIMENSION)


@pytest.mark.parametrize("min_compared", [1, 100, 1000])
def test_a_filter_gets_the_very_nearest_of_what_it_admits(tmp_path: Path, min_compared: int) -> None:
    """Also after vectors were taken out and others have moved into their rows, and among equal ones."""
    index, texts = VectorAdapter(tmp_path), {n: text_of(n) for n in range(1, 301)}
    base = index.write(None, texts, (), seq=1, token=1)
    index.write(base, range(301, 400), range(50, 250), seq=2, token=2)
    snapshot = QuantizedIndex(tmp_path, FINGERPRINT, DIMENSION, min_compared=min_compared)
    live = [*range(1, 50), *range(250, 400)]
    matrix = MODEL.embed_documents([text_of(n) for n in live]).vectors
    asked = MODEL.embed_query("passage word17 anything").vector
    for wanted in ({n for n in live if n % 2}, {n for n in live if n % 9 == 0}, set(range(40, 260)), {7000}):
        cosines = sorted((float(row @ asked) for n, row in zip(live, matrix, strict=True) if n in wanted))
        hits = snapshot.search(asked, 30, mask(wanted))
        assert {hit.chunk_id for hit in hits} <= wanted & set(live)
        assert [hit.cosine for hit in hits] == pytest.approx(cosines[::-1][:30], abs=2e-3)
        assert len({hit.chunk_id for hit in hits}) == len(hits)


# --- what goes wrong while an index is written --------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        DamagedDatabase("The database is damaged: restore a backup."),
        DiskFull("The disk is full: free some space and try again."),
        OSError(errno.ENOSPC, "No space left on device"),
        KeyError("a mistake of ours"),
        MemoryError(),
        Stopped(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("on_a_base", [False, True])
def test_what_goes_wrong_while_chunks_are_read_is_no_damage_of_the_text_index(
    tmp_path: Path, error: Exception, on_a_base: bool
) -> None:
    index = TextAdapter(tmp_path)
    base = index.write(None, range(1, 5), (), seq=1, token=1)

    def read_chunks() -> Iterator[IndexedChunk]:
        yield IndexedChunk(9, memory_of(9), "passage")
        raise error

    with pytest.raises(type(error)) as raised:
        index.writer.write(base if on_a_base else None, read_chunks(), (), SnapshotId(2, 2))
    assert raised.value is error
    assert index.all(index.open()) == {1, 2, 3, 4}


class PanicException(BaseException):
    """As tantivy raises it; the real one cannot be made in Python."""


PanicException.__module__ = "pyo3_runtime"


@pytest.mark.parametrize("error", [PanicException("index out of bounds"), ValueError("An IO error")])
def test_an_error_or_a_panic_of_tantivy_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    index = TextAdapter(tmp_path)
    base = index.write(None, range(1, 5), (), seq=1, token=1)

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(tantivy.Document, "from_dict", fail, raising=True)
    with pytest.raises(DamagedSnapshot, match=str(error)):
        index.writer.write(base, [IndexedChunk(9, memory_of(9), "passage")], (), SnapshotId(2, 2))


def test_a_real_panic_of_tantivy_is_damage() -> None:
    """A phrase of one word is one."""
    schema = tantivy_index._build_schema()
    with pytest.raises(DamagedSnapshot), tantivy_index._translate_tantivy_errors():
        tantivy.Query.phrase_query(schema, "body", ["alone"])


def test_a_vector_index_that_is_damaged_after_its_check_cannot_be_written_on(tmp_path: Path) -> None:
    index = VectorAdapter(tmp_path)
    base = index.write(None, range(1, 40), (), seq=1, token=1)
    with matrix_of(index).open("r+b") as there:
        there.seek(-1, 2)
        there.write(b"\0")
    with pytest.raises(DamagedSnapshot):
        index.write(base, [50], (), seq=2, token=2)


def test_a_full_disk_is_no_damage_of_the_vector_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VectorAdapter(tmp_path)
    base = index.write(None, range(1, 40), (), seq=1, token=1)

    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quantized_index, "write_codes", fill)
    with pytest.raises(OSError, match="No space left"):
        index.write(base, [50], (), seq=2, token=2)
    assert index.all(index.open()) == set(range(1, 40))


# --- the matrix ---------------------------------------------------------------------------------


def matrix_of(index: VectorAdapter) -> Path:
    return index.directory / read_record(index.directory / index.pointer)["matrix"]


def test_the_matrix_holds_each_chunk_once_in_order(tmp_path: Path) -> None:
    """Taken-out rows are not in it, replaced ones as they are now."""
    index = VectorAdapter(tmp_path)
    base = index.write(None, [8, 3, 5, 1], (), seq=1, token=1)
    index.write(base, [4, 3], [8, 77], seq=2, token=2)
    records = np.load(matrix_of(index), mmap_mode="r")
    assert records["chunk_id"].tolist() == [1, 3, 4, 5]
    expected = MODEL.embed_documents([text_of(n) for n in (1, 3, 4, 5)]).vectors.astype(np.float16)
    assert records["vector"].tobytes() == expected.tobytes()


def test_a_removed_vector_is_in_no_matrix(tmp_path: Path) -> None:
    index = VectorAdapter(tmp_path)
    base = index.write(None, range(1, 20), (), seq=1, token=1)
    index.write(base, (), [7], seq=2, token=2)
    gone, kept = (MODEL.embed_documents([text_of(n)]).vectors.astype("<f2").tobytes() for n in (7, 8))
    matrices = [file.read_bytes() for file in tmp_path.glob("*.npy")]
    assert len(matrices) == 1
    assert gone not in matrices[0]
    assert kept in matrices[0]


@pytest.mark.parametrize("stem", ["vectors-", "vectors-2-"])
def test_a_snapshot_of_an_earlier_format_is_left_alone_until_one_of_ours_is_written(
    tmp_path: Path, stem: str
) -> None:
    index = VectorAdapter(tmp_path)
    name = f"{stem}{FINGERPRINT[:12]}"
    earlier = [tmp_path / f"{name}.json", tmp_path / f"{name}-00.usearch", tmp_path / f"{name}-00.npy"]
    for path in earlier:
        path.write_bytes(b"of an earlier version")
    with pytest.raises(DamagedSnapshot):
        index.open()
    assert index.writer.files.has_earlier_format()
    assert not index.writer.exists()
    index.write(None, range(1, 20), (), seq=2, token=2)
    assert not any(path.exists() for path in earlier)
    assert not index.writer.files.has_earlier_format()
    assert index.all(index.open()) == set(range(1, 20))


@pytest.mark.parametrize("dimension", [1, 3, 31, 65])
def test_a_vector_may_have_any_number_of_dimensions(tmp_path: Path, dimension: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(200, dimension))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    writer = QuantizedWriter(tmp_path, FINGERPRINT, dimension)
    writer.write(None, [(np.arange(1, 201), vectors)], (), SnapshotId(1, 1))
    chunk_ids, found = writer.open().vectors(range(1, 201))
    assert chunk_ids == list(range(1, 201))
    assert found.tobytes() == vectors.astype(np.float16).astype(np.float32).tobytes()
    with pytest.raises(DamagedSnapshot):
        QuantizedIndex(tmp_path, FINGERPRINT, dimension + 1)


def test_files_that_belong_to_another_snapshot_are_damage(tmp_path: Path) -> None:
    index, other = VectorAdapter(tmp_path), VectorAdapter(tmp_path / "other")
    other.directory.mkdir()
    index.write(None, range(1, 20), (), seq=1, token=1)
    for chunks in (range(1, 19), range(2, 21)):
        other.write(None, chunks, (), seq=1, token=1)
        kept = matrix_of(index).read_bytes()
        shutil.copy(matrix_of(other), matrix_of(index))
        with pytest.raises(DamagedSnapshot):
            index.all(index.open())
        matrix_of(index).write_bytes(kept)
        index.all(index.open())
