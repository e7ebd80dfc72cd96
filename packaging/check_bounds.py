"""Tell which bounds of pyproject.toml can go: those that hold back a release because of its size.

    python packaging/check_bounds.py

downloads the newest release of each, with what it needs, and exits with 1 if one has become small enough:
then its bound is to be lifted, as docs/decisions/0017-each-dependency-earns-its-megabytes.md says. `.ci/run
newest` runs it once a week, with the tests over the newest releases.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

BUDGETS = {"onnxruntime": 21.0}
"""MB that each may take, with what only it needs, before its bound is lifted."""

SHARED = ("numpy",)
"""What is installed without them, too."""


def main() -> None:
    """See the module's docstring."""
    found = find_superfluous(BUDGETS, measure_download)
    for name, size in found.items():
        print(f"The newest {name} takes {size:.1f} MB, not more than {BUDGETS[name]:.0f}: lift its bound.")
    if not found:
        print("Every bound still keeps megabytes away.")
    raise SystemExit(1 if found else 0)


def find_superfluous(budgets: Mapping[str, float], measure: Callable[[str], float]) -> dict[str, float]:
    """Return by name the megabytes of the newest releases that keep to their budgets."""
    sizes = {name: measure(name) for name in budgets}
    return {name: size for name, size in sizes.items() if size <= budgets[name]}


def measure_download(name: str) -> float:
    """Return the megabytes of the newest release of a package and of what it needs."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", folder, name], check=True, stdout=sys.stderr)
        return sum(file.stat().st_size for file in Path(folder).iterdir() if _is_counted(file)) / 1e6


def _is_counted(wheel: Path) -> bool:
    return wheel.name.partition("-")[0].lower() not in SHARED


if __name__ == "__main__":
    main()
