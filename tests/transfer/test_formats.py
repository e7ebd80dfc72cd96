"""What other programs and people keep comes in, as much of it as a memory holds, and says what does not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host
from support.transferring import export, state

from sediment_mcp.domain.chunking import parts
from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer import encryption
from sediment_mcp.transfer.exporter import Selection
from sediment_mcp.transfer.formats import front_matter, markdown, notes
from sediment_mcp.transfer.importer import Report, take_in
from sediment_mcp.transfer.opening import open_place
from sediment_mcp.transfer.prepare import Choices


def never() -> str:
    raise AssertionError("nothing here is encrypted")


def bring(host: Host, place: Path, format_name: str | None = None, **choices: Any) -> Report:
    report = Report()
    opened = open_place(place, format_name, never)
    take_in(host.library, opened.items, Choices(**choices), report, where=opened.where)
    done, total = opened.where()
    assert done == total
    return report


def written(folder: Path, content: bytes | str, name: str = "given.json") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def memories(host: Host) -> dict[str, dict[str, Any]]:
    """By text."""
    return {memory["content"]: memory for memory in state(host).values()}


# --- server-memory ------------------------------------------------------------------------------

GRAPH = [
    {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["likes tea", "Ann is 40"]},
    {"type": "entity", "name": "Kyoto", "entityType": "city", "observations": []},
    {"type": "relation", "from": "Ann", "to": "Kyoto", "relationType": "lives_in"},
]


def test_each_observation_of_a_knowledge_graph_is_a_memory_that_names_its_entity(
    host: Host, tmp_path: Path
) -> None:
    path = written(tmp_path, "\n".join(map(json.dumps, GRAPH)), "memory.jsonl")
    assert bring(host, path).imported == 4
    found = memories(host)
    assert found.keys() == {"Ann: likes tea", "Ann is 40", "Kyoto is of type city.", "Ann lives in Kyoto."}
    assert found["Ann: likes tea"]["tags"] == {"person"}
    assert found["Ann: likes tea"]["metadata"] == {"source": "server-memory", "entity": "Ann"}
    assert found["Ann lives in Kyoto."]["metadata"]["relation"] == "lives_in"
    assert bring(host, path).known == 4


def test_the_answer_of_read_graph_is_read_too(host: Host, tmp_path: Path) -> None:
    graph = {"entities": GRAPH[:2], "relations": GRAPH[2:]}
    assert bring(host, written(tmp_path, json.dumps(graph, indent=2))).imported == 4


def test_half_a_line_of_a_knowledge_graph_is_told_and_the_rest_is_read(host: Host, tmp_path: Path) -> None:
    text = "\n".join(
        [
            json.dumps(GRAPH[0]),
            '{"type":"entity","name":"Be',
            '{"type":"entity"}',
            '{"type":"relation","from":"a"}',
        ]
    )
    report = bring(host, written(tmp_path, text))
    assert report.imported == 2
    assert [place for place, _ in report.skipped] == ["line 2", "line 3", "line 4"]


# --- mcp-memory-service -------------------------------------------------------------------------


def service(**memory: Any) -> str:
    whole = {
        "content": "Deploys happen on Friday.", "content_hash": "abc", "tags": ["ci", "deploy"],
        "created_at": 1767607200.5, "updated_at": 1767607300.0, "memory_type": "decision",
        "metadata": {"author": "ann"}, "store": "default", "export_source": "laptop", **memory,
    }  # fmt: skip
    return json.dumps({"export_metadata": {"exporter_version": "5.0.1"}, "memories": [whole]}, indent=2)


def test_an_export_of_mcp_memory_service_keeps_texts_tags_times_and_metadata(
    host: Host, tmp_path: Path
) -> None:
    path = written(tmp_path, service())
    assert bring(host, path).imported == 1
    (memory,) = state(host).values()
    assert memory["content"] == "Deploys happen on Friday."
    assert memory["tags"] == {"ci", "deploy", "decision"}
    assert memory["occurred_at"] == "2026-01-05T10:00:00.500000Z"
    assert memory["kind"] == "semantic"
    assert memory["metadata"] == {
        "author": "ann", "source": "mcp-memory-service", "store": "default", "machine": "laptop",
    }  # fmt: skip
    assert bring(host, path).known == 1


def test_its_types_become_kinds_where_there_is_one(host: Host, tmp_path: Path) -> None:
    bring(host, written(tmp_path, service(memory_type="event", tags="a, b,")))
    (memory,) = state(host).values()
    assert (memory["kind"], memory["tags"]) == ("episodic", {"a", "b"})


# --- mem0 ---------------------------------------------------------------------------------------

MEM0 = {
    "id": "5d2e", "memory": "Prefers window seats", "hash": "x", "metadata": {"category": "travel"},
    "created_at": "2026-01-05T02:00:00-08:00", "updated_at": None, "user_id": "ann", "run_id": "trip",
    "categories": ["travel", "seats"],
}  # fmt: skip


@pytest.mark.parametrize(
    "shape", [{"results": [MEM0]}, {"memories": [MEM0]}, [MEM0], {"data": {"results": [MEM0]}}]
)
def test_mem0_s_memories_come_in_in_any_of_its_shapes(host: Host, tmp_path: Path, shape: Any) -> None:
    assert bring(host, written(tmp_path, json.dumps(shape))).imported == 1
    (memory,) = state(host).values()
    assert memory["content"] == "Prefers window seats"
    assert memory["session"] == "trip"
    assert memory["tags"] == {"travel", "seats"}
    assert memory["occurred_at"] == "2026-01-05T10:00:00Z"
    assert memory["metadata"] == {"category": "travel", "user_id": "ann", "source": "mem0"}


def test_mem0_s_expired_ones_are_told_and_left_out(host: Host, tmp_path: Path) -> None:
    ends = [
        {**MEM0, "expiration_date": "2026-01-06"},
        {**MEM0, "memory": "later", "expiration_date": "2026-12-31"},
    ]
    report = bring(host, written(tmp_path, json.dumps(ends)))
    assert (report.imported, [place for place, _ in report.skipped]) == (1, ["memory 1"])
    assert memories(host)["later"]["expires_at"] == "2027-01-01T00:00:00Z"


@pytest.mark.parametrize("content", ["{}", "[]", '{"a": 1}', '[{"b": 2}]', "{" * 50_000])
def test_json_of_an_unknown_shape_is_refused_with_the_formats_that_there_are(
    host: Host, tmp_path: Path, content: str
) -> None:
    with pytest.raises(BadArgument, match="--format"):
        bring(host, written(tmp_path, content))


def test_a_format_that_is_named_is_believed_and_one_that_does_not_exist_refused(
    host: Host, tmp_path: Path
) -> None:
    path = written(tmp_path, '{"a": 1}')
    assert bring(host, path, "text").imported == 1
    with pytest.raises(BadArgument, match="server-memory"):
        bring(host, path, "word")


# --- notes --------------------------------------------------------------------------------------

NOTE = """---
title: Staging
aliases: [stage, pre-prod]
tags: [ops, "#db"]
created: 2026-01-05
status: {2026-01-05: open}
---
The host is called gromit.
"""


def test_a_note_s_front_matter_is_respected(host: Host, tmp_path: Path) -> None:
    bring(host, written(tmp_path, NOTE, "staging.md"))
    (memory,) = state(host).values()
    assert memory["content"] == "# Staging\n\nAlso called: stage, pre-prod.\n\nThe host is called gromit.\n"
    assert memory["tags"] == {"ops", "db"}
    assert memory["occurred_at"] == "2026-01-05T12:00:00Z"
    assert memory["metadata"] == {
        "file": "staging.md", "title": "Staging", "aliases": ["stage", "pre-prod"],
        "status": "{datetime.date(2026, 1, 5): 'open'}",
    }  # fmt: skip


def test_a_folder_of_notes_comes_in_by_its_files(host: Host, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    for name in ("a.md", "deep/er/b.txt", ".hidden/c.md", ".d.md", "picture.png"):
        (vault / name).parent.mkdir(parents=True, exist_ok=True)
        written(vault, f"text of {name}", name)
        os.utime(vault / name, (1767607200, 1767607200))
    (vault / "circle").symlink_to(vault)
    (vault / "link.md").symlink_to(vault / "a.md")
    if hasattr(os, "mkfifo"):
        os.mkfifo(vault / "pipe.md")
    written(vault, b"\x00\x01binary", "binary.txt")
    written(vault, "", "empty.md")
    written(vault, "gr\u00fc\u00dfe".encode("latin-1"), "old.txt")
    written(vault, "\ufeffwindows".encode("utf-16-le"), "windows.txt")
    written(vault, "---\n[broken: yaml\n---\ntext", "broken.md")
    report = bring(host, vault)
    assert memories(host).keys() == {"text of a.md", "text of deep/er/b.txt", "gr\u00fc\u00dfe", "windows"}
    assert memories(host)["text of a.md"]["occurred_at"] == "2026-01-05T10:00:00Z"
    skipped = dict(report.skipped)
    assert skipped.keys() - {"pipe.md"} == {"binary.txt", "empty.md", "broken.md", "circle", "link.md"}
    assert "pipe.md" in skipped or not hasattr(os, "mkfifo")
    assert "link" in skipped["circle"]
    assert "YAML" in skipped["broken.md"]
    ((place, note),) = report.notes
    assert (place, "Windows-1252" in note) == ("old.txt", True)
    assert (again := bring(host, vault)).imported == again.updated == 0


def test_a_note_that_was_deleted_here_does_not_come_back(host: Host, tmp_path: Path) -> None:
    path = written(tmp_path, "a note", "a.md")
    bring(host, path)
    host.delete(*state(host))
    assert (report := bring(host, path)).imported == report.updated == 0
    assert host.list()["memories"] == []


def test_a_text_that_is_known_here_is_not_stored_twice(host: Host, tmp_path: Path) -> None:
    identity = host.store("a note")["id"]
    report = bring(host, written(tmp_path, "a note\n", "a.md"), tags=("imported",))
    assert (report.imported, report.updated) == (0, 1)
    assert state(host).keys() == {identity}
    assert state(host)[identity]["tags"] == {"imported"}


def test_the_same_note_in_two_projects_is_two_memories(host: Host, tmp_path: Path) -> None:
    path = written(tmp_path, "a note", "a.md")
    for project in ("/home/ann/shop", "/home/ann/blog"):
        assert bring(host, path, project=project).imported == 1
    assert {memory["project"] for memory in state(host).values()} == {"/home/ann/shop", "/home/ann/blog"}


def test_references_in_front_matter_are_refused(host: Host, tmp_path: Path) -> None:
    bomb = "---\na: &a [x,x]\nb: &b [*a,*a]\n---\ntext"
    assert "YAML" in bring(host, written(tmp_path, bomb, "bomb.md")).skipped[0][1]


def test_a_long_note_becomes_several_memories_cut_at_its_headings(host: Host, tmp_path: Path) -> None:
    chapter = "words and more words\n" * 3000
    text = "".join(f"# Chapter {number}\n\n{chapter}\n" for number in range(4))
    report = bring(host, written(tmp_path, text, "book.md"))
    assert report.imported == len(memories(host)) == 4
    assert all(content.startswith("# Chapter") for content in memories(host))
    assert "4 memories" in report.notes[0][1]


@given(st.text("ab \n#.\u0301", max_size=300), st.integers(2, 40))
def test_parts_put_together_are_the_text(text: str, most: int) -> None:
    cut = list(parts(text, most))
    assert "".join(cut) == text
    assert all(0 < len(part) <= most for part in cut) or not text


def test_too_many_tags_and_too_much_metadata_are_trimmed_with_a_word(host: Host, tmp_path: Path) -> None:
    note = {"content": "x", "content_hash": "y", "tags": [f"tag {n}" for n in range(25)] + ["z" * 100]}
    note["metadata"] = {"small": 1, "large": "l" * 5000, "odd": "half \ud83d"}
    report = bring(host, written(tmp_path, json.dumps([note])))
    (memory,) = state(host).values()
    assert len(memory["tags"]) == 20
    assert memory["metadata"] == {"small": 1, "odd": "half \ufffd", "source": "mcp-memory-service"}
    told = " ".join(sentence for _, sentence in report.notes)
    assert "6 tags" in told
    assert "large" in told


def test_a_note_that_is_too_large_is_none(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MAX_NOTE", 10)
    assert "larger" in bring(host, written(tmp_path, "x" * 11, "a.txt")).skipped[0][1]


lines = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\x85\u2028\ufeff-: "), max_size=30
)


@settings(max_examples=60)
@given(
    lines,
    st.dictionaries(lines.filter(bool), lines | st.integers() | st.lists(lines, max_size=3), max_size=3),
)
def test_front_matter_survives_the_way(text: str, fields: dict[str, Any]) -> None:
    assert front_matter.divide(front_matter.compose(fields, text)) == (fields, text)


# --- Markdown -----------------------------------------------------------------------------------


def test_an_export_as_markdown_comes_back_as_the_same_memories(
    host: Host, open_host: Any, tmp_path: Path
) -> None:
    old = host.store("the port\r\nis 5432", tags=["db", "yes"], metadata={"a": [1, None, "\x07"]})["id"]
    host.store("---\nno front matter\n---\n", replaces=[old], session="s", importance=0.25)
    host.store("../../etc/passwd: a path")
    host.store("\n\nlines around\n\n")
    host.delete(host.store("CON")["id"])
    folder = tmp_path / "out"
    result = markdown.write_memories(host.library, folder, Selection())
    assert (result["memories"], result["files"]) == (5, 5)
    assert all(path.parent == folder and path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    other = open_host(directory=tmp_path / "other")
    assert bring(other, folder).skipped == []
    assert state(other) == state(host)


def test_a_folder_that_holds_something_is_not_written_into(host: Host, tmp_path: Path) -> None:
    written(tmp_path, "mine", "note.md")
    with pytest.raises(BadArgument, match="--force"):
        markdown.write_memories(host.library, tmp_path, Selection())


def test_markdown_by_tag_has_a_file_a_tag_with_what_is_current(
    host: Host, open_host: Any, tmp_path: Path
) -> None:
    host.store("one", tags=["a/b", "A B"])
    old = host.store("two")["id"]
    host.store("three", replaces=[old])
    folder = tmp_path / "out"
    result = markdown.write_by_tag(host.library, folder, Selection())
    assert result["files"] == len(list(folder.iterdir())) == 3
    text = "".join(path.read_text() for path in folder.iterdir())
    assert text.count("one\n") == 2
    assert "three" in text
    assert "two\n" not in text
    other = open_host(directory=tmp_path / "other")
    assert len(bring(other, folder).skipped) == 3


@given(st.lists(st.text(), unique=True))
def test_file_names_are_safe_on_every_system_and_distinct(texts: list[str]) -> None:
    names = markdown.distinct_names(texts)
    assert len({name.casefold() for name in names.values()}) == len(texts)
    for name in names.values():
        assert re.fullmatch(r"[^\W_][\w-]*", name)
        assert not markdown.RESERVED.fullmatch(name)
        assert len(name.encode()) < 200


@pytest.mark.parametrize("text", ["CON", "nul", "com1", "LPT9", "..", "/", "", "a" * 500, "\U00020000" * 99])
def test_a_name_that_a_system_keeps_for_itself_is_changed(text: str) -> None:
    name = markdown.safe_name(text)
    assert name.lower() not in ("con", "nul", "com1", "lpt9", "..", "")
    assert len(f"{name}-abcdefghjkmn.md".encode()) <= 255


# --- encryption ---------------------------------------------------------------------------------


def test_what_is_sealed_opens_with_its_passphrase_alone(host: Host, open_host: Any, tmp_path: Path) -> None:
    host.store("the port is 5432")
    data = export(host)
    sealed = encryption.seal(data, "open sesame")
    assert encryption.is_sealed(sealed)
    assert b"5432" not in sealed
    path = written(tmp_path, sealed, "export.age")
    other = open_host(directory=tmp_path / "other")
    opened = open_place(path, None, lambda: "open sesame")
    take_in(other.library, opened.items, Choices(), Report())
    assert state(other) == state(host)
    with pytest.raises(BadArgument, match="passphrase is wrong, or the file is damaged"):
        encryption.unseal(sealed, "sesame", "export.age")


def test_a_file_that_is_encrypted_for_a_key_is_told_apart() -> None:
    pyrage: Any = pytest.importorskip("pyrage")
    data = pyrage.encrypt(b"x", [pyrage.x25519.Identity.generate().to_public()])
    with pytest.raises(BadArgument, match="for a key"):
        encryption.unseal(data, "any", "file")


def test_what_another_program_gives_out_again_adds_and_takes_nothing_away(host: Host, tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(map(json.dumps, GRAPH)), "memory.jsonl")
    bring(host, path)
    dated = {memory["changed_at"] for memory in state(host).values()}
    assert dated == {memory["created_at"] for memory in state(host).values()}
    before = state(host)
    host.clock.advance(days=1)
    assert (bring(host, path).known, state(host)) == (4, before)
    host.store("Ann is 40", tags=["mine"], importance=0.9)
    graph = json.dumps(GRAPH[0] | {"entityType": "friend"})
    host.clock.advance(days=1)
    assert bring(host, written(tmp_path, graph, "memory.jsonl")).updated == 2
    found = memories(host)["Ann is 40"]
    assert (found["tags"], found["importance"]) == ({"person", "mine", "friend"}, 0.9)
    assert found["changed_at"][:10] == "2026-05-10"


def test_markdown_from_before_changes_were_dated_is_read_and_that_of_a_newer_version_is_not(
    host: Host, tmp_path: Path
) -> None:
    identity = host.store("Ann is 40")["id"]
    before = state(host)
    folder = tmp_path / "notes"
    markdown.write_memories(host.library, folder, Selection())
    (path,) = folder.iterdir()
    text = path.read_text()
    host.delete(identity, permanent=True)
    path.write_text(re.sub(r"changed_at: .*\n", "", text).replace("format: 2", "format: 1"))
    assert bring(host, folder).imported == 1
    assert state(host) == before
    path.write_text(text.replace("format: 2", "format: 3"))
    assert "update sediment-mcp" in bring(host, folder).skipped[0][1]
