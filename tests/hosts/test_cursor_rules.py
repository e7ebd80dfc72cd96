"""The rules file of Cursor: written when there is something to say, and never seen by git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts.cursor_rules import RULES, write_rules

TEXT = "Releases go out on Tuesdays."


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    return subprocess.run(
        ["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    git(tmp_path / "project", "init", "-q")
    return tmp_path / "project"


def test_the_rules_are_written_anew_and_always_read(project: Path) -> None:
    for text in (TEXT, "They go out on Mondays."):
        write_rules(project, text)
        written = (project / RULES).read_text()
        assert written.startswith("---\ndescription: ")
        assert "alwaysApply: true\n---\n" in written
        assert written.endswith(f"\n{text}\n")
    write_rules(project, " \n")
    assert not (project / RULES).exists()
    write_rules(project, "")


@pytest.mark.parametrize("before", ["", "*.log", "*.log\n", None])
def test_git_sees_nothing_and_its_list_keeps_its_lines(project: Path, before: str | None) -> None:
    exclude = project / ".git" / "info" / "exclude"
    exclude.unlink(missing_ok=True)
    if before is not None:
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text(before)
    write_rules(project, TEXT)
    write_rules(project, TEXT + " Again.")
    assert git(project, "status", "--porcelain", "--untracked-files=all") == ""
    assert exclude.read_text().splitlines() == [*(before or "").splitlines(), f"/{RULES}"]
    assert [path.name for path in exclude.parent.iterdir()] == ["exclude"]


def test_a_folder_of_a_repository_and_a_linked_work_tree_are_kept_out_too(project: Path) -> None:
    git(project, "commit", "-q", "--allow-empty", "-m", "first")
    git(project, "worktree", "add", "-q", "../linked")
    linked, inner = project.parent / "linked", project / "part"
    inner.mkdir()
    for folder in (linked, inner):
        write_rules(folder, TEXT)
        assert git(folder, "status", "--porcelain", "--untracked-files=all") == ""


def test_without_git_only_the_rules_are_written(tmp_path: Path) -> None:
    write_rules(tmp_path, TEXT)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        RULES
    ]


def test_a_link_out_of_the_project_is_not_written_through(project: Path) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    (project / ".cursor").symlink_to(outside)
    with pytest.raises(UnusableFile, match="leads out of the project"):
        write_rules(project, TEXT)
    assert list(outside.iterdir()) == []
