"""Backups: made once a day, sound, few, without what was erased, and a way back beside running servers."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support.host import Clock, Host

from sediment_mcp.background import backups as backups_module
from sediment_mcp.config import BACKUPS, load_config
from sediment_mcp.errors import BadArgument, DamagedDatabase, StorageError
from sediment_mcp.maintenance import restore
from sediment_mcp.storage.sql.memories import Store

OpenHost = Callable[..., Host]


def names(host: Host) -> list[str]:
    return [backup.name for backup in host.library.backups.all()]


def texts(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as raw:
        return {row[0] for row in raw.execute("SELECT content FROM memories WHERE deleted_at IS NULL")}


def found_texts(host: Host) -> set[str]:
    return {memory["content"] for memory in host.list(limit=100)["memories"]}


def files_with(directory: Path, text: str) -> list[str]:
    return [
        path.name for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    ]


def damage(path: Path) -> None:
    """Zero a page in the middle, beside whoever has the file open."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 // 2 * 4096)
        file.write(bytes(4096))


def fill(host: Host, count: int = 30) -> dict[str, str]:
    return {host.store(f"badger{n} sleeps {'soundly ' * 60}")["id"]: f"badger{n}" for n in range(count)}


# --- made by themselves -------------------------------------------------------------------------


def test_one_is_made_a_day_when_something_has_changed(host: Host, clock: Clock) -> None:
    assert found_texts(host) == set()
    host.tend()
    assert names(host) == []
    host.store("first")
    host.tend()
    assert names(host) == ["daily-2026-05-08-120000"]
    host.store("second")
    clock.advance(hours=23)
    host.tend()
    assert len(names(host)) == 1
    clock.advance(hours=1)
    host.tend()
    assert names(host) == ["daily-2026-05-09-120000", "daily-2026-05-08-120000"]
    clock.advance(days=3)
    host.tend()
    assert len(names(host)) == 2, "nothing has changed since"
    first, second = (texts(backup.path) for backup in reversed(host.library.backups.all()))
    assert (first, second) == ({"first"}, {"first", "second"})


def test_seven_are_kept(host: Host, clock: Clock) -> None:
    for day in range(10):
        host.store(f"day {day}")
        host.tend()
        clock.advance(days=1)
    assert names(host) == [f"daily-2026-05-{day:02}-120000" for day in range(17, 10, -1)]


def test_one_process_makes_it(open_host: OpenHost) -> None:
    hosts = [open_host() for _ in range(8)]
    hosts[0].store("shared")
    for host in hosts:
        host.tend()
    assert len(names(hosts[0])) == 1


def test_backups_can_be_switched_off(tmp_path: Path, quiet_background: None) -> None:
    assert load_config({}).backups == 7
    assert load_config({BACKUPS: "0"}).backups == 0
    for wrong in ("-1", "seven", "1e3", "9" * 30):
        with pytest.raises(BadArgument, match=BACKUPS):
            load_config({BACKUPS: wrong})
    host = Host(tmp_path / "data", kept=0)
    host.store("something")
    host.tend()
    assert not (tmp_path / "data" / "backups").exists()
    host.end()


def test_they_are_private_and_have_no_log(host: Host) -> None:
    host.store("something")
    host.tend()
    folder = host.directory / "backups"
    assert folder.stat().st_mode & 0o777 == 0o700
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_leftovers_of_a_killed_process_go(host: Host) -> None:
    host.store("something")
    host.tend()
    leftover = host.directory / "backups" / "daily-2026-05-08-130000.db.tmp"
    leftover.write_bytes(b"half a database")
    host.library.backups.make()
    assert not leftover.exists()
    assert len(names(host)) == 2


def test_a_full_disk_is_said_once_and_harms_nothing(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host.store("first")
    host.tend()
    monkeypatch.setattr(backups_module, "SPARE_DISK", 1 << 60)
    host.store("second")
    for _ in range(3):
        clock.advance(days=1)
        host.tend()
    assert len(names(host)) == 1
    assert [record.message for record in caplog.records if "No backup" in record.message] == [
        "No backup was made, those from before are kept: The disk is too full for a backup: free some space."
    ]
    assert found_texts(host) == {"first", "second"}


def test_a_damaged_database_takes_no_good_backup_away(host: Host, clock: Clock) -> None:
    fill(host)
    host.tend()
    good = {backup.name: backup.path.read_bytes() for backup in host.library.backups.all()}
    host.end()
    host.reopen()
    damage(host.library.database)
    for _ in range(9):
        clock.advance(days=1)
        with contextlib.suppress(StorageError):
            host.tend()
    assert {backup.name: backup.path.read_bytes() for backup in host.library.backups.all()} == good
    assert list((host.directory / "backups").glob("*.tmp*")) == []


def test_damage_is_noticed_though_nothing_changes(
    host: Host, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(host)
    host.tend()
    host.library.backups.tend()
    clock.advance(days=1)
    host.library.backups.tend()
    assert caplog.text == ""
    with host.library.write(erase=True):
        pass
    damage(host.library.database)
    clock.advance(days=1)
    host.library.backups.tend()
    assert "sediment-mcp doctor --fix" in caplog.text


def test_a_lost_database_does_not_rotate_its_backups_away(host: Host, clock: Clock) -> None:
    fill(host, 10)
    host.tend()
    (full,) = names(host)
    host.end()
    for path in host.directory.glob("memories.db*"):
        path.unlink()
    host.reopen()
    for day in range(12):
        clock.advance(days=1)
        host.store(f"new life, day {day}")
        host.tend()
        if day == 3:
            assert full in names(host)
    assert len(names(host)) == 7 + (full in names(host))
    assert full not in names(host), "the new life has grown past it"


def test_a_backup_of_a_clock_that_ran_ahead_keeps_no_later_one_from_being_made_and_goes_first(
    host: Host, clock: Clock
) -> None:
    for day in range(9):
        if day == 1:
            clock.advance(days=4000)
        host.store(f"note {day}")
        host.tend()
        host.tend()
        if day == 1:
            clock.advance(days=-4000)
        clock.advance(days=1)
    assert [name[6:16] for name in names(host)] == [f"2026-05-{day:02}" for day in range(16, 9, -1)]


# --- what is erased -----------------------------------------------------------------------------


def test_what_is_erased_for_good_is_in_no_file_at_once(host: Host, clock: Clock) -> None:
    doomed = host.store("the password was xyzzyplugh", tags=["quuxtag"])["id"]
    kept = host.store("an innocent memory")["id"]
    host.tend()
    host.library.backups.make()
    assert len(files_with(host.directory / "backups", "xyzzyplugh")) == 2
    host.delete(doomed, permanent=True)
    assert files_with(host.directory, "xyzzyplugh") == []
    assert files_with(host.directory, "quuxtag") == []
    for backup in host.library.backups.all():
        assert texts(backup.path) == {"an innocent memory"}
    assert kept in host.found("innocent")


def test_what_the_end_of_the_trash_erases_goes_too(host: Host, clock: Clock) -> None:
    host.delete(host.store("the password was xyzzyplugh")["id"])
    host.tend()
    clock.advance(days=31)
    host.tend()
    clock.advance(days=1)
    host.tend()
    assert names(host) == ["daily-2026-05-08-120000"]
    assert files_with(host.directory, "xyzzyplugh") == []


def test_an_erasure_that_was_cut_off_is_taken_up(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_host(), open_host()
    doomed = one.store("the password was xyzzyplugh")["id"]
    one.tend()
    other.tend()
    monkeypatch.setattr(one.library.backups, "forget_erased", lambda **_: None)  # killed before it
    one.delete(doomed, permanent=True)
    assert len(files_with(one.directory / "backups", "xyzzyplugh")) == 1
    other.tend()
    assert files_with(one.directory, "xyzzyplugh") == []


def test_a_backup_that_a_killed_process_had_not_written_anew_is_written_anew(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, other = open_host(), open_host()
    doomed = killed.store("the password was xyzzyplugh")["id"]
    killed.tend()

    def die(store: Store) -> None:
        if store.path.parent.name == "backups":
            raise StorageError("The process is killed here.")
        erase_remains(store)

    erase_remains = Store.erase_remains
    with monkeypatch.context() as patched:
        patched.setattr(Store, "erase_remains", die)
        killed.delete(doomed, permanent=True)
    (backup,) = other.library.backups.all()
    with contextlib.closing(Store(backup.path)) as store:
        assert store.has_remains()
    other.tend()
    with contextlib.closing(Store(backup.path)) as store:
        assert not store.has_remains()


def test_what_ends_in_the_trash_is_gone_from_the_backups_when_the_run_is_over(open_host: OpenHost) -> None:
    host = open_host()
    doomed = host.store("the password was xyzzyplugh")["id"]
    host.tend()
    host.delete(doomed)
    assert len(files_with(host.directory / "backups", "xyzzyplugh")) == 1
    host.clock.advance(days=31)
    host.library.retain()
    assert files_with(host.directory, "xyzzyplugh") == []


def test_a_backup_that_is_damaged_cannot_forget_and_goes(host: Host) -> None:
    fill(host)
    doomed = host.store("the password was xyzzyplugh")["id"]
    backup = host.library.backups.make()
    backup.path.write_bytes(b"xyzzyplugh" * 1000)
    host.delete(doomed, permanent=True)
    assert files_with(host.directory, "xyzzyplugh") == []


# --- back to one --------------------------------------------------------------------------------


def test_going_back_brings_back_and_puts_into_the_trash(open_host: OpenHost, clock: Clock) -> None:
    host, other = open_host(), open_host()
    kept = host.store("stays as it is")["id"]
    gone = host.store("gets deleted by mistake", tags=["mistake"])["id"]
    erased = host.store("is erased for good")["id"]
    old = host.store("the port is 5432")["id"]
    backup = host.library.backups.make()
    file = host.directory.parent / "my own.db"
    host.library.backups.make_file(file)
    host.delete(gone)
    host.delete(erased, permanent=True)
    new = host.store("the port is 6000", replaces=[old])["id"]
    assert other.found_by_words("port") == {new}
    told = restore.preview(host.library, backup.name)
    assert (told["memories"], told["returning"], told["leaving"], told["changing"]) == (3, 1, 1, 1)
    done = restore.restore(host.library, backup.name)
    for one in (host, other):
        assert found_texts(one) == {"stays as it is", "gets deleted by mistake", "the port is 5432"}
        assert one.found_by_words("port") == {old}
        assert gone in one.found_by_words("mistake", tags=["mistake"])
        assert gone in one.found_by_meaning("gets deleted by mistake")
        assert kept in one.found_by_meaning("stays as it is")
    assert done["kept"] is not None
    assert restore.restore(host.library, done["kept"])["returning"] == 1
    assert other.found_by_words("port") == {new}
    assert restore.restore(host.library, str(file))["returning"] == 2
    assert erased in other.found_by_words("erased")
    assert erased in other.found_by_meaning("is erased for good")
    other.delete(erased, permanent=True)
    assert files_with(host.directory, "is erased for good") == []


def test_going_back_after_everything_was_lost(open_host: OpenHost) -> None:
    host = open_host()
    known = fill(host, 10)
    host.tend()
    host.end()
    for path in host.directory.glob("memories.db*"):
        path.unlink()
    host.reopen()
    assert host.list()["total"] == 0
    restore.restore(host.library, restore.newest_backup(host.library))
    for identity, word in known.items():
        assert host.found_by_words(word) == {identity}
        with host.library.read() as store:
            model = store.embeddings.models()
    assert model[0][3] == 10, "the embeddings came along"


@pytest.mark.parametrize("what", [b"", b"no database at all " * 500, None])
def test_what_is_no_backup_is_refused(host: Host, tmp_path: Path, what: bytes | None) -> None:
    host.store("something")
    path = tmp_path / "file.db"
    if what is None:
        with contextlib.closing(sqlite3.connect(path)) as raw:
            raw.execute("CREATE TABLE memories (other)")
    else:
        path.write_bytes(what)
    before = path.read_bytes()
    for name in (str(path), "nosuchname"):
        with pytest.raises(BadArgument, match="backup --list"):
            restore.preview(host.library, name)
    assert path.read_bytes() == before
    assert found_texts(host) == {"something"}


def test_a_file_of_the_users_own_is_never_overwritten(host: Host, tmp_path: Path) -> None:
    host.store("something")
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(BadArgument, match="there already"):
        host.library.backups.make_file(path)
    assert path.read_text() == "precious"


# --- a file that is replaced beside running servers ---------------------------------------------


def test_a_damaged_database_is_put_aside_and_running_servers_notice(
    open_host: OpenHost, clock: Clock
) -> None:
    one, other, third = open_host(), open_host(), open_host()
    known = fill(one, 20)
    one.library.backups.make()
    lost = one.store("too young for the backup")["id"]
    assert other.found_by_words("young") == third.found_by_words("young") == {lost}
    with one.library.write(erase=True):
        pass
    damage(one.library.database)
    done = restore.restore(one.library, restore.newest_backup(one.library))
    assert done["returning"] is None
    assert done["kept"] is not None
    assert (one.directory / done["kept"]).exists()
    acknowledged = other.store("stored by one that had it open")["id"]
    other.tend()
    for host in (third, one, other, open_host()):
        assert host.found_by_words("stored") == {acknowledged}
        assert host.found_by_words("young") == set()
        for identity, word in list(known.items())[::5]:
            assert host.found_by_words(word) == {identity}
    third.tend()
    assert third.found_by_words("stored") == {acknowledged}


@pytest.mark.parametrize("how", ["deleted", "moved", "all deleted", "replaced"])
def test_a_connection_whose_file_is_gone_is_opened_anew(open_host: OpenHost, how: str) -> None:
    host, other = open_host(), open_host()
    host.store("from before")
    assert found_texts(other) == {"from before"}
    database = host.library.database
    if how == "deleted":
        database.unlink()
    elif how == "moved":
        database.rename(database.with_name("elsewhere.db"))
    elif how == "all deleted":
        for path in host.directory.glob("memories.db*"):
            path.unlink()
    else:
        copy = host.directory.parent / "copy.db"
        host.library.backups.make_file(copy)
        for path in host.directory.glob("memories.db-*"):
            path.unlink()
        copy.rename(database)
    identity = other.store("from after")["id"]
    assert host.found_by_words("after") == {identity}
    before = {"from before"} if how == "replaced" else set[str]()
    assert found_texts(host) == found_texts(other) == found_texts(open_host()) == {"from after"} | before
    assert len(host.found_by_words("before")) == len(before)


def test_a_log_that_was_taken_away_is_not_lost(open_host: OpenHost) -> None:
    host = open_host()
    host.store("only in the log so far")
    host.library.database.with_name("memories.db-wal").unlink()
    host.store("after it")
    assert found_texts(host) == {"only in the log so far", "after it"}
    host.crash()
    assert found_texts(host) == {"only in the log so far", "after it"}


def test_a_write_whose_file_is_taken_away_is_not_acknowledged(host: Host) -> None:
    host.store("from before")
    database = host.library.database
    with pytest.raises(StorageError, match="try again"), host.library.write():
        database.rename(host.directory / "elsewhere.db")


def test_a_replacement_that_was_cut_off_is_finished(open_host: OpenHost) -> None:
    host, other = open_host(), open_host()
    host.store("in the new file")
    copy = host.directory / "memories.replacement.db"
    host.library.backups.make_file(copy)
    host.store("came before the replacement was finished")
    assert not copy.exists(), "the next write has finished it"
    assert found_texts(other) == {"in the new file", "came before the replacement was finished"}


def test_an_index_of_the_time_before_is_not_believed(
    open_host: OpenHost, small_thresholds: None, clock: Clock
) -> None:
    """Two processes hold tails and snapshots of a future that is taken back, and grow past it."""
    one, other = open_host(), open_host()
    known = {one.store(f"old{n} stays")["id"]: f"old{n}" for n in range(6)}
    one.tend()
    one.library.backups.make()
    for n in range(12):
        one.store(f"future{n} never happens")
    one.tend()
    other.tend()
    assert len(other.found("future3 future7")) > 0
    with one.library.write(erase=True):
        pass
    damage(one.library.database)
    restore.restore(one.library, restore.newest_backup(one.library))
    for n in range(14):
        writer, reader = (one, other) if n % 2 else (other, one)
        identity = writer.store(f"present{n} happens")["id"]
        known[identity] = f"present{n}"
        assert reader.found_by_words(f"present{n}") == {identity}
        if n % 5 == 4:
            reader.tend()
    for host in (one, other):
        for identity, word in known.items():
            assert host.found_by_words(word) == {identity}
        assert host.found_by_words("future3") == set()


def test_a_damaged_copy_is_never_kept(host: Host) -> None:
    fill(host)
    with host.library.write(erase=True):
        pass
    damage(host.library.database)
    with pytest.raises(DamagedDatabase, match="doctor --fix"):
        host.library.backups.make()
    assert names(host) == []
