"""The house as its docstring draws it: floors, one technology a file, small files, a light front door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import sediment_mcp
from sediment_mcp.commands import COMMANDS

PACKAGE = Path(sediment_mcp.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or not path.stem.startswith("__")
}
"""Every module by its name within the package; a folder's own is named like the folder."""
MODULES = sorted(FILES)
ROOMS = sorted({module.partition(".")[0] for module in MODULES})
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
    "mcp": {"server", "server.callers_project", "server.reading", "server.streams", "server.tools"},
    "anyio": {"server", "server.callers_project", "server.streams"},
    "pydantic": {"contract", "server.callers_project", "server.streams"},
    "detect_secrets": {"secrets_check"},
    "pyrage": {"transfer.sealing"},
    "yaml": {"transfer.front_matter"},
    "rich": {"commands.terminal"},
    "argparse": {"commands.options", "commands.completions"},
    "shtab": {"commands.completions"},
    "filelock": {"files"},
    "ctypes": {"freed"},
    "starlette": {"ui.site"},
    "uvicorn": {"ui.serving"},
    "webbrowser": {"ui.serving"},
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
    "pyrage",
    "yaml",
    "requests",
)


def floors() -> dict[str, int]:
    """Room (a module, or a folder of them) → floor, read from the package's docstring."""
    drawing = (sediment_mcp.__doc__ or "").partition("The rooms")[2].partition("\n\n")[0]
    found: dict[str, int] = {}
    floor = -1
    for line in drawing.splitlines()[1:]:
        number, rooms = line[:6].strip(), re.split(r"\s{3,}|$", line[7:].strip(), maxsplit=1)[0]
        floor = int(number) if number else floor
        found.update({room: floor for room in rooms.split() if room in ROOMS})
    return found


def tree_of(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """(what, whether it is our own) of every import that happens at run time, wherever it stands; of our own
    it is the room that counts."""
    tree = tree_of(module)
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
            yield from ((room, True) for room in rooms_of(module, node))
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0], False


def rooms_of(module: str, node: ast.ImportFrom) -> Iterator[str]:
    """The rooms that a relative import leads to."""
    is_inside = FILES[module].parent != PACKAGE
    if is_inside and node.level == 1:
        yield module.partition(".")[0]
    elif node.module:
        yield node.module.partition(".")[0]
    else:
        yield from (alias.name for alias in node.names)


def test_every_room_stands_on_one_floor() -> None:
    assert sorted(floors()) == ROOMS


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_floor_and_below(module: str) -> None:
    own = floors()[module.partition(".")[0]]
    above = {name for name, is_ours in imports(module) if is_ours and floors().get(name, 0) > own}
    assert above == set()


@pytest.mark.parametrize("technology", ONLY_IN)
def test_a_technology_has_its_own_file(technology: str) -> None:
    users = {module for module in MODULES if (technology, False) in set(imports(module))}
    assert users == ONLY_IN[technology]


def test_only_the_edge_reads_the_environment() -> None:
    readers = {
        module
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.ImportFrom) and {"environ", "getenv"} & {alias.name for alias in node.names})
    }
    assert readers == {"config", "cli"}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_small(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", ["cli", "server", "commands.options"])
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
    module, _, function = COMMANDS[command].partition(".")
    assert callable(getattr(import_module(f"sediment_mcp.commands.{module}"), function))
