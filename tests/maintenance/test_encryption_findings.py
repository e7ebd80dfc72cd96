"""What the doctor says of encryption: key, marker, what is plain; and nothing is done without the key."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.embedding_double import load_double
from support.encryption import make_encrypted, own_keys
from support.host import SMALL, Host

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.errors import KeyUnavailable
from sediment_mcp.maintenance import encryption_findings
from sediment_mcp.maintenance.doctor import examine, fix
from sediment_mcp.maintenance.findings import Finding, find_worst_state
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption, Marker, State
from sediment_mcp.system.disk_encryption import DiskEncryption
from sediment_mcp.system.extras import check_module
from sediment_mcp.system.key_sources import get_key_file


def found(directory: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(Config(directory, tuning=SMALL), load_double)}


def mend(directory: Path) -> list[Finding]:
    app = Application(Config(directory, tuning=SMALL), load=load_double, is_resident=False)
    try:
        return fix(app)
    finally:
        app.close()


def everything(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its mode and content."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, b"" if path.is_dir() else path.read_bytes())
        for path in [directory, *directory.rglob("*")]
    }


def fill(directory: Path) -> None:
    host = Host(directory, tuning=SMALL)
    for number in range(8):
        host.store(f"memory number {number}")
    host.app.backups.make()
    host.app.rebuild_indexes()
    host.end()


@pytest.fixture
def keys() -> Iterator[None]:
    with own_keys():
        yield


@pytest.fixture
def encrypted(tmp_path: Path, keys: None) -> Path:
    make_encrypted(tmp_path / "data")
    fill(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def plain(tmp_path: Path, keys: None) -> Path:
    fill(tmp_path / "plain")
    return tmp_path / "plain"


def marker_of(directory: Path) -> Marker:
    marker = DirectoryEncryption(directory).marker
    assert marker is not None
    return marker


def change_state(directory: Path, state: State) -> None:
    marker = marker_of(directory)
    DirectoryEncryption(directory).write_marker(Marker(state, marker.key_id, marker.source))


# --- health -------------------------------------------------------------------------------------


def test_a_directory_that_is_not_encrypted_is_told_so_and_well(plain: Path) -> None:
    findings = found(plain)
    assert find_worst_state(findings.values()) == "ok"
    assert findings["encryption"].sentence.startswith("Off")
    assert findings["disk encryption"].remedy == ""


@pytest.mark.encrypt
def test_an_encrypted_directory_in_health_is_well_and_says_where_its_key_is(encrypted: Path) -> None:
    before = everything(encrypted)
    findings = found(encrypted)
    assert [finding for finding in findings.values() if finding.state != "ok"] == []
    assert "SQLCipher 4." in findings["encryption"].sentence
    assert str(get_key_file(marker_of(encrypted).key_id)) in findings["encryption"].sentence
    assert "8 live" in findings["memories"].sentence
    assert "Sound" in findings["vector index"].sentence
    assert everything(encrypted).keys() == before.keys()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (DiskEncryption("encrypted", "LUKS"), "By LUKS"),
        (DiskEncryption("plain", "FileVault"), "FileVault is off"),
        (DiskEncryption("converting", "BitLocker"), "not done"),
        (DiskEncryption("unknown", "ZFS does not answer"), "Not known: ZFS does not answer."),
    ],
)
def test_what_is_known_of_the_disk_is_said_and_never_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: DiskEncryption, said: str
) -> None:
    monkeypatch.setattr(encryption_findings, "inspect_disk", lambda _: known)
    finding = found(tmp_path / "data")["disk encryption"]
    assert (finding.state, said in finding.sentence) == ("ok", True)


# --- without the key ----------------------------------------------------------------------------


def lose_key(directory: Path) -> None:
    get_key_file(marker_of(directory).key_id).unlink()


def spoil_key(directory: Path) -> None:
    get_key_file(marker_of(directory).key_id).write_text("no recovery code")


def share_key(directory: Path) -> None:
    get_key_file(marker_of(directory).key_id).chmod(0o644)


def lose_marker(directory: Path) -> None:
    (directory / MARKER).unlink()


def lose_marker_and_backups(directory: Path) -> None:
    shutil.rmtree(directory / "backups")
    for path in directory.iterdir():
        if path.name != DATABASE:
            path.unlink() if path.is_file() else shutil.rmtree(path)


def spoil_marker(directory: Path) -> None:
    (directory / MARKER).write_bytes(b"{")


@pytest.mark.encrypt
@pytest.mark.parametrize(
    ("harm", "remedy"),
    [
        (lose_key, "`sediment-mcp key restore`"),
        (spoil_key, "`sediment-mcp key restore`"),
        (share_key, "chmod 600"),
        (lose_marker, "`sediment-mcp key restore`"),
        (lose_marker_and_backups, "`sediment-mcp key restore`"),
        (spoil_marker, "`sediment-mcp key restore`"),
    ],
)
def test_what_cannot_be_opened_is_one_problem_and_never_a_damaged_database_to_be_mended(
    encrypted: Path, harm: Callable[[Path], None], remedy: str
) -> None:
    if harm is share_key and sys.platform == "win32":
        pytest.skip("POSIX permissions")
    harm(encrypted)
    encrypted.chmod(0o755)
    before = everything(encrypted)
    findings = found(encrypted)
    problems = [finding for finding in findings.values() if finding.state == "problem"]
    assert [finding.name for finding in problems] == ["encryption"]
    assert remedy in problems[0].sentence + problems[0].remedy
    assert not {"database", "integrity", "memories"} & findings.keys()
    assert mend(encrypted) == []
    assert everything(encrypted) == before


@pytest.mark.encrypt
def test_a_damaged_database_without_its_key_is_not_called_damaged(encrypted: Path) -> None:
    (encrypted / DATABASE).write_bytes(os.urandom(20_000))
    lose_key(encrypted)
    assert not {"database", "integrity"} & found(encrypted).keys()
    assert mend(encrypted) == []
    assert list(encrypted.glob("*damaged*")) == []


@pytest.mark.encrypt
def test_without_the_extra_the_doctor_names_the_command(
    encrypted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        check_module("no_such_module", "sediment-mcp[encrypt]", "An encrypted data directory")
        raise AssertionError

    monkeypatch.setattr(encryption_findings, "sqlcipher_version", refuse)
    finding = found(encrypted)["encryption"]
    assert finding.state == "problem"
    assert 'pip install "sediment-mcp[encrypt]"' in finding.sentence


def test_a_database_of_random_bytes_beside_a_plain_backup_is_damaged_and_mended(plain: Path) -> None:
    (plain / DATABASE).write_bytes(os.urandom(40_000))
    assert found(plain)["database"].state == "problem"
    assert mend(plain)
    assert find_worst_state(found(plain).values()) == "ok"
    assert "8 live" in found(plain)["memories"].sentence


# --- half done, and left over -------------------------------------------------------------------


@pytest.mark.encrypt
@pytest.mark.parametrize(("state", "command"), [("encrypting", "encrypt"), ("decrypting", "decrypt")])
def test_what_is_half_done_names_the_command_that_goes_on(
    encrypted: Path, state: State, command: str
) -> None:
    change_state(encrypted, state)
    finding = found(encrypted)["encryption"]
    assert finding.state == "warning"
    assert finding.remedy.startswith(f"sediment-mcp {command}, run again")


@pytest.mark.encrypt
@pytest.mark.parametrize(
    "name", ["backups/made-2026-05-01-120000.db", "memories.damaged-2026-05-01-120000.db", "questions.jsonl"]
)
def test_a_plain_file_in_an_encrypted_directory_is_named(encrypted: Path, plain: Path, name: str) -> None:
    content = b'{"query":"tea"}\n' if name.endswith("jsonl") else (plain / DATABASE).read_bytes()
    (encrypted / name).write_bytes(content)
    (encrypted / name).chmod(0o600)
    finding = found(encrypted)["plain files"]
    assert (finding.state, Path(name).name in finding.sentence) == ("warning", True)
    assert "sediment-mcp encrypt" in finding.remedy


@pytest.mark.encrypt
def test_plain_indexes_in_an_encrypted_directory_are_named(encrypted: Path, plain: Path) -> None:
    """A folder of tantivy, and files of vectors."""
    for path in plain.iterdir():
        if path.name.startswith(("text-", "vectors-")):
            copy = shutil.copytree if path.is_dir() else shutil.copyfile
            copy(path, encrypted / f"{path.stem}-before{path.suffix}")
    sentence = found(encrypted)["plain files"].sentence
    assert "-before" in sentence


@pytest.mark.encrypt
def test_files_of_others_in_an_encrypted_directory_are_named(encrypted: Path) -> None:
    (encrypted / "notes.txt").write_text("tea")
    (encrypted / "notes.txt").chmod(0o600)
    finding = found(encrypted)["unknown files"]
    assert (finding.state, "notes.txt" in finding.sentence) == ("warning", True)


@pytest.mark.encrypt
def test_salvage_asks_for_the_key_before_it_touches_anything(encrypted: Path) -> None:
    from sediment_mcp.maintenance.salvage import salvage

    lose_key(encrypted)
    app = Application(Config(encrypted, tuning=SMALL), load=load_double, is_resident=False)
    with pytest.raises(KeyUnavailable):
        salvage(app)
    app.close()
    assert list(encrypted.glob("*damaged*")) == []
