"""The commands that carry memories: export, import."""

from __future__ import annotations

import getpass
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.command_line import Run, own_place, process, run, store

from sediment_mcp import config
from sediment_mcp.system.files import open_replacement
from sediment_mcp.transfer import encryption, importer

__all__ = ["own_place", "run"]  # fixtures


@pytest.fixture(autouse=True)
def without_model(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is searched by meaning, and loading the model takes longer than all the rest."""
    monkeypatch.setenv(config.MODEL, config.NO_MODEL)


def elsewhere(tmp_path: Path) -> tuple[str, str]:
    return "--data-dir", str(tmp_path / "elsewhere")


def contents(run: Run, *where: str) -> set[str]:
    return {memory["content"] for memory in run("list", "--json", *where).json["memories"]}


# --- export -------------------------------------------------------------------------------------


def test_a_file_carries_the_memories_to_another_place(run: Run, tmp_path: Path) -> None:
    store(run, "The kettle is red")
    file = tmp_path / "all.jsonl"
    outcome = run("export", str(file))
    assert (outcome.status, "1 memory exported" in outcome.out) == (0, True)
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600
    outcome = run("import", str(file), *elsewhere(tmp_path))
    assert (outcome.status, "1 memory imported" in outcome.out) == (0, True)
    assert contents(run, *elsewhere(tmp_path)) == {"The kettle is red"}


def test_a_file_is_kept_unless_it_may_be_replaced(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text("mine")
    outcome = run("export", str(file))
    assert (outcome.status, "--force" in outcome.err, file.read_text()) == (2, True, "mine")
    assert run("export", str(file), "--force").status == 0
    assert file.read_text() != "mine"


def test_an_export_that_is_broken_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    file = folder / "all.jsonl"
    file.write_text("mine")

    def broken_off() -> None:
        with open_replacement(file) as out:
            out.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert [path.name for path in folder.iterdir()] == ["all.jsonl"]
    assert file.read_text() == "mine"


def test_standard_output_carries_the_export_and_nothing_else(run: Run) -> None:
    store(run, "The kettle is red")
    outcome = run("export")
    assert [json.loads(line).get("content") for line in outcome.out.splitlines()] == [
        None,
        "The kettle is red",
    ]
    assert "1 memory exported." in outcome.err


def test_the_filters_of_a_list_choose_what_is_exported(run: Run, tmp_path: Path) -> None:
    store(run, "The kettle is red", "--tag", "tea", "--occurred-at", "2026-01-01")
    old = store(run, "The stove is blue")
    store(run, "The stove is green", "--replaces", old)
    assert run("delete", store(run, "The lid is lost")).status == 0

    def exported(*options: str) -> set[str]:
        lines = [json.loads(line) for line in run("export", *options).out.splitlines()]
        return {line["content"].split()[-1] for line in lines if "content" in line}

    assert exported() == {"red", "blue", "green", "lost"}
    assert exported("--tag", "tea") == exported("--until", "2026-01-02") == {"red"}
    assert exported("--no-history", "--no-trash") == {"red", "green"}
    assert exported("--scope", "project", "--project", str(tmp_path)) == set()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--json",), "FILE"),
        (("--by-tag",), "--markdown"),
        (("--markdown", "x", "--encrypt"), "--markdown"),
        (("file", "--passphrase-file", "x"), "--encrypt"),
        (("file", "--encrypt"), "--passphrase-file"),
        (("file", "--encrypt", "--passphrase-file", "missing"), "missing"),
        (("file", "--embeddings"), "model"),
        (("--kind", "rumour"), "kind"),
        (("missing/folder/file",), "cannot be written"),
        ((".",), "exists already"),
        ((".", "--force"), "folder"),
    ],
)
def test_what_cannot_be_exported_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    outcome = run("export", *options)
    assert outcome.status in (1, 2)
    assert word in outcome.err
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"data"}


def test_markdown_is_written_and_read_again(run: Run, tmp_path: Path) -> None:
    store(run, "The kettle is red", "--tag", "tea")
    folder = tmp_path / "notes"
    assert "1 memory in 1 file" in run("export", "--markdown", str(folder)).out
    assert run("export", "--markdown", str(tmp_path / "tags"), "--by-tag", "--json").json == {
        "memories": 1,
        "files": 1,
    }
    assert (tmp_path / "tags" / "tea.md").exists()
    assert run("import", str(folder), *elsewhere(tmp_path)).status == 0
    assert contents(run, *elsewhere(tmp_path)) == {"The kettle is red"}


# --- encryption ---------------------------------------------------------------------------------


def shifted(data: bytes, passphrase: str, name: str = "") -> bytes:
    """In the place of real encryption, which takes a second on purpose: `test_formats` has that."""
    return bytes(byte ^ len(passphrase) for byte in data)


@pytest.fixture
def quick_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    head = encryption.AGE_HEADERS[0]
    monkeypatch.setattr(encryption, "encrypt", lambda data, word: head + shifted(data, word))
    monkeypatch.setattr(
        "sediment_mcp.transfer.source.decrypt", lambda data, word, name: shifted(data[len(head) :], word)
    )


def test_an_encrypted_export_is_asked_for_its_passphrase_twice_and_an_import_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_encryption: None
) -> None:
    store(run, "The kettle is red")
    asked: list[str] = []
    answers = ["sesame", "typo", "sesame", "sesame", "sesame"]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(
        getpass, "getpass", lambda question: asked.append(question) or answers[len(asked) - 1]
    )
    file = str(tmp_path / "all.age")
    assert "differ" in run("export", file, "--encrypt").err
    assert not Path(file).exists()
    assert run("export", file, "--encrypt").status == 0
    assert b"kettle" not in Path(file).read_bytes()
    assert run("import", file, *elsewhere(tmp_path)).status == 0
    assert len(asked) == 5
    assert contents(run, *elsewhere(tmp_path)) == {"The kettle is red"}


def test_a_script_gives_the_passphrase_in_a_file(run: Run, tmp_path: Path, quick_encryption: None) -> None:
    store(run, "The kettle is red")
    word = tmp_path / "word"
    word.write_text("sesame\nnot this\n")
    file = str(tmp_path / "all.age")
    assert run("export", file, "--encrypt", "--passphrase-file", str(word)).status == 0
    word.write_text("sesame")
    assert run("import", file, "--passphrase-file", str(word), *elsewhere(tmp_path)).status == 0
    word.write_text("")
    assert "empty" in run("import", file, "--passphrase-file", str(word)).err


# --- import -------------------------------------------------------------------------------------


def line(**fields: Any) -> str:
    return json.dumps({"type": "memory", "created_at": "2026-01-01", **fields}) + "\n"


@pytest.mark.process
def test_standard_input_is_imported_in_the_encoding_of_the_shell(tmp_path: Path) -> None:
    text = line(id="a", content="grüße")
    where = {config.DATA_DIR: str(tmp_path / "data"), config.MODEL: config.NO_MODEL}
    outcome = process("import", "-", "--json", environment=where, input=text.encode("utf-16"))
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout)
    assert (result["imported"], result["skipped"]) == (1, [])
    assert "grüße" in process("list", environment=where).stdout.decode()


def test_the_report_shows_the_first_troubles_and_json_all_of_them(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(line(id="a", content="fine") + "broken\n" * 30)
    shown = run("import", str(file))
    assert shown.status == 0
    assert shown.out.count("Skipped") == 10
    assert "line 2" in shown.out
    assert "20 more" in shown.out
    again = run("import", str(file), "--json").json
    assert (again["known"], len(again["skipped"])) == (1, 30)


def test_a_dry_run_says_that_nothing_was_changed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text(line(id="a", content="fine"))
    outcome = run("import", str(file), "--dry-run")
    assert "Nothing was changed" in outcome.out
    assert contents(run) == set()


def test_notes_get_the_tag_and_the_scope_of_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("The kettle is red")
    project = ("--project", str(tmp_path))
    assert run("import", str(tmp_path / "notes"), "--tag", "old", "--scope", "project", *project).status == 0
    (memory,) = run("list", "--json").json["memories"]
    assert (memory["tags"], memory["project"]) == (["old"], str(tmp_path))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("missing.jsonl",), "does not exist"),
        (("picture.png",), "PNG picture"),
        (("zeros.dat",), "zero bytes"),
        (("unknown.json",), "--format"),
        (("note.md", "--format", "word"), "mem0"),
        (("note.md", "--scope", "all"), "scope"),
        (("note.md", "--scope", "project", "--project", ""), "No project"),
        (("note.md", "--tag", "x" * 65), "tags"),
    ],
)
def test_what_cannot_be_imported_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00\x01")
    (tmp_path / "zeros.dat").write_bytes(b"\x01\x00\x02\x00\x00")
    (tmp_path / "unknown.json").write_text('{"a": 1}')
    (tmp_path / "note.md").write_text("a note")
    outcome = run("import", *options)
    assert (outcome.status, word in outcome.err) == (2, True), outcome.err


def test_an_interrupted_import_says_what_is_in_and_how_it_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "two.jsonl"
    bad_lines = "[]\n" * (importer.COMMIT_EVERY - 1)  # they fill the first batch, after one memory
    file.write_text(line(id="a", content="one") + bad_lines + line(id="b", content="two"))
    import_batch = importer._Importer.import_batch

    def interrupted(work: Any, items: Any) -> None:
        if work.report.imported:
            raise KeyboardInterrupt
        import_batch(work, items)

    with monkeypatch.context() as patched:
        patched.setattr(importer._Importer, "import_batch", interrupted)
        outcome = run("import", str(file))
    assert outcome.status == 130
    assert "Interrupted: 1 memory is new here" in outcome.err
    assert contents(run) == {"one"}
    assert "1 memory imported, 0 updated, 1 known already" in run("import", str(file)).out


# --- standard input and arguments in other encodings --------------------------------------------


def stored(run: Run, monkeypatch: pytest.MonkeyPatch, data: bytes, *options: str) -> tuple[Any, set[str]]:
    """Pipe bytes to `store -`; return the outcome and all texts that are stored."""
    stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    outcome = run("store", "-", *options)
    return outcome, contents(run)


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("Menü", "utf-8", False),
        ("Menü", "utf-8-sig", False),
        ("Menü", "utf-16", False),
        ("Menü", "utf-16-le", False),
        ("Menü", "utf-32", False),
        ("café menü", "cp1252", True),
        ("schöne Grüße", "cp850", True),
        ("牛奶放在冰箱里。", "gbk", True),
    ],
)
def test_standard_input_is_stored_in_the_encoding_that_it_has(
    run: Run, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str, told: bool
) -> None:
    outcome, texts = stored(run, monkeypatch, text.encode(encoding))
    assert (outcome.status, texts) == (0, {text})
    assert ("--encoding" in outcome.err) == told


@pytest.mark.parametrize(
    ("data", "options", "word"),
    [
        (bytes(range(256)), (), "no text"),
        (b"%PDF-1.4", (), "PDF"),
        ("ПРИВЕТ ВСЕМ".encode("cp1251"), (), "--encoding"),  # noqa: RUF001
        (b"\xff", ("--encoding", "ascii"), "ascii"),
        (b"x", ("--encoding", "klingon"), "klingon"),
        (b"", (), "content"),
    ],
)
def test_standard_input_that_is_no_text_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, data: bytes, options: tuple[str, ...], word: str
) -> None:
    outcome, texts = stored(run, monkeypatch, data, *options)
    assert (outcome.status, word in outcome.err, texts) == (2, True, set())


def test_a_named_encoding_is_that_of_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "ПРИВЕТ ВСЕМ"  # noqa: RUF001
    assert stored(run, monkeypatch, text.encode("cp866"), "--encoding", "cp866")[1] == {text}
    assert "standard input" in run("store", "a text", "--encoding", "cp866").err


def test_arguments_that_python_could_not_decode_are_decoded_by_the_same_rule(run: Run) -> None:
    if sys.platform == "win32":
        pytest.skip("arguments are text there")
    for data in ("schöne Grüße".encode(), "schöne Tür".encode("cp1252")):
        assert run("store", data.decode("ascii", "surrogateescape")).status == 0
    assert contents(run) == {"schöne Grüße", "schöne Tür"}
    outcome = run("store", "ПРИВЕТ ВСЕМ".encode("cp1251").decode("ascii", "surrogateescape"))  # noqa: RUF001
    assert (outcome.status, "store -" in outcome.err) == (2, True)


def test_an_import_that_could_take_nothing_ends_with_a_failure_and_says_why(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    outcome = run("import", str(tmp_path / "empty.txt"))
    assert (outcome.status, "holds no text" in outcome.out) == (1, True)
    (tmp_path / "some.jsonl").write_text(line(id="a", content="fine") + "broken\n")
    assert run("import", str(tmp_path / "some.jsonl")).status == 0
    (tmp_path / "cyrillic.txt").write_bytes("ПРИВЕТ".encode("cp1251"))
    assert run("import", str(tmp_path / "cyrillic.txt"), "--encoding", "cp1251").status == 0
    assert "ПРИВЕТ" in contents(run)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_an_export_follows_no_link_even_by_force(run: Run, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out.jsonl").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("out.jsonl", "dangling"):
        outcome = run("export", str(tmp_path / name), "--force")
        assert (outcome.status, "link" in outcome.err) == (2, True)
        assert run("backup", str(tmp_path / name)).status != 0
    assert victim.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


HARMFUL = "a\x1b[2Jb\x9b31mc\u202ed\u200be\x7ff\U000e0041g"


@pytest.mark.parametrize("command", [("list", "--json"), ("export", "-"), ("list",)])
def test_nothing_that_a_memory_holds_controls_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    store(run, HARMFUL)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    outcome = run(*command)
    assert outcome.status == 0
    assert not set(outcome.out) & set("\x1b\x9b\u202e\u200b\x7f\U000e0041")
    if "--json" in command:
        assert outcome.json["memories"][0]["content"] == HARMFUL
    elif command[0] == "export":
        assert json.loads(outcome.out.splitlines()[1])["content"] == HARMFUL
