"""Backups: made once a day, sound, few, without what was erased, and a way back beside running servers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.encryption import open_file, read_plain
from support.host import QUIET, SMALL, Clock, Host

from sediment_mcp.config import BACKUPS, load_config
from sediment_mcp.errors import BadArgument, DamagedDatabase, StorageError
from sediment_mcp.maintenance import restore
from sediment_mcp.storage.sqlite import backup_file
from sediment_mcp.storage.sqlite.secure_erase import has_remains
from sediment_mcp.storage.sqlite.session import SqliteSession, open_session

OpenHost = Callable[..., Host]

pytestmark = pytest.mark.over_encrypted


def names(host: Host) -> list[str]:
    return [backup.name for backup in host.app.backups.list_all()]


def texts(path: Path) -> set[str]:
    with contextlib.closing(open_file(path)) as raw:
        return {row[0] for row in raw.execute("SELECT content FROM memories WHERE deleted_at IS NULL")}


def found_texts(host: Host) -> set[str]:
    return {memory["content"] for memory in host.list(limit=100)["memories"]}


def files_with(directory: Path, text: str) -> list[str]:
    return [
        path.name for path in directory.rglob("*") if path.is_file() and text.encode() in read_plain(path)
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
    host.run_jobs()
    assert names(host) == []
    host.store("first")
    host.run_jobs()
    assert names(host) == ["daily-2026-05-08-120000"]
    host.store("second")
    clock.advance(hours=23)
    host.run_jobs()
    assert len(names(host)) == 1
    clock.advance(hours=1)
    host.run_jobs()
    assert names(host) == ["daily-2026-05-09-120000", "daily-2026-05-08-120000"]
    clock.advance(days=3)
    host.run_jobs()
    assert len(names(host)) == 2, "nothing has changed since"
    first, second = (texts(backup.path) for backup in reversed(host.app.backups.list_all()))
    assert (first, second) == ({"first"}, {"first", "second"})


def test_seven_are_kept(host: Host, clock: Clock) -> None:
    for day in range(10):
        host.store(f"day {day}")
        host.run_jobs()
        clock.advance(days=1)
    assert names(host) == [f"daily-2026-05-{day:02}-120000" for day in range(17, 10, -1)]


def test_one_process_makes_it(open_host: OpenHost) -> None:
    hosts = [open_host() for _ in range(8)]
    hosts[0].store("shared")
    for host in hosts:
        host.run_jobs()
    assert len(names(hosts[0])) == 1


def test_backups_can_be_switched_off(tmp_path: Path) -> None:
    assert load_config({}).backups == 7
    assert load_config({BACKUPS: "0"}).backups == 0
    for wrong in ("-1", "seven", "1e3", "9" * 30):
        with pytest.raises(BadArgument, match=BACKUPS):
            load_config({BACKUPS: wrong})
    host = Host(tmp_path / "data", kept=0)
    host.store("something")
    host.run_jobs()
    assert not (tmp_path / "data" / "backups").exists()
    host.end()


def test_they_are_private_and_have_no_log(host: Host) -> None:
    host.store("something")
    host.run_jobs()
    folder = host.directory / "backups"
    assert folder.stat().st_mode & 0o777 == 0o700
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_leftovers_of_a_killed_process_go(host: Host) -> None:
    host.store("something")
    host.run_jobs()
    leftover = host.directory / "backups" / "daily-2026-05-08-130000.db.tmp"
    leftover.write_bytes(b"half a database")
    host.app.backups.make()
    assert not leftover.exists()
    assert len(names(host)) == 2


def test_a_full_disk_is_said_once_and_harms_nothing(
    open_host: OpenHost, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    host = open_host()
    host.store("first")
    host.run_jobs()
    host.end()
    host = open_host(tuning=replace(QUIET, spare_disk_bytes=1 << 60))
    host.store("second")
    for _ in range(3):
        clock.advance(days=1)
        host.run_jobs()
    assert len(names(host)) == 1
    assert [record.message for record in caplog.records if "No backup" in record.message] == [
        "No backup was made, those from before are kept: The disk is too full for a backup: free some space."
    ]
    assert found_texts(host) == {"first", "second"}


def test_a_damaged_database_takes_no_good_backup_away(host: Host, clock: Clock) -> None:
    fill(host)
    host.run_jobs()
    good = {backup.name: backup.path.read_bytes() for backup in host.app.backups.list_all()}
    host.end()
    host.reopen()
    damage(host.app.storage.path)
    for _ in range(9):
        clock.advance(days=1)
        with contextlib.suppress(StorageError):
            host.run_jobs()
    assert {backup.name: backup.path.read_bytes() for backup in host.app.backups.list_all()} == good
    assert list((host.directory / "backups").glob("*.tmp*")) == []


def test_damage_is_noticed_though_nothing_changes(
    host: Host, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(host)
    host.run_jobs()
    host.app.backups.run()
    clock.advance(days=1)
    host.app.backups.run()
    assert caplog.text == ""
    with host.app.storage.write(secure_erase=True):
        pass
    damage(host.app.storage.path)
    clock.advance(days=1)
    host.app.backups.run()
    assert "sediment-mcp doctor --fix" in caplog.text


def test_a_lost_database_does_not_rotate_its_backups_away(host: Host, clock: Clock) -> None:
    fill(host, 10)
    host.run_jobs()
    (full,) = names(host)
    host.end()
    for path in host.directory.glob("memories.db*"):
        path.unlink()
    host.reopen()
    for day in range(12):
        clock.advance(days=1)
        host.store(f"new life, day {day}")
        host.run_jobs()
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
        host.run_jobs()
        host.run_jobs()
        if day == 1:
            clock.advance(days=-4000)
        clock.advance(days=1)
    assert [name[6:16] for name in names(host)] == [f"2026-05-{day:02}" for day in range(16, 9, -1)]


# --- what is erased -----------------------------------------------------------------------------


def test_what_is_erased_for_good_is_in_no_file_at_once(host: Host, clock: Clock) -> None:
    doomed = host.store("the password was xyzzyplugh", tags=["quuxtag"])["id"]
    kept = host.store("an innocent memory")["id"]
    host.run_jobs()
    host.app.backups.make()
    assert len(files_with(host.directory / "backups", "xyzzyplugh")) == 2
    host.delete(doomed, permanent=True)
    assert files_with(host.directory, "xyzzyplugh") == []
    assert files_with(host.directory, "quuxtag") == []
    for backup in host.app.backups.list_all():
        assert texts(backup.path) == {"an innocent memory"}
    assert kept in host.found("innocent")


def test_what_the_end_of_the_trash_erases_goes_too(host: Host, clock: Clock) -> None:
    host.delete(host.store("the password was xyzzyplugh")["id"])
    host.run_jobs()
    clock.advance(days=31)
    host.run_jobs()
    clock.advance(days=1)
    host.run_jobs()
    assert names(host) == ["daily-2026-05-08-120000"]
    assert files_with(host.directory, "xyzzyplugh") == []


def test_an_erasure_that_was_cut_off_is_taken_up(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_host(), open_host()
    doomed = one.store("the password was xyzzyplugh")["id"]
    one.run_jobs()
    other.run_jobs()
    monkeypatch.setattr(one.app.backups, "purge_erased", lambda **_: None)  # killed before it
    one.delete(doomed, permanent=True)
    assert len(files_with(one.directory / "backups", "xyzzyplugh")) == 1
    other.run_jobs()
    assert files_with(one.directory, "xyzzyplugh") == []


def test_a_backup_that_a_killed_process_had_not_written_anew_is_written_anew(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, other = open_host(), open_host()
    doomed = killed.store("the password was xyzzyplugh")["id"]
    killed.run_jobs()

    def die(_: SqliteSession) -> None:
        raise StorageError("The process is killed here.")

    with monkeypatch.context() as patched:
        patched.setattr(backup_file, "erase_remains", die)
        killed.delete(doomed, permanent=True)
    (backup,) = other.app.backups.list_all()
    with contextlib.closing(
        open_session(backup.path, key=killed.app.encryption.database_key(backup.path))
    ) as session:
        assert has_remains(session)
    other.run_jobs()
    with contextlib.closing(
        open_session(backup.path, key=killed.app.encryption.database_key(backup.path))
    ) as session:
        assert not has_remains(session)


def test_what_ends_in_the_trash_is_gone_from_the_backups_when_the_run_is_over(open_host: OpenHost) -> None:
    host = open_host()
    doomed = host.store("the password was xyzzyplugh")["id"]
    host.run_jobs()
    host.delete(doomed)
    assert len(files_with(host.directory / "backups", "xyzzyplugh")) == 1
    host.clock.advance(days=31)
    host.app.run_retention()
    assert files_with(host.directory, "xyzzyplugh") == []


def test_a_backup_that_is_damaged_cannot_forget_and_goes(host: Host) -> None:
    fill(host)
    doomed = host.store("the password was xyzzyplugh")["id"]
    backup = host.app.backups.make()
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
    backup = host.app.backups.make()
    file = host.directory.parent / "my own.db"
    host.app.backups.make_file(file)
    host.delete(gone)
    host.delete(erased, permanent=True)
    new = host.store("the port is 6000", replaces=[old])["id"]
    assert other.found_by_words("port") == {new}
    told = restore.preview_restore(host.app, backup.name)
    assert (told["memories"], told["returning"], told["leaving"], told["changing"]) == (3, 1, 1, 1)
    done = restore.restore_backup(host.app, backup.name)
    for one in (host, other):
        assert found_texts(one) == {"stays as it is", "gets deleted by mistake", "the port is 5432"}
        assert one.found_by_words("port") == {old}
        assert gone in one.found_by_words("mistake", tags=["mistake"])
        assert gone in one.found_by_meaning("gets deleted by mistake")
        assert kept in one.found_by_meaning("stays as it is")
    assert done["kept"] is not None
    assert restore.restore_backup(host.app, done["kept"])["returning"] == 1
    assert other.found_by_words("port") == {new}
    assert restore.restore_backup(host.app, str(file))["returning"] == 2
    assert erased in other.found_by_words("erased")
    assert erased in other.found_by_meaning("is erased for good")
    other.delete(erased, permanent=True)
    assert files_with(host.directory, "is erased for good") == []


def test_going_back_after_everything_was_lost(open_host: OpenHost) -> None:
    host = open_host()
    known = fill(host, 10)
    host.run_jobs()
    host.end()
    for path in host.directory.glob("memories.db*"):
        path.unlink()
    host.reopen()
    assert host.list()["total"] == 0
    restore.restore_backup(host.app, restore.find_newest_backup(host.app))
    for identity, word in known.items():
        assert host.found_by_words(word) == {identity}
        with host.app.storage.read() as session:
            counts = [table.models()[0].count for table in (session.embeddings, session.token_vectors)]
    assert counts == [10, 10], "the embeddings and token vectors came along"


@pytest.mark.parametrize("what", [b"", b"no database at all " * 500, None])
def test_what_is_no_backup_is_refused(host: Host, tmp_path: Path, what: bytes | None) -> None:
    host.store("something")
    path = tmp_path / "file.db"
    if what is None:
        with contextlib.closing(open_file(path)) as raw:
            raw.execute("CREATE TABLE memories (other)")
    else:
        path.write_bytes(what)
    before = path.read_bytes()
    for name in (str(path), "nosuchname"):
        with pytest.raises(BadArgument, match="backup --list"):
            restore.preview_restore(host.app, name)
    assert path.read_bytes() == before
    assert found_texts(host) == {"something"}


def test_a_file_of_the_users_own_is_never_overwritten(host: Host, tmp_path: Path) -> None:
    host.store("something")
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(BadArgument, match="there already"):
        host.app.backups.make_file(path)
    assert path.read_text() == "precious"


def test_a_file_that_cannot_be_written_is_named(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "copy.db"
    with pytest.raises(StorageError, match=r"copy\.db cannot be written .*: choose another place"):
        host.app.backups.make_file(path)


# --- a file that is replaced beside running servers ---------------------------------------------


def test_a_damaged_database_is_put_aside_and_running_servers_notice(
    open_host: OpenHost, clock: Clock
) -> None:
    one, other, third = open_host(), open_host(), open_host()
    known = fill(one, 20)
    one.app.backups.make()
    lost = one.store("too young for the backup")["id"]
    assert other.found_by_words("young") == third.found_by_words("young") == {lost}
    with one.app.storage.write(secure_erase=True):
        pass
    damage(one.app.storage.path)
    done = restore.restore_backup(one.app, restore.find_newest_backup(one.app))
    assert "returning" not in done
    assert done["kept"] is not None
    assert (one.directory / done["kept"]).exists()
    acknowledged = other.store("stored by one that had it open")["id"]
    other.run_jobs()
    for host in (third, one, other, open_host()):
        assert host.found_by_words("stored") == {acknowledged}
        assert host.found_by_words("young") == set()
        for identity, word in list(known.items())[::5]:
            assert host.found_by_words(word) == {identity}
    third.run_jobs()
    assert third.found_by_words("stored") == {acknowledged}


@pytest.mark.parametrize("how", ["deleted", "moved", "all deleted", "replaced"])
def test_a_connection_whose_file_is_gone_is_opened_anew(open_host: OpenHost, how: str) -> None:
    host, other = open_host(), open_host()
    host.store("from before")
    assert found_texts(other) == {"from before"}
    database = host.app.storage.path
    if how == "deleted":
        database.unlink()
    elif how == "moved":
        database.rename(database.with_name("elsewhere.db"))
    elif how == "all deleted":
        for path in host.directory.glob("memories.db*"):
            path.unlink()
    else:
        copy = host.directory.parent / "copy.db"
        host.app.backups.make_file(copy)
        for path in host.directory.glob("memories.db-*"):
            path.unlink()
        copy.rename(database)
    identity = other.store("from after")["id"]
    assert host.found_by_words("after") == {identity}
    before = {"from before"} if how == "replaced" else set[str]()
    assert found_texts(host) == found_texts(other) == found_texts(open_host()) == {"from after"} | before
    assert len(host.found_by_words("before")) == len(before)


@pytest.mark.parametrize("is_read_before", [False, True])
def test_a_log_that_was_taken_away_is_not_lost(open_host: OpenHost, is_read_before: bool) -> None:
    host = open_host()
    host.store("only in the log so far")
    if is_read_before:
        found_texts(host)
    host.app.storage.path.with_name("memories.db-wal").unlink()
    host.store("after it")
    assert found_texts(host) == {"only in the log so far", "after it"}
    host.crash()
    assert found_texts(host) == {"only in the log so far", "after it"}


def test_a_write_whose_file_is_taken_away_is_not_acknowledged(host: Host) -> None:
    host.store("from before")
    database = host.app.storage.path
    with pytest.raises(StorageError, match="try again"), host.app.storage.write():
        database.rename(host.directory / "elsewhere.db")


def test_a_replacement_that_was_cut_off_is_finished(open_host: OpenHost) -> None:
    host, other = open_host(), open_host()
    host.store("in the new file")
    copy = host.directory / "memories.replacement.db"
    host.app.backups.make_file(copy)
    host.store("came before the replacement was finished")
    assert not copy.exists(), "the next write has finished it"
    assert found_texts(other) == {"in the new file", "came before the replacement was finished"}


def test_an_index_of_the_time_before_is_not_believed(open_host: OpenHost, clock: Clock) -> None:
    """Two processes hold memtables and snapshots of a future that is taken back, and grow past it."""
    one, other = open_host(tuning=SMALL), open_host(tuning=SMALL)
    known = {one.store(f"old{n} stays")["id"]: f"old{n}" for n in range(6)}
    one.run_jobs()
    one.app.backups.make()
    for n in range(12):
        one.store(f"future{n} never happens")
    one.run_jobs()
    other.run_jobs()
    assert len(other.found("future3 future7")) > 0
    with one.app.storage.write(secure_erase=True):
        pass
    damage(one.app.storage.path)
    restore.restore_backup(one.app, restore.find_newest_backup(one.app))
    for n in range(14):
        writer, reader = (one, other) if n % 2 else (other, one)
        identity = writer.store(f"present{n} happens")["id"]
        known[identity] = f"present{n}"
        assert reader.found_by_words(f"present{n}") == {identity}
        if n % 5 == 4:
            reader.run_jobs()
    for host in (one, other):
        for identity, word in known.items():
            assert host.found_by_words(word) == {identity}
        assert host.found_by_words("future3") == set()


def test_a_damaged_copy_is_never_kept(host: Host) -> None:
    fill(host)
    with host.app.storage.write(secure_erase=True):
        pass
    damage(host.app.storage.path)
    with pytest.raises(DamagedDatabase, match="doctor --fix"):
        host.app.backups.make()
    assert names(host) == []
