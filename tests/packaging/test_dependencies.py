"""What an installation brings: each dependency has its reason, each bound that withholds releases its end."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

from support.documents import DOCS, names, rows, text_of

from sediment_mcp.config import MODEL_EXTRA

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECISION = DOCS / "decisions" / "0017-each-dependency-earns-its-megabytes.md"
BOUNDS: dict[str, Any] = runpy.run_path(str(ROOT / "packaging" / "check_bounds.py"))
WITHHELD_FROM = "3.15"
"""The first Python for which the releases that are held back would be the only ones with wheels."""


def requirements() -> list[tuple[str, str, str]]:
    """Name, versions and marker of each default dependency."""
    found = [re.fullmatch(r"([\w-]+)([^;]*)(?:; (.+))?", text) for text in PROJECT["dependencies"]]
    return [(one[1], one[2], one[3] or "") for one in found if one]


def withheld() -> dict[str, list[tuple[str, str]]]:
    """The dependencies of which a release is held back: versions and marker of each line."""
    split = {name for name, _, marker in requirements() if marker}
    return {
        name: [(versions, marker) for one, versions, marker in requirements() if one == name]
        for name in split
    }


def test_every_bound_that_withholds_releases_is_looked_at_each_week() -> None:
    assert set(withheld()) == set(BOUNDS["BUDGETS"])
    assert "packaging/check_bounds.py" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_a_bound_that_withholds_releases_ends_where_the_older_ones_have_no_wheels() -> None:
    assert not [line for line in PROJECT["classifiers"] if line.endswith(WITHHELD_FROM)]
    for lines in withheld().values():
        (older, until), (newer, since) = lines
        assert (until, since) == (
            f"python_version < '{WITHHELD_FROM}'",
            f"python_version >= '{WITHHELD_FROM}'",
        )
        assert older.rpartition("<")[2] == newer.partition(",")[0].removeprefix(">=")


def test_a_bound_can_go_once_the_newest_release_is_small() -> None:
    sizes = {"a": 30.0, "b": 4.0}
    find = BOUNDS["find_superfluous"]
    assert find({"a": 20.0, "b": 5.0}, sizes.__getitem__) == {"b": 4.0}
    assert find({"a": 20.0, "b": 3.0}, sizes.__getitem__) == {}


def test_every_default_dependency_has_its_reason() -> None:
    told = {name for row in rows(text_of(DECISION)) for name in names(row[0])}
    told |= set(re.findall(r"^- `([\w-]+)`", text_of(DECISION), re.MULTILINE))
    assert {name for name, _, _ in requirements()} <= told


def test_nothing_that_only_another_model_needs_is_installed_by_default() -> None:
    extras = PROJECT["optional-dependencies"]
    by_extra = {
        name: {re.split(r"[<>=;]", text)[0] for text in extras[name]}
        for name in ("dev", "sentence-transformers", "published-model", "multilingual")
    }
    default = {name for name, _, _ in requirements()} | by_extra["dev"]
    others = set().union(*(names for extra, names in by_extra.items() if extra != "dev"))
    assert default & (others | {"torch"}) == set()
    assert MODEL_EXTRA in extras["published-model"]
