"""What the doctor finds: in health, in every kind of damage, beside others, and without leaving a trace."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble, load_double
from support.host import SMALL, Host

from sediment_mcp.app import Application
from sediment_mcp.background.jobs import LOCKED_WORK
from sediment_mcp.config import Config, load_config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.errors import ModelUnavailable, StorageError
from sediment_mcp.indexes import tantivy_index
from sediment_mcp.indexes.indexer import TEXT_LOCK
from sediment_mcp.maintenance import environment
from sediment_mcp.maintenance.doctor import examine, fix, reindex
from sediment_mcp.maintenance.findings import Finding, find_worst_state
from sediment_mcp.operations.language_hint import MIN_TOLD
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.storage import DATABASE, WRITE_LOCK
from sediment_mcp.system.locks import locked
from sediment_mcp.tuning import Tuning

OpenHost = Callable[..., Host]
EVERY_DAY = Tuning()


def found(
    directory: Path,
    load: Callable[[Config], Embedder] = load_double,
    *,
    tuning: Tuning = EVERY_DAY,
    **settings: Any,
) -> dict[str, Finding]:
    config = Config(directory, tuning=tuning)
    return {finding.name: finding for finding in examine(config, load, **settings)}


def problems(directory: Path, load: Callable[[Config], Embedder] = load_double, **settings: Any) -> set[str]:
    findings = found(directory, load, **settings)
    return {name for name, finding in findings.items() if finding.state != "ok"}


def fill(host: Host, count: int = 12) -> list[str]:
    return [host.store(f"memory number {n}")["id"] for n in range(count)]


def write_indexes(host: Host) -> None:
    host.app.rebuild_indexes()


def everything(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with its mode, size and time of change."""
    return {
        str(path.relative_to(directory)): (s.st_mode, s.st_size, s.st_mtime_ns)
        for path in [directory, *directory.rglob("*")]
        if (s := path.stat())
    }


@pytest.fixture
def healthy(open_host: OpenHost) -> Path:
    """A closed data directory with memories and both indexes."""
    host = open_host(tuning=SMALL)
    fill(host)
    write_indexes(host)
    host.end()
    return host.directory


# --- nothing, and health ------------------------------------------------------------------------


def test_memories_in_another_language_than_the_model_s_are_a_warning_with_a_command(
    open_host: OpenHost,
) -> None:
    host = open_host()
    for number in range(MIN_TOLD):
        host.store(f"Der Server des Kunden {number} steht in Frankfurt und nicht hier.")
    host.end()
    finding = found(host.directory)["languages"]
    assert finding.state == "warning"
    assert "not in English" in finding.sentence
    assert 'uvx --from "sediment-mcp[multilingual]" sediment-mcp install HOST' in finding.remedy
    config = Config(host.directory, model="multilingual")
    assert "languages" not in {one.name for one in examine(config, load_double)}


@pytest.mark.model
def test_where_nothing_is_stored_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    findings = found(tmp_path / "data", load_embedder)
    assert find_worst_state(list(findings.values())) == "ok"
    assert "Nothing is stored yet" in findings["database"].sentence
    assert not (tmp_path / "data").exists()


def test_an_empty_database_file_is_nothing_stored(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch(0o600)
    tmp_path.chmod(0o700)
    assert "Nothing is stored yet" in found(tmp_path)["database"].sentence


def test_a_healthy_directory_is_told_in_numbers(healthy: Path) -> None:
    findings = found(healthy)
    assert {name for name, finding in findings.items() if finding.state != "ok"} == set()
    assert "12 live" in findings["memories"].sentence
    assert "12 of 12" in findings["embeddings"].sentence
    for index in ("text index", "vector index"):
        assert "Sound" in findings[index].sentence
        assert "12 passages, 0 in the tail" in findings[index].sentence


@pytest.mark.model
def test_looking_leaves_no_trace(healthy: Path) -> None:
    before = everything(healthy)
    found(healthy, load_embedder)
    assert everything(healthy) == before


def test_looking_after_a_crash_leaves_the_log_alone(open_host: OpenHost) -> None:
    host = open_host()
    fill(host)
    assert (host.directory / f"{DATABASE}-wal").stat().st_size > 0
    before = everything(host.directory)
    assert "12 live" in found(host.directory)["memories"].sentence
    assert everything(host.directory).keys() == before.keys()


def test_memories_are_counted_by_what_became_of_them(open_host: OpenHost) -> None:
    host = open_host()
    kept, gone, old = (host.store(text)["id"] for text in ("kept", "gone", "old"))
    host.delete(gone)
    host.store("new", replaces=[old])
    host.store("brief", expires_at=host.clock().replace(year=2026, month=5, day=9).isoformat())
    assert kept in host.found("kept")
    with host.app.storage.read() as session:
        assert session.statistics.states(host.clock()) == {
            "live": 3,
            "superseded": 1,
            "expired": 0,
            "deleted": 1,
        }
        host.clock.advance(days=30)
        assert session.statistics.states(host.clock()) == {
            "live": 2,
            "superseded": 1,
            "expired": 1,
            "deleted": 1,
        }


def test_memories_are_counted_by_the_clock_that_is_given(open_host: OpenHost) -> None:
    host = open_host()
    host.store("brief", expires_at=(host.clock() + timedelta(days=1)).isoformat())
    host.store("lasting")
    now = host.clock()
    before = found(host.directory, clock=lambda: now)["memories"]
    after = found(host.directory, clock=lambda: now + timedelta(days=2))["memories"]
    assert before.sentence == "2 live."
    assert after.sentence == "1 live, 1 expired."


# --- the model ----------------------------------------------------------------------------------


def no_model(_: Config) -> Embedder:
    raise ModelUnavailable("The weights are missing: install them.")


def broken_model(_: Config) -> Embedder:
    raise RuntimeError("a bug in the model's code")


def test_a_model_that_cannot_be_loaded_is_a_problem_and_says_why(healthy: Path) -> None:
    finding = found(healthy, no_model)["model"]
    assert (finding.state, finding.sentence) == ("problem", "The weights are missing: install them.")
    assert "a bug in the model's code" in found(healthy, broken_model)["model"].sentence


def test_a_model_that_needs_the_extra_is_a_problem_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sediment_mcp.embeddings.sentence_transformers", raising=False)
    monkeypatch.delattr("sediment_mcp.embeddings.sentence_transformers", raising=False)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)  # what makes "import" fail
    config = Config(tmp_path / "data", model="some/model")
    (finding,) = (finding for finding in examine(config) if finding.name == "model")
    assert finding.state == "problem"
    assert 'run pip install "sediment-mcp[sentence-transformers]"' in finding.sentence


def test_indexes_are_looked_at_without_a_model_too(healthy: Path) -> None:
    assert "Sound" in found(healthy, no_model)["vector index"].sentence


def test_a_model_that_was_switched_off_is_no_problem(tmp_path: Path) -> None:
    config = load_config({"SEDIMENT_DATA_DIR": str(tmp_path / "data"), "SEDIMENT_MODEL": "none"})
    (finding,) = (finding for finding in examine(config) if finding.name == "model")
    assert finding.state == "ok"
    assert "SEDIMENT_MODEL" in finding.sentence


def test_missing_embeddings_are_counted_and_other_models_named(healthy: Path) -> None:
    findings = found(healthy, lambda _: EmbeddingDouble("another"))
    assert findings["embeddings"].state == "warning"
    assert "0 of 12" in findings["embeddings"].sentence
    assert "reindex" in findings["embeddings"].remedy
    assert "double (12 passages)" in findings["other models"].sentence
    assert findings["token vectors"].state == "warning"
    assert "0 of 12" in findings["token vectors"].sentence
    assert "reindex" in findings["token vectors"].remedy


def test_damaged_token_vectors_are_a_problem_that_is_fixed(healthy: Path) -> None:
    assert "12 of 12" in found(healthy)["token vectors"].sentence
    with contextlib.closing(SqliteDatabase(healthy / DATABASE)) as database:
        database.execute("UPDATE token_vectors SET vectors = x'7f' WHERE chunk < 3", ())
    finding = found(healthy)["token vectors"]
    assert (finding.state, "2 passages" in finding.sentence) == ("problem", True)
    app = Application(Config(healthy, tuning=SMALL), load=load_double, is_resident=False, model_timeout=30)
    fix(app)
    app.close()
    assert "12 of 12" in found(healthy)["token vectors"].sentence


# --- damage -------------------------------------------------------------------------------------


def garbage_everywhere(database: Path) -> None:
    database.write_bytes(b"garbage " * 10_000)


def garbage_in_the_middle(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[8192:40960] = b"\xff" * (40960 - 8192)
    database.write_bytes(data)


def cut_short(database: Path) -> None:
    database.write_bytes(database.read_bytes()[: database.stat().st_size // 2])


@pytest.mark.parametrize("damage", [garbage_everywhere, garbage_in_the_middle, cut_short])
def test_a_damaged_database_is_a_problem_with_a_remedy(healthy: Path, damage: Callable[[Path], None]) -> None:
    damage(healthy / DATABASE)
    faults = [finding for finding in found(healthy).values() if finding.state == "problem"]
    assert faults
    assert {finding.name for finding in faults} <= {"database", "integrity"}
    assert all("backup" in finding.remedy for finding in faults)


@pytest.mark.parametrize("damage", [garbage_everywhere, garbage_in_the_middle])
def test_mending_keeps_the_damaged_database(healthy: Path, damage: Callable[[Path], None]) -> None:
    damage(healthy / DATABASE)
    before = (healthy / DATABASE).read_bytes()
    (saved,) = fix(Application(Config(healthy, tuning=SMALL), load=load_double, is_resident=False))
    (kept,) = healthy.glob("memories.damaged-*.db")
    assert kept.read_bytes() == before
    assert kept.name in saved.remedy
    assert find_worst_state(list(found(healthy).values())) == "ok"


def test_a_newer_database_is_a_problem_and_stays_as_it_is(healthy: Path) -> None:
    with contextlib.closing(SqliteDatabase(healthy / DATABASE)) as database:
        database.execute("PRAGMA user_version = 999", ())
    finding = found(healthy)["database"]
    assert finding.state == "problem"
    assert "newer" in finding.sentence
    before = (healthy / DATABASE).read_bytes()
    fix(Application(Config(healthy, tuning=SMALL), load=load_double, is_resident=False))
    assert (healthy / DATABASE).read_bytes() == before


def break_pointer(directory: Path) -> None:
    (directory / tantivy_index.POINTER).write_text("{")


def break_segment(directory: Path) -> None:
    file = max(directory.glob("text-*/*.store"), key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)


def remove_segments(directory: Path) -> None:
    for file in directory.glob("text-*/*"):
        file.unlink()


@pytest.mark.parametrize("damage", [break_pointer, break_segment, remove_segments])
def test_a_damaged_text_index_is_a_problem_that_mending_ends(
    healthy: Path, damage: Callable[[Path], None]
) -> None:
    damage(healthy)
    assert problems(healthy) == {"text index"}
    assert "doctor --fix" in found(healthy)["text index"].remedy
    fix(Application(Config(healthy, tuning=SMALL), load=load_double, is_resident=False))
    assert problems(healthy) == set()


@pytest.mark.parametrize("kind", ["codes", "npy"])
def test_a_damaged_vector_index_is_a_problem_that_mending_ends(healthy: Path, kind: str) -> None:
    (file,) = healthy.glob(f"vectors-*.{kind}")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert problems(healthy) == {"vector index"}
    fix(Application(Config(healthy, tuning=SMALL), load=load_double, is_resident=False, model_timeout=30))
    assert problems(healthy) == set()
    assert "Sound" in found(healthy)["vector index"].sentence


def test_indexes_of_another_history_are_a_problem(healthy: Path) -> None:
    with contextlib.closing(SqliteDatabase(healthy / DATABASE)) as database:
        database.execute("DELETE FROM snapshots", ())
    assert problems(healthy) == {"text index", "vector index"}


def test_passages_that_an_index_lacks_are_counted(healthy: Path) -> None:
    with contextlib.closing(SqliteDatabase(healthy / DATABASE)) as database:
        database.execute('INSERT INTO chunks (memory, start, "end") SELECT number, 0, 1 FROM memories', ())
        database.execute(
            "INSERT INTO embeddings (model, chunk, seq, vector) SELECT 1, number, 1, x'00' FROM chunks "
            "WHERE number NOT IN (SELECT chunk FROM embeddings)", ()
        )  # fmt: skip
    findings = found(healthy)
    for index in ("text index", "vector index"):
        assert findings[index].state == "problem"
        assert "12 passages are missing" in findings[index].sentence


def test_what_the_tail_holds_is_counted_and_far_too_much_is_a_warning(
    open_host: OpenHost,
) -> None:
    host = open_host(tuning=SMALL)
    fill(host)
    write_indexes(host)
    host.store("one more")
    assert "1 in the tail" in found(host.directory)["text index"].sentence
    for n in range(4):
        host.store(f"and more {n}")
    finding = found(host.directory, tuning=Tuning(text_memtable_limit=1))["text index"]
    assert (finding.state, "5 in the tail" in finding.sentence) == ("warning", True)


def test_many_passages_without_an_index_are_a_warning(open_host: OpenHost) -> None:
    host = open_host()
    fill(host, 4)
    assert problems(host.directory) == set()
    few = Tuning(text_memtable_limit=1, exact_search_limit=1)
    assert problems(host.directory, tuning=few) == {"text index", "vector index"}


# --- the directory ------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_what_others_may_read_is_named_and_made_private(healthy: Path) -> None:
    (folder,) = healthy.glob("text-*")
    public = [healthy, healthy / DATABASE, folder, next(folder.iterdir())]
    for path in public:
        path.chmod(path.stat().st_mode | 0o055)
    finding = found(healthy)["permissions"]
    assert finding.state == "warning"
    assert DATABASE in finding.sentence
    fix(Application(Config(healthy, tuning=SMALL), load=load_double, is_resident=False))
    assert problems(healthy) == set()
    assert all(path.stat().st_mode & 0o077 == 0 for path in healthy.rglob("*"))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_link_in_the_directory_is_not_followed(healthy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    other.chmod(0o755)
    (healthy / "link").symlink_to(other)
    assert problems(healthy) == {"permissions"}
    environment.make_all_private(healthy)
    assert other.stat().st_mode & 0o777 == 0o755


def test_the_real_path_is_shown(healthy: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(healthy)
    assert os.path.realpath(healthy) in found(tmp_path / "link")["data directory"].sentence


def test_a_file_in_the_directory_s_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    finding = found(tmp_path / "data")["data directory"]
    assert finding.state == "problem"
    assert "SEDIMENT_DATA_DIR" in finding.remedy


@pytest.mark.parametrize(
    ("place", "private"),
    [
        ("C:/Users/ann/AppData/Local/Packages/Claude_x/LocalCache/Roaming/sediment-mcp", True),
        (r"C:\Users\ann\AppData\Local\Packages\Claude_x\LocalCache\Local", True),
        ("C:/Users/ann/.sediment-mcp", False),
        ("C:/Users/ann/AppData/Roaming/sediment-mcp", False),
        ("/home/ann/packages/appdata", False),
    ],
)
def test_a_private_copy_of_appdata_is_recognised(place: str, private: bool) -> None:
    assert environment.is_private_copy(Path(place)) is private


@pytest.mark.parametrize(("free", "state"), [(10**12, "ok"), (100 * 1024**2, "warning"), (1024, "problem")])
def test_little_free_space_is_reported(tmp_path: Path, free: int, state: str) -> None:
    place = tmp_path / "not" / "there" / "yet"
    finding = environment.check_disk(place, {tmp_path: free}.__getitem__)
    assert finding is not None
    assert (finding.name, finding.state, bool(finding.remedy)) == ("disk", state, state != "ok")
    assert "disk" in found(place)


def test_a_disk_that_cannot_be_asked_is_not_reported(tmp_path: Path) -> None:
    def refuse(_: Path) -> int:
        raise OSError("no such call")

    assert environment.check_disk(tmp_path, refuse) is None


def test_a_missing_library_is_a_problem() -> None:
    finding = environment.check_libraries(("numpy", "no-such-library"))
    assert finding.state == "problem"
    assert "no-such-library" in finding.sentence
    assert "numpy" not in finding.sentence


# --- beside others ------------------------------------------------------------------------------


def test_a_write_lock_that_is_held_is_told(healthy: Path) -> None:
    with locked(healthy / WRITE_LOCK, timeout=1):
        assert found(healthy)["locks"].state == "warning"
    assert found(healthy)["locks"].state == "ok"


def test_work_of_other_processes_is_told_by_its_name(healthy: Path) -> None:
    with locked(healthy / TEXT_LOCK, timeout=1):
        finding = found(healthy)["locks"]
    assert (finding.state, "writing the text index" in finding.sentence) == ("ok", True)


def test_every_lock_is_known(healthy: Path) -> None:
    assert {path.name for path in healthy.glob("*.lock")} <= {WRITE_LOCK, *LOCKED_WORK}


def test_looking_beside_a_writer_holds_nobody_up(open_host: OpenHost) -> None:
    host = open_host()
    fill(host, 3)
    with host.app.storage.write() as session:
        assert session.changes.seq() > 0
        assert "3 live" in found(host.directory)["memories"].sentence
    assert len(host.list()["memories"]) == 3


# --- reindex ------------------------------------------------------------------------------------


def test_reindexing_embeds_what_another_model_has_and_tells_how_far_it_is(healthy: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    app = Application(
        Config(healthy, tuning=SMALL),
        load=lambda _: EmbeddingDouble("another"),
        is_resident=False,
        model_timeout=30,
    )
    result = reindex(app, lambda name: lambda *far: told.setdefault(name, []).append(far))
    app.close()
    assert result == {"model": "another", "passages": 12, "embedded": 12}
    assert problems(healthy, lambda _: EmbeddingDouble("another")) == set()
    assert {name: far[-1] for name, far in told.items()} == {
        "embeddings": (12, 12), "text index": (12, 12), "vector index": (12, 12),
    }  # fmt: skip


def test_a_directory_on_a_disk_that_may_only_be_read_cannot_be_fixed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.store("something")

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(environment, "make_all_private", refuse)
    with pytest.raises(StorageError, match="Read-only file system"):
        fix(host.app)
