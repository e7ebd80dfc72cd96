"""What hosts send: the same call, however it is spelled, and nothing that is sent does harm."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hooks import call_of

from sediment_mcp.config import Config
from sediment_mcp.recall.hook_call import MAX_INPUT_BYTES, build_call, find_project, read_input

SPELLINGS: dict[str, dict[str, Any]] = {
    "Claude Code, Codex, Gemini CLI": {
        "session_id": "s", "cwd": "/code", "prompt": "why", "source": "resume", "hook_event_name": "X",
        "transcript_path": "/t.jsonl",
    },
    "VS Code": {
        "sessionId": "s", "cwd": "/code", "prompt": "why", "source": "resume", "hookEventName": "X",
        "transcript_path": "/t.jsonl",
    },
    "Cursor": {
        "conversation_id": "s", "workspace_roots": ["/code", "/more"], "prompt": "why", "source": "resume",
        "hook_event_name": "X", "transcript_path": "/t.jsonl",
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", SPELLINGS.values(), ids=SPELLINGS)
def test_hosts_spell_the_same_call_differently(tmp_path: Path, fields: dict[str, Any]) -> None:
    call = call_of(tmp_path, **fields)
    assert (call.session, call.folder, call.prompt, call.source) == ("s", "/code", "why", "resume")
    assert (call.transcript, call.fields) == ("/t.jsonl", fields)


def test_what_is_of_another_type_is_absent(tmp_path: Path) -> None:
    call = call_of(tmp_path, session_id=7, cwd=None, workspace_roots=[3, "/code"], prompt=["why"], source={})
    assert (call.session, call.folder, call.prompt, call.source) == ("", "/code", "", "")


@given(
    st.binary(max_size=400) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_input_is_an_error(data: bytes) -> None:
    call = build_call("prompt", "cursor", Config(Path()), data)
    assert isinstance(call.prompt, str)


def test_a_deeply_nested_input_is_empty() -> None:
    assert build_call("prompt", "codex", Config(Path()), b"[" * 100_000).fields == {}


def test_halves_of_surrogate_pairs_do_not_get_in() -> None:
    call = build_call("prompt", "codex", Config(Path()), rb'{"prompt": "a \ud800 b"}')
    assert call.prompt == "a \ufffd b"


def test_a_longer_input_than_any_prompt_is_read_to_its_end_and_ignored() -> None:
    stream = io.BytesIO(b" " * (MAX_INPUT_BYTES + 1))
    assert read_input(stream) == b""
    assert stream.read() == b""
    assert read_input(io.BytesIO(b" " * MAX_INPUT_BYTES)) != b""


def test_the_project_is_the_work_tree_around_the_host_s_folder(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / "src").mkdir()
    call = call_of(tmp_path / "data", cwd=str(tmp_path / "shop" / "src"))
    assert find_project(call) == str(tmp_path / "shop")


def test_without_a_work_tree_the_folder_itself_is_the_project_as_for_a_server(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    assert find_project(call_of(tmp_path / "data", cwd=str(tmp_path / "notes"))) == str(tmp_path / "notes")


@pytest.mark.parametrize("folder", ["", "code/shop", "\0", "/nowhere/at/all"])
def test_a_folder_that_says_nothing_is_no_project(tmp_path: Path, folder: str) -> None:
    assert find_project(call_of(tmp_path, cwd=folder)) is None


def test_the_user_s_own_project_comes_first(tmp_path: Path) -> None:
    for configured, found in (("shop", "shop"), ("", None)):
        call = build_call("prompt", "codex", Config(tmp_path, project=configured), b'{"cwd": "/"}')
        assert find_project(call) == found
