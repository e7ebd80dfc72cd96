"""What was said in conversations of other assistants becomes memories, once, and nothing else does."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host
from support.transcripts import (
    CHAT,
    COPILOT,
    META,
    NOON,
    claude,
    codex,
    codex_message,
    cursor,
    gemini,
    json_lines,
    write_claude_mem,
    write_cursor_database,
    write_database,
)
from support.transferring import import_place, memories_by_content, state, write_file

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.formats import TRANSCRIPTS
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.records import Note, Problem, Turn
from sediment_mcp.transfer.source import DEFAULT_LIMITS, ReadLimits, wrap_bytes


def texts(host: Host) -> set[str]:
    return set(memories_by_content(host))


def import_answers(host: Host, place: Path) -> ImportReport:
    return import_place(host, place, which="answers")


# --- Claude Code --------------------------------------------------------------------------------


def test_of_a_claude_code_session_what_the_user_said_is_imported_with_session_time_and_project(
    host: Host, tmp_path: Path
) -> None:
    path = write_file(tmp_path, json_lines(claude("We deploy on Tuesdays.")), "s1.jsonl")
    assert import_place(host, path).imported == 1
    ((memory_id, memory),) = state(host).items()
    assert memory["content"] == "We deploy on Tuesdays."
    assert memory["kind"] == "episodic"
    assert memory["session"] == "s1"
    assert memory["project"] == "/nowhere/shop"
    assert memory["occurred_at"] == "2026-05-01T12:00:00Z"
    assert memory["metadata"] == {"source": "claude-code", "role": "user"}
    assert import_place(host, path).known == 1
    assert list(state(host)) == [memory_id]


@pytest.mark.parametrize(
    "line",
    [
        claude("A reminder.", isMeta=True),
        claude("Said to another agent.", isSidechain=True),
        claude("A summary.", isCompactSummary=True),
        claude("This session is being continued from a previous conversation that ran out of context."),
        claude([{"type": "tool_result", "tool_use_id": "t", "content": "a dump of a file"}]),
        claude("<command-name>/clear</command-name>\n<command-args></command-args>"),
        claude("<local-command-stdout>ok</local-command-stdout>"),
        claude("A task has ended.", origin={"kind": "task-notification"}),
        claude("[Request interrupted by user for tool use]"),
        {"type": "summary", "summary": "A title", "leafUuid": "x"},
        {"type": "file-history-snapshot", "messageId": "x", "snapshot": {}},
        claude([{"type": "thinking", "thinking": "Hm."}], type="assistant"),
    ],
)
def test_what_claude_code_writes_itself_is_no_memory(host: Host, tmp_path: Path, line: Any) -> None:
    path = write_file(tmp_path, json_lines(line, claude("Said by the user.", 2)), "s1.jsonl")
    report = import_answers(host, path)
    assert texts(host) == {"Said by the user."}
    assert not report.skipped
    assert not report.notes


def test_answers_are_the_last_text_before_the_next_word_of_the_user(host: Host, tmp_path: Path) -> None:
    lines = [
        claude("Which port?", 1),
        claude([{"type": "text", "text": "I look."}, {"type": "tool_use"}], 2, type="assistant"),
        claude([{"type": "tool_result", "content": "dump"}], 3),
        claude([{"type": "text", "text": "It is 5433."}], 4, type="assistant"),
        claude("Thank you.", 5),
    ]
    path = write_file(tmp_path, json_lines(*lines), "s1.jsonl")
    assert import_place(host, path).imported == 2
    assert import_answers(host, path).imported == 1
    assert texts(host) == {"Which port?", "It is 5433.", "Thank you."}
    assert memories_by_content(host)["It is 5433."]["metadata"]["role"] == "assistant"


def test_the_same_words_said_twice_in_a_session_are_two_events(host: Host, tmp_path: Path) -> None:
    lines = [claude("Go on.", number, timestamp=f"2026-05-01T12:0{number}:00Z") for number in range(3)]
    path = write_file(tmp_path, json_lines(*lines), "s1.jsonl")
    assert import_place(host, path).imported == 3
    report = import_place(host, path)
    assert (report.known, report.imported, report.merged) == (3, 0, 0)


def test_unknown_kinds_of_lines_are_counted_and_half_a_line_is_told(host: Host, tmp_path: Path) -> None:
    whole = json_lines({"type": "novelty", "sessionId": "s1"}, claude("Kept."), {"type": "novelty"}, {"a": 1})
    path = write_file(tmp_path, whole + json.dumps(claude("Lost.", 2))[:60], "s1.jsonl")
    report = import_place(host, path)
    assert report.imported == 1
    assert [place for place, _ in report.skipped] == ["line 5"]
    ((_, note),) = report.notes
    assert note == "3 lines of a kind that is not known left out (novelty: 2, without a type: 1)."


def test_of_many_broken_lines_the_first_are_told_and_the_rest_counted(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, json_lines(claude("Kept.")) + "{\n" * 1000, "s1.jsonl")
    report = import_place(host, path)
    assert report.imported == 1
    assert len(report.skipped) == 21
    assert report.skipped[-1][1] == "has 980 more lines that are no whole JSON objects."


def test_a_line_that_is_too_long_loses_only_itself(host: Host, tmp_path: Path) -> None:
    lines = json_lines(claude("Before.", 1), claude("x" * 5000, 2), claude("After.", 3))
    path = write_file(tmp_path, lines, "s1.jsonl")
    report = import_place(host, path, limits=ReadLimits(max_line_chars=2000))
    assert texts(host) == {"Before.", "After."}
    assert report.skipped == [("line 2", "is longer than 2,000 characters.")]


def test_a_dry_run_counts_and_stores_nothing(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, json_lines(claude("One."), claude("Two.", 2)), "s1.jsonl")
    assert import_place(host, path, dry_run=True).imported == 2
    assert not state(host)


def test_a_turn_that_was_deleted_here_does_not_come_back(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, json_lines(claude("Gone.")), "s1.jsonl")
    import_place(host, path)
    host.delete(next(iter(state(host))))
    assert import_place(host, path).known == 1
    assert next(iter(state(host).values()))["deleted_at"] is not None


def test_what_was_said_in_a_git_work_tree_belongs_to_its_project(host: Host, tmp_path: Path) -> None:
    inner = tmp_path / "shop" / "src"
    inner.mkdir(parents=True)
    (tmp_path / "shop" / ".git").mkdir()
    path = write_file(tmp_path, json_lines(claude("Here.", cwd=str(inner))), "s1.jsonl")
    import_place(host, path)
    assert memories_by_content(host)["Here."]["project"] == str((tmp_path / "shop").resolve())


@pytest.mark.parametrize(
    "folder", ["relative/path", "//elsewhere/share", "\\\\elsewhere\\share", "a\0b", 7, None]
)
def test_a_folder_that_is_none_of_this_machine_names_no_project(
    host: Host, tmp_path: Path, folder: object
) -> None:
    host.project = "/here"
    path = write_file(tmp_path, json_lines(claude("Global.", cwd=folder)), "s1.jsonl")
    assert import_place(host, path).imported == 1
    assert memories_by_content(host)["Global."]["project"] is None


def test_the_scope_that_the_user_names_wins_over_the_folder(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, json_lines(claude("Mine.")), "s1.jsonl")
    import_place(host, path, scope="project", project="/mine")
    assert memories_by_content(host)["Mine."]["project"] == "/mine"


def test_a_secret_is_noted_or_refused_as_in_any_import(open_host: Any, tmp_path: Path) -> None:
    token = "ghp_" + "a1B2c3D4" * 4 + "e5F6"
    path = write_file(tmp_path, json_lines(claude(f"Use the token {token} for it.")), "s1.jsonl")
    host = open_host()
    report = import_place(host, path)
    assert report.imported == 1
    assert "GitHub Token" in report.notes[0][1]


# --- Codex --------------------------------------------------------------------------------------


def test_of_a_codex_session_each_message_is_taken_once(host: Host, tmp_path: Path) -> None:
    lines = [
        META,
        codex_message("<environment_context>\n  <cwd>/x</cwd>\n</environment_context>"),
        codex_message("# AGENTS.md instructions for /x\n\n<INSTRUCTIONS>\nBe kind.\n</INSTRUCTIONS>"),
        codex_message("Be careful.", "developer"),
        codex_message("Which port?"),
        codex("event_msg", {"type": "user_message", "message": "Which port?", "kind": "plain"}),
        codex("turn_context", {"cwd": "/x", "model": "m"}),
        codex("response_item", {"type": "function_call", "name": "shell", "arguments": "{}"}),
        codex("response_item", {"type": "function_call_output", "output": "dump"}),
        codex("event_msg", {"type": "agent_message", "message": "It is 5433."}),
        codex_message("It is 5433.", "assistant"),
        codex("event_msg", {"type": "token_count", "info": {}}),
    ]
    path = write_file(tmp_path, json_lines(*lines), "rollout-x.jsonl")
    report = import_answers(host, path)
    assert texts(host) == {"Which port?", "It is 5433."}
    assert (report.imported, report.skipped, report.notes) == (2, [], [])
    assert {memory["session"] for memory in state(host).values()} == {"c1"}
    assert {memory["project"] for memory in state(host).values()} == {"/nowhere/shop"}
    assert import_answers(host, path).known == 2


def test_a_codex_session_that_has_messages_as_events_alone_is_read(host: Host, tmp_path: Path) -> None:
    said = codex("event_msg", {"type": "user_message", "message": "Only here."})
    assert import_place(host, write_file(tmp_path, json_lines(META, said), "a.jsonl")).imported == 1


def test_what_the_editor_puts_before_a_request_to_codex_is_left_out(host: Host, tmp_path: Path) -> None:
    text = "# Context from my IDE setup:\n## Open tabs:\n- a.py\n## My request for Codex:\nFix the test.\n"
    import_place(host, write_file(tmp_path, json_lines(META, codex_message(text)), "a.jsonl"))
    assert texts(host) == {"Fix the test."}


def test_codex_sessions_of_2025_are_read(host: Host, tmp_path: Path) -> None:
    block = [{"type": "input_text", "text": "An old question."}]
    lines = [
        {"id": "old", "timestamp": "2025-07-01T10:00:00Z", "instructions": None},
        {"record_type": "state"},
        {"type": "message", "role": "user", "content": block},
        {"type": "reasoning", "summary": []},
    ]
    report = import_place(host, write_file(tmp_path, json_lines(*lines), "rollout-old.jsonl"))
    assert (report.imported, report.notes) == (1, [])
    assert memories_by_content(host)["An old question."]["session"] == "old"


# --- Copilot CLI --------------------------------------------------------------------------------


def test_a_session_of_copilot_cli_is_read(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, json_lines(*COPILOT), "events.jsonl")
    assert import_answers(host, path).imported == 2
    assert texts(host) == {"Which port?", "It is 5433."}
    assert memories_by_content(host)["Which port?"]["project"] == "/nowhere/shop"
    assert import_answers(host, path).known == 2


# --- Gemini CLI ---------------------------------------------------------------------------------


def write_chat(tmp_path: Path, name: str, content: str) -> Path:
    folder = tmp_path / "tmp" / "shop" / "chats"
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / ".project_root").write_text("/nowhere/shop")
    return write_file(folder, content, name)


def test_a_chat_of_gemini_cli_is_read_in_both_of_its_forms(host: Host, tmp_path: Path) -> None:
    messages = [
        gemini([{"text": "Which port?"}], 1),
        gemini("It is 5433.", 2, "gemini"),
        gemini("/help", 3),
        gemini("Cancelled.", 4, "info"),
    ]
    old = write_chat(tmp_path, "session-a.json", json.dumps({**CHAT, "messages": messages}, indent=2))
    new = write_chat(
        tmp_path, "session-b.jsonl", json_lines(CHAT, *messages, {"$set": {"lastUpdated": NOON}})
    )
    assert import_answers(host, old).imported == 2
    assert import_answers(host, new).known == 2
    assert texts(host) == {"Which port?", "It is 5433."}
    assert {memory["project"] for memory in state(host).values()} == {"/nowhere/shop"}


def test_what_was_taken_back_in_gemini_cli_is_no_memory(host: Host, tmp_path: Path) -> None:
    lines = [CHAT, gemini("Stays.", 1), gemini("Taken back.", 2), gemini("Too.", 3), {"$rewindTo": "m2"}]
    lines += [gemini("Half", 4), gemini("Said in the end.", 4)]
    import_place(host, write_chat(tmp_path, "session-a.jsonl", json_lines(*lines)))
    assert texts(host) == {"Stays.", "Said in the end."}


def test_the_log_of_what_was_typed_into_gemini_cli_is_read(host: Host, tmp_path: Path) -> None:
    log = [{"sessionId": "g1", "messageId": 0, "type": "user", "message": "Typed.", "timestamp": NOON}]
    assert import_place(host, write_file(tmp_path, json.dumps(log, indent=2), "logs.json")).imported == 1


def test_chats_of_agents_that_gemini_cli_has_called_are_left_out(host: Host, tmp_path: Path) -> None:
    lines = json_lines({**CHAT, "kind": "subagent"}, gemini("Do this."))
    report = import_place(host, write_chat(tmp_path, "session-a.jsonl", lines))
    assert (report.imported, len(report.notes)) == (0, 1)


# --- Cursor -------------------------------------------------------------------------------------


def test_a_transcript_of_cursor_is_read_without_what_the_editor_adds(host: Host, tmp_path: Path) -> None:
    project = tmp_path / "my.shop"
    project.mkdir()
    slug = str(project.resolve()).removeprefix("/").replace("/", "-").replace(".", "-").replace("_", "-")
    folder = tmp_path / "projects" / slug / "agent-transcripts" / "t1"
    folder.mkdir(parents=True)
    added = "<open_and_recently_viewed_files>a.py</open_and_recently_viewed_files>"
    asked = f"{added}\n<user_query>\nWhich port?\n</user_query>"
    lines = [cursor(asked), cursor("It is 5433.", "assistant"), cursor("Go on."), cursor("Go on.")]
    path = write_file(folder, json_lines(*lines, {"type": "turn_ended"}), "t1.jsonl")
    assert import_answers(host, path).imported == 4
    assert import_answers(host, path).known == 4
    asked_memory = memories_by_content(host)["Which port?"]
    assert asked_memory["session"] == "t1"
    assert asked_memory["project"] == str(project.resolve())


def test_the_database_of_cursor_is_read_with_the_folders_of_its_workspaces(
    host: Host, tmp_path: Path
) -> None:
    path = write_cursor_database(tmp_path / "User")
    before = path.read_bytes()
    report = import_answers(host, path)
    assert report.imported == 3
    assert [reason for _, reason in report.skipped] == ["is no whole JSON object."]
    found = memories_by_content(host)
    assert found["Which port?"]["project"] == "/nowhere/shop"
    assert found["Which port?"]["metadata"]["title"] == "Ports"
    assert found["Older."]["project"] is None
    assert import_answers(host, path).known == 3
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["state.vscdb"]


# --- exports ------------------------------------------------------------------------------------

CLAUDE_EXPORT = [
    {
        "uuid": "k1", "name": "Ports", "created_at": NOON, "updated_at": NOON, "account": {"uuid": "a"},
        "chat_messages": [
            {"uuid": "m1", "sender": "human", "text": "Which port?", "created_at": NOON},
            {
                "uuid": "m2", "sender": "assistant", "text": "", "created_at": NOON,
                "content": [{"type": "tool_use", "name": "x"}, {"type": "text", "text": "It is 5433."}],
            },
            {"uuid": "m3", "sender": "human", "text": "", "content": []},
        ],
    },
    {"uuid": "k2", "name": "", "chat_messages": None},
]  # fmt: skip


def gpt_node(number: int, role: str, content: object, **more: Any) -> dict[str, Any]:
    message = {
        "id": f"n{number}", "author": {"role": role}, "create_time": 1777636800 + number,
        "content": content, **more,
    }  # fmt: skip
    return {"id": f"n{number}", "message": message, "parent": f"n{number - 1}"}


def said(text: str) -> dict[str, Any]:
    return {"content_type": "text", "parts": [text]}


def gpt_conversation(name: str) -> dict[str, Any]:
    nodes = [
        {"id": "n0", "message": None, "parent": None},
        gpt_node(1, "user", {"content_type": "user_editable_context", "user_profile": "A nurse."}),
        gpt_node(2, "user", said("Hidden."), metadata={"is_visually_hidden_from_conversation": True}),
        gpt_node(3, "user", said(f"Which port? {name}")),
        gpt_node(4, "assistant", {"content_type": "thoughts", "thoughts": []}),
        gpt_node(5, "assistant", {"content_type": "code", "text": "search()"}, recipient="web"),
        gpt_node(6, "tool", said("A page.")),
        gpt_node(7, "assistant", said(f"It is 5433. {name}"), metadata=None),
        {**gpt_node(8, "user", said("Edited away.")), "parent": "n2"},
    ]
    return {
        "title": "Ports", "create_time": 1777636800.0, "conversation_id": name, "current_node": "n7",
        "default_model_slug": "gpt-6", "mapping": {node["id"]: node for node in nodes},
    }  # fmt: skip


def write_zip(path: Path, files: Mapping[str, object]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, (str, bytes)) else json.dumps(content))
    return path


def test_the_archive_that_claude_exports_is_read_where_it_is(host: Host, tmp_path: Path) -> None:
    projects = [
        {"uuid": "p", "name": "Shop", "description": "A shop.", "prompt_template": "Be short.", "docs": [{}]},
        {"uuid": "q", "name": "Empty", "description": "", "prompt_template": "", "docs": []},
    ]
    memories = [
        {"conversations_memory": "**Work**\nAnn is a nurse.", "project_memories": {"p": "It sells tea."}}
    ]
    files = {
        "users.json": [{"email_address": "ann@example.com"}],
        "projects.json": projects, "memories.json": memories, "conversations.json": CLAUDE_EXPORT,
    }  # fmt: skip
    host.project = "/here"
    path = write_zip(tmp_path / "data.zip", files)
    report = import_answers(host, path)
    assert texts(host) == {
        "Which port?", "It is 5433.", "Project Shop:\n\nA shop.\n\nBe short.",
        "**Work**\nAnn is a nurse.", "It sells tea.",
    }  # fmt: skip
    assert report.skipped == [("conversations.json, conversation 2", "has no list chat_messages.")]
    assert {memory["project"] for memory in state(host).values()} == {None}
    assert memories_by_content(host)["Which port?"]["session"] == "k1"
    assert import_answers(host, path).known == 5


@pytest.mark.parametrize(
    "names", [["conversations.json"], ["conversations-000.json", "conversations-001.json"]]
)
def test_the_archive_that_chatgpt_exports_is_read_in_both_of_its_forms(
    host: Host, tmp_path: Path, names: list[str]
) -> None:
    files: dict[str, object] = {f"export/{name}": [gpt_conversation(name)] for name in names}
    files |= {"export/export_manifest.json": {}, "export/user.json": {}, "export/chat.html": "<html>"}
    report = import_answers(host, write_zip(tmp_path / "gpt.zip", files))
    assert report.imported == 2 * len(names)
    assert texts(host) == {f"{text} {name}" for name in names for text in ("Which port?", "It is 5433.")}
    assert not report.skipped


def test_a_conversation_of_chatgpt_without_its_path_is_read_in_the_order_of_time(
    host: Host, tmp_path: Path
) -> None:
    conversation = gpt_conversation("x") | {"current_node": "gone"}
    import_place(host, write_file(tmp_path, json.dumps([conversation]), "conversations.json"))
    assert texts(host) == {"Which port? x", "Edited away."}


def test_an_unpacked_export_is_read_as_a_folder(host: Host, tmp_path: Path) -> None:
    write_file(tmp_path, json.dumps(CLAUDE_EXPORT, indent=1), "conversations.json")
    write_file(tmp_path, json.dumps([{"email_address": "ann@example.com"}]), "users.json")
    assert import_place(host, tmp_path).imported == 1


def test_an_export_that_was_cut_off_is_read_up_to_there(host: Host, tmp_path: Path) -> None:
    whole = json.dumps([gpt_conversation("x"), gpt_conversation("y")])
    report = import_place(host, write_file(tmp_path, whole[:-100], "conversations.json"))
    assert texts(host) == {"Which port? x"}
    assert report.skipped[0][0] == "conversation 2"
    assert "cut off" in report.skipped[0][1]


def test_an_archive_that_was_cut_off_or_holds_no_export_is_refused(host: Host, tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", {"conversations.json": CLAUDE_EXPORT}).read_bytes()
    other = write_zip(tmp_path / "b.zip", {"word/document.xml": "<x/>"})
    for path in (write_file(tmp_path, whole[: len(whole) // 2], "cut.zip"), other):
        with pytest.raises(BadArgument, match="ZIP archive"):
            import_place(host, path)


def test_a_file_in_an_archive_that_is_too_large_is_told_and_left_out(host: Host, tmp_path: Path) -> None:
    bomb = b"[" + b" " * 1_000_000 + b"]"
    files = {"conversations-000.json": bomb, "conversations-001.json": [gpt_conversation("x")]}
    report = import_place(
        host, write_zip(tmp_path / "a.zip", files), limits=ReadLimits(max_document_bytes=100_000)
    )
    assert report.imported == 1
    assert "larger than 100,000 bytes" in report.skipped[0][1]


# --- claude-mem ---------------------------------------------------------------------------------


def test_the_database_of_claude_mem_is_read_whatever_its_columns_are_called(
    host: Host, tmp_path: Path
) -> None:
    path = write_claude_mem(tmp_path / "claude-mem.db")
    assert import_place(host, path).imported == 4
    found = memories_by_content(host)
    decision = found["The port\n\nWe chose it.\n\n- It is 5433."]
    assert (decision["kind"], decision["tags"]) == ("semantic", {"decision", "shop", "net"})
    assert found["Mended"]["kind"] == "episodic"
    assert found["Which port?"]["session"] == "s"
    assert found["Request: Find it\n\nLearned: 5433"]["occurred_at"] == "2026-05-01T12:00:00Z"
    assert import_place(host, path).known == 4


def test_another_database_and_a_damaged_one_are_refused_with_a_sentence(host: Host, tmp_path: Path) -> None:
    other = write_database(tmp_path / "other.db", {"things": [{"a": 1}]})
    damaged = write_claude_mem(tmp_path / "claude-mem.db").read_bytes()
    cut = write_file(tmp_path, damaged[:5000], "cut.db")
    for path in (other, cut):
        with pytest.raises(BadArgument, match="SQLite database"):
            import_place(host, path)


# --- rules and memory files ---------------------------------------------------------------------


def test_a_file_of_rules_becomes_a_memory_a_section_of_the_project_it_lies_in(
    host: Host, tmp_path: Path
) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    intro = "Intro. <!-- hidden\n# no heading -->"
    text = f"{intro}\n\n# Build\n\nRun make.\n\n## Tests\n```sh\n# no heading\nmake test\n```\n\n# Empty\n"
    path = write_file(tmp_path / "shop", text, "CLAUDE.md")
    assert import_place(host, path).imported == 3
    found = memories_by_content(host)
    assert found.keys() == {
        "Intro.",
        "Build\n\nRun make.",
        "Build / Tests\n\n```sh\n# no heading\nmake test\n```",
    }
    assert {memory["kind"] for memory in found.values()} == {"procedural"}
    assert {memory["project"] for memory in found.values()} == {str((tmp_path / "shop").resolve())}
    assert import_place(host, path).known == 3


def test_rules_of_cursor_are_read_from_their_folder(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "shop" / ".cursor" / "rules"
    folder.mkdir(parents=True)
    rule = "---\ndescription: Style\nglobs: *.py\nalwaysApply: true\n---\nUse tabs.\n"
    write_file(folder, rule, "style.mdc")
    assert import_place(host, folder).imported == 1
    found = memories_by_content(host)["Use tabs."]
    assert found["project"] == str((tmp_path / "shop").resolve())
    assert found["metadata"]["description"] == "Style"


def test_the_folder_of_claude_codes_own_memory_is_read_for_its_project(host: Host, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    slug = "-" + str(project.resolve()).removeprefix("/").replace("/", "-").replace("_", "-")
    folder = tmp_path / ".claude" / "projects" / slug / "memory"
    folder.mkdir(parents=True)
    write_file(
        folder, "# Memory\n- [Ports](ports.md) — which one\n\n## Habits\nAnn prefers tea.\n", "MEMORY.md"
    )
    write_file(folder, "---\nname: ports\ntype: project\nmodified: 2026-04-01\n---\nIt is 5433.", "ports.md")
    assert import_place(host, folder).imported == 2
    found = memories_by_content(host)
    assert found.keys() == {"Memory / Habits\n\nAnn prefers tea.", "It is 5433."}
    assert {memory["project"] for memory in found.values()} == {str(project.resolve())}
    assert found["It is 5433."]["occurred_at"].startswith("2026-04-01")


def test_a_folder_is_read_with_its_notes_and_its_transcripts(host: Host, tmp_path: Path) -> None:
    write_file(tmp_path, "A note.", "note.md")
    write_file(tmp_path, json_lines(claude("Said.")), "s1.jsonl")
    write_file(tmp_path, '{"some": "other data"}\n', "data.jsonl")
    (tmp_path / "subagents").mkdir()
    write_file(tmp_path / "subagents", json_lines(claude("Said to an agent.", 2)), "s2.jsonl")
    assert import_place(host, tmp_path).imported == 2
    assert texts(host) == {"A note.", "Said."}


# --- any file -----------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "type", "role", "message", "content", "payload", "text", "sessionId", "id", "uuid", "timestamp",
        "cwd", "chat_messages", "sender", "mapping", "current_node", "parent", "author", "parts", "messages",
        "origin", "projectHash", "directories", "$rewindTo", "kind", "messageId", "create_time",
        "metadata", "model",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    ["user", "assistant", "message", "response_item", "session_meta", "text", "human", "n1"]
)
LIKELY = st.dictionaries(
    NAMES, WORDS | VALUES | st.dictionaries(NAMES, WORDS | VALUES, max_size=4), max_size=7
)


@settings(max_examples=60, deadline=None)
@given(
    format_name=st.sampled_from(sorted(TRANSCRIPTS)),
    name=st.sampled_from(["a.jsonl", "a.json"]),
    data=st.binary(max_size=300)
    | st.lists(LIKELY, max_size=4).map(lambda lines: json_lines(*lines).encode())
    | st.lists(LIKELY, max_size=4).map(lambda lines: json.dumps(lines).encode())
    | LIKELY.map(lambda one: json.dumps(one).encode()),
)
def test_any_bytes_become_turns_problems_and_notes(format_name: str, name: str, data: bytes) -> None:
    for item in TRANSCRIPTS[format_name].read_turns(wrap_bytes(data, name), DEFAULT_LIMITS):
        assert isinstance(item, (Turn, Problem, Note))


def test_every_format_of_conversations_says_who_said_what_and_when(tmp_path: Path) -> None:
    """The same question and answer, as each program writes it down."""
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    messages = [gemini("Which port?", 1), gemini("It is 5433.", 2, "gemini")]
    files = {
        "claude-code": json_lines(claude("Which port?", 1), claude("It is 5433.", 2, type="assistant")),
        "codex": json_lines(META, codex_message("Which port?"), codex_message("It is 5433.", "assistant")),
        "gemini-cli": json.dumps({**CHAT, "messages": messages}),
        "copilot": json_lines(*COPILOT),
        "cursor": json_lines(cursor("Which port?"), cursor("It is 5433.", "assistant")),
        "claude-export": json.dumps(CLAUDE_EXPORT[:1]),
        "chatgpt-export": json.dumps([gpt_conversation("x")]),
    }
    assert files.keys() == TRANSCRIPTS.keys()
    for name, content in files.items():
        items = TRANSCRIPTS[name].read_turns(wrap_bytes(content.encode(), "a.json"), DEFAULT_LIMITS)
        turns = [
            turn
            for turn in items
            if (isinstance(turn, Turn) and "5433" in turn.text) or turn.text[:5] == "Which"
        ]
        assert [turn.role for turn in turns] == ["user", "assistant"], name
        assert all(turn.session for turn in turns), name
        if name not in ("cursor", "chatgpt-export"):
            assert {turn.occurred_at for turn in turns} == {moment}, name
