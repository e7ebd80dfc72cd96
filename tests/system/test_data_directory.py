"""Nothing that another user may have put in the way is followed or opened."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.host import SMALL, Host

from sediment_mcp.config import NO_MODEL, Config
from sediment_mcp.embeddings import file_hashes
from sediment_mcp.errors import StorageError
from sediment_mcp.maintenance import doctor
from sediment_mcp.system import data_directory
from sediment_mcp.system.data_directory import prepare_directory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
NOBODY = 65534
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can give files away")

OURS = (
    "memories.db", "memories.db-wal", "memories.db-shm", "write.lock", "embed.lock", "text.lock",
    "vectors.lock", "text.json", "verified.json",
    pytest.param(f"text.json.{os.getpid()}.tmp", id="text.json.PID.tmp"),  # the same id everywhere
)  # fmt: skip


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A data directory with snapshots of both indexes."""
    host = Host(tmp_path / "data", tuning=SMALL)
    for number in range(12):
        host.store(f"kiwi {number}")
    host.run_jobs()
    host.end()
    return host.directory


def state(directory: Path) -> dict[Path, tuple[int, ...]]:
    """Everything there with what a change to it would alter; looking at a folder alters its access time."""
    return {
        path: (s.st_mode, s.st_ino, s.st_nlink, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for path in directory.rglob("*")
        if (s := path.lstat())
    }


def refused(directory: Path, words: str) -> None:
    """Every operation is refused in these words, by the doctor too, and nothing there is touched."""
    before = state(directory)
    host = Host(directory)
    for call in (
        lambda: host.store("plum"), lambda: host.query("kiwi"), host.list, lambda: host.delete("x"),
    ):  # fmt: skip
        with pytest.raises(StorageError, match=words):
            call()
    findings = list(doctor.examine(Config(directory, model=NO_MODEL)))
    assert [f for f in findings if f.state == "problem" and words in f.sentence + f.remedy]
    assert not {finding.name for finding in findings} & {"locks", "database", "memories"}
    with pytest.raises(StorageError, match=words):
        doctor.fix(host.app)
    host.end()
    assert state(directory) == before


# --- what is in the directory -------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_a_file_that_is_a_link_is_not_followed(used: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "letter"
    target.write_text("dear Ann")
    (used / name).unlink(missing_ok=True)
    (used / name).symlink_to(target)
    refused(used, "symbolic link")
    assert target.read_text() == "dear Ann"


def test_a_link_to_nowhere_makes_no_file(used: Path, tmp_path: Path) -> None:
    (used / "memories.db").unlink()
    (used / "memories.db").symlink_to(tmp_path / "made")
    refused(used, "symbolic link")
    assert not (tmp_path / "made").exists()


def test_a_snapshot_s_folder_and_what_is_in_it_are_no_links(used: Path, tmp_path: Path) -> None:
    (folder,) = used.glob("text-*")
    inner = next(folder.iterdir())
    inner.rename(tmp_path / "moved")
    inner.symlink_to(tmp_path / "moved")
    refused(used, "symbolic link")
    inner.unlink()
    (tmp_path / "moved").rename(inner)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    refused(used, "symbolic link")


@pytest.mark.parametrize("name", OURS)
def test_a_pipe_in_a_file_s_place_is_not_waited_for(used: Path, name: str) -> None:
    (used / name).unlink(missing_ok=True)
    os.mkfifo(used / name)
    refused(used, "pipe")


@as_root
def test_a_device_in_a_file_s_place_is_not_opened(used: Path) -> None:
    (used / "write.lock").unlink()
    try:
        os.mknod(used / "write.lock", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices can be made here")
    refused(used, "device")


@as_root
@pytest.mark.parametrize("name", ["memories.db", "write.lock"])
def test_another_user_s_file_is_not_opened(used: Path, name: str) -> None:
    os.chown(used / name, NOBODY, NOBODY)
    refused(used, "belongs to another user")


def test_ordinary_files_of_the_user_s_are_nobody_s_business(used: Path) -> None:
    (used / "notes.txt").write_text("mine")
    (used / "folder").mkdir()
    (used / "folder" / "more").write_text("mine")
    assert len(Host(used).found("kiwi")) == 12


# --- the directory itself -----------------------------------------------------------------------


def test_the_directory_may_be_a_link_that_the_user_has_made(used: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(used)
    host = Host(tmp_path / "link")
    assert host.store("plum")["status"] == "stored"
    assert len(host.found("kiwi")) == 13
    host.end()
    findings = list(doctor.examine(Config(tmp_path / "link", model=NO_MODEL)))
    assert "problem" not in {finding.state for finding in findings if finding.name == "permissions"}


def test_a_directory_open_to_others_is_closed_before_it_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []

    def look(directory: Path) -> None:
        modes.append(stat.S_IMODE(directory.stat().st_mode))

    monkeypatch.setattr("sediment_mcp.system.data_directory.find_entry_fault", look)
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    prepare_directory(tmp_path / "data")
    assert modes == [0o700]


@as_root
def test_another_user_s_directory_is_not_used(used: Path) -> None:
    os.chown(used, NOBODY, NOBODY)
    refused(used, "belongs to another user")


@as_root
def test_another_user_s_link_to_a_directory_of_one_s_own_is_not_followed(used: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(used)
    os.lchown(tmp_path / "link", NOBODY, NOBODY)
    refused(tmp_path / "link", "a link that another user has made")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory in which everybody may write, as /tmp is."""
    with tempfile.TemporaryDirectory(prefix="sediment-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@pytest.fixture
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_a_directory_that_is_everybody_s_is_left_to_everybody(shared: Path) -> None:
    refused(shared, "everybody's")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@as_root
def test_root_s_directory_is_used_only_where_nobody_else_may_write(shared: Path, as_nobody: None) -> None:
    found = data_directory.find_fault(shared)
    assert found is not None
    assert "others may write" in found.cause
    os.seteuid(0)
    shared.chmod(0o755)
    os.seteuid(NOBODY)
    assert data_directory.find_fault(shared) is None


@as_root
def test_a_directory_planted_in_a_shared_parent_is_not_used(shared: Path, as_nobody: None) -> None:
    (shared / "data").mkdir()
    (shared / "data" / "memories.db").touch()
    os.seteuid(0)
    refused(shared / "data", "belongs to another user")
    assert (shared / "data" / "memories.db").stat().st_size == 0


# --- the record of verified models --------------------------------------------------------------


@pytest.mark.parametrize("plant", [lambda path, _: os.mkfifo(path), lambda path, to: path.symlink_to(to)])
def test_a_planted_record_of_hashes_is_neither_believed_nor_written(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    model, elsewhere, directory = tmp_path / "model", tmp_path / "record", tmp_path / "data"
    model.write_bytes(b"weights")
    honest = file_hashes.hash_file(model, directory)
    record = (directory / file_hashes.RECORD_NAME).read_text().replace(honest, "0" * 64)
    elsewhere.write_text(record)
    (directory / file_hashes.RECORD_NAME).unlink()
    plant(directory / file_hashes.RECORD_NAME, elsewhere)
    assert file_hashes.hash_file(model, directory) == honest
    assert elsewhere.read_text() == record
