"""Which project a folder belongs to, with real git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sediment_mcp.system.project_root import (
    find_project,
    find_project_of_roots,
    find_work_tree,
    normalize_project,
    parse_file_uri,
)

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A real folder with a home in it, and no work tree around it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    if find_project(tmp_path) is not None:
        pytest.skip("the folder for temporary files lies in a git work tree")
    return tmp_path.resolve()


@pytest.fixture
def repository(place) -> Path:
    folder = place / "home" / "code"
    (folder / "deep" / "er").mkdir(parents=True)
    git(folder, "init")
    return folder


@needs_git
def test_a_work_tree_is_the_project_of_every_folder_in_it(repository):
    assert find_project(repository) == str(repository)
    assert find_project(repository / "deep" / "er") == str(repository)


@needs_git
def test_a_linked_work_tree_belongs_to_its_repository(repository):
    git(repository, "commit", "--allow-empty", "-m", "first")
    side = repository.parent / "side"
    git(repository, "worktree", "add", str(side))
    (side / "deep").mkdir()
    assert (side / ".git").is_file()
    assert find_project(side) == find_project(side / "deep") == str(repository)
    assert find_project_of_roots([side.as_uri()]) == normalize_project(str(side)) == str(repository)
    assert find_work_tree(side / "deep") == side


@needs_git
def test_a_linked_work_tree_of_a_versioned_home_is_itself(place):
    git(place / "home", "init")
    git(place / "home", "commit", "--allow-empty", "-m", "first")
    git(place / "home", "worktree", "add", str(place / "side"))
    assert find_project(place / "side") == str(place / "side")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_project_is_its_real_path_however_it_is_spelt(place, monkeypatch):
    real = place / "pro ject"
    (real / "sub").mkdir(parents=True)
    (place / "link").symlink_to(real)
    spellings = [
        str(real),
        f"{real}/",
        f"{real}/./sub/..",
        f"{place}//pro ject",
        str(place / "link"),
        f"{place}/link/sub/..",
        real.as_uri(),
        (place / "link").as_uri() + "/",
    ]
    assert {normalize_project(spelling) for spelling in spellings} == {str(real)}
    assert normalize_project(str(place / "link" / "gone")) == str(real / "gone")
    assert normalize_project(str(real / "sub")) == str(real / "sub")


def test_a_project_that_is_a_word_stays_one():
    assert normalize_project("shop") == "shop"


@needs_git
def test_a_repository_inside_another_is_the_nearer_one(repository):
    git(repository / "deep", "init")
    assert find_project(repository / "deep" / "er") == str(repository / "deep")


@needs_git
def test_a_home_directory_under_version_control_is_no_project(place):
    git(place / "home", "init")
    (place / "home" / "notes").mkdir()
    assert find_project(place / "home") is None
    assert find_project(place / "home" / "notes") is None


@needs_git
@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_leads_to_the_real_path(repository, place):
    (place / "link").symlink_to(repository / "deep")
    assert find_project(place / "link") == str(repository)


def test_a_folder_without_a_work_tree_has_no_project(place):
    assert find_project(place) is None


def test_a_folder_that_is_not_there_has_no_project(place):
    assert find_project(place / "gone") is None
    assert find_project(Path("bad\0name")) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_loop_of_links_has_no_project(place):
    (place / "a").symlink_to(place / "b")
    (place / "b").symlink_to(place / "a")
    assert find_project(place / "a") is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_has_no_project(place):
    (place / "locked" / "in").mkdir(parents=True)
    (place / "locked").chmod(0)
    try:
        assert find_project(place / "locked" / "in") is None
    finally:
        (place / "locked").chmod(0o700)


# --- roots that a host names --------------------------------------------------------------------


@needs_git
def test_a_root_in_a_work_tree_is_that_work_tree(repository):
    assert find_project_of_roots([(repository / "deep").as_uri()]) == str(repository)


def test_a_root_without_a_work_tree_is_itself(place):
    (place / "über uns").mkdir()
    uri = (place / "über uns").as_uri()
    assert "%20" in uri
    assert find_project_of_roots([uri]) == str(place / "über uns")
    assert find_project_of_roots([uri.replace("file://", "file://localhost")]) == str(place / "über uns")


def test_the_first_usable_root_counts(place):
    usable = place / "usable"
    usable.mkdir()
    (place / "file.txt").write_text("text", encoding="utf-8")
    roots = [
        "https://example.com/x",
        "file://[broken",
        (place / "gone").as_uri(),
        (place / "file.txt").as_uri(),
        (place / "home").as_uri(),
        "file:///",
        "",
        usable.as_uri(),
        place.as_uri(),
    ]
    assert find_project_of_roots(roots) == str(usable)
    assert find_project_of_roots(roots[:-2]) is None


@needs_git
def test_a_root_below_a_versioned_home_is_itself(place):
    git(place / "home", "init")
    (place / "home" / "notes").mkdir()
    assert find_project_of_roots([(place / "home" / "notes").as_uri()]) == str(place / "home" / "notes")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///home/ann", "/home/ann"),
        ("FILE:///home/ann", "/home/ann"),
        ("file://localhost/home/ann", "/home/ann"),
        ("file:/home/ann", "/home/ann"),
        ("file:///home/a%20b/%C3%BC", "/home/a b/ü"),
        ("file:///C:/work", "C:/work"),
        ("file:///c%3A/work", "c:/work"),
        ("file:///C|/work", "C:/work"),
        ("file:///C:", "C:/"),
        ("file://C:/work", "C:/work"),
        ("file://server/share", None),
        ("https://example.com/home", None),
        ("/home/ann", None),
        ("file://", None),
    ],
)
def test_the_path_in_a_uri(uri, path):
    assert parse_file_uri(uri) == path
