"""An export is imported again: whole, once, and whatever is in its way."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import backends
from support.embedding_double import EmbeddingDouble
from support.host import Clock, Host
from support.transferring import export, import_export, state

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.retention import Rule
from sediment_mcp.errors import BadArgument, NoProject
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.store_memory import new_memory
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.transfer.formats import sediment_jsonl
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import COMMIT_EVERY, import_memories
from sediment_mcp.transfer.normalize import normalize_memory
from sediment_mcp.transfer.prepare import ImportOptions, derive_id
from sediment_mcp.transfer.records import Selection
from sediment_mcp.transfer.source import ReadLimits, wrap_bytes

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other(tmp_path: Path, clock: Clock, open_host: OpenHost) -> Host:
    return open_host(directory=tmp_path / "other")


def filled(host: Host) -> Host:
    """A store that has a bit of everything."""
    old = host.store("the port is 5432", tags=["db", "port"], metadata={"a": [1, None]})["id"]
    host.clock.advance(minutes=1)
    host.store("the port is 5433", replaces=[old], importance=0.9, session="s")
    host.store("we met on Monday", kind="episodic", occurred_at="2026-01-05T10:00:00+02:00")
    host.store("remember the milk", kind="working")
    gone = host.store("a mistake")["id"]
    host.delete(gone)
    host.store("long " * 2000)
    with host.app.storage.write() as session:
        session.retention.set_rule(Rule("tag", "db", None, 7))
    return host


# --- round trip ---------------------------------------------------------------------------------


def test_an_export_holds_everything_and_an_import_brings_it_back(host: Host, other: Host) -> None:
    data = export(filled(host))
    report = import_export(other, data)
    assert (report.imported, report.updated, report.known, report.skipped) == (6, 0, 0, [])
    assert state(other) == state(host)
    assert export(other) == data


def test_an_import_done_twice_changes_nothing(host: Host, other: Host) -> None:
    data = export(filled(host))
    import_export(other, data)
    with other.app.storage.read() as session:
        before = session.changes.seq()
    report = import_export(other, data)
    assert (report.imported, report.updated, report.known) == (0, 0, 6)
    with other.app.storage.read() as session:
        assert session.changes.seq() == before


def test_imported_memories_are_found_by_words_at_once_and_by_meaning_once_embedded(
    host: Host, other: Host
) -> None:
    memory_id = host.store("the port is 5432")["id"]
    import_export(other, export(host))
    assert other.found_by_words("port") == {memory_id}
    other.app.catch_up()
    assert other.found_by_meaning("the port is 5432") == {memory_id}


def test_embeddings_of_the_same_model_are_taken_over(host: Host, open_host: OpenHost, tmp_path: Path) -> None:
    filled(host).run_jobs()
    data = export(host, embeddings=True)
    model = EmbeddingDouble()
    other = open_host(directory=tmp_path / "other", model=model)
    import_export(other, data)
    other.run_jobs()
    assert model.documents == 0
    assert other.found_by_meaning("the port is 5433") == host.found_by_meaning("the port is 5433") != set()
    assert export(other, embeddings=True) == data


def test_embeddings_of_another_model_or_damaged_ones_are_made_anew(
    host: Host, open_host: OpenHost, tmp_path: Path
) -> None:
    host.store("the port is 5432")
    data = export(host, embeddings=True)
    line = json.loads(data.splitlines()[1])
    (fingerprint, packed), (of_tokens, tokens) = line["vectors"].items()
    for number, vectors in enumerate(
        [
            {"another": packed}, {fingerprint: "AAAA"}, {fingerprint: "//8" + packed[3:]}, {fingerprint: "é"},
            {fingerprint: packed}, {fingerprint: packed, of_tokens: tokens[:-4]},
            {fingerprint: packed, of_tokens: f"{tokens} {tokens}"}, {fingerprint: packed, of_tokens: "é"},
        ]
    ):  # fmt: skip
        model = EmbeddingDouble()
        other = open_host(directory=tmp_path / f"{number}", model=model)
        assert import_export(other, json.dumps({**line, "vectors": vectors}).encode()).imported == 1
        other.run_jobs()
        assert model.documents == 1
        assert other.found_by_meaning("the port is 5432") == {line["id"]}
        with other.app.storage.read() as session:
            key = session.token_vectors.model_key(model.token_identity.fingerprint)
            kept = session.token_vectors.get(key, [1])
        assert kept == {1: base64.b64decode(tokens)}


def test_embeddings_of_other_passages_than_the_text_has_here_are_made_anew(host: Host, other: Host) -> None:
    host.store("the port is 5432")
    whole = json.loads(export(host, embeddings=True).splitlines()[1])
    model = other.app.model.get()
    assert isinstance(model, EmbeddingDouble)
    import_export(other, json.dumps({**whole, "passages": [[0, 3]]}).encode())
    other.run_jobs()
    assert model.documents == 1


def test_an_import_leaves_duplicates_alone_that_it_does_not_bring(host: Host) -> None:
    first = host.store("tea is at four")["id"]
    host.delete(first)
    host.store("tea is at four")
    restore_memories(host.app, [first])
    before = state(host)
    assert import_export(host, line()).merged == 0
    assert {memory_id: memory for memory_id, memory in state(host).items() if memory_id != "abc"} == before


texts = st.text(min_size=1, max_size=60).filter(
    lambda text: bool(text.strip()) and not any("\ud800" <= sign <= "\udfff" for sign in text)
)
names = texts.filter(lambda text: text != "").map(lambda text: text[:40])
jsons = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"content": texts},
            optional={
                "kind": st.sampled_from(["semantic", "episodic", "procedural", "working"]),
                "tags": st.lists(names, max_size=4),
                "session": names,
                "importance": st.floats(0, 1),
                "metadata": st.dictionaries(names, jsons, max_size=3),
                "occurred_at": st.datetimes().map(lambda time: time.isoformat()),
            },
        ),
        max_size=5,
    )
)
def test_any_memory_survives_export_and_import(memories: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hosts = [Host(Path(folder) / name, model=None) for name in "ab"]
        try:
            for memory in memories:
                hosts[0].store(**memory)
            data = export(hosts[0])
            assert import_export(hosts[1], data).skipped == []
            assert export(hosts[1]) == data
        finally:
            for host in hosts:
                host.end()


# --- what is exported ---------------------------------------------------------------------------


def ids(data: bytes) -> list[str]:
    return [line["content"] for line in map(json.loads, data.splitlines()) if line.get("type") == "memory"]


def test_a_filter_a_missing_history_and_a_missing_trash_export_less(host: Host) -> None:
    filled(host)
    db = Filters(tags=("db",), include_superseded=True)
    assert ids(export(host, Selection(db))) == ["the port is 5432"]
    assert ids(export(host, Selection(Filters(kind="episodic", include_superseded=True)))) == [
        "we met on Monday"
    ]
    no_history = ids(export(host, Selection(Filters())))
    assert "the port is 5432" not in no_history
    assert "a mistake" in no_history
    assert "a mistake" not in ids(export(host, Selection(include_deleted=False)))
    assert b"retention" not in export(host, Selection(db))


def test_the_expired_are_exported_too(host: Host) -> None:
    host.store("remember the milk", kind="working")
    host.clock.advance(days=2)
    assert ids(export(host)) == ["remember the milk"]


def test_an_export_is_of_one_moment(host: Host, open_host: OpenHost) -> None:
    for number in range(5):
        host.store(f"fact {number}")
    second = open_host()

    def disturb(done: int, total: int) -> None:
        second.store(f"stored meanwhile {done}")

    assert len(ids(export(host, progress=disturb))) == 5
    assert len(ids(export(host))) == 6


# --- what is imported ---------------------------------------------------------------------------


def line(**fields: Any) -> bytes:
    whole = {"id": "abc", "content": "a fact", "created_at": "2026-01-01T00:00:00Z", **fields}
    return (json.dumps({"type": "memory", **whole}) + "\n").encode()


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (b"{not json\n", "JSON"),
        (b"[1]\n", "object"),
        (b'"\xff"\n', "JSON"),
        (line(id=None), "id"),
        (line(id="../../etc"), "id"),
        (line(content="  "), "content"),
        (line(content="x" * 100_001), "content"),
        (line(content="half \ud83d a pair"), "surrogate"),
        (line(created_at="yesterday"), "created_at"),
        (line(kind="rumour"), "kind"),
        (line(tags=["x" * 65]), "tags"),
        (line(metadata={"x": "y" * 5000}), "metadata"),
        (line(colour="red"), "colour"),
        (b'{"type":"retention","subject":"moon","name":"x","max_age":1}\n', "retention"),
        (b"[" * 100_000 + b"\n", "JSON"),
    ],
)
def test_a_bad_line_is_reported_with_its_number_and_the_rest_is_imported(
    host: Host, bad: bytes, word: str
) -> None:
    report = import_export(host, line(id="first") + bad + line(id="last", content="another fact"))
    assert report.imported == 2
    ((place, reason),) = report.skipped
    assert place == "line 2"
    assert word in reason


def test_a_line_that_is_too_long_is_skipped_and_the_next_is_read(host: Host) -> None:
    data = line(content="x" * 300) + line(id="last")
    report = import_export(host, data, limits=ReadLimits(max_line_chars=200))
    assert (report.imported, [place for place, _ in report.skipped]) == (1, ["line 1"])


def test_a_text_that_was_edited_under_its_id_is_not_taken(host: Host) -> None:
    import_export(host, line())
    report = import_export(host, line(content="another fact"))
    assert (report.imported, report.updated, len(report.skipped)) == (0, 0, 1)
    assert state(host)["abc"]["content"] == "a fact"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_an_export_that_a_shell_has_recoded_is_read(host: Host, other: Host, encoding: str) -> None:
    host.store("grüße aus Köln 🎉")
    mark = "\ufeff" if encoding.endswith("-le") else ""
    import_export(other, (mark + export(host).decode()).encode(encoding))
    assert state(other) == state(host)


def test_a_newer_export_is_refused_as_a_whole(host: Host) -> None:
    with pytest.raises(BadArgument, match="update sediment-mcp"):
        import_export(host, b'{"format":"sediment-mcp export","version":3}\n' + line())
    assert state(host) == {}


def test_a_dry_run_changes_nothing_and_counts_what_would_be(host: Host, other: Host) -> None:
    data = export(filled(host))
    other.store("the port is 5433")
    before = state(other)
    report = import_export(other, data + line() + line(), dry_run=True)
    assert (report.imported, report.known, len(report.rules)) == (7, 1, 1)
    assert state(other) == before
    with other.app.storage.read() as session:
        assert session.retention.rules() == []


def test_scope_and_tags_are_given_to_all(host: Host) -> None:
    import_export(host, line(project="/home/ann/shop", tags=["a"]), scope="global", tags=("b",))
    assert (state(host)["abc"]["project"], state(host)["abc"]["tags"]) == (None, {"a", "b"})
    import_export(host, line(id="def", content="other"), scope="project", project="/home/ben/shop")
    assert state(host)["def"]["project"] == "/home/ben/shop"
    with pytest.raises(NoProject):
        import_export(host, line(id="ghi"), scope="project")


def test_a_tag_for_everything_is_given_to_what_was_changed_here_since(host: Host) -> None:
    import_export(host, line(tags=["a"]))
    host.clock.advance(days=1)
    host.store("a fact", tags=["mine"])
    host.clock.advance(days=1)
    assert import_export(host, line(tags=["a"]), tags=("b",)).updated == 1
    before = state(host)
    assert (before["abc"]["tags"], before["abc"]["changed_at"][:10]) == ({"a", "mine", "b"}, "2026-05-10")
    assert import_export(host, line(tags=["a"]), tags=("b",)).updated == 0
    assert state(host) == before


def test_a_rule_of_retention_that_the_user_has_set_here_stays(host: Host, other: Host) -> None:
    data = export(filled(host))
    with other.app.storage.write() as session:
        session.retention.set_rule(Rule("tag", "db", None, 1))
    assert import_export(other, data).rules == []
    with other.app.storage.read() as session:
        assert session.retention.rules() == [Rule("tag", "db", None, 1)]


def test_a_secret_is_told_of_and_refused_where_secrets_are(
    host: Host, open_host: OpenHost, tmp_path: Path
) -> None:
    from dataclasses import replace

    secret = line(content="the key is AKIA" + "IOSFODNN7Q3MPLQX")
    report = import_export(host, secret)
    assert report.imported == 1
    assert "AWS" in report.notes[0][1]
    strict = open_host(directory=tmp_path / "strict")
    strict.app.config = replace(strict.app.config, secrets="refuse")
    report = import_export(strict, secret + line(id="last"))
    assert (report.imported, [place for place, _ in report.skipped]) == (1, ["line 1"])


# --- interruption -------------------------------------------------------------------------------


NESTED, FLAT = "server:\n  tls: on\n  port: 1", "server:\n  tls: on\nport: 1"


def import_texts(host: Host, *texts: str) -> ImportReport:
    report = ImportReport()
    items = (item for text in texts for item in normalize_memory("here", text))
    import_memories(host.app, items, ImportOptions(), report)
    return report


def test_texts_that_differ_in_white_space_are_imported_as_two_and_known_again(host: Host) -> None:
    assert import_texts(host, NESTED, FLAT).imported == 2
    assert import_texts(host, FLAT, NESTED).known == 2
    assert {memory["content"] for memory in state(host).values()} == {NESTED, FLAT}


@pytest.mark.parametrize("fate", ["kept", "deleted", "replaced"])
def test_what_an_earlier_version_has_imported_is_known(host: Host, fate: str) -> None:
    memory = new_memory(parse_arguments(StoreMemory, {"content": NESTED}), None, host.clock())
    former_id = derive_id(memory, None, memory.content_hash)
    assert former_id == "g787zfb656wf"
    with host.app.storage.write() as session:
        session.add(replace(memory, id=former_id))
    if fate == "deleted":
        host.delete(former_id)
    elif fate == "replaced":
        host.store("TLS is off", replaces=[former_id])
    report = import_texts(host, NESTED, FLAT)
    assert (report.known, report.imported) == (1, 1)
    assert import_texts(host, NESTED, FLAT).known == 2


def test_two_machines_keep_texts_apart_that_differ_in_white_space(host: Host, other: Host) -> None:
    host.store(NESTED)
    other.store(FLAT)
    assert import_export(host, export(other)).merged == 0
    assert {memory["content"] for memory in host.list()["memories"]} == {NESTED, FLAT}


def test_an_interrupted_import_continues_where_it_stopped(host: Host, other: Host) -> None:
    data = export(filled(host))

    class Interrupted(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        if len(state(other)) == 3:
            raise Interrupted

    report = ImportReport()
    items = sediment_jsonl.read(wrap_bytes(data, "x"))
    with pytest.raises(Interrupted):
        import_memories(
            other.app,
            items,
            ImportOptions(trusted=True, rules=True),
            report,
            progress=interrupt,
            commit_every=2,
        )
    assert report.imported == len(state(other)) == 3
    other.crash()
    again = import_export(other, data)
    assert (again.imported, again.known) == (3, 3)
    assert state(other) == state(host)


@pytest.mark.slow
@pytest.mark.process
def test_an_import_that_was_killed_ends_the_same_when_it_is_run_again(
    tmp_path: Path, host: Host, other: Host
) -> None:
    total = 1500
    source = tmp_path / "many.jsonl"
    source.write_bytes(b"".join(line(id=f"n{n}", content=f"fact {n}") for n in range(total)))
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
    environment = {**own, "PYTHONPATH": str(ROOT), "SEDIMENT_MODEL": "none"}
    environment |= backends.environment(other.directory)
    command = [
        sys.executable,
        "-m",
        "sediment_mcp",
        "--data-dir",
        str(other.directory),
        "import",
        str(source),
    ]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not state(other):
        pass
    process.kill()
    process.communicate()
    stopped_at = len(state(other))
    assert stopped_at % COMMIT_EVERY == 0
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert f"{total - stopped_at:,} memor" in finished.stdout
    import_export(host, source.read_bytes())
    assert state(other) == state(host)
