"""The structure: layers, one technology a module, small files, a start that loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sediment_mcp
from sediment_mcp.cli.dispatch import COMMANDS

PACKAGE = Path(sediment_mcp.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or not path.stem.startswith("__")
}
"""Every module by its name within the package; a folder's own is named like the folder."""
MODULES = sorted(FILES)
LONGEST = 400  # lines

HEAVY = (
    "numpy",
    "tantivy",
    "usearch",
    "onnxruntime",
    "tokenizers",
    "torch",
    "sentence_transformers",
    "rich",
    "detect_secrets",
    "pyrage",
    "yaml",
    "requests",
)


def tree_of(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def test_imports_go_only_downwards_and_each_technology_has_one_home() -> None:
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert (
        lint_imports(config_filename=str(PACKAGE.parent / "pyproject.toml"), no_cache=True)
        == EXIT_STATUS_SUCCESS
    )


def test_only_the_edge_reads_the_environment() -> None:
    readers = {
        module
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.ImportFrom) and {"environ", "getenv"} & {alias.name for alias in node.names})
    }
    assert readers == {"config", "cli.main"}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_small(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", ["cli.main", "server.app", "cli.options"])
def test_the_front_door_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, sediment_mcp.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert set(HEAVY) & set(loaded.split()) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(tree_of(module))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_function(command: str) -> None:
    module, _, function = COMMANDS[command].rpartition(".")
    assert callable(getattr(import_module(f"sediment_mcp.cli.commands.{module}"), function))
