"""Devices that synchronize through a folder come to hold the same, and nothing in it can be read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from support.embedding_double import EmbeddingDouble
from support.host import Clock, Host
from support.transferring import export, import_export, state

from sediment_mcp.app import Application
from sediment_mcp.background.jobs import SYNC_LOCK
from sediment_mcp.domain.retention import Rule
from sediment_mcp.errors import BadArgument, SedimentError, Stopped, StorageError
from sediment_mcp.maintenance.restore import preview_restore, restore_backup
from sediment_mcp.maintenance.salvage import salvage
from sediment_mcp.operations.kept_pairs import keep_pair, list_kept_pairs
from sediment_mcp.operations.retention_rules import clear_rules, set_rule
from sediment_mcp.storage.sql import memories
from sediment_mcp.sync import compaction, give, own_log
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.folder import list_devices, list_log, read_about
from sediment_mcp.sync.log_file import read_encrypted
from sediment_mcp.sync.report import SyncReport
from sediment_mcp.sync.settings import SyncSettings, read_settings, write_settings
from sediment_mcp.system.locks import locked
from sediment_mcp.transfer.encryption import generate_identity

IDENTITY = generate_identity()


@dataclass
class Devices:
    """Hosts that synchronize through one folder."""

    directory: Path
    clock: Clock
    hosts: dict[str, Host] = field(default_factory=dict[str, Host])

    @property
    def folder(self) -> Path:
        folder = self.directory / "folder"
        folder.mkdir(exist_ok=True)
        return folder

    def __getitem__(self, name: str) -> Host:
        if name not in self.hosts:
            self.hosts[name] = Host(self.directory / name, self.clock)
            write_settings(self.hosts[name].app, SyncSettings(self.folder, name, IDENTITY))
        return self.hosts[name]

    def sync(self, *names: str) -> list[SyncReport]:
        return [SyncEngine(self[name].app).run() for name in names]

    def files(self, name: str) -> list[str]:
        return [file.path.name for file in list_log(self.folder, name)]

    def content(self) -> bytes:
        """Return all that is encrypted in the logs."""
        return b"".join(
            read_encrypted(file, IDENTITY)
            for device in list_devices(self.folder)
            for file in list_log(self.folder, device)
        )


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[Devices]:
    made = Devices(tmp_path, Clock())
    yield made
    for host in made.hosts.values():
        host.end()


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file hold four memories, and a log six files."""
    monkeypatch.setattr(compaction, "MEMORIES_PER_FILE", 4)
    monkeypatch.setattr(give, "MEMORIES_PER_FILE", 4)
    monkeypatch.setattr(compaction, "MAX_FILES", 6)


# --- what travels -------------------------------------------------------------------------------


def test_a_memory_is_found_on_the_other_device_without_being_embedded_there(devices: Devices) -> None:
    devices["one"].store("Tea is at four", tags=["tea"], metadata={"from": "chat"})
    devices.sync("one")
    (report,) = devices.sync("two")
    assert (report.taken, report.given, report.waiting) == (1, 0, [])
    assert state(devices["one"]) == state(devices["two"])
    two = devices["two"]
    with two.app.storage.read() as session:
        assert [model.count for model in session.embeddings.models()] == [1]
    assert two.found_by_words("tea") == set(state(two))


def test_embeddings_come_for_a_memory_that_was_given_before_it_was_embedded(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    one.model = None
    one.reopen()
    memory_id = one.store("Tea is at four")["id"]
    devices.sync("one", "two")
    one.end()
    one.model = EmbeddingDouble()
    one.reopen()
    one.run_jobs()
    devices.clock.advance(minutes=1)
    one.store("Tea is at four", tags=["tea"])
    devices.sync("one", "two")
    assert state(two)[memory_id]["tags"] == {"tea"}
    with two.app.storage.read() as session:
        assert [model.count for model in session.embeddings.models()] == [1]


def test_nothing_is_readable_in_the_folder_and_nothing_is_written_twice(devices: Devices) -> None:
    devices["one"].store("The password of the cellar is swordfish")
    devices.sync("one", "two")
    before = {path: path.read_bytes() for path in devices.folder.rglob("*") if path.is_file()}
    assert before
    assert not any(b"swordfish" in data or b"cellar" in data for data in before.values())
    assert not any(report.has_changes for report in devices.sync("one", "two", "one", "two"))
    assert before == {path: path.read_bytes() for path in devices.folder.rglob("*") if path.is_file()}


def test_corrections_replacements_and_deletions_carry_over_both_ways(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    old = one.store("The port is 5432")["id"]
    gone = one.store("A typing error")["id"]
    devices.sync("one", "two")
    devices.clock.advance(minutes=1)
    new = two.store("The port is 6000", replaces=[old])["id"]
    one.delete(gone)
    devices.sync("one", "two", "one")
    assert state(one) == state(two)
    assert state(one)[old]["superseded_by"] == new
    assert state(two)[gone]["deleted_at"]


def test_a_new_device_gives_no_state_that_a_log_holds_before_the_successor_is_read(devices: Devices) -> None:
    anna, bert, cleo = devices["anna"], devices["bert"], devices["cleo"]
    old = cleo.store("The port is 5432")["id"]
    devices.sync("cleo", "bert", "anna")
    devices.clock.advance(minutes=1)
    anna.store("The port is 6000", replaces=[old])
    with patch.object(memories, "secrets", SimpleNamespace(choice=max)):
        greatest = cleo.store("The port is 7000", replaces=[old])["id"]
    devices.sync("anna", "cleo", "bert")
    devices.clock.advance(minutes=1)
    bert.delete(old)
    devices.sync("bert")
    (report,) = devices.sync("dora")  # which reads the log of bert before it knows what cleo has stored
    assert state(devices["dora"])[old]["superseded_by"] == greatest
    assert state(devices["dora"]) == state(bert)
    assert report.given == 0


def test_the_same_text_stored_on_both_becomes_one_memory(devices: Devices) -> None:
    devices["one"].store("Tea is at four", tags=["a"])
    devices.clock.advance(minutes=1)
    devices["two"].store("Tea is at four", tags=["b"])
    devices.sync("one", "two", "one", "two")
    assert state(devices["one"]) == state(devices["two"])
    (current,) = (m for m in state(devices["one"]).values() if m["superseded_by"] is None)
    assert current["tags"] == {"a", "b"}


def test_rules_their_removal_and_kept_pairs_travel_and_the_last_change_counts(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    ids = [one.store(text)["id"] for text in ("abc def", "fed cba")]
    set_rule(one.app, Rule("tag", "Log", timedelta(days=9)))
    keep_pair(one.app, *ids)
    (given, taken) = devices.sync("one", "two")
    assert (taken.rules, taken.kept_pairs) == (1, 1)
    assert list_kept_pairs(two.app) == {(min(ids), max(ids))}
    devices.clock.advance(minutes=1)
    set_rule(two.app, Rule("tag", "log", None, 7))
    devices.clock.advance(minutes=1)
    clear_rules(one.app, None, "")
    devices.sync("one", "two", "one")
    assert given.given == 2
    for host in (one, two):
        with host.app.storage.read() as session:
            assert session.retention.rules() == []
    assert not any(report.has_changes for report in devices.sync("one", "two"))


# --- erased for good ----------------------------------------------------------------------------


def test_what_was_erased_is_gone_on_every_device_and_from_every_log(devices: Devices) -> None:
    one, two, three = devices["one"], devices["two"], devices["three"]
    erased = one.store("An embarrassing thing")["id"]
    devices.sync("one", "two", "three")
    devices.clock.advance(minutes=1)
    three.store("An embarrassing thing", tags=["again"])  # so that its log holds it too
    devices.sync("three")
    assert devices.content().count(b"embarrassing") == 2
    two.delete(erased, permanent=True)
    reports = devices.sync("two", "one", "three")
    assert [report.erased for report in reports] == [0, 1, 1]
    assert b"embarrassing" not in devices.content()
    devices.sync("one", "two", "three")
    assert state(one) == state(two) == state(three) == {}
    late = devices["late"]
    devices.sync("late")
    assert state(late) == {}


def test_a_device_back_after_a_year_brings_nothing_erased_back(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    erased, kept = (one.store(text)["id"] for text in ("is erased", "is kept"))
    devices.sync("one", "two")
    devices.clock.advance(minutes=1)
    one.store("is erased", tags=["changed"])
    one.delete(erased, permanent=True)
    devices.clock.advance(days=365)
    new = two.store("is new")["id"]
    devices.sync("one", "two", "one", "two")
    assert set(state(one)) == set(state(two)) == {kept, new}


def test_an_import_brings_back_what_was_erased_under_another_id_on_every_device(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    erased = one.store("is erased")["id"]
    data = export(one)
    devices.sync("one", "two")
    one.delete(erased, permanent=True)
    devices.sync("one", "two")
    assert import_export(one, data).imported == 1
    assert import_export(one, data).imported == 0
    devices.sync("one", "two", "one", "two")
    assert state(one) == state(two)
    ((memory_id, memory),) = state(two).items()
    assert (memory["content"], memory_id != erased) == ("is erased", True)


def test_what_was_erased_and_brought_back_before_a_device_joined_is_on_every_device(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    settings = read_settings(one.app)
    write_settings(one.app, None)
    memory_id = one.store("is erased, and wanted again")["id"]
    data = export(one)
    one.delete(memory_id, permanent=True)
    assert import_export(one, data).imported == 1
    write_settings(one.app, settings)
    devices.sync("one", "two", "one")
    assert state(one) == state(two)
    assert set(state(two)) == {memory_id}


def test_a_restored_backup_leaves_erased_what_all_devices_have_erased(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    erased, kept = (one.store(text)["id"] for text in ("is erased", "is kept"))
    file = devices.directory / "own.db"
    one.app.backups.make_file(file)
    devices.sync("one", "two")
    devices.clock.advance(minutes=1)
    two.delete(erased, permanent=True)
    two.delete(kept)
    devices.sync("two", "one")
    assert preview_restore(one.app, str(file)).get("staying_erased") == 1
    told = restore_backup(one.app, str(file))
    assert (told.get("returning"), told.get("staying_erased")) == (1, 1)
    devices.sync("one", "two", "one")
    assert state(one) == state(two)
    assert state(two)[kept]["deleted_at"] is None


def test_a_restored_backup_undoes_a_replacement_on_every_device(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    old = one.store("The port is 5432")["id"]
    backup = one.app.backups.make().name
    devices.sync("one", "two")
    devices.clock.advance(minutes=1)
    new = two.store("The port is 6000", replaces=[old])["id"]
    devices.sync("two", "one")
    devices.clock.advance(minutes=1)
    restore_backup(one.app, backup)
    devices.sync("one", "two", "one", "two")
    assert state(one) == state(two)
    assert state(two)[old]["superseded_by"] is None
    assert state(two)[new]["deleted_at"]


# --- the folder ---------------------------------------------------------------------------------


def test_a_device_without_the_folder_or_a_setting_is_told_what_to_do(devices: Devices, host: Host) -> None:
    with pytest.raises(BadArgument, match="sync init"):
        SyncEngine(host.app).run()
    devices["one"].store("Tea is at four")
    shutil.rmtree(devices.folder)
    with pytest.raises(StorageError, match="plug in its disk"):
        SyncEngine(devices["one"].app).run()


def test_over_postgresql_devices_are_told_that_they_share_the_server(host: Host) -> None:
    pytest.importorskip("psycopg")
    app = Application(replace(host.app.config, database="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(BadArgument, match="connect each of them to that server"):
        SyncEngine(app).run()
    app.close()


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def rename_to_later(path: Path) -> None:
    path.rename(path.with_name("00000007-00000007.age"))


@pytest.mark.parametrize(
    "injure", [damage_end, rename_to_later, Path.unlink, lambda path: path.write_bytes(b"")]
)
def test_a_file_that_does_not_open_ends_that_devices_turn_and_no_other(
    devices: Devices, injure: Callable[[Path], Any]
) -> None:
    for text in ("first", "second", "third"):
        devices["one"].store(text)
        devices.sync("one")
    devices["two"].store("of another")
    devices.sync("two")
    second = devices.folder / "one" / devices.files("one")[1]
    whole = second.read_bytes()
    injure(second)
    (report,) = devices.sync("three")
    assert {m["content"] for m in state(devices["three"]).values()} == {"first", "of another"}
    ((device, reason),) = report.waiting
    assert device == "one"
    assert "2" in reason
    for file in (devices.folder / "one").glob("00000007*"):
        file.unlink()
    second.write_bytes(whole)
    (report,) = devices.sync("three")
    assert (report.taken, report.waiting) == (2, [])
    assert state(devices["three"]).keys() > state(devices["one"]).keys() - {"of another"}


def test_names_of_conflict_copies_and_other_files_are_ignored(devices: Devices) -> None:
    devices["one"].store("first")
    devices.sync("one")
    (name,) = devices.files("one")
    own = devices.folder / "one"
    for other in (
        name.replace(".age", " (conflicted copy 2026-05-08).age"),
        name.replace(".age", ".sync-conflict-20260508-120000-ABCDEFG.age"),
        "000000001-000000001.age",
        ".DS_Store",
        f".{name}.0123.tmp",
    ):
        shutil.copy(own / name, own / other)
    (devices.folder / ".stfolder").mkdir()
    (devices.folder / "readme.txt").write_text("read me")
    (report,) = devices.sync("two")
    assert (report.taken, report.waiting) == (1, [])


def test_everything_is_written_anew_into_a_folder_that_was_emptied(devices: Devices) -> None:
    one, two = devices["one"], devices["two"]
    one.store("of one")
    two.store("of two")
    devices.sync("one", "two", "one")
    for device in list_devices(devices.folder):
        shutil.rmtree(devices.folder / device)
    devices.sync("one")
    (report,) = devices.sync("new")
    assert report.taken == 2
    devices.sync("two", "one", "two")
    assert state(one) == state(two) == state(devices["new"])


def test_what_only_the_log_of_a_missing_device_held_is_given_by_another(devices: Devices) -> None:
    devices["gone"].store("of a device that is gone")
    devices.sync("gone", "one")
    shutil.rmtree(devices.folder / "gone")
    devices.sync("one", "new")
    assert state(devices["new"]) == state(devices["one"]) != {}


def test_a_later_state_that_only_a_missing_device_gave_is_given_by_another(devices: Devices) -> None:
    one = devices["one"]
    memory_id = one.store("Tea is at four")["id"]
    devices.sync("one", "gone", "two")
    devices.clock.advance(minutes=1)
    devices["gone"].delete(memory_id)
    devices.sync("gone", "one")
    shutil.rmtree(devices.folder / "gone")
    devices.sync("one", "two")
    assert state(one) == state(devices["two"])
    assert state(one)[memory_id]["deleted_at"]


def test_a_device_says_what_it_is_and_what_its_clock_says(devices: Devices) -> None:
    devices["one"].store("Tea is at four")
    devices.sync("one")
    about = read_about(devices.folder, "one", IDENTITY)
    assert about is not None
    assert (about.device, about.clock) == ("one", devices.clock())
    assert read_about(devices.folder, "one", generate_identity()) is None


# --- one name, two databases ----------------------------------------------------------------------


def copy_data(devices: Devices) -> Host:
    """Return a host with a copy of the data directory of "one"."""
    keep_data(devices, "copy")
    devices.hosts["copy"] = Host(devices.directory / "copy", devices.clock)
    return devices.hosts["copy"]


def keep_data(devices: Devices, name: str) -> None:
    devices["one"].end()
    shutil.copytree(devices.directory / "one", devices.directory / name)
    devices["one"].reopen()


def test_a_copied_data_directory_takes_another_name(devices: Devices) -> None:
    one = devices["one"]
    one.store("before the copy")
    devices.sync("one")
    copy = copy_data(devices)
    one.store("after the copy")
    devices.sync("one")
    copy.store("of the copy")
    (report,) = [SyncEngine(copy.app).run()]
    assert report.new_name is not None
    settings = read_settings(copy.app)
    assert settings is not None
    assert settings.device == report.new_name != "one"
    devices.sync("one")
    assert state(one) == state(copy)
    assert {m["content"] for m in state(one).values()} == {"before the copy", "after the copy", "of the copy"}


def test_an_older_database_that_comes_back_takes_over_what_it_had_written_since(devices: Devices) -> None:
    one = devices["one"]
    one.store("early")
    devices.sync("one")
    keep_data(devices, "kept")
    late = one.store("late")["id"]
    devices.sync("one")
    one.end()
    shutil.rmtree(devices.directory / "one")
    shutil.move(devices.directory / "kept", devices.directory / "one")
    one.reopen()
    (report,) = devices.sync("one")
    assert report.new_name
    assert late in state(one)
    assert not any(report.has_changes for report in devices.sync("one", "one"))


@pytest.mark.parametrize("is_read", [False, True])
def test_of_two_databases_that_write_the_same_number_nothing_is_lost(devices: Devices, is_read: bool) -> None:
    """A carrier keeps one of the two files, and another device may have read the other one."""
    one, three = devices["one"], devices["three"]
    one.end()
    shutil.copytree(devices.directory / "one", devices.directory / "copy")
    one.reopen()
    copy = devices.hosts["copy"] = Host(devices.directory / "copy", devices.clock)
    for host, text in ((one, "erased on one"), (copy, "erased on the copy")):
        host.delete(host.store(text)["id"], permanent=True)
        set_rule(host.app, Rule("tag", text, timedelta(days=9)))
    one.store("of one")
    devices.sync("one", *(["three"] if is_read else []))
    shutil.move(devices.folder / "one", devices.directory / "conflict copy")
    copy.store("of the copy")
    devices.sync("copy")
    renamed = devices.sync("one")[0].new_name
    assert renamed is not None
    devices.sync("three", "copy", "one", "three")
    assert {m["content"] for m in state(three).values()} == {"of one", "of the copy"}
    assert state(one) == state(copy) == state(three)
    for host in (one, copy, three):
        with host.app.storage.read() as session:
            assert len(session.retention.rules()) == 2
            assert len(session.erased_ids()) == 2
    assert not any(report.has_changes for report in devices.sync("three", "copy", "one"))


def lose_state(devices: Devices, how: str) -> None:
    """Let the database of "one" forget how far its log has come, and the folder lose the end of it."""
    one = devices["one"]
    if how == "salvage":
        salvage(one.app)
    else:
        one.end()
        shutil.rmtree(devices.directory / "one")
        shutil.copytree(devices.directory / "kept", devices.directory / "one")
        one.reopen()
    if how == "the folder is emptied":
        shutil.rmtree(devices.folder / "one")
    for file in list_log(devices.folder, "one"):
        if how == "salvage" or file.last > 1:
            file.path.unlink()


@pytest.mark.parametrize("how", ["salvage", "the last file is lost", "the folder is emptied"])
def test_a_database_that_cannot_know_how_far_its_log_has_come_never_uses_a_number_again(
    devices: Devices, how: str
) -> None:
    one, two = devices["one"], devices["two"]
    one.store("of the first file")
    devices.sync("one")
    keep_data(devices, "kept")
    one.store("of the second file")
    devices.sync("one", "two")
    used = {"00000001-00000001.age", "00000002-00000002.age"}
    lose_state(devices, how)
    before = set(devices.files("one"))
    one.store("of the time after it")
    (report,) = devices.sync("one")
    assert report.new_name
    assert not used & (set(devices.files("one")) - before)
    devices.sync("two", "one", "two")
    assert len(state(two)) == 3


def test_a_device_that_has_left_is_no_member_again_after_a_salvage(devices: Devices) -> None:
    one = devices["one"]
    one.store("of the time before")
    devices.sync("one")
    one.app.backups.make()
    write_settings(one.app, None)
    salvage(one.app)
    assert read_settings(one.app) is None
    assert len(state(one)) == 1


def test_nothing_is_lost_where_two_databases_have_written_files_of_one_number(devices: Devices) -> None:
    one = devices["one"]
    one.store("before the copy")
    devices.sync("one")
    copy = copy_data(devices)
    shutil.copytree(devices.folder, devices.directory / "folder of the copy")
    settings = read_settings(copy.app)
    assert settings is not None
    write_settings(copy.app, replace(settings, folder=devices.directory / "folder of the copy"))
    for number in range(2):
        one.store(f"of one, {number}")
        devices.sync("one")
    erased = one.store("is erased")["id"]
    one.delete(erased, permanent=True)
    keep_pair(one.app, *sorted(state(one))[:2])
    devices.sync("one")
    copy.store("of the copy")
    devices.sync("copy")
    name = "00000002-00000002.age"
    shutil.copy2(devices.directory / "folder of the copy" / "one" / name, devices.folder / "one" / name)
    write_settings(copy.app, settings)
    reports = devices.sync("one", "copy")
    assert all(report.new_name for report in reports)
    devices.sync("new", "one", "copy", "new")
    assert state(devices["new"]) == state(one) == state(copy)
    assert len(state(devices["new"])) == 4
    assert len(list_kept_pairs(devices["new"].app)) == 1
    assert not any(report.has_changes for report in devices.sync("one", "copy", "new"))


def test_own_files_that_were_carried_to_another_disk_stay_those_of_the_device(
    devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = devices["one"]
    for number in range(2):
        one.store(f"fact {number}")
        devices.sync("one")
    for file in list_log(devices.folder, "one"):
        os.utime(file.path, (0, 0))
    assert devices.sync("one")[0].new_name is None
    monkeypatch.setattr(own_log, "_digest_file", pytest.fail)  # the new times are noted
    assert devices.sync("one")[0].new_name is None


# --- few files ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_files")
def test_a_log_of_many_files_becomes_few_and_no_reader_misses_anything(devices: Devices) -> None:
    one = devices["one"]
    for number in range(20):
        one.store(f"fact {number}")
        devices.clock.advance(minutes=1)
        devices.sync("one")
        if number % 3 == 0:
            devices.sync("two")
    assert len(devices.files("one")) <= 16
    assert devices.files("one")[0] == "00000001-00000004.age"
    devices.sync("two", "three")
    assert state(one) == state(devices["two"]) == state(devices["three"])
    assert not any(report.has_changes for report in devices.sync("one", "two", "three"))


@pytest.mark.usefixtures("small_files")
def test_a_file_that_a_carrier_brings_back_after_it_was_replaced_goes_again(devices: Devices) -> None:
    one = devices["one"]
    erased = one.store("is erased")["id"]
    devices.sync("one")
    (name,) = devices.files("one")
    old = (devices.folder / "one" / name).read_bytes()
    one.delete(erased, permanent=True)
    devices.sync("one")
    (devices.folder / "one" / name).write_bytes(old)
    devices.sync("one")
    assert name not in devices.files("one")
    assert b"is erased" not in devices.content()


# --- interrupted ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_files")
def test_a_stopped_run_is_gone_on_with(devices: Devices) -> None:
    one = devices["one"]
    for number in range(10):
        one.store(f"fact {number}")
    calls: list[int] = []

    def stop_soon(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 2:
            raise Stopped("Enough.")

    devices.sync("one")
    with pytest.raises(Stopped):
        SyncEngine(devices["two"].app).run(stop_soon)
    devices.sync("two")
    assert state(one) == state(devices["two"])


def test_a_run_waits_for_another_only_as_long_as_it_is_told(devices: Devices) -> None:
    one = devices["one"]
    with locked(one.files / SYNC_LOCK, 0), pytest.raises(SedimentError):
        SyncEngine(one.app).run(timeout=0)
    devices.sync("one")


def test_a_log_opens_as_an_export(devices: Devices, host: Host) -> None:
    devices["one"].store("Tea is at four")
    set_rule(devices["one"].app, Rule("tag", "log", None, 7))
    devices.sync("one")
    report = import_export(host, devices.content())
    assert (report.imported, report.skipped) == (1, [])
    assert json.loads(devices.content().splitlines()[0])["format"] == "sediment-mcp export"
