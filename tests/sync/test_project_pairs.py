"""Two shared names of one project: what was given under the former belongs to the other on all devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.devices import pair, synchronize
from support.host import Host
from support.transferring import export, import_export

from sediment_mcp.operations.projects import list_projects
from sediment_mcp.sync.project_identity import map_project

OpenHost = Callable[..., Host]
SHOP = "git:example.com/ann/shop"


def make_repository(folder: Path) -> str:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text('[remote "origin"]\n\turl = git@example.com:ann/shop.git\n')
    return str(folder)


@pytest.fixture
def devices(open_host: OpenHost, tmp_path: Path) -> list[Host]:
    """Return three devices that synchronize through one folder."""
    names = ("laptop", "desktop", "pad")
    return [pair(open_host(directory=tmp_path / name), tmp_path / "carried", name) for name in names]


def settle(devices: list[Host]) -> None:
    """Synchronize until nobody has anything to say; a further round writes no file."""
    for _ in range(4):
        reports = [synchronize(device) for device in devices]
    assert not any(report.has_changes or report.waiting for report in reports)
    folder = devices[0].directory.parent / "carried"
    before = sorted(folder.rglob("*"))
    for device in devices:
        synchronize(device)
    assert sorted(folder.rglob("*")) == before


def projects(host: Host) -> dict[str, int]:
    return {one["project"]: one["memories"] for one in list_projects(host.app)}


def test_what_was_given_before_a_folder_had_a_remote_belongs_to_the_remote_everywhere(
    devices: list[Host], tmp_path: Path
) -> None:
    laptop, desktop, pad = devices
    here, there = tmp_path / "here" / "shop", tmp_path / "there" / "shop"
    here.mkdir(parents=True)
    laptop.project, desktop.project = str(here), make_repository(there)
    laptop.store("The till prints in blue")
    settle(devices)
    desktop.store("The lamp is green")
    settle(devices)
    assert projects(desktop) == {str(there): 1, f"folder:laptop:{here}": 1}
    make_repository(here)
    settle(devices)
    assert projects(laptop) == {str(here): 2}
    assert projects(desktop) == {str(there): 2}
    assert projects(pad) == {SHOP: 2}
    assert len(desktop.found("till lamp", scope="project")) == 2


def test_a_folder_that_is_mapped_by_hand_is_one_project_everywhere(
    devices: list[Host], tmp_path: Path
) -> None:
    laptop, desktop, pad = devices
    laptop.project, desktop.project = str(tmp_path / "notes"), str(tmp_path / "Notes 2")
    for device, text in ((laptop, "Bread: 500 g of flour"), (desktop, "Jam: two parts of fruit")):
        device.store(text)
        settle(devices)
    map_project(desktop.app, f"folder:laptop:{laptop.project}", desktop.project)
    settle(devices)
    assert projects(laptop) == {laptop.project: 2}
    assert projects(desktop) == {desktop.project: 2}
    assert list(projects(pad).values()) == [2]
    pad.project = str(tmp_path / "third")
    map_project(pad.app, next(iter(projects(pad))), pad.project)
    pad.store("Tea: three minutes")
    settle(devices)
    assert [list(projects(device).values()) for device in devices] == [[3], [3], [3]]


def test_two_folders_of_one_device_stay_two_projects(devices: list[Host], tmp_path: Path) -> None:
    laptop, desktop, _ = devices
    first, second = (make_repository(tmp_path / "here" / name) for name in ("first", "second"))
    for project, texts in ((first, ("one", "two")), (second, ("three",))):
        laptop.project = project
        for text in texts:
            laptop.store(f"The number is {text}")
    settle(devices)
    desktop.project = make_repository(tmp_path / "there")
    desktop.store("The number is four")
    settle(devices)
    map_project(desktop.app, f"folder:laptop:{second}", desktop.project)
    settle(devices)
    assert projects(laptop) == {first: 3, second: 1}
    assert projects(desktop) == {desktop.project: 4}


def test_a_word_that_a_user_calls_a_project_by_is_joined_with_nothing(
    devices: list[Host], tmp_path: Path
) -> None:
    laptop, desktop, _ = devices
    laptop.project = desktop.project = "shop"
    laptop.store("The till prints in blue")
    settle(devices)
    map_project(laptop.app, "shop", make_repository(tmp_path / "shop"))
    settle(devices)
    assert projects(desktop) == {"shop": 1}


def test_what_is_read_after_a_pair_belongs_in_the_same_run_to_the_name_that_is_kept(
    devices: list[Host], tmp_path: Path
) -> None:
    laptop, desktop, pad = devices
    laptop.project = str(tmp_path / "shop")
    (tmp_path / "shop").mkdir()
    laptop.store("The till prints in blue")
    synchronize(laptop)
    make_repository(tmp_path / "shop")
    synchronize(laptop)
    desktop.store("The lamp is green")
    spare = desktop.store("The door squeaks")["id"]
    synchronize(desktop)
    desktop.delete(spare, permanent=True)
    synchronize(desktop)  # writes its log anew with the pair, and is read before the laptop
    assert synchronize(pad).taken == 2
    assert list_projects(pad.app) == [{"project": SHOP, "memories": 1, "exists": False}]


@pytest.mark.parametrize("order", ["import first", "import last"])
def test_a_memory_that_was_imported_with_the_path_of_another_device_has_one_project_everywhere(
    devices: list[Host], tmp_path: Path, order: str
) -> None:
    laptop, desktop, pad = devices
    laptop.project = make_repository(tmp_path / "there")
    desktop.project = make_repository(tmp_path / "here")
    laptop.store("The till prints in blue")
    desktop.store("The lamp is green")
    if order == "import last":
        synchronize(laptop)
    import_export(desktop, export(laptop))
    settle([desktop, pad] if order == "import first" else devices)
    settle(devices)
    assert projects(laptop) == {laptop.project: 2}
    assert projects(desktop) == {desktop.project: 2}
    assert projects(pad) == {SHOP: 2}
