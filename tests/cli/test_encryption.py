"""The commands encrypt, decrypt and key: what they ask, print and refuse."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyring.backends import fail
from support.command_line import Run, Terminal, own_place, run, store
from support.encryption import own_keys
from support.keychain import PLACE, FileKeychain, use_keychain
from support.readable import find_readable, plant

from sediment_mcp.system.data_key import DataKey, generate_key, parse_recovery_code
from sediment_mcp.system.directory_encryption import MARKER

__all__ = ["own_place", "run"]  # fixtures
pytestmark = pytest.mark.encrypt

CODE = re.compile(r"\b(?:[A-Z2-7]{4}-){13}[A-Z2-7]{4}\b")
NONE = ("--model", "none")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Keep keys of tests out of the user's settings and keychain."""
    monkeypatch.setenv(PLACE, str(tmp_path / "keychain.json"))
    with own_keys() as folder, use_keychain(fail.Keyring()):
        yield folder


class Typist(Terminal):
    """A person who reads what a command shows, and types the groups that it asks for."""

    def __init__(self, capsys: pytest.CaptureFixture[str], slips: int = 0) -> None:
        super().__init__()
        self._capsys, self._slips, self.seen = capsys, slips, ""

    def readline(self, size: int | None = -1, /) -> str:
        """Return the group that was asked for last, after so many wrong ones."""
        self.seen += self._capsys.readouterr().err
        shown = [line.split() for line in self.seen.splitlines() if line.startswith("    ")]
        groups = [group for line in shown for group in line]
        if self._slips:
            self._slips -= 1
            return "ABCD\n"
        return groups[int(re.findall(r"Group (\d+) of it", self.seen)[-1]) - 1].lower() + "\n"

    @property
    def code(self) -> str:
        """The recovery code as it was shown."""
        shown = [line.split() for line in self.seen.splitlines() if line.startswith("    ")]
        return "-".join(group for line in shown for group in line)


# --- encrypt ------------------------------------------------------------------------------------------


def test_a_person_types_two_groups_of_the_code_back(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_place: Path
) -> None:
    memory_id = store(run, plant("content"), *NONE)
    person = Typist(capsys, slips=1)
    monkeypatch.setattr(sys, "stdin", person)
    outcome = run("encrypt", "--key", "file")
    assert outcome.status == 0, outcome.err
    assert not CODE.search(outcome.out + outcome.err)  # it was shown once
    assert run("key", "show").out.strip() == person.code
    assert find_readable([own_place]) == []
    assert run("list", "--json", *NONE).json["memories"][0]["id"] == memory_id


def test_whoever_cannot_type_them_back_has_changed_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_place: Path, keys: Path
) -> None:
    store(run, plant("content"), *NONE)
    monkeypatch.setattr(sys, "stdin", Typist(capsys, slips=3))
    outcome = run("encrypt", "--key", "file")
    assert outcome.status == 2
    assert "nothing was changed" in outcome.err
    assert not (own_place / MARKER).exists()
    assert not any(keys.rglob("*"))


def test_a_script_has_to_say_that_it_keeps_the_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, own_place: Path
) -> None:
    store(run, plant("content"), *NONE)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    outcome = run("encrypt")
    assert outcome.status == 2
    assert "add --yes" in outcome.err
    assert not (own_place / MARKER).exists()


def test_a_script_gets_the_code_alone_on_standard_output(
    run: Run, caplog: pytest.LogCaptureFixture, own_place: Path
) -> None:
    store(run, plant("content"), *NONE)
    outcome = run("encrypt", "--yes", "--key", "file", "--log-level", "DEBUG")
    assert outcome.status == 0, outcome.err
    assert CODE.fullmatch(outcome.out.strip())
    assert not CODE.search(outcome.err + caplog.text)
    key = parse_recovery_code(outcome.out)
    assert key.id in outcome.err  # the name of its file
    again = run("encrypt", "--yes")
    assert again.status == 0
    assert "everything was already" in again.out
    assert not CODE.search(again.out + again.err)


def test_a_program_gets_the_code_in_the_result(run: Run) -> None:
    result = run("encrypt", "--yes", "--key", "file", "--json").json
    assert (result["files"], result["key"]) == (0, "file")
    assert CODE.fullmatch(result["recovery_code"])
    assert "recovery_code" not in run("encrypt", "--yes", "--json").json


def test_the_keychain_is_the_first_choice(run: Run) -> None:
    with use_keychain(FileKeychain()):
        assert run("encrypt", "--yes", "--json").json["key"] == "keychain"
        assert "is kept in the keychain" in run("key", "where").out
        assert run("list", *NONE).status == 0


def test_a_command_of_the_user_keeps_the_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, own_place: Path
) -> None:
    code = run("key", "new").out.strip()
    command = f'"{sys.executable}" -c "print(\'{code}\')"'
    monkeypatch.setenv("SEDIMENT_KEY_COMMAND", command)
    store(run, plant("content"), *NONE)
    outcome = run("encrypt")  # the code is known to whoever has made it
    assert outcome.status == 0, outcome.err
    assert find_readable([own_place]) == []
    monkeypatch.delenv("SEDIMENT_KEY_COMMAND")
    refused = run("list", *NONE)
    assert refused.status == 1
    assert "SEDIMENT_KEY_COMMAND, which prints their key, is not set here" in refused.err


def test_a_key_that_is_kept_already_stays_where_it_is(run: Run) -> None:
    assert run("encrypt", "--yes", "--key", "file").status == 0
    outcome = run("encrypt", "--yes", "--key", "keychain")
    assert outcome.status == 2
    assert "leave --key out" in outcome.err


def test_a_file_of_somebody_else_is_named(run: Run, own_place: Path) -> None:
    own_place.mkdir(mode=0o700)
    (own_place / "diary.txt").write_text("dear diary")
    outcome = run("encrypt", "--yes", "--key", "file")
    assert outcome.status == 0
    assert "diary.txt" in outcome.err
    assert (own_place / "diary.txt").read_text() == "dear diary"


def test_over_postgresql_there_is_nothing_to_encrypt_here(run: Run) -> None:
    outcome = run("encrypt", "--yes", "--database", "postgresql://server/memories")
    assert outcome.status == 2
    assert "ask its operator" in outcome.err


# --- decrypt ------------------------------------------------------------------------------------------


def test_decrypt_asks_first(run: Run, monkeypatch: pytest.MonkeyPatch, own_place: Path) -> None:
    store(run, plant("content"), *NONE)
    run("encrypt", "--yes", "--key", "file")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run("decrypt").status == 2
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert run("decrypt").status == 1
    assert (own_place / MARKER).exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    outcome = run("decrypt")
    assert outcome.status == 0, outcome.err
    assert "Decrypted: 1 file" in outcome.out
    assert not (own_place / MARKER).exists()
    assert run("decrypt", "--yes").status == 2


# --- key ----------------------------------------------------------------------------------------------


def test_key_says_that_nothing_is_encrypted(run: Run) -> None:
    for action in ("where", "show"):
        outcome = run("key", action)
        assert outcome.status == 2
        assert "is not encrypted" in outcome.err


def test_where_tells_nothing_of_the_key_and_does_not_need_it(run: Run, keys: Path) -> None:
    code = run("encrypt", "--yes", "--key", "file").out
    key = parse_recovery_code(code)
    for path in [path for path in keys.rglob("*") if path.is_file()]:
        path.unlink()
    outcome = run("key", "where")
    assert outcome.status == 0
    assert key.id in outcome.out
    assert not CODE.search(outcome.out + outcome.err)
    missing = run("key", "show")
    assert missing.status == 1
    assert "is not there: give the recovery code to `sediment-mcp key restore`" in missing.err


def test_a_written_code_brings_the_key_back(run: Run, monkeypatch: pytest.MonkeyPatch, keys: Path) -> None:
    memory_id = store(run, plant("content"), *NONE)
    code = run("encrypt", "--yes", "--key", "file").out.strip()
    for path in [path for path in keys.rglob("*") if path.is_file()]:
        path.unlink()
    assert run("list", *NONE).status == 1
    for wrong, said in (
        (generate_key().recovery_code, "another data directory"),
        (code[:-1], "a letter of it"),
    ):
        monkeypatch.setattr(sys, "stdin", io.StringIO(wrong))
        refused = run("key", "restore")
        assert refused.status == 2
        assert said in refused.err
        assert not CODE.search(refused.err)
    monkeypatch.setattr(sys, "stdin", Terminal(code.lower().replace("-", " ") + "\n"))
    restored = run("key", "restore")
    assert restored.status == 0, restored.err
    assert "kept again" in restored.out
    assert run("list", "--json", *NONE).json["memories"][0]["id"] == memory_id


def test_a_new_code_is_another_one_each_time(run: Run) -> None:
    codes = {run("key", "new").out.strip() for _ in range(3)}
    assert len(codes) == 3
    assert all(isinstance(parse_recovery_code(code), DataKey) for code in codes)


# --- hosts ----------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home directory with Cursor in it."""
    (tmp_path / "home" / ".cursor").mkdir(parents=True)
    for variable in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "home"


def test_install_encrypts_a_new_store_before_its_first_memory(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_place: Path
) -> None:
    person = Typist(capsys)
    monkeypatch.setattr(sys, "stdin", person)
    outcome = run("install", "cursor", "--encrypt", "--no-hooks", "--no-check")
    assert outcome.status == 0, outcome.err
    assert CODE.fullmatch(person.code)
    assert (home / ".cursor" / "mcp.json").exists()
    store(run, plant("content"), *NONE)
    assert find_readable([own_place]) == []


def test_install_with_nobody_to_write_the_code_down_connects_nothing(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, own_place: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    outcome = run("install", "cursor", "--encrypt", "--no-hooks", "--no-check")
    assert outcome.status == 2
    assert "The recovery code has to be written down" in outcome.err
    assert not (home / ".cursor" / "mcp.json").exists()
    assert not (own_place / MARKER).exists()


def test_install_encrypts_nothing_elsewhere_or_on_the_way_out(run: Run, home: Path) -> None:
    for more in (("--url", "https://example.com/mcp"), ("--uninstall",)):
        outcome = run("install", "cursor", "--encrypt", *more)
        assert outcome.status == 2
        assert "--encrypt is for memories of this machine" in outcome.err
    assert run("install", "--encrypt").status == 2


def test_encrypt_names_the_hosts_whose_entries_lack_the_extra(run: Run, home: Path) -> None:
    entry = '{"mcpServers": {"sediment": {"command": "uvx", "args": ["sediment-mcp@0.1.0"]}}}'
    (home / ".cursor" / "mcp.json").write_text(entry)
    outcome = run("encrypt", "--yes", "--key", "file")
    assert outcome.status == 0
    assert "Cursor: the entry starts sediment-mcp without what reads encrypted memories" in outcome.err
    assert "sediment-mcp install cursor" in outcome.err
    (home / ".cursor" / "mcp.json").write_text(
        entry.replace("sediment-mcp@0.1.0", '--from", "sediment-mcp[encrypt]", "sediment-mcp')
    )
    assert "Cursor" not in run("encrypt", "--yes").err
