"""A database damaged in any way: what SQLite can still read survives, the rest comes from the backup."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.damages import (
    PAGE,
    Known,
    flipped_bits,
    garbage_pages,
    header,
    no_first_page,
    no_header,
    opened,
    read_row_by_row,
    truncated,
    without_backup,
    zeroed_pages,
)
from support.embedding_double import EmbeddingDouble, load_double
from support.host import Clock, Host
from support.stdio_peer import SERVER, StdioPeer

from sediment_mcp.domain.chunking import split_into_chunks
from sediment_mcp.domain.duplicates import compute_content_hash
from sediment_mcp.domain.memory import NewMemory
from sediment_mcp.domain.retention import Rule
from sediment_mcp.embeddings.codec import encode_tokens, encode_vectors
from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.maintenance import doctor
from sediment_mcp.maintenance.findings import find_worst_state
from sediment_mcp.maintenance.row_repair import repair_row
from sediment_mcp.maintenance.salvage import salvage
from sediment_mcp.operations.kept_pairs import keep_pair, list_kept_pairs
from sediment_mcp.operations.retention_rules import set_rule
from sediment_mcp.storage.sqlite.salvage import MEMORY_COLUMNS
from sediment_mcp.storage.sqlite.session import SqliteSession, open_session
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.settings import SyncSettings, read_settings, write_settings
from sediment_mcp.transfer.encryption import generate_identity

ROOT = Path(__file__).resolve().parents[2]
COUNT = 200


def text_of(number: int, choose: random.Random) -> str:
    """Mostly short, some over several pages."""
    words = [f"w{choose.randrange(500)}" for _ in range(choose.choice((10, 20, 40, 120, 1500)))]
    return f"memory{number} {' '.join(words)}"


def add(session: SqliteSession, clock: Clock, texts: list[str]) -> dict[str, str]:
    model = EmbeddingDouble()
    found: dict[str, str] = {}
    with session.database.transaction():
        model_key = session.embeddings.register(model.identity)
        assert model.token_identity is not None
        token_key = session.token_vectors.register(model.token_identity)
        for place, text in enumerate(texts):
            clock.advance(seconds=1)
            new = NewMemory(
                text, compute_content_hash(text), tuple(split_into_chunks(text)), "semantic",
                (f"tag{place % 7}",), None,
                f"session{place % 20}", 0.5, {"place": place}, clock(), clock(), clock(), None,
            )  # fmt: skip
            stored = session.add(new)
            vectors = encode_vectors(model.embed_documents([text[a:b] for a, b in new.spans]).vectors)
            session.embeddings.add(model_key, zip(stored.chunk_ids, vectors, strict=True))
            tokens = encode_tokens(model.embed_documents([text[a:b][:200] for a, b in new.spans]).tokens)
            session.token_vectors.add(token_key, zip(stored.chunk_ids, tokens, strict=True))
            found[stored.memory.id] = text
    return found


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Known:
    directory, clock, choose = tmp_path_factory.mktemp("pattern") / "data", Clock(), random.Random(3)
    host = Host(directory, clock)
    host.list()
    with contextlib.closing(open_session(directory / DATABASE)) as session:
        older = add(session, clock, [text_of(n, choose) for n in range(COUNT - 40)])
        host.app.backups.make()
        newer = add(session, clock, [text_of(n, choose) for n in range(COUNT - 40, COUNT)])
        session.database.empty_log()
    host.end()
    assert not (directory / f"{DATABASE}-wal").exists()
    return Known(directory, older | newer, older)


@pytest.fixture
def known(pattern: Known, tmp_path: Path) -> Known:
    shutil.copytree(pattern.directory, tmp_path / "data")
    return Known(tmp_path / "data", pattern.texts, pattern.backed_up)


def readable(known: Known) -> dict[str, str]:
    """What SQLite can still read, asked for one row at a time."""
    copy = known.directory.parent / "oracle.db"
    shutil.copy(known.directory / DATABASE, copy)
    return read_row_by_row(copy, known.texts)


def contents(known: Known) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        bare = "SELECT id FROM memories WHERE number NOT IN (SELECT memory FROM chunks)"
        assert raw.execute(bare).fetchall() == []
        tags = raw.execute("SELECT memory, tag FROM tags ORDER BY memory, tag").fetchall()
        own = raw.execute("SELECT number, tags FROM memories ORDER BY number").fetchall()
        assert tags == [(number, tag) for number, text in own for tag in sorted(json.loads(text))]
        return dict(raw.execute("SELECT id, content FROM memories").fetchall())


# --- every kind of damage -----------------------------------------------------------------------


def no_rows(data: bytearray, _: random.Random) -> None:
    page = data.index(b"memory3 ") // PAGE
    data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)


DAMAGES = [zeroed_pages, garbage_pages, flipped_bits, truncated, header, no_header, no_first_page]
SEEDS = {
    zeroed_pages: 4,
    garbage_pages: 2,
    flipped_bits: 4,
    truncated: 3,
    header: 3,
    no_header: 1,
    no_first_page: 1,
}
CASES = [(damage, seed) for damage in DAMAGES for seed in range(SEEDS[damage])]


def damage(known: Known, how: Callable[[bytearray, random.Random], None], seed: int) -> bytes:
    path = known.directory / DATABASE
    data = bytearray(path.read_bytes())
    how(data, random.Random(seed))
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize(("how", "seed"), CASES, ids=[f"{how.__name__} {seed}" for how, seed in CASES])
def test_what_can_be_read_survives_and_the_backup_has_the_rest(
    known: Known, how: Callable[[bytearray, random.Random], None], seed: int
) -> None:
    damaged = damage(known, how, seed)
    expected = known.backed_up | readable(known)
    with opened(known) as host:
        told = salvage(host.app)
        there = contents(known)
        assert {i: text for i, text in there.items() if i in expected} == expected
        assert (known.directory / told["kept"]).read_bytes() == damaged
        assert told["read"] + told["from_backup"] == len(there)
        assert list((known.directory / "backups").glob("*.tmp*")) == []
        identity, text = random.Random(seed).choice(sorted(expected.items()))
        assert identity in host.found_by_words(text.split()[0])
        host.store("life goes on")


@pytest.mark.parametrize("how", [zeroed_pages, truncated, flipped_bits, no_header, no_first_page])
def test_without_a_backup_what_can_be_read_survives(
    known: Known, how: Callable[[bytearray, random.Random], None]
) -> None:
    damage(without_backup(known), how, 11)
    expected = readable(known)
    with opened(known) as host:
        told = salvage(host.app)
    there = contents(known)
    assert expected.items() <= there.items()
    assert "backup" not in told
    if how in (no_header, no_first_page):
        assert there == known.texts, "the rows themselves were sound"


# --- details ------------------------------------------------------------------------------------


def rootpage(known: Known, name: str) -> int:
    with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
        return raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]


def zero(known: Known, page: int) -> None:
    with (known.directory / DATABASE).open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


@pytest.mark.parametrize(
    "name",
    [
        "memories_by_text", "sqlite_autoindex_memories_1", "tags", "chunks", "embeddings", "counters",
        "token_models", "token_vectors", "sqlite_autoindex_token_vectors_1",
    ],
)  # fmt: skip
def test_whatever_can_be_made_anew_is(known: Known, name: str) -> None:
    page = rootpage(without_backup(known), name)
    zero(known, page)
    with opened(known) as host:
        salvage(host.app)
        assert contents(known) == known.texts
        host.run_jobs()
        identity, text = next(iter(known.texts.items()))
        assert host.found_by_words(text.split()[0]) == {identity}
        with host.app.storage.read() as session:
            done, total = session.embeddings.count_embedded(1)
            with_token_vectors, _ = session.token_vectors.count_embedded(1)
        assert done == with_token_vectors == total


def test_embeddings_and_numbers_are_kept_where_they_are_sound(known: Known) -> None:
    zero(known, rootpage(known, "memories_by_text"))
    with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
        before = raw.execute("SELECT chunk, vector FROM embeddings ORDER BY chunk").fetchall()
    with opened(known) as host:
        assert salvage(host.app)["from_backup"] == 0
    with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
        assert raw.execute("SELECT chunk, vector FROM embeddings ORDER BY chunk").fetchall() == before


def test_sound_token_vectors_are_kept_and_damaged_ones_made_anew(known: Known) -> None:
    select = "SELECT chunk, vectors FROM token_vectors ORDER BY chunk"
    zero(known, rootpage(known, "memories_by_text"))
    with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
        before = dict(raw.execute(select))
        raw.execute("UPDATE token_vectors SET vectors = x'7f' WHERE chunk = 1")  # cut short
        raw.execute("UPDATE token_vectors SET vectors = ? WHERE chunk = 2", (b"\x7f" * 64,))  # no unit vector
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("UPDATE token_vectors SET model = 7 WHERE chunk = 3")  # of a model that is not there
        raw.commit()
    with opened(known) as host:
        salvage(host.app)
        with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
            assert dict(raw.execute(select)) == {key: before[key] for key in before if key > 3}
        host.run_jobs()
        with contextlib.closing(sqlite3.connect(known.directory / DATABASE)) as raw:
            assert dict(raw.execute(select)).keys() == before.keys()


def test_a_text_that_its_hash_contradicts_is_taken_from_the_backup(known: Known) -> None:
    path = known.directory / DATABASE
    data = path.read_bytes()
    assert data.count(b"memory17 ") == data.count(b"memory190 ") == 1
    path.write_bytes(data.replace(b"memory17 ", b"memory\xff7 ").replace(b"memory190 ", b"memory1\xff0 "))
    with opened(known) as host:
        told = salvage(host.app)
    there = contents(known)
    wrong = {identity for identity, text in known.texts.items() if there.get(identity) != text}
    assert [known.texts[identity].split()[0] for identity in wrong] == ["memory190"], "it is newer"
    assert (told["doubtful"], told["from_backup"], told["lost"]) == (1, 1, 0)


def test_what_was_deleted_since_the_backup_stays_deleted_if_its_text_is_wrong(known: Known) -> None:
    """The backup has the text, and an older state of it."""
    identity, text = list(known.backed_up.items())[17]
    with opened(known) as host:
        host.delete(identity)
        with contextlib.closing(open_session(known.directory / DATABASE)) as session:
            session.database.empty_log()
    path = known.directory / DATABASE
    assert path.read_bytes().count(b"memory17 ") == 1
    path.write_bytes(path.read_bytes().replace(b"memory17 ", b"memory71 "))
    with opened(known) as host:
        assert salvage(host.app)["from_backup"] == 1
        assert contents(known)[identity] == text
        assert host.found_by_words("memory17") == set()


def test_what_was_deleted_since_the_backup_stays_deleted(known: Known) -> None:
    """The page with the row is gone, the index that knows of its deletion is not."""
    identity, text = list(known.backed_up.items())[100]
    erased = list(known.backed_up)[101]
    with opened(known) as host:
        with contextlib.suppress(DamagedDatabase):
            host.delete(identity)
        with host.app.storage.write(secure_erase=True) as session:
            session.erase(session.get([erased])[erased])
    path = known.directory / DATABASE
    data = path.read_bytes()
    zero(known, data.index(text.encode()[:30]) // PAGE + 1)
    assert identity not in readable(known)
    with opened(known) as host:
        assert salvage(host.app)["from_backup"] > 0
        assert host.found_by_words(text.split()[0]) == set()
        assert identity in contents(known)
        assert erased not in contents(known)


def test_a_damaged_log_takes_nothing_but_itself(known: Known) -> None:
    host = Host(known.directory)
    host.store("only in the log")
    log = known.directory / f"{DATABASE}-wal"
    kept = log.read_bytes()
    host.end()
    log.write_bytes(kept[:-100] + bytes(100))
    with opened(known) as after:
        salvage(after.app)
    assert contents(known).items() >= known.texts.items()


def test_a_sound_log_is_read_too(known: Known) -> None:
    host = Host(known.directory)
    host.list()
    identity = host.store("only in the log")["id"]
    log, path = known.directory / f"{DATABASE}-wal", known.directory / DATABASE
    kept, database = log.read_bytes(), path.read_bytes()
    assert b"only in the log" not in database
    host.end()
    log.write_bytes(kept)
    data = bytearray(database)
    zeroed_pages(data, random.Random(5))
    path.write_bytes(data)
    with opened(known) as after:
        salvage(after.app)
    assert contents(known)[identity] == "only in the log"


def test_a_disk_that_fills_up_leaves_all_as_it_was(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    from sediment_mcp.errors import DiskFull, StorageError
    from sediment_mcp.storage.sqlite import swap

    damaged = damage(known, zeroed_pages, 1)

    def full(*_: object) -> None:
        raise DiskFull("full")

    for place in ("copy_file", "replace"):
        with monkeypatch.context() as patch, opened(known) as host:
            patch.setattr(swap, place, full)
            with pytest.raises(StorageError):
                salvage(host.app)
        assert (known.directory / DATABASE).read_bytes() == damaged
        assert list((known.directory / "backups").glob("*.tmp*")) == []


# --- the doctor, and running servers ------------------------------------------------------------


def ask_everything(host: Host, known: Known) -> None:
    host.store("a new one")
    host.query("memory3")
    for identity in known.texts:
        host.list(ids=[identity])


@pytest.mark.parametrize("how", [no_rows, no_header, truncated])
def test_a_call_that_meets_the_damage_names_the_remedy_and_the_doctor_mends_it(
    known: Known, how: Callable[[bytearray, random.Random], None]
) -> None:
    damage(known, how, 2)
    with opened(known) as host:
        with pytest.raises(DamagedDatabase, match="`sediment-mcp doctor --fix`"):
            ask_everything(host, known)
        findings = {f.name: f for f in doctor.examine(host.app.config, load_double)}
        broken = findings.get("integrity", findings["database"])
        assert broken.state == "problem"
        assert "doctor --fix" in broken.remedy
        (saved,) = doctor.fix(host.app)
        assert "memories were read" in saved.sentence
        assert ("from the backup made-" in saved.sentence) == (how is not no_header)
        after = list(doctor.examine(host.app.config, load_double))
        assert find_worst_state(after) == "ok", [f for f in after if f.state != "ok"]
        assert any(finding.name == "put aside" for finding in after)
        assert doctor.fix(host.app) == []


def test_a_sound_database_is_not_salvaged(known: Known) -> None:
    with opened(known) as host:
        assert doctor.fix(host.app) == []
        assert list(known.directory.glob("*damaged*")) == []


def test_a_running_server_goes_on_with_the_salvaged_database(known: Known) -> None:
    with opened(known) as server, opened(known) as doctor:
        server.store("before the damage")
        with server.app.storage.write(secure_erase=True):
            pass
        zero(known, rootpage(known, "memories_by_text"))
        salvage(doctor.app)
        identity = server.store("after the salvage")["id"]
        assert doctor.found_by_words("salvage") == {identity}
        assert server.found_by_words("before")
        assert server.list()["total"] == COUNT + 2


def test_a_lost_database_is_told_of_as_long_as_there_is_a_backup(known: Known) -> None:
    (known.directory / DATABASE).unlink()
    with opened(known) as host:
        findings = {f.name: f for f in doctor.examine(host.app.config, load_double)}
    assert findings["backups"].state == "warning"
    assert "restore-backup" in findings["backups"].remedy


@pytest.mark.slow
@pytest.mark.process
def test_two_running_servers_go_on_while_the_command_line_mends_and_goes_back(known: Known) -> None:
    """Real processes: each holds the damaged file open when it is replaced, and each has rows in its tail
    that go beyond the sequence of what it finds afterwards."""
    environment = {"SEDIMENT_MODEL": "none"}

    def command(*words: str) -> Any:
        own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
        done = subprocess.run(
            [*SERVER, "--data-dir", known.directory, "--model", "none", *words, "--json"],
            env={**own, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    with (
        StdioPeer(known.directory, environment=environment) as one,
        StdioPeer(known.directory, environment=environment) as other,
    ):
        for server in (one, other):
            server.initialize()

        def store(server: StdioPeer, text: str) -> str:
            return server.call("store_memory", content=text)["structuredContent"]["id"]

        def found(server: StdioPeer, word: str) -> list[str]:
            answer = server.call("query_memory", query=word, limit=1)["structuredContent"]
            return [found["id"] for found in answer["results"] if word in found["content"]]

        (newest,) = command("backup", "--list")["backups"]
        future = store(one, "zebra of a future")
        assert found(other, "zebra") == [future]
        no_header_beside(known)
        findings = {finding["name"]: finding for finding in command("doctor", "--fix")["findings"]}
        assert "memories were read" in findings["salvage"]["sentence"]
        after = store(other, "yak stored after the salvage")
        assert found(one, "yak") == found(other, "yak") == [after]
        assert found(one, "zebra") == [future]
        told = command("restore-backup", newest["name"], "--yes")
        assert (told["leaving"], told["memories"]) == (42, len(known.backed_up))
        last = store(one, "wombat stored after going back")
        for server in (one, other):
            assert found(server, "wombat") == [last]
            assert found(server, "yak") == found(server, "zebra") == []
    assert len(contents(known)) == COUNT + 3


def no_header_beside(known: Known) -> None:
    with (known.directory / DATABASE).open("r+b") as file:
        file.write(bytes(100))


FIRST_SCHEMA = {
    "number": 1, "id": "a", "seq": 7, "content": "tea", "text_key": compute_content_hash("tea"),
    "kind": "semantic", "tags": "[]", "project": None, "session": None, "importance": 0.5,
    "metadata": "{}", "occurred_at": 10, "created_at": 20,
    "expires_at": None, "superseded_by": None, "deleted_at": 30,
}  # fmt: skip


@pytest.mark.parametrize(
    ("added", "changed_at"),
    [
        ({}, 30),
        ({"restored_at": 40}, 40),
        ({"restored_at": 40, "changed_at": 50}, 50),
        ({"restored_at": None, "changed_at": 50}, 50),
    ],
)
def test_a_row_of_each_schema_is_read_as_it_is_and_an_undated_one_by_what_is_known(
    added: dict[str, Any], changed_at: int
) -> None:
    found = repair_row({**FIRST_SCHEMA, **added})
    assert found is not None
    assert (found.is_sound, found.values["changed_at"]) == (True, changed_at)
    assert set(found.values) == set(MEMORY_COLUMNS)


@pytest.mark.parametrize(
    ("column", "value", "repaired"),
    [
        ("changed_at", 2**62, 40),
        ("kind", "strange", "semantic"),
        ("tags", "no JSON", "[]"),
        ("tags", '["a",1]', '["a"]'),
        ("metadata", "[]", "{}"),
        ("importance", 7.0, 1.0),
        ("importance", float("nan"), 0.5),
        ("session", b"\xff", None),
        ("expires_at", -(2**62), None),
        ("created_at", "no time", 10),
        ("text_key", b"another", compute_content_hash("tea")),
    ],
)
def test_an_impossible_value_is_replaced_and_the_row_is_doubtful(
    column: str, value: object, repaired: object
) -> None:
    found = repair_row({**FIRST_SCHEMA, "restored_at": 40, "changed_at": 50, column: value})
    assert found is not None
    assert (found.is_sound, found.values[column]) == (False, repaired)


@pytest.mark.parametrize(
    ("column", "value"), [("id", None), ("id", ""), ("content", b"tea"), ("content", "")]
)
def test_a_row_without_an_id_or_a_text_is_given_up(column: str, value: object) -> None:
    assert repair_row({**FIRST_SCHEMA, column: value}) is None


def test_kept_pairs_dated_rules_and_synchronization_are_saved(known: Known) -> None:
    folder = known.directory.parent / "folder"
    folder.mkdir()
    identity = generate_identity()
    with opened(known) as host:
        write_settings(host.app, SyncSettings(folder, "laptop", identity))
        set_rule(host.app, Rule("tag", "log", None, 7))
        keep_pair(host.app, "a", "b")
        SyncEngine(host.app).run()
    damage(without_backup(known), zeroed_pages, 11)
    with opened(known) as host:
        salvage(host.app)
        assert read_settings(host.app) == SyncSettings(folder, "laptop", identity)
        assert list_kept_pairs(host.app) == {("a", "b")}
        with host.app.file.read() as session:
            assert [change.name for change in session.retention.changes()] == ["log"]
        report = SyncEngine(host.app).run()  # its log has what was lost
        assert report.new_name is not None
        assert contents(known) == known.texts
        assert not SyncEngine(host.app).run().has_changes
