"""What devices call a project, over real storage and real files of git."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host import Host

from sediment_mcp.errors import BadArgument, UnknownProject
from sediment_mcp.operations.projects import list_projects, move_project
from sediment_mcp.sync.project_identity import (
    ProjectName,
    ProjectNames,
    list_shared_projects,
    load_project_names,
    map_project,
    note_project,
)
from sediment_mcp.sync.settings import SyncSettings, write_settings
from sediment_mcp.system.project_root import is_path
from sediment_mcp.transfer.encryption import generate_identity

OpenHost = Callable[..., Host]

SHOP = "git:example.com/ann/shop"
PATHS = st.sampled_from(
    ["/home/ann/shop", "/srv/shop", "/Users/ann/notes", "C:\\code\\shop", "d:/x", "\\\\nas\\x"]
)
WORDS = st.sampled_from(["shop", "notes", "Küche", "two words", "git:example.com/bob/loom", "folder:pad:/x"])
REMOTES = st.sampled_from([None, SHOP, "git:example.com/ann/store"])
DEVICES = st.sampled_from(["laptop", "desktop"])


def make_repository(folder: Path, address: str = "git@example.com:ann/shop.git") -> str:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {address}\n')
    return str(folder)


def pair(host: Host, device: str = "laptop") -> SyncSettings:
    """Say that a host's store synchronizes, through a folder that no test here reads."""
    settings = SyncSettings(host.directory / "shared", device, generate_identity())
    write_settings(host.app, settings)
    return settings


@given(
    st.lists(PATHS | WORDS, unique=True),
    st.dictionaries(PATHS, REMOTES),
    DEVICES,
    st.lists(st.tuples(REMOTES.filter(bool) | WORDS, PATHS, st.booleans()), unique_by=lambda row: row[0]),
)
def test_a_project_comes_back_from_its_shared_name_which_is_no_path(
    projects: list[str],
    remotes: dict[str, str | None],
    device: str,
    known: list[tuple[str, str, bool]],
) -> None:
    names = ProjectNames(device, [ProjectName(*row) for row in known], projects, remotes.get)
    strays = {name.shared for name in names.list_strays()}
    for project in projects:
        if project not in strays:  # those are moved to the project here that has the name
            assert names.to_local(names.to_shared(project)) == project
        assert not is_path(names.to_shared(project))
    assert len({names.to_shared(project) for project in projects if project not in strays}) == len(
        [project for project in projects if project not in strays]
    )


@given(st.lists(PATHS | WORDS, unique=True), st.dictionaries(PATHS, REMOTES), DEVICES)
def test_names_that_are_kept_stay_the_same(
    projects: list[str], remotes: dict[str, str | None], device: str
) -> None:
    names = ProjectNames(device, [], projects, remotes.get)
    again = ProjectNames(device, names.new, projects, remotes.get)
    assert again.new == []
    assert [again.to_shared(project) for project in projects] == [names.to_shared(p) for p in projects]
    gone = ProjectNames(device, names.new, projects, lambda _: None)
    assert [gone.to_shared(project) for project in projects] == [names.to_shared(p) for p in projects]


@given(PATHS, PATHS, REMOTES.filter(bool))
def test_two_devices_with_one_remote_have_the_same_project(here: str, there: str, remote: str) -> None:
    one = ProjectNames("laptop", [], [here], {here: remote}.get)
    other = ProjectNames("desktop", [], [there], {there: remote}.get)
    assert other.to_local(one.to_shared(here)) == there
    assert one.to_local(other.to_shared(there)) == here


def test_of_two_clones_the_one_with_more_memories_has_the_name_of_the_remote(
    host: Host, tmp_path: Path
) -> None:
    first, second = (make_repository(tmp_path / name) for name in ("first", "second"))
    for project, count in ((first, 1), (second, 2)):
        host.project = project
        for number in range(count):
            host.store(f"fact {number} of {project}")
    settings = pair(host)
    names = load_project_names(host.app, settings)
    assert names.to_shared(second) == SHOP
    assert names.to_shared(first) == f"folder:laptop:{first}"
    host.project = first
    for number in range(3):
        host.store(f"another fact {number}")
    assert load_project_names(host.app, settings).to_shared(second) == SHOP


def test_a_folder_that_gets_a_remote_is_called_after_it(host: Host, tmp_path: Path) -> None:
    host.project = str(tmp_path / "shop")
    (tmp_path / "shop").mkdir()
    host.store("The till prints in blue")
    settings = pair(host)
    former = load_project_names(host.app, settings).to_shared(host.project)
    make_repository(tmp_path / "shop", "https://ann:s3cr3t@example.com/ann/shop")
    names = load_project_names(host.app, settings)
    assert names.to_shared(host.project) == SHOP
    assert names.to_local(former) == names.to_local(SHOP) == host.project


def test_a_project_that_has_moved_keeps_its_shared_name(host: Host, tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    host.project = old
    host.store("The kiln needs two hours")
    settings = pair(host)
    shared = load_project_names(host.app, settings).to_shared(old)
    move_project(host.app, old, new)
    names = load_project_names(host.app, settings)
    assert names.to_shared(new) == shared
    assert names.to_local(shared) == new


def test_a_clone_elsewhere_takes_the_name_of_one_that_nothing_belongs_to_any_more(
    host: Host, tmp_path: Path
) -> None:
    old, new = make_repository(tmp_path / "old"), make_repository(tmp_path / "new")
    settings = pair(host)
    assert not note_project(host.app, settings, old)
    host.project = new
    host.store("The kiln needs two hours")
    assert load_project_names(host.app, settings).to_local(SHOP) == new


def test_what_belongs_to_a_shared_name_moves_to_the_project_that_has_it(host: Host, tmp_path: Path) -> None:
    folder, settings = make_repository(tmp_path / "shop"), pair(host)
    host.project = SHOP
    stored = host.store("The till prints in blue")["id"]
    assert note_project(host.app, settings, folder)
    assert load_project_names(host.app, settings).to_local(SHOP) == folder
    host.project = folder
    assert host.found("till", scope="project") == [stored]


def test_a_shared_project_is_mapped_by_hand_and_the_other_device_s_name_is_used_from_then_on(
    host: Host, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    here, theirs = str(tmp_path / "notes"), "folder:desktop:/home/ann/notes"
    host.project = here
    host.store("Bread: 500 g of flour")
    settings = pair(host)
    load_project_names(host.app, settings)
    host.project = theirs
    stored = host.store("Jam: two parts of fruit")["id"]
    assert map_project(host.app, theirs, here)["memories"] == 2
    names = load_project_names(host.app, settings)
    assert names.to_shared(here) == theirs
    host.project = here
    assert host.found("jam fruit", scope="project")[0] == stored
    assert {"name": theirs, "project": here, "memories": 2} in list_shared_projects(host.app)


def test_a_project_moved_from_its_shared_name_is_mapped(host: Host, tmp_path: Path) -> None:
    settings = pair(host)
    host.project = "folder:desktop:/home/ann/notes"
    host.store("Jam: two parts of fruit")
    move_project(host.app, host.project, str(tmp_path))
    assert load_project_names(host.app, settings).to_local(host.project) == str(tmp_path)


def test_a_remote_may_be_mapped_before_anything_of_it_is_here(host: Host, tmp_path: Path) -> None:
    settings = pair(host)
    mapped = map_project(host.app, "https://token@example.com:443/ann/shop.git", str(tmp_path))
    assert mapped == {"name": SHOP, "project": str(tmp_path), "memories": 0}
    assert load_project_names(host.app, settings).to_local(SHOP) == str(tmp_path)


def test_a_name_that_nobody_has_or_a_path_is_refused(host: Host, tmp_path: Path) -> None:
    pair(host)
    with pytest.raises(UnknownProject, match="sync project"):
        map_project(host.app, "shpo", str(tmp_path))
    with pytest.raises(BadArgument, match="what all devices call"):
        map_project(host.app, str(tmp_path), "git:example.com/ann/shop")
    assert list_projects(host.app) == []
