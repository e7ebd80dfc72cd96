"""Every module of the benchmarks can be imported: most of them are run by hand alone, and must not rot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not part of a source distribution", allow_module_level=True)

FOLDERS = sorted({file.parent for file in BENCHMARKS.rglob("*.py")})
IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def list_modules(folder: Path) -> list[str]:
    """Return the modules of a folder by the names under which its scripts import them."""
    package = f"{folder.name}." if (folder / "__init__.py").exists() else ""
    return [f"{package}{file.stem}" for file in sorted(folder.glob("*.py")) if file.stem != "__init__"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_module_of_a_folder_can_be_imported(folder: Path) -> None:
    """In a process of its own: their names are short, and some set variables for what they start."""
    modules = [name for name in list_modules(folder) if name != "__main__"]
    search_path = os.pathsep.join(map(str, (folder, BENCHMARKS, BENCHMARKS.parent)))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules],
        env=os.environ | {"PYTHONPATH": search_path}, cwd=folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert modules
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("folder", [f for f in FOLDERS if (f / "__main__.py").exists()], ids=lambda f: f.name)
def test_a_folder_that_is_run_explains_its_options(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, folder, "--help"], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
