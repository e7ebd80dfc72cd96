"""The house as its docstring draws it: floors, one technology a file, small files, a light front door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sediment_mcp

PACKAGE = Path(sediment_mcp.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))
LONGEST = 400  # lines

ONLY_IN = {
    "sqlite3": {"database", "migrations"},
    "tantivy": {"words", "text_index"},
    "usearch": {"vector_index"},
    "onnxruntime": {"minilm"},
    "tokenizers": {"minilm"},
    "sentence_transformers": {"sentence_transformer"},
    "transformers": {"sentence_transformer"},
    "huggingface_hub": {"sentence_transformer"},
    "mcp": {"server"},
    "anyio": {"server"},
    "pydantic": {"contract", "server"},
    "detect_secrets": {"secrets_check"},
    "rich": {"terminal"},
    "argparse": {"options"},
    "filelock": {"files"},
    "platformdirs": {"config"},
}
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
    "requests",
)


def floors() -> dict[str, int]:
    """Module → floor, read from the package's docstring."""
    drawing = (sediment_mcp.__doc__ or "").partition("The rooms")[2].partition("\n\n")[0]
    found: dict[str, int] = {}
    floor = -1
    for line in drawing.splitlines()[1:]:
        number, rooms = line[:6].strip(), re.split(r"\s{3,}|$", line[7:].strip(), maxsplit=1)[0]
        floor = int(number) if number else floor
        found.update({room: floor for room in rooms.split() if room in MODULES})
    return found


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """(what, whether it is our own) of every import that happens at run time, wherever it stands."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from (
                (name, True) for name in ([node.module] if node.module else (a.name for a in node.names))
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0], False


def test_every_module_stands_on_one_floor() -> None:
    assert sorted(floors()) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_floor_and_below(module: str) -> None:
    above = {
        name for name, own in imports(module) if own and name in MODULES and floors()[name] > floors()[module]
    }
    assert above == set()


@pytest.mark.parametrize("technology", ONLY_IN)
def test_a_technology_has_its_own_file(technology: str) -> None:
    users = {module for module in MODULES if (technology, False) in set(imports(module))}
    assert users == ONLY_IN[technology]


def test_only_the_edge_reads_the_environment() -> None:
    readers = {
        module
        for module in MODULES
        for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.ImportFrom) and {"environ", "getenv"} & {alias.name for alias in node.names})
    }
    assert readers == {"config", "cli"}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_small(module: str) -> None:
    assert len((PACKAGE / f"{module}.py").read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", ["cli", "server"])
def test_the_front_door_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, sediment_mcp.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert set(HEAVY) & set(loaded.split()) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")))
