# ruff: noqa: E501, RUF001 - texts of many scripts
"""Files as people really have them: lists, broken JSON, broken front matter; nothing is lost silently."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.host import Host
from support.transferring import import_place, memories_by_content, state, write_file

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.json_text import Fragment, ParsedJson, parse_json, split_values


def imported(host: Host, folder: Path, content: bytes | str, name: str) -> tuple[list[str], ImportReport]:
    """Import a file; return the texts in the order of the file, and the report."""
    report = import_place(host, write_file(folder, content, name))
    return [memory["content"] for memory in state(host).values()], report


# --- lists that assistants hand out -------------------------------------------------------------

DATED = "[2025-04-01] - User lives in Oslo.\n[2025-04-02] - User has a dog.\n"
ANSWER = """Here is what I know:

```
## Instructions
[unknown] - Always answers in German.
- [2025-04-02] - Has a dog.
  It is called Rex.
```
"""


@pytest.mark.parametrize("name", ["memories.txt", "memories.md", "memories"])
def test_a_list_with_a_date_a_line_becomes_a_memory_a_line_of_that_date(
    host: Host, tmp_path: Path, name: str
) -> None:
    assert import_place(host, write_file(tmp_path, DATED, name)).imported == 2
    found = memories_by_content(host)
    assert found["User lives in Oslo."]["occurred_at"][:10] == "2025-04-01"
    assert found["User has a dog."]["occurred_at"][:10] == "2025-04-02"
    assert import_place(host, tmp_path / name).known == 2


def test_fence_headings_and_lines_that_go_on_belong_to_the_items(host: Host, tmp_path: Path) -> None:
    report = import_place(host, write_file(tmp_path, ANSWER, "answer.txt"))
    found = memories_by_content(host)
    assert found.keys() == {"Always answers in German.", "Has a dog.\nIt is called Rex."}
    assert found["Always answers in German."]["metadata"] == {"section": "Instructions"}
    assert "Here is what I know" in report.notes[0][1]


@pytest.mark.parametrize("mark", ["1. ", "- ", "* ", "• ", ""])
def test_a_list_of_what_the_user_is_like_is_a_memory_a_line(host: Host, tmp_path: Path, mark: str) -> None:
    text = f"{mark}User lives in Oslo.\n{mark}The user's dog is called Rex.\n"
    import_place(host, write_file(tmp_path, text, "memories.txt"))
    assert memories_by_content(host).keys() == {"User lives in Oslo.", "The user's dog is called Rex."}


def test_any_other_list_stays_one_memory_and_the_report_says_how_to_divide_it(
    host: Host, tmp_path: Path
) -> None:
    path = write_file(tmp_path, "1. Preheat the oven.\n2. Mix the flour.\n", "cake.txt")
    report = import_place(host, path)
    assert report.imported == 1
    assert "--format list" in report.notes[0][1]
    assert import_place(host, path, "list").imported == 2


@pytest.mark.parametrize(
    "text",
    [
        "[ ] buy milk", "[x] done", "{{template}} of a note", "[link](https://example.org) to a page",
        "[[2025-04-01]] was a Tuesday", "[1] Smith, 2020", "[1, 2, 3] is a list", '{"quoted"} text', "{} is empty",
        "[INFO] started", "{note to self} call Ann", "[TODO: check the port",
    ],
)  # fmt: skip
def test_a_text_that_begins_with_a_bracket_and_is_no_json_is_a_text(
    host: Host, tmp_path: Path, text: str
) -> None:
    assert imported(host, tmp_path, text, "note.txt")[0] == [text]


# --- JSON ---------------------------------------------------------------------------------------

ANN = {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["likes tea"]}
BEN = {"type": "entity", "name": "Ben", "entityType": "person", "observations": ["is 40"]}
BOTH = {"Ann: likes tea", "Ben: is 40"}


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("{ann}{ben}\n", 0),
        ("{ann}, {ben}\n", 0),
        ("{ann}\n{ben}}}\n", 1),
        ("{ann}\n{{\"type\":\"ent{ben}\n", 1),
        ("\ufeff{ann}\n\ufeff{ben}\n", 0),
        ("{ann}\n\0\0\0\0\n{ben}\n", 0),
        ("{ann}\r\n\r\n{ben}", 0),
        ("[{ann},\n{ben}]", 0),
        ("\0\0\0{ann}\n{ben}", 0),
    ],
)  # fmt: skip
def test_each_whole_object_of_a_knowledge_graph_is_read(
    host: Host, tmp_path: Path, text: str, lost: int
) -> None:
    content = text.format(ann=json.dumps(ANN), ben=json.dumps(BEN))
    report = import_place(host, write_file(tmp_path, content, "memory.jsonl"))
    assert memories_by_content(host).keys() == BOTH
    assert len(report.skipped) == lost


def test_objects_over_several_lines_are_read(host: Host, tmp_path: Path) -> None:
    text = "\n".join(json.dumps(one, indent=2) for one in (ANN, BEN))
    assert set(imported(host, tmp_path, text, "memory.jsonl")[0]) == BOTH


def test_an_observation_that_is_an_object_is_its_text_with_the_rest_as_metadata(
    host: Host, tmp_path: Path
) -> None:
    seen = {"content": "likes tea", "timestamp": "2025-04-01", "by": "ben"}
    graph = {**ANN, "observations": [seen, {"strange": 1}, 7], "version": 2}
    report = import_place(host, write_file(tmp_path, json.dumps(graph), "memory.jsonl"))
    found = memories_by_content(host)
    assert found.keys() == {"Ann: likes tea", "Ann: 7"}
    assert found["Ann: likes tea"]["metadata"]["by"] == "ben"
    assert found["Ann: likes tea"]["metadata"]["version"] == 2
    assert found["Ann: likes tea"]["occurred_at"][:10] == "2025-04-01"
    assert len(report.skipped) == 1


@pytest.mark.parametrize(
    "text",
    [
        '// mine\n{"memories": [{"content": "a", /* c */ "n": 1,},],}',
        "{'memories': [{'content': 'a', 'n': None, 'b': True}]}",
        '[{"content": "a", "n": NaN}]',
        '["a"]',
        '{"content": "a"}',
        '{"content": "a"}{"content": "a"}',
        '[{"memory": "a", "n": ' + "9" * 5000 + "}]",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_json_is_read_as_people_and_programs_write_it(
    host: Host, tmp_path: Path, text: str, encoding: str
) -> None:
    assert imported(host, tmp_path, text.encode(encoding), "memories.json")[0] == ["a"]


def test_a_name_that_stands_twice_is_told(host: Host, tmp_path: Path) -> None:
    texts, report = imported(host, tmp_path, '[{"memory": "a", "memory": "b"}]', "m.json")
    assert texts == ["b"]
    assert "memory twice" in report.notes[0][1]


def test_of_json_that_is_cut_off_the_whole_objects_are_taken_and_the_rest_is_told(
    host: Host, tmp_path: Path
) -> None:
    texts, report = imported(host, tmp_path, '[{"memory": "a"}, {"mem', "m.json")
    assert texts == ["a"]
    assert "cut off" in report.skipped[0][1]
    with pytest.raises(BadArgument, match="no valid JSON"):
        imported(host, tmp_path, '[{"memory": "b', "m.json")


def test_values_of_a_line_are_found_in_time_however_it_is_broken() -> None:
    for line in ('{"a":' * 20_000, "[{" * 20_000, '{"a' * 20_000, "[]" * 20_000 + "{", '{"a":"' * 20_000):
        parts = list(split_values(line))
        assert parts
    assert split_one('{"a":1}x') == [{"a": 1}, "x"]


@pytest.mark.parametrize("text", ["y" * 5_000, "\\n" * 499, "1," * 2_000, "é" * 990])
def test_an_object_after_a_broken_one_is_found_however_long_it_is(text: str) -> None:
    for value in ({"a": text}, [{"b": [text, 12345, None, "\U0001f600"]}]):
        assert split_one("{bad " + json.dumps(value) + '{"c": 1}[tru') == ["{bad", value, {"c": 1}, "[tru"]


def split_one(line: str) -> list[object]:
    return [part.text if isinstance(part, Fragment) else part.value for part in split_values(line)]


def test_comments_and_quotes_are_repaired_outside_of_texts_only() -> None:
    text = """{'a': 'it\\'s // no "comment"', "b": "x,]", # yes\n "c": [1, 2,],}"""
    assert parse_json(text) == ParsedJson(
        {"a": 'it\'s // no "comment"', "b": "x,]", "c": [1, 2]},
        ("was no valid JSON: comments, commas or quotes were repaired.",),
    )


# --- tables and YAML ----------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_with_a_column_of_texts_is_a_memory_a_row(host: Host, tmp_path: Path, separator: str) -> None:
    rows = [["ID", "Content", "date"], ["1", '"one, two; three"', "2025-04-01"], ["2", "four"]]
    text = "\r\n".join(separator.join(row) for row in rows)
    import_place(host, write_file(tmp_path, text, "memories.csv"))
    found = memories_by_content(host)
    assert found.keys() == {"one, two; three", "four"}
    assert found["one, two; three"]["occurred_at"][:10] == "2025-04-01"
    assert found["four"]["metadata"] == {"id": "2"}


def test_a_yaml_list_is_a_memory_an_item(host: Host, tmp_path: Path) -> None:
    text = "- User lives in Oslo\n- content: has a dog\n  tags: [pets]\n"
    import_place(host, write_file(tmp_path, text, "memories.yaml"))
    assert memories_by_content(host)["has a dog"]["tags"] == {"pets"}
    report = import_place(host, write_file(tmp_path, "a: &a [x]\nb: *a\n", "bomb.yaml"))
    assert report.is_failure


# --- front matter -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("front", "told"),
    [
        ("title: Plan: phase two", None),
        ("title: Plan\nbroken line", "broken line"),
        ("title: Plan\n[broken: yaml", "[broken"),
        ("title: Plan\nx: !!bool foo", "!!bool"),
        ("title: Plan\nx: !!timestamp foo", "!!timestamp"),
        ("title: Plan\nx: 2026-13-45", None),
        ("title: Plan\nn: " + "9" * 5000, None),
        ("title: Plan\n\tx: 1", "x: 1"),
        ("title: @home", None),
        ("title: Plan\n- a\n- b", "title"),
    ],
)
def test_of_front_matter_that_is_no_yaml_the_text_and_what_can_be_read_is_taken(
    host: Host, tmp_path: Path, front: str, told: str | None
) -> None:
    texts, report = imported(host, tmp_path, f"---\n{front}\n---\nBody of plan\n", "plan.md")
    assert report.skipped == []
    assert len(texts) == 1
    assert texts[0].endswith("Body of plan\n")
    assert "\\n" not in texts[0]
    notes = " ".join(note for _, note in report.notes if "YAML" in note)
    assert (told or "") in notes
    assert bool(notes) == (told is not None)


@pytest.mark.parametrize(
    "day",
    [
        "08.05.2026",
        "8. 5. 2026",
        "2026/05/08",
        "8 May 2026",
        "May 8, 2026",
        "Fri, 8 May 2026 14:30:00",
        "20260508",
    ],
)
def test_a_day_is_understood_as_people_write_it(host: Host, tmp_path: Path, day: str) -> None:
    _, report = imported(host, tmp_path, f"---\ncreated: {day}\n---\nBody", "plan.md")
    (memory,) = state(host).values()
    assert (memory["occurred_at"][:10], report.notes) == ("2026-05-08", [])


@pytest.mark.parametrize("day", ["05/08/2026", "soon", "99.99.2026", "last week"])
def test_a_day_that_is_not_understood_stays_in_the_metadata_and_is_told(
    host: Host, tmp_path: Path, day: str
) -> None:
    _, report = imported(host, tmp_path, f"---\ncreated: {day}\nkind: guide\n---\nBody", "plan.md")
    (memory,) = state(host).values()
    assert memory["metadata"] == {"file": "plan.md", "created": day, "kind": "guide"}
    assert day in report.notes[0][1]


def test_a_second_date_and_tags_that_are_no_list_are_kept(host: Host, tmp_path: Path) -> None:
    imported(host, tmp_path, "---\ndate: 2026-05-08\ncreated: 2026-05-01\ntags: {a: 1}\n---\nBody", "a.md")
    (memory,) = state(host).values()
    assert memory["metadata"] == {"file": "a.md", "created": "2026-05-01", "tags": {"a": 1}}


# --- encodings ----------------------------------------------------------------------------------


def test_a_folder_of_mixed_encodings_is_read_file_by_file(host: Host, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    write_file(vault, "Молоко в холодильнике.".encode("cp1251"), "a.txt")
    write_file(vault, "牛奶放在冰箱里。".encode("gbk"), "b.txt")
    write_file(vault, "die Tür".encode("utf-16-le"), "c.txt")
    write_file(vault, "schöne Grüße", "d.txt")
    write_file(vault, "ПРИВЕТ ВСЕМ".encode("cp1251"), "e.txt")
    report = import_place(host, vault)
    assert memories_by_content(host).keys() == {
        "Молоко в холодильнике.", "牛奶放在冰箱里。", "die Tür", "schöne Grüße",
    }  # fmt: skip
    ((place, reason),) = report.skipped
    assert (place, "--encoding" in reason) == ("e.txt", True)


def test_a_named_encoding_is_for_the_notes_that_are_not_utf_8(host: Host, tmp_path: Path) -> None:
    from sediment_mcp.transfer.opening import open_items
    from sediment_mcp.transfer.records import MemoryRecord

    write_file(tmp_path, "ПРИВЕТ ВСЕМ".encode("cp1251"), "a.txt")
    write_file(tmp_path, "ПРИВЕТ", "b.txt")
    items = list(open_items(tmp_path, None, lambda: "", encoding="windows-1251").items)
    texts = [item.arguments.content for item in items if isinstance(item, MemoryRecord)]
    assert texts == ["ПРИВЕТ ВСЕМ", "ПРИВЕТ"]
    with pytest.raises(BadArgument, match="cp1252"):
        open_items(tmp_path / "a.txt", None, lambda: "", encoding="klingon")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028", "\x0c", "\x85"])
def test_a_text_keeps_its_line_ends(host: Host, tmp_path: Path, end: str) -> None:
    text = f"one{end}two{end}three"
    assert imported(host, tmp_path, text, "note.txt")[0] == [text]


def test_an_import_that_could_take_nothing_is_a_failure(host: Host, tmp_path: Path) -> None:
    assert import_place(host, write_file(tmp_path, "", "empty.txt")).is_failure
    os.makedirs(tmp_path / "none")
    assert not import_place(host, tmp_path / "none").is_failure
    path = write_file(tmp_path, json.dumps(ANN) + "\nbroken\n", "memory.jsonl")
    assert not import_place(host, path).is_failure


# --- JSON lines between something else ----------------------------------------------------------

ENTITY = '{"type":"entity","name":"Oslo","entityType":"city","observations":["is cold"]}'
TEXT = '{"content":"Oslo: is cold"}'


@pytest.mark.parametrize("line", [ENTITY, TEXT])
@pytest.mark.parametrize(
    "before", ["# my memories", "```json", "<<<<<<< HEAD", 'lf", "observations": ["a"]}']
)
@pytest.mark.parametrize("name", ["memory.jsonl", "memory.json"])
def test_what_stands_before_the_first_object_of_a_json_file_hides_no_object(
    host: Host, tmp_path: Path, line: str, before: str, name: str
) -> None:
    texts, report = imported(host, tmp_path, f"{before}\n{line}\n", name)
    assert texts == ["Oslo: is cold"]
    assert report.skipped or report.notes
