"""New turns of a session are kept once each, as events with an end, and nothing else of its transcript is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.host import Host
from support.transferring import import_place, state

from sediment_mcp.capture import transcript
from sediment_mcp.capture.work import capture_transcript
from sediment_mcp.domain.captured import CAPTURED_LIFE
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.capture_state import FILE, read_state, switch_capture
from sediment_mcp.recall.wording import can_be_shown
from sediment_mcp.system.timestamps import isoformat
from sediment_mcp.transfer.import_report import ImportReport

pytestmark = pytest.mark.over_both

FOLDER = "/nowhere/shop"


def line(text: object, number: int, at: datetime, role: str = "user") -> str:
    fields = {
        "type": role, "uuid": f"u{number}", "sessionId": "s1", "cwd": FOLDER, "timestamp": isoformat(at),
        "message": {"role": role, "content": text},
    }  # fmt: skip
    return json.dumps(fields) + "\n"


class Session:
    """A transcript that a host is writing, beside the memories that it is captured into."""

    def __init__(self, host: Host, path: Path) -> None:
        self.host = host
        self.path = path
        self.number = 0
        host.app.storage.open()
        switch_capture(host.files, host.app.encryption, on=True, now=host.clock())

    def say(self, text: object, role: str = "user", **ago: float) -> None:
        self.number += 1
        self.host.clock.advance(seconds=1)
        self.write(line(text, self.number, self.host.clock() - timedelta(**ago), role))

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def capture(self) -> ImportReport:
        return capture_transcript(self.host.app, self.path)

    def texts(self) -> list[str]:
        return sorted(memory["content"] for memory in state(self.host).values())


@pytest.fixture
def session(host: Host, tmp_path: Path) -> Session:
    return Session(host, tmp_path / "s1.jsonl")


def only(host: Host) -> dict[str, Any]:
    (memory,) = state(host).values()
    return memory


def test_a_turn_is_an_event_of_its_session_that_ends_in_thirty_days(session: Session, host: Host) -> None:
    session.say("We deploy on Tuesdays.")
    session.capture()
    memory = only(host)
    assert memory["kind"] == "episodic"
    assert memory["tags"] == {"captured"}
    assert memory["session"] == "s1"
    assert memory["project"] == FOLDER
    assert memory["occurred_at"] == isoformat(host.clock())
    assert memory["expires_at"] == isoformat(host.clock() + CAPTURED_LIFE)
    assert memory["metadata"] == {"source": "claude-code", "role": "user"}
    assert not can_be_shown(memory["content"], memory["tags"])
    assert [found["id"] for found in host.query("deploy Tuesdays")["results"]] == [memory["id"]]


def test_an_ended_turn_is_found_no_more_and_erased_by_retention(session: Session, host: Host) -> None:
    session.say("We deploy on Tuesdays.")
    session.capture()
    host.clock.advance(days=31)
    assert not host.query("deploy Tuesdays")["results"]
    host.clock.advance(days=8)
    host.app.run_retention()
    assert not state(host)


def test_what_is_captured_comes_after_what_somebody_has_stored(session: Session, host: Host) -> None:
    session.say("The port of the database is 5433.")
    session.capture()
    host.project = FOLDER
    stored = host.store("The port of the database is 5433.", kind="episodic", session="other")["id"]
    assert host.query("port of the database")["results"][0]["id"] == stored


def test_user_and_answer_are_kept_and_dumps_and_private_words_are_not(session: Session) -> None:
    session.say("<system-reminder>x</system-reminder>Which port? <private>pin 1</private>")
    session.say([{"type": "text", "text": "I look."}, {"type": "tool_use"}], "assistant")
    session.say([{"type": "tool_result", "content": "dump"}])
    session.say([{"type": "text", "text": "It is 5433."}], "assistant")
    session.say("<sediment-memory>\n- [abc, new] old\n</sediment-memory>\nThank you.")
    session.capture()
    assert session.texts() == ["It is 5433.", "Thank you.", "Which port?"]


def test_a_turn_with_a_secret_is_refused(session: Session, host: Host) -> None:
    host.app.config = replace(host.app.config, secrets="refuse")
    session.say("Use ghp_" + "a1B2c3D4" * 4 + "e5F6 for it.")
    session.say("Nothing secret.")
    report = session.capture()
    assert session.texts() == ["Nothing secret."]
    assert "GitHub Token" in report.skipped[0][1]


def test_only_what_is_new_is_read_and_half_a_line_waits_for_its_end(session: Session) -> None:
    session.say("First.")
    assert session.capture().imported == 1
    whole = line("Second.", 9, session.host.clock())
    session.write(whole[:40])
    assert session.capture().imported == 0
    session.write(whole[40:])
    report = session.capture()
    assert (report.imported, report.known, report.skipped) == (1, 0, [])
    assert session.texts() == ["First.", "Second."]


def test_turns_that_are_read_again_are_known(session: Session) -> None:
    session.say("First.")
    session.capture()
    (session.host.files / FILE).unlink()
    since = session.host.clock() - timedelta(hours=1)
    switch_capture(session.host.files, session.host.app.encryption, on=True, now=since)
    session.say("Second.")
    report = session.capture()
    assert (report.imported, report.known) == (1, 1)


def test_what_was_dropped_or_erased_is_not_captured_again(session: Session, host: Host) -> None:
    session.say("Dropped.")
    session.say("Erased.")
    session.capture()
    by_text = {memory["content"]: memory_id for memory_id, memory in state(host).items()}
    host.delete(by_text["Dropped."])
    host.delete(by_text["Erased."], permanent=True)
    session.say("Later.")
    session.capture()
    assert {m["content"]: m["deleted_at"] is None for m in state(host).values()} == {
        "Dropped.": False,
        "Later.": True,
    }


def test_nothing_from_before_capture_was_on_or_too_old_is_kept(session: Session, host: Host) -> None:
    session.say("Before.", days=1)
    session.say("After.")
    session.capture()
    assert session.texts() == ["After."]
    host.clock.advance(days=31)
    session.say("Very old.", days=30, hours=1)
    session.say("Fresh.")
    session.capture()
    assert session.texts() == ["After.", "Fresh."]


def test_nothing_is_captured_while_it_is_off(session: Session, host: Host) -> None:
    switch_capture(host.files, host.app.encryption, on=False, now=host.clock())
    session.say("Off.")
    session.capture()
    assert not state(host)
    host.clock.advance(minutes=1)
    switch_capture(host.files, host.app.encryption, on=True, now=host.clock())
    session.say("On.")
    session.capture()
    assert session.texts() == ["On."]


def test_a_transcript_that_was_written_anew_is_read_from_its_beginning(session: Session) -> None:
    session.say("First, and a little longer.")
    session.capture()
    session.path.write_text("")
    session.say("New.")
    session.capture()
    assert session.texts() == ["First, and a little longer.", "New."]


def test_a_long_transcript_is_read_piece_by_piece(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_PIECE_BYTES", 1000)
    for number in range(20):
        session.say(f"Turn {number}." + ("x" * 3000 if number == 7 else ""))
    report = session.capture()
    assert report.imported == 19
    assert not report.skipped
    assert read_state(session.host.files, session.host.app.encryption).positions.popitem()[1].lines == 20


def test_codex_turns_have_the_session_of_the_first_line_in_every_piece(host: Host, tmp_path: Path) -> None:
    session = Session(host, tmp_path / "rollout-x.jsonl")

    def add(kind: str, payload: dict[str, Any]) -> None:
        host.clock.advance(seconds=1)
        session.write(
            json.dumps({"timestamp": isoformat(host.clock()), "type": kind, "payload": payload}) + "\n"
        )

    add("session_meta", {"id": "c1", "cwd": FOLDER})
    for number in range(2):
        content = [{"type": "input_text", "text": f"Question {number}."}]
        add("response_item", {"type": "message", "role": "user", "content": content})
        session.capture()
    assert {(m["session"], m["project"]) for m in state(host).values()} == {("c1", FOLDER)}
    assert session.texts() == ["Question 0.", "Question 1."]
    assert import_place(host, session.path).updated == 2


def test_the_same_words_in_a_transcript_without_ids_are_kept_each_time(host: Host, tmp_path: Path) -> None:
    session = Session(host, tmp_path / "t1.jsonl")
    said = json.dumps({"role": "user", "message": {"content": [{"type": "text", "text": "Go on."}]}}) + "\n"
    for _ in range(3):
        session.write(said)
        capture_transcript(host.app, session.path, "conversation", FOLDER)
    assert session.texts() == ["Go on."] * 3
    assert {memory["project"] for memory in state(host).values()} == {FOLDER}


def test_an_import_makes_what_was_captured_stay(session: Session, host: Host) -> None:
    session.say("We deploy on Tuesdays.")
    session.capture()
    report = import_place(host, session.path, tags=("deploy",))
    assert (report.updated, report.imported) == (1, 0)
    memory = only(host)
    assert (memory["tags"], memory["expires_at"], memory["importance"]) == ({"deploy"}, None, 0.5)
    assert import_place(host, session.path, tags=("deploy",)).known == 1


def test_what_the_user_has_configured_as_the_project_wins(
    open_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = open_host()
    for name, project in (("/mine", "/mine"), ("", None)):
        host.app.config = replace(host.app.config, project=name)
        session = Session(host, tmp_path / f"{len(name)}.jsonl")
        session.number = 10 * len(name)
        session.say("Said.")
        session.capture()
        assert project in {memory["project"] for memory in state(host).values()}


@pytest.mark.parametrize(
    "content", [b"", b"no transcript\n", b"\0\xff\xfe", b'{"some": "object"}\n', b"# a note\n"]
)
def test_a_file_that_is_no_transcript_is_refused(session: Session, content: bytes) -> None:
    session.path.write_bytes(content)
    with pytest.raises(BadArgument, match="not known"):
        session.capture()
    assert not state(session.host)


def test_a_state_that_cannot_be_read_means_off(session: Session, host: Host) -> None:
    for content in (b"", b"{}", b"[1]", b'{"since": "soon", "positions": {}}', b"\xff"):
        (host.files / FILE).write_bytes(content)
        assert read_state(host.files, host.app.encryption).since is None
        session.say("Said.")
        session.capture()
    assert not state(host)
