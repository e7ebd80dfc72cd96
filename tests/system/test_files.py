"""The data directory: private, locked between processes, replaced in one step, and clear when it fails."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.host import SMALL, Host

from sediment_mcp.errors import Busy, DiskFull, NewerDatabase, StorageError
from sediment_mcp.hosts.config_file import replace_text
from sediment_mcp.system.data_directory import prepare_directory
from sediment_mcp.system.files import (
    format_bytes,
    make_private,
    open_replacement,
    publish,
    read_stamp,
    translate_os_errors,
    write_atomically,
    write_private,
)
from sediment_mcp.system.locks import locked_if_free

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
NOBODY = 65534

ON_A_FULL_DISK = """
import json, resource, sys
from pathlib import Path
from support.host import Host
from sediment_mcp.errors import SedimentError

host = Host(Path(sys.argv[1]))
size = host.app.storage.path.stat().st_size if host.app.storage.path.exists() else 0
kept = [host.store(f"kiwi {n}")["id"] for n in range(3)]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
refused, went = [], []
for n in range(40):
    try:
        went.append(host.store(f"plum {n} " + "many words " * 900)["id"])
    except SedimentError as error:
        refused.append(str(error))
found = sorted(host.found_by_words("plum"))
still = sorted(host.found_by_words("kiwi"))
try:
    host.rebuild_text()
    index = "written"
except SedimentError as error:
    index = type(error).__name__
after = sorted(host.found_by_words("kiwi"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
went.append(host.store("plum at last")["id"])
host.rebuild_text()
print(json.dumps({
    "kept": sorted(kept), "still": still, "after": after, "refused": refused, "index": index,
    "went": sorted(went), "found": found, "last": sorted(host.found_by_words("plum")),
    "total": host.list()["total"],
}))
host.end()
"""


# --- replacing files ----------------------------------------------------------------------------


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"first")
    before = read_stamp(path)
    reader = path.open("rb")
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert read_stamp(path) != before
    with reader:
        assert reader.read() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_what_fails_before_the_end_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"first")
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "never written", path)
    assert path.read_bytes() == b"first"


# --- errors of the system -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_used_up_disk_or_quota_asks_for_space(number: int) -> None:
    with pytest.raises(DiskFull, match="free some space") as caught, translate_os_errors():
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value.__cause__, OSError)


def test_any_other_error_names_its_cause_and_the_remedy() -> None:
    words = r"\(Input/output error\): look at the disk\.$"
    with pytest.raises(StorageError, match=words) as caught, translate_os_errors("look at the disk"):
        raise OSError(errno.EIO, "Input/output error")
    assert not isinstance(caught.value, DiskFull)


def test_errors_of_ours_go_through_unchanged() -> None:
    with pytest.raises(Busy, match="busy"), translate_os_errors():
        raise Busy("busy")


def test_an_error_of_the_work_itself_is_not_taken_for_a_held_lock(tmp_path: Path) -> None:
    with pytest.raises(Busy, match="another lock"), locked_if_free(tmp_path / "a.lock"):
        raise Busy("another lock")
    with locked_if_free(tmp_path / "a.lock") as held:
        assert held


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (94_208_000, "94.2 MB"), (5e12, "5000.0 GB")],
)
def test_sizes_are_for_people(count: float, text: str) -> None:
    assert format_bytes(count) == text


# --- privacy ------------------------------------------------------------------------------------


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@posix
def test_nobody_else_may_look(tmp_path: Path, no_umask: None) -> None:
    host = Host(tmp_path / "parent" / "data", tuning=SMALL)
    for number in range(12):
        host.store(f"kiwi {number}")
    host.run_jobs()
    host.delete(host.store("secret")["id"], permanent=True)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in host.directory.rglob("*")}
    assert {path.name for path in modes} >= {"memories.db", "memories.db-wal", "text.json", "write.lock"}
    assert any(path.suffix == ".codes" for path in modes)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {oct(mode) for path, mode in modes.items() if not path.is_dir()} == {oct(0o600)}, modes
    assert stat.S_IMODE(host.directory.stat().st_mode) == 0o700
    host.end()


@posix
def test_an_open_directory_is_closed_to_others(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o755)
    prepare_directory(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (directory / "inner").mkdir(mode=0o755)
    (directory / "inner" / "file").write_text("x")
    make_private(directory / "inner")
    assert stat.S_IMODE((directory / "inner" / "file").stat().st_mode) == 0o600


# --- what cannot be used ------------------------------------------------------------------------


def calls(host: Host) -> list[Callable[[], object]]:
    return [
        lambda: host.store("kiwi"), lambda: host.query("kiwi"), host.list, lambda: host.delete("x"),
    ]  # fmt: skip


def test_a_file_in_the_directorys_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    host = Host(tmp_path / "data")
    for call in calls(host):
        with pytest.raises(StorageError, match="SEDIMENT_DATA_DIR"):
            call()
    assert (tmp_path / "data").read_text() == "in the way"


def test_a_newer_database_is_refused_by_every_operation(host: Host) -> None:
    host.store("kiwi")
    host.end()
    with contextlib.closing(sqlite3.connect(host.directory / "memories.db")) as raw:
        raw.execute("PRAGMA user_version = 99")
    host.reopen()
    for call in calls(host):
        with pytest.raises(NewerDatabase, match="update sediment-mcp"):
            call()


@contextlib.contextmanager
def as_somebody_without_power() -> Iterator[None]:
    """File permissions mean nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory that everybody can reach."""
    with tempfile.TemporaryDirectory(prefix="sediment-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@posix
@pytest.mark.parametrize("filled", [False, True], ids=["new", "filled"])
def test_a_directory_that_cannot_be_written_is_told(outside: Path, filled: bool) -> None:
    directory = outside / "data"
    if filled:
        host = Host(directory)
        host.store("kiwi")
        host.end()
    else:
        directory.mkdir()
    for path in (*directory.iterdir(), directory):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o500 if path.is_dir() else 0o400)
    host = Host(directory)
    host.app.model.get()
    with as_somebody_without_power():
        with pytest.raises(StorageError, match="permissions") as told:
            host.store("plum")
        assert str(directory) not in str(told.value)
    for path in (directory, *directory.iterdir()):
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert Host(directory).store("plum")["status"] == "stored"


@pytest.mark.process
@posix
@pytest.mark.parametrize("limit", [150_000, 400_000])
def test_a_full_disk_refuses_and_breaks_nothing(tmp_path: Path, limit: int) -> None:
    """No file may grow beyond the limit; the log is the first that wants to."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, tmp_path / "data", str(limit)],
        cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["refused"], "the disk was never full"
    assert all(sentence.endswith((".", "is.")) for sentence in told["refused"])
    assert not any(str(tmp_path) in sentence for sentence in told["refused"])
    assert told["still"] == told["after"] == told["kept"]
    assert told["found"] == [i for i in told["went"] if i in told["found"]]
    assert len(told["found"]) == len(told["went"]) - 1
    assert told["last"] == told["went"]
    assert told["total"] == len(told["kept"]) + len(told["went"])
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "memories.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@posix
def test_a_file_is_written_under_a_name_that_nobody_can_plant_a_link_under(tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "out.json"
    victim.write_text("mine")
    for guess in (f"out.json.{os.getpid()}.tmp", "out.json.tmp"):
        (tmp_path / guess).symlink_to(victim)
    names: set[str] = set()
    for _ in range(3):
        with open_replacement(target) as file:
            (temporary,) = {
                path for path in tmp_path.iterdir() if path.stat().st_ino == os.fstat(file.fileno()).st_ino
            }
            names.add(temporary.name)
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
            file.write(b"text")
    assert len(names) == 3
    assert (victim.read_text(), target.read_text()) == ("mine", "text")


@posix
def test_a_link_in_the_place_of_a_private_file_is_refused_and_one_replaced_is_not_followed(
    tmp_path: Path,
) -> None:
    victim, link = tmp_path / "victim", tmp_path / "note.md"
    victim.write_text("mine")
    link.symlink_to(victim)
    with pytest.raises(OSError, match="link"):
        write_private(link, b"text")
    write_atomically(link, b"text")
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("mine", "text", False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_root_replaces_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    path.chmod(0o640)
    os.chown(path, 65534, 65534)
    replace_text(path, "{}", '{"a": 1}')
    os.chown(tmp_path, 65534, 65534)
    replace_text(tmp_path / "new" / "config.json", None, "{}")
    for made, mode in (
        (path, 0o640),
        (tmp_path / "config.json.sediment.bak", 0o640),
        (tmp_path / "new" / "config.json", 0o600),
        (tmp_path / "new", None),
    ):
        status = made.stat()
        assert (status.st_uid, status.st_gid) == (65534, 65534)
        assert mode is None or stat.S_IMODE(status.st_mode) == mode
