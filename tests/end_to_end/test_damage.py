"""Derived files may be damaged in any way: the next process answers correctly at once, and mends them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import DIMENSION, EmbeddingDouble
from support.host import SMALL, Host

from sediment_mcp.indexes import quantized_index, tantivy_index
from sediment_mcp.indexes.quantized_index import QuantizedIndex
from sediment_mcp.indexes.tantivy_index import TantivyIndex
from sediment_mcp.system.files import read_record, write_record

pytestmark = pytest.mark.slow

FINGERPRINT = EmbeddingDouble().identity.fingerprint
VECTORS = f"vectors-3-{FINGERPRINT[:12]}"
NAMES = ("badger", "heron", "otter", "weasel", "falcon", "lynx", "marten", "plover", "stoat", "curlew")


def host_on(directory: Path) -> Host:
    return Host(directory, tuning=SMALL)


@dataclass
class Known:
    """What a data directory holds: the texts that may be found, by id."""

    directory: Path
    live: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


def filled(directory: Path, story: str) -> Known:
    """A directory whose snapshots hold most memories, and whose tail holds new, deleted and replaced ones."""
    host, known = host_on(directory), Known(directory)
    ids = {name: host.store(f"{name} {story}")["id"] for name in NAMES}
    host.run_jobs()
    host.delete(ids["badger"])
    ids["late"] = host.store(f"latecomer {story}", replaces=[ids["heron"]])["id"]
    host.end()
    known.live = {ids[n]: f"{n} {story}" for n in NAMES if n not in ("badger", "heron")}
    known.live[ids["late"]] = f"latecomer {story}"
    known.gone = [f"badger {story}", f"heron {story}"]
    assert (directory / tantivy_index.POINTER).exists()
    assert list(directory.glob("vectors-*.codes"))
    return known


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return filled(tmp_path_factory.mktemp("pattern") / "data", "lives by the river")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return filled(tmp_path_factory.mktemp("foreign") / "data", "was seen in the hills")


@pytest.fixture
def known(pattern: Known, tmp_path: Path) -> Known:
    directory = tmp_path / "data"
    shutil.copytree(pattern.directory, directory)
    return Known(directory, dict(pattern.live), list(pattern.gone))


def assert_answers(host: Host, known: Known) -> None:
    """Every memory that may be found is, by its own word and by its meaning; nothing else is."""
    for identity, text in known.live.items():
        assert host.found_by_words(text.split()[0]) == {identity}, text
        assert host.found_by_meaning(text) == {identity}, text
    for text in known.gone:
        assert host.found_by_words(text.split()[0]) == set(), text
        assert host.found_by_meaning(text) == set(), text
    assert host.list(limit=100)["total"] == len(known.live)


def assert_mended(known: Known) -> None:
    text = TantivyIndex(known.directory)
    vectors = QuantizedIndex(known.directory, FINGERPRINT, DIMENSION)
    host = host_on(known.directory)
    with host.app.storage.read() as session:
        for name, index in (("text", text), (f"vectors {FINGERPRINT}", vectors)):
            assert session.snapshots.knows(name, index.snapshot), name
            assert session.changes.count_chunks_since(index.snapshot.seq, 100) < 10, name
    host.end()


def assert_recovers(known: Known) -> None:
    host = host_on(known.directory)
    assert_answers(host, known)
    host.run_jobs()
    assert_answers(host, known)
    for number in range(SMALL.text_memtable_limit):  # enough for the next snapshots, built on these
        text = f"newcomer{number} arrived after the damage"
        known.live[host.store(text)["id"]] = text
    host.run_jobs()
    host.end()
    assert_mended(known)
    host = host_on(known.directory)
    assert_answers(host, known)
    host.end()


def test_without_damage_all_is_well(known: Known) -> None:
    assert_recovers(known)


# --- damage to single files ---------------------------------------------------------------------


def flipped(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    bit = random.Random(seed).randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbage": lambda path: path.write_bytes(random.Random(1).randbytes(path.stat().st_size)),
    "lengthened": lambda path: path.write_bytes(path.read_bytes() + b"\0" * 64),
    **{f"bit flipped {seed}": lambda path, seed=seed: flipped(path, seed) for seed in range(4)},
}
FILES = [
    "text.json", "text-*/meta.json", "text-*/.managed.json", "text-*/*.idx", "text-*/*.pos", "text-*/*.term",
    "text-*/*.fast", "text-*/*.fieldnorm", "text-*/*.store", f"{VECTORS}.json", f"{VECTORS}-*.codes",
    f"{VECTORS}-*.npy",
]  # fmt: skip


def the_files(known: Known, pattern: str) -> list[Path]:
    return sorted(known.directory.glob(pattern))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("files_named", FILES, ids=[name.rpartition("/")[2].strip("*") for name in FILES])
def test_a_damaged_file_changes_no_answer(known: Known, files_named: str, damage: str) -> None:
    files = the_files(known, files_named)
    assert files, f"no {files_named} to damage"
    for path in files:
        DAMAGES[damage](path)
    assert_recovers(known)


@pytest.mark.parametrize("header", [b"\xff" * 8, b"\xff\xff\0\0\xff\xff\0\0"])
def test_a_file_that_is_damaged_just_after_its_check_changes_no_answer(
    known: Known, monkeypatch: pytest.MonkeyPatch, header: bytes
) -> None:
    matrix, damaged = quantized_index.VectorMatrix, set[Path]()

    def late(file: Path, *others: Any) -> object:
        if not damaged and file.suffix == ".npy":
            damaged.add(file)
            with file.open("r+b") as there:
                there.write(header)
        return matrix(file, *others)

    monkeypatch.setattr(quantized_index, "VectorMatrix", late)
    assert_recovers(known)
    assert damaged


# --- damage to the whole ------------------------------------------------------------------------


def no_folder(known: Known) -> None:
    shutil.rmtree(next(known.directory.glob("text-*")))


def nothing_derived(known: Known) -> None:
    no_folder(known)
    for path in (*known.directory.glob("vectors-*"), known.directory / "text.json"):
        path.unlink()


def empty_folder(known: Known) -> None:
    for path in next(known.directory.glob("text-*")).iterdir():
        path.unlink()


def file_instead_of_folder(known: Known) -> None:
    folder = next(known.directory.glob("text-*"))
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def pointer_elsewhere(known: Known) -> None:
    for path, key in (
        (known.directory / "text.json", "folder"),
        (known.directory / f"{VECTORS}.json", "file"),
    ):
        write_record(path, {**read_record(path), key: "nowhere"})


def pointers_of_other_settings(known: Known) -> None:
    for path in (known.directory / "text.json", known.directory / f"{VECTORS}.json"):
        write_record(path, {**read_record(path), "settings": "of another version"})


def no_shared_memory(known: Known) -> None:
    host = host_on(known.directory)
    host.list()
    for suffix in ("-shm", "-wal"):
        shutil.copy(known.directory / f"memories.db{suffix}", known.directory / f"kept{suffix}")
    host.end()
    (known.directory / "kept-wal").rename(known.directory / "memories.db-wal")
    (known.directory / "kept-shm").unlink()


WHOLES = [no_folder, nothing_derived, empty_folder, file_instead_of_folder, pointer_elsewhere,
          pointers_of_other_settings, no_shared_memory]  # fmt: skip


@pytest.mark.parametrize("damage", WHOLES, ids=lambda damage: damage.__name__)
def test_damage_to_the_whole_changes_no_answer(known: Known, damage: Callable[[Known], None]) -> None:
    damage(known)
    assert_recovers(known)


@pytest.mark.parametrize("what", ["text", "vectors", "both"])
def test_the_indexes_of_another_directory_are_not_believed(known: Known, foreign: Known, what: str) -> None:
    if what != "vectors":
        no_folder(known)
        folder = next(foreign.directory.glob("text-*"))
        shutil.copytree(folder, known.directory / folder.name)
        shutil.copy(foreign.directory / "text.json", known.directory)
    if what != "text":
        for path in foreign.directory.glob(f"{VECTORS}*"):
            shutil.copy(path, known.directory)
    assert_recovers(known)


@pytest.mark.parametrize("suffix", ["idx", "pos", "term", "fast", "fieldnorm", "store"])
def test_a_segment_file_of_another_index_is_not_believed(known: Known, foreign: Known, suffix: str) -> None:
    theirs, ours = the_files(foreign, f"text-*/*.{suffix}"), the_files(known, f"text-*/*.{suffix}")
    for path in ours:
        shutil.copy(theirs[0], path)
    host = host_on(known.directory)
    with host.app.storage.read() as session:
        assert session.changes.count_memories() > 0
    for identity, text in known.live.items():
        assert host.found_by_meaning(text) == {identity}
    host.run_jobs()
    host.end()


# --- a database set back ------------------------------------------------------------------------


def set_back(known: Known, then: Callable[[Host], None]) -> Known:
    """Copy the database, let the directory live on past its next snapshots, and put the copy back."""
    backup = known.directory.parent / "backup.db"
    shutil.copy(known.directory / "memories.db", backup)
    host = host_on(known.directory)
    for number in range(12):
        host.store(f"future{number} will never have happened")
    host.delete(*list(known.live)[:3])
    host.run_jobs()
    then(host)
    host.end()
    for path in known.directory.glob("memories.db*"):
        path.unlink()
    shutil.copy(backup, known.directory / "memories.db")
    known.gone += [f"future{number} will never have happened" for number in range(12)]
    return known


def test_snapshots_of_a_future_that_was_taken_back_are_not_believed(known: Known) -> None:
    assert_recovers(set_back(known, lambda _: None))


@pytest.mark.parametrize("written", [1, 11, 12, 13, 14, 15, 16, 17, 18, 30])
def test_nor_are_they_once_the_database_has_grown_past_them(known: Known, written: int) -> None:
    set_back(known, lambda _: None)
    without_upkeep = host_on(known.directory)
    for number in range(written):
        text = f"second{number} history took another turn"
        known.live[without_upkeep.store(text)["id"]] = text
    without_upkeep.end()
    assert_recovers(known)


def test_a_crash_loop_of_writers_does_not_make_the_index_unknown(known: Known) -> None:
    """Every attempt announces itself, at the same place in the sequence."""
    host = host_on(known.directory)
    with host.app.storage.write() as session:
        for _ in range(40):
            session.snapshots.register("text")
    for _ in range(10):
        host.rebuild_text()
        index = TantivyIndex(known.directory)
        with host.app.storage.read() as session:
            assert session.snapshots.knows("text", index.snapshot)
    host.end()
    assert_recovers(known)
