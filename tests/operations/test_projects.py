"""Which memories belong to which folder, and how they follow it, over real storage and real git."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.host import SMALL, Host

from sediment_mcp.errors import BadArgument, UnknownProject
from sediment_mcp.operations.projects import list_projects, move_project, plan_move

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def make_repository(folder: Path) -> Path:
    folder.mkdir()
    for words in (["init", "."], ["commit", "--allow-empty", "-m", folder.name]):
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)
    return folder


def test_a_project_moves_with_its_history_and_its_trash(host: Host) -> None:
    host.project = "/old"
    first = host.store("The linter is ruff 1")["id"]
    second = host.store("The linter is ruff 2", replaces=[first])["id"]
    gone = host.store("The coffee machine is broken")["id"]
    host.delete(gone)
    kept = host.store("kept elsewhere", scope="global")["id"]
    assert plan_move(host.app, "/old", "/new")["moved"] == 3
    assert move_project(host.app, "/old", "/new")["moved"] == 3
    host.project = "/new"
    listed = host.list(scope="project", include_superseded=True)["memories"]
    assert {memory["id"] for memory in listed} == {first, second}
    assert [memory["id"] for memory in host.list(scope="global")["memories"]] == [kept]
    with host.app.storage.read() as session:
        assert session.get([gone])[gone].project == "/new"
    assert [(one["project"], one["memories"]) for one in list_projects(host.app)] == [("/new", 3)]


def test_every_process_and_index_knows_at_once_that_a_project_moved(open_host: OpenHost) -> None:
    one, other = open_host(tuning=SMALL, project="/old"), open_host(tuning=SMALL, project="/new")
    ids = {one.store(f"loom number {number} stands in hall {number}")["id"] for number in range(8)}
    for _ in range(2):
        one.run_jobs()
    other.run_jobs()
    assert other.found("loom", scope="project") == []
    move_project(one.app, "/old", "/new")
    assert set(other.found("loom", scope="project")) == ids
    assert one.found("loom", scope="project") == []
    for host in (one, other):
        host.run_jobs()
    assert set(other.found("loom", scope="project")) == ids


def test_moving_back_undoes_a_move(host: Host) -> None:
    host.project = "/old"
    stored = host.store("Releases go out on Tuesdays")["id"]
    move_project(host.app, "/old", "/new")
    move_project(host.app, "/new", "/old")
    assert host.found("releases", scope="project") == [stored]


def test_what_cannot_be_moved_is_refused_and_changes_nothing(host: Host) -> None:
    host.project = "/old"
    host.store("Releases go out on Tuesdays")
    with pytest.raises(UnknownProject, match="project list"):
        move_project(host.app, "/none", "/new")
    for old, new in (("/old", "/old"), ("/old", "/old/"), ("/old", ""), (" ", "/new"), ("/old", "$HOME")):
        with pytest.raises(BadArgument):
            move_project(host.app, old, new)
    assert [one["project"] for one in list_projects(host.app)] == ["/old"]


@needs_links
def test_memories_of_another_spelling_of_the_folder_are_taken_over(open_host: OpenHost, place: Path) -> None:
    real = place / "shop"
    real.mkdir()
    (place / "link").symlink_to(real)
    old = open_host()
    ids = set()
    for spelling in (f"{real}/", str(place / "link"), f"{place}/link/../shop"):
        old.project = spelling
        ids.add(old.store(f"stored from {spelling}")["id"])
    old.project = str(place)
    other = old.store("stored beside it")["id"]
    new = open_host(project=str(real))
    assert {memory["id"] for memory in new.list(scope="project")["memories"]} == ids
    assert {one["project"] for one in list_projects(new.app)} == {str(real), str(place)}
    assert other not in new.found("stored", scope="project")


@needs_git
def test_memories_of_a_linked_work_tree_are_taken_over(open_host: OpenHost, place: Path) -> None:
    repository = make_repository(place / "code")
    subprocess.run(
        ["git", "worktree", "add", str(place / "side")], cwd=repository, check=True, capture_output=True
    )
    stored = open_host(project=str(place / "side")).store("The linter config lives in tools")["id"]
    assert open_host(project=str(repository)).found("linter", scope="project") == [stored]


def test_memories_under_a_remote_are_taken_over_by_the_folder_that_has_it(
    open_host: OpenHost, place: Path
) -> None:
    (place / "shop" / ".git").mkdir(parents=True)
    (place / "shop" / ".git" / "config").write_text(
        '[remote "origin"]\n\turl = git@example.com:ann/shop.git\n'
    )
    elsewhere = open_host(project="git:example.com/ann/shop")
    stored = elsewhere.store("The till prints in blue")["id"]
    other = open_host(project="git:example.com/ann/store").store("The lamp is green")["id"]
    host = open_host(project=str(place / "shop"))
    assert host.found("till blue lamp green", scope="project") == [stored]
    assert [(one["project"], one["memories"]) for one in list_projects(host.app)] == [
        (str(place / "shop"), 1),
        ("git:example.com/ann/store", 1),
    ], other


@needs_git
def test_a_renamed_repository_is_recognised_by_its_history(open_host: OpenHost, place: Path) -> None:
    old = make_repository(place / "old name")
    open_host(project=str(old)).store("The linter config lives in tools")
    old.rename(place / "new")
    host = open_host(project=str(place / "new"))
    (note,) = [note for note in host.query("linter", scope="project")["notes"] if "project move" in note]
    assert f"project move '{old}' {place / 'new'}" in note
    assert "project move" in host.list(scope="project")["notes"][0]
    move_project(host.app, str(old), str(place / "new"))
    assert len(host.found("linter", scope="project")) == 1
    assert "notes" not in host.list(scope="project")


@needs_git
def test_a_query_of_everything_tells_once_where_a_project_seems_to_come_from(
    open_host: OpenHost, place: Path
) -> None:
    old = make_repository(place / "old")
    open_host(project=str(old)).store("The linter config lives in tools")
    old.rename(place / "new")
    host = open_host(project=str(place / "new"))
    told = ["project move" in " ".join(host.query("linter")["notes"]) for _ in range(3)]
    assert told == [True, False, False]


@needs_git
def test_another_repository_or_a_folder_that_is_there_is_no_origin(open_host: OpenHost, place: Path) -> None:
    old, copied = make_repository(place / "old"), place / "copied"
    open_host(project=str(old)).store("The linter config lives in tools")
    shutil.copytree(old, copied)
    other = make_repository(place / "other")
    assert "notes" not in open_host(project=str(copied)).list(scope="project")
    shutil.rmtree(old)
    assert "notes" not in open_host(project=str(other)).list(scope="project")
    assert "notes" in open_host(project=str(copied)).list(scope="project")


@needs_git
def test_a_damaged_file_of_histories_is_no_obstacle(open_host: OpenHost, place: Path) -> None:
    repository = make_repository(place / "code")
    host = open_host(project=str(repository))
    host.store("one")
    (host.directory / "projects.json").write_bytes(b"\0nonsense")
    again = open_host(project=str(repository))
    again.store("two")
    assert len(again.list(scope="project")["memories"]) == 2
