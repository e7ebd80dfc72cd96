"""The structure: layers, one technology a module, small files, a start that loads nothing heavy."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sediment_mcp
from sediment_mcp import errors
from sediment_mcp.cli.group import COMMANDS

PACKAGE = Path(sediment_mcp.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or not path.stem.startswith("__")
}
"""Every module by its name within the package; a folder's own is named like the folder."""
MODULES = sorted(FILES)
LONGEST = 400  # lines
LONGEST_FIRST_LINE = 90  # characters of a docstring
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

HEAVY = (
    "numpy",
    "tantivy",
    "onnxruntime",
    "tokenizers",
    "torch",
    "sentence_transformers",
    "sentencepiece",
    "rich",
    "detect_secrets",
    "pyrage",
    "yaml",
    "ruamel",
    "tomlkit",
    "requests",
)


def tree_of(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


LINT_IMPORTS = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(config_filename="pyproject.toml", no_cache=True))
"""  # in a process of its own: it disables all loggers that there are


def test_imports_go_only_downwards_and_each_technology_has_one_home() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_edge_reads_the_environment() -> None:
    readers = {
        module
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.ImportFrom) and {"environ", "getenv"} & {alias.name for alias in node.names})
    }
    assert readers == {"config", "config_paths", "cli.main"}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_small(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.process
@pytest.mark.parametrize("module", ["cli.main", "server.run", "cli.options"])
def test_the_front_door_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, sediment_mcp.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert set(HEAVY) & set(loaded.split()) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(tree_of(module))


@pytest.mark.parametrize("module", MODULES)
def test_the_first_line_of_a_docstring_is_short(module: str) -> None:
    docstrings = [
        ast.get_docstring(node) for node in ast.walk(tree_of(module)) if isinstance(node, DOCUMENTED)
    ]
    first_lines = [docstring.splitlines()[0] for docstring in docstrings if docstring]
    assert [line for line in first_lines if len(line) > LONGEST_FIRST_LINE] == []


def test_errors_are_drawn_as_the_tree_that_they_are() -> None:
    drawn: list[tuple[str, str]] = []
    path: list[str] = []
    for indent, name in re.findall(r"(?m)^ {4}((?:[│├└─ ]{4})*)(\w+)", errors.__doc__ or ""):
        del path[len(indent) // 4 :]
        drawn.append((name, path[-1] if path else "Exception"))
        path.append(name)
    defined = [
        (name, error.__bases__[0].__name__)
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.SedimentError)
    ]
    assert sorted(drawn) == sorted(defined)


def test_errors_defined_elsewhere_stay_in_their_folder() -> None:
    own = {"SedimentError"} | {name for name, _ in inspect.getmembers(errors, inspect.isclass)}
    folders = {
        node.name: module.partition(".")[0]
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ClassDef) and own & {ast.unparse(base) for base in node.bases}
        if module != "errors"
    }
    used = {
        (name, module)
        for module in MODULES
        for name in folders.keys() & set(re.findall(r"\w+", FILES[module].read_text(encoding="utf-8")))
        if module != "errors" and module.partition(".")[0] != folders[name]
    }
    assert used == set()
    assert all(f"`{name}`" in (errors.__doc__ or "") for name in folders)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_defined_where_the_group_looks_for_it(command: str) -> None:
    module, _, attribute = COMMANDS[command].rpartition(".")
    assert getattr(import_module(f"sediment_mcp.cli.commands.{module}"), attribute).name == command
