"""The command line: the tools' own answers for machines, readable ones for people, honest exit statuses."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import PROGRAM, Run, Terminal, commands, own_place, parse, process, run, store

from sediment_mcp import __version__, config
from sediment_mcp.cli import main
from sediment_mcp.config import VARIABLES
from sediment_mcp.operations import arguments
from sediment_mcp.operations.argument_types import Boolean
from sediment_mcp.operations.signals import SIGNALS
from sediment_mcp.server.tools import TOOLS
from sediment_mcp.storage.sqlite.storage import DATABASE

pytestmark = pytest.mark.model

__all__ = ["own_place", "run"]  # fixtures

RELEASES = "Releases go out on Tuesdays, after the stand-up."
ON_A_TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}  # what makes rich take a pipe for one
ESCAPE = "\x1b"


# --- the tools ----------------------------------------------------------------------------------


def test_a_result_explains_each_of_its_signals(run: Run) -> None:
    store(run, RELEASES)
    question = "When do we ship a new version?"
    assert "signals" not in run("query", question, "--json").json["results"][0]
    signals = run("query", question, "--json", "--explain").json["results"][0]["signals"]
    explained = run("query", question, "--explain").out
    for name, value in signals.items():
        assert f"{SIGNALS[name][0]:<11}{value:5.2f}   {SIGNALS[name][1]}" in explained


def test_what_is_stored_is_found_in_other_words(run: Run) -> None:
    stored = store(run, RELEASES)
    outcome = run("query", "When do we ship a new version?")
    assert outcome.status == 0
    assert stored in outcome.out
    assert RELEASES in outcome.out
    assert "weak" not in outcome.out


def test_a_list_says_what_is_related_and_why(run: Run) -> None:
    first = store(run, "Then E1234 came from the printer.")
    second = store(run, "So E1234 means that the tray is empty.")
    outcome = run("list", "--related-to", f"memory://{first}")
    assert outcome.status == 0
    assert second in outcome.out
    assert "both mention E1234" in outcome.out
    assert run("list", "--related-to", first, "--json").json["memories"][0]["id"] == second
    unknown = run("list", "--related-to", "nosuchid")
    assert unknown.status == 2
    assert "related_to names no memory" in unknown.err
    assert run("list", "--related-to", first, "--deleted").status == 2


@pytest.mark.parametrize(
    ("command", "tool"),
    [
        ("store", "store_memory"),
        ("query", "query_memory"),
        ("list", "list_memories"),
        ("delete", "delete_memory"),
    ],
)
def test_every_parameter_of_a_tool_is_an_option_of_its_command(command: str, tool: str) -> None:
    fields = next(t.arguments.parameters for t in TOOLS if t.name == tool)
    texts = {name for name in fields if name in ("content", "query")}
    given = [*("x" for _ in texts), *(["x"] if "ids" in fields else [])]
    for name in fields.keys() - texts - {"ids"}:
        flag = "--tag" if name == "tags" else f"--{name.replace('_', '-')}"
        given += [flag] if isinstance(fields[name].type, Boolean) else [flag, "x"]
    parameters = parse(command, *given).params
    assert {name for name in fields if parameters[name] not in (None, False, ())} == set(fields)


def test_json_is_the_tool_s_result_and_nothing_else(run: Run) -> None:
    stored = run("store", RELEASES, "--json", "--tag", "a", "--tag", "b")
    assert set(stored.json) == {"id", "status"}
    found = run("query", "releases", "--json").json
    assert set(found) == {"results"}
    assert set(found["results"][0]) == {"id", "content", "tags", "occurred_at", "score", "match"}
    listed = run("list", "--json").json
    assert (listed["total"], listed["memories"][0]["tags"]) == (1, ["a", "b"])
    assert set(listed["memories"][0]) == {"id", "content", "tags", "occurred_at"}
    assert set(run("delete", stored.json["id"], "--json").json) == {"deleted", "recoverable_until"}


def test_all_that_is_given_is_stored(run: Run) -> None:
    old = store(run, "old")
    given = {
        "--kind": "episodic", "--tag": "t", "--scope": "global", "--session": "s", "--importance": "0.9",
        "--occurred-at": "2024-02-03T04:05:06Z", "--expires-at": "2999-01-01", "--replaces": old,
        "--metadata": '{"a": [1]}',
    }  # fmt: skip
    stored = store(run, "new", *(word for pair in given.items() for word in pair))
    memory = run("list", stored, "--json").json["memories"][0]
    assert (memory["kind"], memory["tags"], memory["session"], memory["importance"]) == (
        "episodic", ["t"], "s", 0.9,
    )  # fmt: skip
    assert (memory["occurred_at"], memory["expires_at"]) == (
        "2024-02-03T04:05:06Z",
        "2999-01-01T23:59:59Z",
    )
    assert memory["metadata"] == {"a": [1]}
    assert [m["id"] for m in run("list", "--json").json["memories"]] == [stored]
    everything = run("list", "--include-superseded", "--json").json["memories"]
    assert {m["id"]: m.get("superseded_by") for m in everything} == {old: stored, stored: None}


def test_filters_are_exact(run: Run) -> None:
    wanted = store(run, "alpha", "--tag", "a", "--kind", "procedural", "--occurred-at", "2024-05-01")
    store(run, "beta", "--tag", "b")
    for filters in (
        ("--tag", "a"),
        ("--kind", "procedural"),
        ("--since", "2024-05-01", "--until", "2024-05-01"),
    ):
        assert [m["id"] for m in run("list", "--json", *filters).json["memories"]] == [wanted]
        assert [m["id"] for m in run("query", "x", "--json", *filters).json["results"]] == [wanted]


def test_pages_follow_each_other(run: Run) -> None:
    ids = [store(run, f"memory {n}", "--occurred-at", f"2024-01-0{n}") for n in (1, 2, 3)]
    first = run("list", "--limit", "2", "--order", "oldest", "--json").json
    cursor = first["next_cursor"]
    assert cursor in run("list", "--limit", "2", "--order", "oldest").out
    second = run("list", "--limit", "2", "--order", "oldest", "--cursor", cursor, "--json").json
    assert [m["id"] for page in (first, second) for m in page["memories"]] == ids


def test_a_dash_reads_standard_input_verbatim(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "  naïve 日本語\r\n\ttab\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="ascii"))
    stored = store(run, "-")
    assert run("list", stored, "--json").json["memories"][0]["content"] == text


def test_standard_input_that_is_too_long_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = io.BytesIO("é".encode() * 5 * arguments.MAX_CONTENT_CHARS)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
    outcome = run("store", "-")
    assert outcome.status == 2
    assert "content is too long" in outcome.err
    assert endless.read(1) != b""  # and it was not read to the end


def test_broken_unicode_from_the_shell_is_decoded_or_replaced(run: Run) -> None:
    stored = store(run, "caf\udce9 \ud83d", "--tag", "\udcff")
    memory = run("list", stored, "--json").json["memories"][0]
    assert (memory["content"], memory["tags"]) == ("caf\ufffd \ufffd", ["ÿ"])


def test_a_project_whose_name_is_no_unicode_can_have_memories(run: Run) -> None:
    stored = store(run, "text", "--project", "/code/caf\udce9")
    assert run("list", stored, "--json").json["memories"][0]["project"] == "/code/caf\ufffd"


def test_a_long_text_is_embedded_before_the_command_ends(run: Run) -> None:
    store(run, "\n\n".join(f"Paragraph {n}. " + "The garden has many paths. " * 30 for n in range(12)))
    finding = {f["name"]: f for f in run("doctor", "--json").json["findings"]}["embeddings"]
    done, _, total, _ = finding["sentence"].split()
    assert done == total
    assert int(total) > 8  # more than a store embeds at once


# --- deleting and restoring ---------------------------------------------------------------------


def test_a_deleted_memory_is_gone_until_it_is_restored(run: Run) -> None:
    stored = store(run, RELEASES)
    deleted = run("delete", stored)
    assert deleted.status == 0
    assert f"sediment-mcp restore {stored}" in deleted.out
    assert stored not in run("list").out
    trash = run("list", "--deleted", "--json").json
    assert [(m["id"], m["content"]) for m in trash["memories"]] == [(stored, RELEASES)]
    assert trash["memories"][0]["deleted_at"] < trash["memories"][0]["recoverable_until"]
    assert stored in run("list", "--deleted").out
    assert run("restore", stored, "--json").json == {"restored": [stored]}
    assert stored in run("list").out
    assert "Nothing is deleted." in run("list", "--deleted").out


@pytest.mark.parametrize("command", ["delete", "restore"])
def test_an_unknown_id_is_told_and_makes_the_status_1(run: Run, command: str) -> None:
    stored = store(run, RELEASES)
    if command == "restore":
        run("delete", stored)
    outcome = run(command, stored, "nosuchid")
    assert outcome.status == 1
    assert "nosuchid" in outcome.out
    assert run(command, "nosuchid", "--json").json["not_found"] == ["nosuchid"]


def test_erasing_needs_a_yes_where_nobody_can_be_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    stored = store(run, RELEASES)
    refused = run("delete", stored, "--permanent")
    assert (refused.status, refused.out) == (2, "")
    assert "--yes" in refused.err
    assert stored in run("list").out
    assert run("delete", stored, "--permanent", "--yes").status == 0
    assert run("restore", stored).status == 1


@pytest.mark.parametrize(("answer", "erased"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False)])
def test_erasing_asks_on_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, erased: bool
) -> None:
    stored = store(run, RELEASES)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    outcome = run("delete", stored, "--permanent")
    assert "for good?" in outcome.err
    assert outcome.status == (0 if erased else 1)
    assert (stored in run("list").out) is not erased


def test_the_trash_ignores_no_filter(run: Run) -> None:
    outcome = run("list", "--deleted", "--tag", "x")
    assert outcome.status == 2
    assert "--limit" in outcome.err


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_flag_wins_over_the_environment_before_and_after_the_command(
    run: Run, tmp_path: Path, own_place: Path, place: str
) -> None:
    flag, command = ["--data-dir", str(tmp_path / "other")], ["store", RELEASES]
    assert run(*(flag + command if place == "before" else command + flag)).status == 0
    assert (tmp_path / "other" / DATABASE).exists()
    assert not own_place.exists()


def test_the_project_is_the_work_tree_unless_something_else_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / ".git").mkdir()
    tree = str(Path.cwd().resolve())
    for flags, owner in (
        ((), {"scope": "project"}),
        (("--project", "/code/shop"), {"project": "/code/shop"}),
        (("--project", ""), {}),
    ):
        stored = store(run, f"for {owner}", *flags)
        memory = run("list", stored, "--json").json["memories"][0]
        assert {name: memory[name] for name in ("scope", "project") if name in memory} == owner
        seen_from_there = run("list", stored, "--json", "--project", "/code").json["memories"][0]
        whole = {"project": tree} if "scope" in owner else owner
        assert {
            name: seen_from_there[name] for name in ("scope", "project") if name in seen_from_there
        } == whole
    assert run("list", "--scope", "project", "--json").json["total"] == 1


def test_without_a_project_none_can_be_asked_for(run: Run) -> None:
    outcome = run("query", "x", "--scope", "project")
    assert outcome.status == 2
    assert "SEDIMENT_PROJECT" in outcome.err


def test_without_a_model_words_are_searched_and_it_is_said_once(run: Run) -> None:
    store(run, RELEASES, "--model", "none")
    outcome = run("--model", "none", "query", "releases")
    assert RELEASES in outcome.out
    assert (outcome.out + outcome.err).count("SEDIMENT_MODEL=none") == 1
    assert run("query", "releases", "--model", "none", "--json").json["mode"] == "lexical"


@pytest.mark.sentence_transformers
@pytest.mark.slow
def test_a_model_that_is_missing_is_told_and_the_memory_is_stored(run: Run, tmp_path: Path) -> None:
    outcome = run("store", RELEASES, "--model", str(tmp_path / "no model"))
    assert outcome.status == 0
    assert outcome.err.count("no such folder") == 1
    assert RELEASES in run("list").out


def test_a_typing_error_in_a_variable_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEDIMENT_MODLE", "x")
    outcome = run("list")
    assert outcome.status == 0
    assert "did you mean SEDIMENT_MODEL?" in outcome.err


def test_the_version_names_the_directory_and_makes_nothing(run: Run, own_place: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    outcome = run("--version", "--data-dir", str(tmp_path / "link" / "data"))
    python = ".".join(map(str, sys.version_info[:3]))
    assert outcome.out.splitlines() == [
        f"sediment-mcp {__version__}", f"Python {python}", os.path.realpath(own_place),
    ]  # fmt: skip
    assert not own_place.exists()


# --- what is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("store", ""), "content is empty"),
        (("store", " "), "content must hold more than white space"),
        (("store", "x", "--kind", "odd"), "kind must be 'semantic'"),
        (("store", "x", "--importance", "2"), "importance must be less than or equal to 1"),
        (("store", "x", "--metadata", "{"), "metadata must be a JSON object"),
        (("store", "x", "--occurred-at", "soon"), "occurred_at must be an ISO 8601 time"),
        (("store", "x", "--replaces", "nosuchid"), "replaces names no memory: nosuchid"),
        (("query", "x", "--limit", "101"), "limit must be less than or equal to 100"),
        (("query", "x", "--max-chars", "many"), "max_chars must be a valid integer"),
        (("list", "--cursor", "x"), "cursor is not one"),
        (("store",), "TEXT"),
        (("delete",), "ID"),
        (("frobnicate",), "frobnicate"),
        (("list", "--frobnicate"), "--frobnicate"),
        (("serve", "--frobnicate"), "--frobnicate"),
        (("list", "--log-level", "loud"), "SEDIMENT_LOG_LEVEL"),
        (("serve", "--log-level", "loud"), "SEDIMENT_LOG_LEVEL"),
        (("list", "--lmit", "3"), "'--limit'"),
        (("lst",), "'list'"),
        (("list", "--tag"), "sediment-mcp list --help"),
        (("delete", "--tag", "--yes"), "'--tag' requires an argument"),
        (("--project", "--model", "list"), "--project"),
    ],
)
def test_a_wrong_argument_is_one_line_on_stderr_and_status_2(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    outcome = run(*arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("sediment-mcp: ")
    assert outcome.err.count("\n") == 1
    assert words in outcome.err


def test_what_begins_with_dashes_is_text_after_two_dashes(run: Run) -> None:
    stored = run("store", "--json", "--", "--tag --yes").json["id"]
    assert run("list", stored, "--json").json["memories"][0]["content"] == "--tag --yes"
    assert run("query", "--json", "--", "-5").status == 0


@pytest.mark.parametrize("text", ["- buy milk", "-5", "-0.5", "--- a heading", "-a\n-b", "--tag=x y"])
def test_text_that_begins_with_a_dash_is_stored(run: Run, text: str) -> None:
    is_option = text.startswith("--tag")
    stored = store(run, *([text, "text"] if is_option else [text]), "--metadata", '{"a": 1}')
    memory = run("list", stored, "--json").json["memories"][0]
    assert (memory["content"], memory.get("tags")) == (("text", ["x y"]) if is_option else (text, None))


def test_an_option_s_value_may_begin_with_a_dash(run: Run) -> None:
    stored = store(run, "text", "--tag", "- a", "--session", "-5", '--metadata={"a": 1}')
    memory = run("list", stored, "--json").json["memories"][0]
    assert (memory["tags"], memory["session"], memory["metadata"]) == (["- a"], "-5", {"a": 1})


def test_what_is_wrong_with_the_data_is_one_line_and_status_1(run: Run, own_place: Path) -> None:
    own_place.mkdir()
    (own_place / DATABASE).write_bytes(b"no database at all" * 100)
    for command in (
        ("store", "x"),
        ("query", "x"),
        ("list",),
        ("delete", "x"),
        ("restore", "x"),
        ("reindex",),
    ):
        outcome = run(*command)
        assert (outcome.status, outcome.out) == (1, "")
        assert outcome.err.count("\n") == 1
        assert "doctor" in outcome.err


def test_an_error_cannot_command_the_terminal(run: Run) -> None:
    outcome = run("store", "x", "--replaces", f"{ESCAPE}[2Jid\nnext")
    assert ESCAPE not in outcome.err
    assert outcome.err.count("\n") == 1


def test_finding_nothing_is_no_failure(run: Run) -> None:
    for command in (("query", "x"), ("list",), ("list", "nosuchid")):
        outcome = run(*command)
        assert (outcome.status, outcome.out.strip(), outcome.err) == (0, "Nothing found.", "")


# --- how it looks -------------------------------------------------------------------------------


def test_what_a_memory_holds_is_data_for_the_terminal(run: Run) -> None:
    text = f"[bold]not bold[/bold] [/x] :smile: {ESCAPE}[31mred{ESCAPE}]0;title\x07 a\u202eb"
    stored = store(run, text, "--tag", "[red]", "--session", f"{ESCAPE}c")
    for command in (("query", "bold"), ("list",), ("list", stored)):
        shown = run(*command).out
        assert "[bold]not bold[/bold] [/x] :smile:" in shown
        assert "#[red]" in shown
        assert not {ESCAPE, "\x07", "\u202e"} & set(shown)


def test_a_pipe_gets_plain_whole_lines(run: Run) -> None:
    store(run, "word " * 40 + "end")
    shown = run("list").out
    assert ("word " * 40 + "end") in shown
    assert ESCAPE not in shown


@pytest.mark.parametrize("columns", [40, 80, 120, 300])
def test_a_terminal_gets_colour_and_lines_that_fit(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    store(run, "A paragraph that is long enough to be wrapped. " * 6, "--tag", "x", "--session", "y")
    for name, value in {**ON_A_TERMINAL, "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    for command in (("query", "paragraph"), ("list",), ("doctor",)):
        shown = run(*command).out
        assert ESCAPE in shown
        plain = [_without_colour(line) for line in shown.splitlines()]
        assert max(map(len, plain)) <= columns
        assert max(map(len, plain)) <= 100


def _without_colour(line: str) -> str:
    from rich.text import Text

    return Text.from_ansi(line).plain


def test_weak_matches_are_marked(run: Run) -> None:
    store(run, RELEASES)
    outcome = run("query", "quantum chromodynamics of neutron stars")
    assert "Nothing really fits" in outcome.out
    assert "weak" in outcome.out


def test_a_memory_that_was_cut_says_so_and_is_whole_by_its_id(run: Run) -> None:
    text = "alpha " * 100 + "omega"
    stored = store(run, text)
    assert "omega" not in run("list").out
    assert "[…]" in run("list").out
    assert "omega" in run("list", stored).out


def test_notes_are_shown(run: Run) -> None:
    for n in range(3):
        store(run, f"cheese number {n} " + "and more cheese " * 40)
    assert "Note: " in run("query", "cheese", "--max-chars", "500").out


def test_help_names_every_command(run: Run) -> None:
    status, shown, _ = run("--help")
    assert status == 0
    assert all(command in shown for command in commands())
    assert all(variable in shown for variable in VARIABLES)


# --- doctor and reindex -------------------------------------------------------------------------


def test_doctor_is_content_with_a_fresh_installation(run: Run, own_place: Path) -> None:
    outcome = run("doctor")
    assert (outcome.status, outcome.err) == (0, "")
    assert "Nothing is stored yet." in outcome.out
    assert not own_place.exists()


def test_doctor_s_status_is_1_for_a_problem_and_fix_mends_it(run: Run, own_place: Path) -> None:
    store(run, RELEASES)
    assert run("reindex").status == 0
    (own_place / "text.json").write_text("{}")
    sick = run("doctor", "--json")
    assert (sick.status, sick.json["state"]) == (1, "problem")
    assert [f["name"] for f in sick.json["findings"] if f["state"] == "problem"] == ["text index"]
    mended = run("doctor", "--fix", "--json")
    assert (mended.status, mended.json["state"]) == (0, "ok")


def test_reindex_embeds_what_was_stored_without_a_model(run: Run) -> None:
    stored = store(run, RELEASES, "--model", "none")
    assert run("reindex", "--json").json == {"model": config.DEFAULT_MODEL, "passages": 1, "embedded": 1}
    found = run("query", "When do we ship a new version?", "--json").json
    assert (found.get("mode"), found["results"][0]["id"]) == (None, stored)


@pytest.mark.sentence_transformers
def test_reindex_fails_if_the_model_does(run: Run, tmp_path: Path) -> None:
    store(run, RELEASES)
    outcome = run("reindex", "--model", str(tmp_path / "no model"))
    assert outcome.status == 1
    assert "no such folder" in outcome.err
    assert run("reindex", "--model", "none").status == 0


def test_reindex_of_nothing_makes_nothing(run: Run, own_place: Path) -> None:
    outcome = run("reindex")
    assert (outcome.status, outcome.out.strip()) == (0, "Nothing is stored yet.")
    assert not (own_place / DATABASE).exists()


# --- as a process -------------------------------------------------------------------------------


@pytest.mark.process
def test_a_process_stores_and_finds(own_place: Path) -> None:
    stored = process("store", "日本語 🎉", "--json", environment={"PYTHONIOENCODING": "ascii"})
    assert stored.returncode == 0, stored.stderr
    listed = process("list", "--json", environment={"PYTHONIOENCODING": "ascii"})
    assert json.loads(listed.stdout)["memories"][0]["content"] == "日本語 🎉"
    assert listed.stdout.count(b"\n") == 1
    assert not list(own_place.glob("*-wal"))  # the last one to leave tidies up


def test_only_warnings_are_logged_unless_more_is_asked_for(run: Run) -> None:
    for flags, level in (((), logging.WARNING), (("--log-level", "info"), logging.INFO)):
        run("list", *flags)
        assert logging.getLogger("sediment_mcp").level == level


@pytest.mark.process
def test_what_a_result_s_notes_say_is_not_logged_too() -> None:
    query = process("query", "garden", "--model", "none")
    assert (query.stdout.count(b"SEDIMENT_MODEL=none"), query.stderr) == (1, b"")


@pytest.mark.slow
@pytest.mark.process
def test_a_reader_that_leaves_is_no_failure() -> None:
    process("store", RELEASES)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        child = subprocess.run([*PROGRAM, "list"], stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (child.returncode, child.stderr) == (0, b"")


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_a_command_without_a_traceback() -> None:
    child = subprocess.Popen([*PROGRAM, "store", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.write(b"x" * 200_000)  # more than a pipe holds: when this returns, the command is reading
    child.stdin.flush()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (main.INTERRUPTED, b"")


@pytest.mark.process
def test_the_version_is_told_without_loading_anything_heavy() -> None:
    program = "import sys; from sediment_mcp.cli.main import main; main(['--version']); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert not {"numpy", "pydantic", "mcp", "rich", "sqlite3"} & set(loaded.split())
    assert not any(name.startswith("sediment_mcp.cli.commands") for name in loaded.split())


def test_the_server_starts_without_the_commands() -> None:
    program = (
        "import sys; from sediment_mcp.server import run; from sediment_mcp.cli.main import main; "
        "run.serve = lambda config: print(*sys.modules, file=sys.stderr) or 0; main([])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    ).stderr.split()
    assert "sediment_mcp.cli.main" in loaded
    assert not {"sediment_mcp.cli.group", "sediment_mcp.cli.options"} & set(loaded)


@pytest.mark.process
def test_libraries_are_told_to_use_one_thread() -> None:
    program = (
        "import os; from sediment_mcp.cli.main import main; main(['--version']); "
        "print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['TOKENIZERS_PARALLELISM'])"
    )
    clean = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, "OPENBLAS_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == "3 false"  # what the user has set stays


@pytest.mark.slow
@pytest.mark.process
def test_commands_work_beside_a_running_server(own_place: Path, run: Run) -> None:
    from support.stdio_peer import StdioPeer

    with StdioPeer(own_place) as peer:
        peer.initialize()
        told = peer.call("store_memory", content=RELEASES)["structuredContent"]["id"]
        assert run("list", "--json").json["memories"][0]["id"] == told
        assert run("doctor").status == 0
        assert run("reindex").status == 0
        stored = store(run, "Written in a terminal.")
        found = peer.call("query_memory", query="written in a terminal")["structuredContent"]["results"]
        assert found[0]["id"] == stored


@pytest.mark.slow
@pytest.mark.process
def test_serve_takes_flags(tmp_path: Path) -> None:
    from support.stdio_peer import StdioPeer

    other = tmp_path / "other"
    command = (*PROGRAM, "serve", "--data-dir", str(other), "--project", "/code/shop")
    with StdioPeer(tmp_path / "unused", command=command) as peer:
        peer.initialize()
        peer.call("store_memory", content=RELEASES)
        listed = peer.call("list_memories")["structuredContent"]["memories"]
    assert [memory["scope"] for memory in listed] == ["project"]
    assert (other / DATABASE).exists()
    assert not (tmp_path / "unused").exists()


def test_a_newer_database_is_refused_in_a_sentence(run: Run, own_place: Path) -> None:
    store(run, RELEASES)
    with contextlib.closing(sqlite3.connect(own_place / DATABASE)) as database:
        database.execute("PRAGMA user_version = 999")
        database.commit()
    outcome = run("list")
    assert (outcome.status, outcome.out) == (1, "")
    assert "newer" in outcome.err


@pytest.mark.process
def test_nothing_is_written_outside_the_data_directory(tmp_path: Path) -> None:
    """onnxruntime would keep reports for its makers in the user's cache, and send them."""
    home = tmp_path / "home"
    home.mkdir()
    inherited = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "PYTHON"))}
    subprocess.run(
        [*PROGRAM, "--data-dir", str(tmp_path / "data"), "store", RELEASES],
        env={**inherited, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "data" / "memories.db").exists()
    assert list(home.rglob("*")) == []
