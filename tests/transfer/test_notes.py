"""Notes and exported Markdown are imported; Markdown is exported for people."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host
from support.transferring import import_place, memories_by_content, state, write_file

from sediment_mcp.domain.chunking import split_text
from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.formats import markdown
from sediment_mcp.transfer.formats.front_matter import FrontMatter, compose_front_matter, split_front_matter
from sediment_mcp.transfer.records import Selection
from sediment_mcp.transfer.source import ReadLimits

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
    import_place(host, write_file(tmp_path, NOTE, "staging.md"))
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
        write_file(vault, f"text of {name}", name)
        os.utime(vault / name, (1767607200, 1767607200))
    (vault / "circle").symlink_to(vault)
    (vault / "link.md").symlink_to(vault / "a.md")
    if hasattr(os, "mkfifo"):
        os.mkfifo(vault / "pipe.md")
    write_file(vault, b"\x00\x01binary", "binary.txt")
    write_file(vault, "", "empty.md")
    write_file(vault, "gr\u00fc\u00dfe".encode("latin-1"), "old.txt")
    write_file(vault, "\ufeffwindows".encode("utf-16-le"), "windows.txt")
    write_file(vault, "---\n[broken: yaml\n---\ntext of broken.md", "broken.md")
    report = import_place(host, vault)
    assert memories_by_content(host).keys() == {
        "text of a.md",
        "text of broken.md",
        "text of deep/er/b.txt",
        "gr\u00fc\u00dfe",
        "windows",
    }
    assert memories_by_content(host)["text of a.md"]["occurred_at"] == "2026-01-05T10:00:00Z"
    skipped = dict(report.skipped)
    assert skipped.keys() - {"pipe.md"} == {"binary.txt", "empty.md", "circle", "link.md"}
    assert "pipe.md" in skipped or not hasattr(os, "mkfifo")
    assert "link" in skipped["circle"]
    notes = dict(report.notes)
    assert notes.keys() == {"broken.md", "old.txt"}
    assert "YAML" in notes["broken.md"]
    assert "Windows-1252" in notes["old.txt"]
    assert (again := import_place(host, vault)).imported == again.updated == 0


def test_a_note_that_was_deleted_here_does_not_come_back(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, "a note", "a.md")
    import_place(host, path)
    host.delete(*state(host))
    assert (report := import_place(host, path)).imported == report.updated == 0
    assert host.list()["memories"] == []


def test_a_text_that_is_known_here_is_not_stored_twice(host: Host, tmp_path: Path) -> None:
    memory_id = host.store("a note")["id"]
    report = import_place(host, write_file(tmp_path, "a note\n", "a.md"), tags=("imported",))
    assert (report.imported, report.updated) == (0, 1)
    assert state(host).keys() == {memory_id}
    assert state(host)[memory_id]["tags"] == {"imported"}


def test_the_same_note_in_two_projects_is_two_memories(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, "a note", "a.md")
    for project in ("/home/ann/shop", "/home/ann/blog"):
        assert import_place(host, path, project=project).imported == 1
    assert {memory["project"] for memory in state(host).values()} == {"/home/ann/shop", "/home/ann/blog"}


def test_references_in_front_matter_are_refused(host: Host, tmp_path: Path) -> None:
    bomb = "---\na: &a [x,x]\nb: &b [*a,*a]\n---\ntext"
    report = import_place(host, write_file(tmp_path, bomb, "bomb.md"))
    assert "YAML" in report.notes[0][1]
    (memory,) = state(host).values()
    assert (memory["content"], memory["metadata"]) == ("text", {"file": "bomb.md", "a": ["x", "x"]})


def test_a_field_without_a_value_that_is_no_yaml_is_empty() -> None:
    assert split_front_matter("---\na\x00:\nb: 1\n---\ntext").fields == {"a\x00": "", "b": 1}


def test_a_long_note_becomes_several_memories_cut_at_its_headings(host: Host, tmp_path: Path) -> None:
    chapter = "words and more words\n" * 3000
    text = "".join(f"# Chapter {number}\n\n{chapter}\n" for number in range(4))
    report = import_place(host, write_file(tmp_path, text, "book.md"))
    assert report.imported == len(memories_by_content(host)) == 4
    assert all(content.startswith("# Chapter") for content in memories_by_content(host))
    assert "4 memories" in report.notes[0][1]


@given(st.text("ab \n#.\u0301", max_size=300), st.integers(2, 40))
def test_parts_put_together_are_the_text(text: str, most: int) -> None:
    cut = list(split_text(text, most))
    assert "".join(cut) == text
    assert all(0 < len(part) <= most for part in cut) or not text


def test_a_file_that_is_too_large_for_a_note_is_skipped(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, "x" * 11, "a.txt")
    for place in (path, tmp_path):
        assert "larger" in import_place(host, place, limits=ReadLimits(max_note_bytes=10)).skipped[0][1]
    assert import_place(host, path, limits=ReadLimits(max_note_bytes=11)).imported == 1


lines = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\x85\u2028\ufeff-: "), max_size=30
)


@settings(max_examples=60)
@given(
    lines,
    st.dictionaries(lines.filter(bool), lines | st.integers() | st.lists(lines, max_size=3), max_size=3),
)
def test_front_matter_is_split_as_it_was_composed(text: str, fields: dict[str, Any]) -> None:
    assert split_front_matter(compose_front_matter(fields, text)) == FrontMatter(fields, text)


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
    result = markdown.write_markdown(host.app, folder, Selection())
    assert (result["memories"], result["files"]) == (5, 5)
    assert all(path.parent == folder and path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    other = open_host(directory=tmp_path / "other")
    assert import_place(other, folder, "sediment").skipped == []
    assert state(other) == state(host)


def test_a_folder_that_holds_something_is_not_written_into(host: Host, tmp_path: Path) -> None:
    write_file(tmp_path, "mine", "note.md")
    with pytest.raises(BadArgument, match="--force"):
        markdown.write_markdown(host.app, tmp_path, Selection())


def test_markdown_by_tag_has_a_file_a_tag_with_what_is_current(
    host: Host, open_host: Any, tmp_path: Path
) -> None:
    host.store("one", tags=["a/b", "A B"])
    old = host.store("two")["id"]
    host.store("three", replaces=[old])
    folder = tmp_path / "out"
    result = markdown.write_markdown(host.app, folder, Selection(), by_tag=True)
    assert result["files"] == len(list(folder.iterdir())) == 3
    text = "".join(path.read_text() for path in folder.iterdir())
    assert text.count("one\n") == 2
    assert "three" in text
    assert "two\n" not in text
    other = open_host(directory=tmp_path / "other")
    assert len(import_place(other, folder).skipped) == 3


@given(st.lists(st.text(), unique=True))
def test_file_names_are_safe_on_every_system_and_distinct(texts: list[str]) -> None:
    names = markdown.make_distinct_names(texts)
    assert len({name.casefold() for name in names.values()}) == len(texts)
    for name in names.values():
        assert re.fullmatch(r"[^\W_][\w-]*", name)
        assert not markdown.RESERVED_NAMES.fullmatch(name)
        assert len(name.encode()) < 200


@pytest.mark.parametrize("text", ["CON", "nul", "com1", "LPT9", "..", "/", "", "a" * 500, "\U00020000" * 99])
def test_a_file_name_that_a_system_reserves_is_changed(text: str) -> None:
    name = markdown.make_file_name(text)
    assert name.lower() not in ("con", "nul", "com1", "lpt9", "..", "")
    assert len(f"{name}-abcdefghjkmn.md".encode()) <= 255


def test_markdown_from_before_changes_were_dated_is_read_and_that_of_a_newer_version_is_not(
    host: Host, tmp_path: Path
) -> None:
    memory_id = host.store("Ann is 40")["id"]
    before = state(host)
    folder = tmp_path / "notes"
    markdown.write_markdown(host.app, folder, Selection())
    (path,) = folder.iterdir()
    text = path.read_text()
    host.delete(memory_id, permanent=True)
    path.write_text(re.sub(r"changed_at: .*\n", "", text).replace("format: 2", "format: 1"))
    assert import_place(host, folder, "sediment").imported == 1
    assert state(host) == before
    path.write_text(text.replace("format: 2", "format: 3"))
    assert "update sediment-mcp" in import_place(host, folder, "sediment").skipped[0][1]


@pytest.mark.parametrize(
    "block", ["tags:\n  - ops\n - db", "tags:\n- ops\n  - db", "tags:\n\t- ops\n\t- 'db'"]
)
def test_items_of_a_list_may_be_indented_in_any_way(host: Host, tmp_path: Path, block: str) -> None:
    report = import_place(host, write_file(tmp_path, f"---\n{block}\n---\nThe host is gromit.\n", "a.md"))
    assert (report.imported, report.skipped) == (1, [])


@pytest.mark.parametrize(
    ("written", "day"), [("12:30", None), ("5", None), ("2024", "2024-01-01"), ("20240508", "2024-05-08")]
)
def test_a_small_number_is_a_year_or_no_time(
    host: Host, tmp_path: Path, written: str, day: str | None
) -> None:
    report = import_place(host, write_file(tmp_path, f"---\ndate: {written}\n---\nIt rained.\n", "a.md"))
    (memory,) = state(host).values()
    if day is None:
        assert "date" in memory["metadata"]
        assert "is no date" in report.notes[0][1]
        assert memory["occurred_at"][:4] != "1970"
    else:
        assert memory["occurred_at"][:10] == day
