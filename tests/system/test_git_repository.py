"""Whose work tree a folder is, and what tells a history from others, with repositories of real git."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.system.git_repository import History, find_main_work_tree, find_remote, read_history

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    allowed = ["-c", "protocol.file.allow=always"]
    subprocess.run(["git", *identity, *allowed, *arguments], cwd=folder, check=True, capture_output=True)


def make_repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", f"first of {folder.name}")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def repository(place: Path) -> Path:
    return make_repository(place / "code")


def test_a_linked_work_tree_leads_to_the_main_one(repository: Path, place: Path) -> None:
    git(repository, "worktree", "add", str(place / "elsewhere" / "side"))
    assert find_main_work_tree(place / "elsewhere" / "side") == repository
    assert find_main_work_tree(repository) == repository


def test_a_linked_work_tree_with_relative_links_leads_to_the_main_one(repository: Path, place: Path) -> None:
    git(repository, "worktree", "add", str(place / "side"))
    (place / "side" / ".git").write_text("gitdir: ../code/.git/worktrees/side\n", encoding="utf-8")
    (repository / ".git" / "worktrees" / "side" / "gitdir").write_text(
        "../../../../side/.git\n", encoding="utf-8"
    )
    assert find_main_work_tree(place / "side") == repository


def test_a_moved_work_tree_still_leads_to_the_main_one(repository: Path, place: Path) -> None:
    git(repository, "worktree", "add", str(place / "side"))
    (place / "side").rename(place / "moved")
    assert find_main_work_tree(place / "moved") == repository


def test_a_work_tree_of_a_bare_repository_leads_to_it(repository: Path, place: Path) -> None:
    git(place, "clone", "--bare", str(repository), "bare.git")
    git(place / "bare.git", "worktree", "add", str(place / "side"))
    assert find_main_work_tree(place / "side") == place / "bare.git"


def test_a_bare_repository_in_a_hidden_folder_stands_for_the_folder_around(
    repository: Path, place: Path
) -> None:
    (place / "project").mkdir()
    git(place, "clone", "--bare", str(repository), "project/.bare")
    (place / "project" / ".git").write_text("gitdir: ./.bare\n", encoding="utf-8")
    git(place / "project", "worktree", "add", str(place / "project" / "main"))
    assert find_main_work_tree(place / "project" / "main") == place / "project"
    assert find_main_work_tree(place / "project") == place / "project"


def test_a_submodule_is_a_repository_of_its_own_and_so_are_its_work_trees(
    repository: Path, place: Path
) -> None:
    outer = make_repository(place / "outer")
    git(outer, "submodule", "add", str(repository), "inner")
    assert find_main_work_tree(outer / "inner") == outer / "inner"
    git(outer / "inner", "worktree", "add", str(place / "side"))
    assert find_main_work_tree(place / "side") == outer / "inner"


def test_a_repository_with_its_git_folder_elsewhere_is_its_own(place: Path) -> None:
    git(place, "init", f"--separate-git-dir={place / 'kept'}", "code")
    assert find_main_work_tree(place / "code") == place / "code"


@pytest.mark.parametrize(
    "text", ["", "gitdir:", "gitdir: ../gone", "nonsense", "gitdir: \0", "gitdir: ../code/.git", "\xff\xfe"]
)
def test_a_broken_link_leaves_the_folder_as_it_is(repository: Path, place: Path, text: str) -> None:
    (place / "side").mkdir()
    (place / "side" / ".git").write_bytes(text.encode("latin-1"))
    assert find_main_work_tree(place / "side") == place / "side"


def test_a_folder_cannot_claim_the_place_of_a_work_tree_that_is_there(repository: Path, place: Path) -> None:
    git(repository, "worktree", "add", str(place / "side"))
    (place / "other").mkdir()
    shutil.copy(place / "side" / ".git", place / "other" / ".git")
    assert find_main_work_tree(place / "other") == place / "other"


def test_a_link_that_the_repository_does_not_know_counts_as_none(repository: Path, place: Path) -> None:
    made_up = place / "other" / "made" / "up"
    made_up.mkdir(parents=True)
    (made_up / "commondir").write_text(str(repository / ".git"), encoding="utf-8")
    (made_up / "gitdir").write_text(str(place / "other" / ".git"), encoding="utf-8")
    (place / "other" / ".git").write_text(f"gitdir: {made_up}\n", encoding="utf-8")
    assert find_main_work_tree(place / "other") == place / "other"


# --- histories ------------------------------------------------------------------------------------


def test_a_moved_or_copied_repository_has_the_same_history(repository: Path, place: Path) -> None:
    marks = read_history(repository).marks
    shutil.copytree(repository, place / "copy")
    repository.rename(place / "moved")
    assert marks
    assert read_history(place / "copy").marks == read_history(place / "moved").marks == marks


def test_two_repositories_have_nothing_in_common(repository: Path, place: Path) -> None:
    other = make_repository(place / "other")
    assert read_history(repository).marks.isdisjoint(read_history(other).marks)


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/ann/shop.git",
        "https://ann:secret@example.com/ann/shop",
        "git@example.com:ann/shop.git",
        "ssh://git@EXAMPLE.com:22/ann/shop.git/",
    ],
)
def test_clones_of_one_address_have_a_mark_in_common(place: Path, address: str) -> None:
    one, other = make_repository(place / "one"), make_repository(place / "other")
    git(one, "remote", "add", "origin", "https://example.com/ann/shop.git")
    git(other, "remote", "add", "origin", address)
    assert len(read_history(one).marks & read_history(other).marks) == 1
    assert "secret" not in str(read_history(other))


def test_a_clone_of_a_folder_names_it(repository: Path, place: Path) -> None:
    git(place, "clone", str(repository), "clone")
    assert read_history(place / "clone").source == str(repository)


def test_a_linked_work_tree_has_the_history_of_its_repository(repository: Path, place: Path) -> None:
    git(repository, "worktree", "add", str(place / "side"))
    assert read_history(place / "side") == read_history(repository)


def test_what_is_no_repository_or_has_no_commit_has_no_history(place: Path) -> None:
    git(place, "init", "empty")
    (place / "plain").mkdir()
    for folder in ("empty", "plain", "gone"):
        assert not read_history(place / folder).marks


@pytest.mark.parametrize("address", ["a\0b", "http://[::1", "x/" * 100_000, "a" + " " * 60_000 + "\0"])
def test_an_address_that_is_none_is_no_error(tmp_path: Path, address: str) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    (git / "config").write_text(f'[remote "origin"]\n\turl = {address}\n')
    assert isinstance(read_history(tmp_path), History)


# --- remotes ------------------------------------------------------------------------------------

PARTS = st.from_regex(r"[A-Za-z0-9_.~-]{0,8}[A-Za-z0-9_~-]", fullmatch=True).filter(
    lambda part: not part.endswith(".git")
)
SECRETS = st.from_regex(r"s3cr3t[a-z0-9%+-]{4,20}", fullmatch=True)


def with_origin(folder: Path, address: str) -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {address}\n')
    return folder


@given(st.lists(PARTS, min_size=1, max_size=3), SECRETS, st.integers(1, 65_535))
def test_all_ways_to_write_the_address_of_a_repository_are_one_remote_without_its_secrets(
    path: list[str], secret: str, port: int
) -> None:
    place = "/".join(path)
    addresses = [
        f"https://example.com/{place}.git",
        f"HTTPS://{secret}@EXAMPLE.com/{place}/",
        f"https://ann:{secret}@example.com:{port}/{place}.git/",
        f"https://example.com/{place}?private_token={secret}",
        f"https://example.com/{place}.git#{secret}",
        f"ssh://git@example.com:{port}/{place}",
        f"git@Example.com:{place}.git",
        f"{secret}@example.com:/{place}",
        f"git://example.com/{place}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        remotes = {
            find_remote(with_origin(Path(folder, str(number)), address))
            for number, address in enumerate(addresses)
        }
    assert remotes == {f"example.com/{place}"}


@pytest.mark.parametrize(
    "address",
    [
        "/srv/git/shop.git",
        "../shop",
        "C:\\git\\shop",
        "file:///srv/git/shop.git",
        "https://",
        "ann:s3cr3t@example.com:shop",
        "ext::ssh example.com s3cr3t",
        "http://[::1",
    ],
)
def test_a_folder_or_what_is_no_address_is_no_remote(tmp_path: Path, address: str) -> None:
    assert find_remote(with_origin(tmp_path, address)) is None


def test_a_folder_without_a_repository_has_no_remote(tmp_path: Path) -> None:
    assert find_remote(tmp_path) is find_remote(tmp_path / "gone") is None
