"""The README is executed: its commands run, its JSON starts this server, its names exist."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.stdio_peer import SERVER, StdioPeer

import sediment_mcp
from sediment_mcp.cli import options
from sediment_mcp.cli.dispatch import COMMANDS
from sediment_mcp.config import VARIABLES, load_config
from sediment_mcp.embeddings.protocols import load_embedder
from sediment_mcp.hosts.registry import HOSTS, LINUX
from sediment_mcp.operations import arguments
from sediment_mcp.server.prompts import PROMPTS
from sediment_mcp.server.resources import OVERVIEWS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "claude_desktop_config.json"
PACKAGE = Path(sediment_mcp.__file__).parent
CONSOLE_SCRIPT = ".venv/bin/sediment-mcp"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """What stands under a heading, up to the next."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands() -> list[str]:
    """Every shell line of the README."""
    return [line for block in blocks("sh") for line in block.splitlines()]


def starting(word: str) -> list[str]:
    return [command for command in commands() if command.startswith(word)]


def ours() -> list[str]:
    """The lines that run sediment-mcp, after a pipe or not; uvx's stand for the same program."""
    return [line for line in commands() if re.match(r"(.*\| )?(\.venv/bin/)?sediment-mcp ", line)]


def environment(data_dir: Path) -> dict[str, str]:
    """A home of its own with one host in it, so that nobody's hosts are connected by a test."""
    home = data_dir.parent / "home"
    (home / ".cursor").mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SEDIMENT_", "XDG_"))}
    own |= dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "CLAUDE_CONFIG_DIR"), str(home))
    return {**own, "SEDIMENT_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}


def run(line: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell line with this checkout in the place of the installed program."""
    program = shlex.join(SERVER)
    line = re.sub(r"(^|(?<=[|&] ))(\.venv/bin/)?sediment-mcp(?= )", lambda _: program, line)
    return subprocess.run(
        line,
        shell=True,
        env=environment(data_dir),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# --- set-up -------------------------------------------------------------------------------------


def set_up() -> list[list[str]]:
    """The two set-up lines, as the commands they are made of."""
    return [line.split(" && ") for line in starting("python3 -m venv")]


def test_two_lines_of_shell_do_all_set_up() -> None:
    assert len(set_up()) == 2
    for make, install, *_ in set_up():
        assert make == "python3 -m venv .venv"
        assert install.startswith(".venv/bin/pip install -c constraints.txt ")
    assert set_up()[0][1].endswith(" .")
    assert set_up()[1][1].endswith(' -e ".[dev]"')
    assert set_up()[1][2:] == [".venv/bin/python -m pytest"]


def test_the_first_line_that_names_pytest_is_the_one_that_ci_runs() -> None:
    (found,) = (line for line in README.splitlines() if "pytest" in line and line.startswith("python3"))
    assert next(line for line in README.splitlines() if "pytest" in line) == found


def test_the_first_set_up_line_finds_in_other_words_what_it_stored(tmp_path: Path) -> None:
    stores, queries = (shlex.split(command) for command in set_up()[0][2:])
    assert (stores[0], queries[0]) == (CONSOLE_SCRIPT, CONSOLE_SCRIPT)
    text, question = stores[-1], queries[-1]
    assert not set(re.findall(r"\w+", text.lower())) & set(re.findall(r"\w+", question.lower()))
    for command in (stores, queries):
        place = command.index("--data-dir") + 1
        assert command[place].startswith(".venv/")  # ignored by git, and gone with the environment
        command[place] = str(tmp_path / "trial")
    assert run(shlex.join(stores), tmp_path / "unused").returncode == 0
    found = run(shlex.join(queries), tmp_path / "unused")
    assert text in found.stdout
    assert "weak" not in found.stdout
    assert not (tmp_path / "unused").exists()


def test_torch_is_pinned_where_set_up_looks() -> None:
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


# --- hosts --------------------------------------------------------------------------------------


def entries() -> list[dict[str, Any]]:
    """Every server entry of every JSON block."""
    servers = [json.loads(block) for block in blocks("json")]
    return [entry for config in servers for part in config.values() for entry in part.values()]


def start(command: str, arguments: list[str]) -> list[str]:
    """What an entry starts, with this checkout in the place of the published package."""
    if command == "uvx":
        place = arguments.index("sediment-mcp")
        assert all(argument.startswith("-") for argument in arguments[:place])
        return [*SERVER, *arguments[place + 1 :]]
    assert command.endswith("sediment-mcp")
    return [*SERVER, *arguments]


def test_every_host_is_told_where_its_servers_are() -> None:
    told = {row[0]: row[1:] for row in rows("Connect your hosts")}
    assert {title: names(cells[0]) for title, cells in told.items()} == {
        host.title: [host.name] for host in HOSTS
    }
    for host in HOSTS:
        files = [Path(place.file).name for place in host.places.get(LINUX, ())]
        shown = " ".join(names(told[host.title][1]))
        assert all(file in shown for file in files)
        assert host.servers in shown or host.servers in ("mcpServers", "servers")


def test_each_shape_has_its_block() -> None:
    assert [set(json.loads(block)) for block in blocks("json")] == [{"mcpServers"}, {"servers"}]
    assert {host.servers for host in HOSTS} == {"mcpServers", "servers", "context_servers"}


@pytest.mark.parametrize("entry", entries(), ids=range(len(entries())))
def test_the_entry_starts_this_server(entry: dict[str, Any], tmp_path: Path) -> None:
    assert set(entry) <= {"type", "command", "args", "env"}
    assert entry.get("type", "stdio") == "stdio"
    command = start(entry["command"], entry["args"])
    with StdioPeer(tmp_path / "data", command=command, environment=entry["env"]) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"
        tools = peer.request("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == [tool.name for tool in arguments.TOOLS]


def test_the_example_is_the_entry_of_claude_desktop() -> None:
    assert json.loads(EXAMPLE.read_text(encoding="utf-8")) == json.loads(blocks("json")[0])


def test_claude_code_s_command_adds_the_same_server(tmp_path: Path) -> None:
    (line,) = starting("claude ")
    before, after = line.split(" -- ")
    words = shlex.split(before)
    assert words[:3] == ["claude", "mcp", "add"]
    assert words[-1] == "sediment"
    assert dict(zip(words[3:-1:2], words[4:-1:2], strict=True)) == {
        "--scope": "user", "--env": "UV_TORCH_BACKEND=cpu", "--transport": "stdio",
    }  # fmt: skip
    program, *arguments = shlex.split(after)
    with StdioPeer(tmp_path / "data", command=start(program, arguments)) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"


@pytest.mark.parametrize("line", starting("uvx "))
def test_uvx_runs_a_command_that_exists(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)
    place = words.index("sediment-mcp")
    assert words[place + 1] in COMMANDS
    given = dict(zip(words[1:place:2], words[2:place:2], strict=True))
    assert (
        given.items() <= {"--torch-backend": "cpu", "--constraints": "constraints.txt", "--from": "."}.items()
    )
    assert given["--torch-backend"] == "cpu"
    assert run(shlex.join(words[place:]), tmp_path / "data").returncode == 0


# --- commands -----------------------------------------------------------------------------------


def test_the_commands_of_the_readme_run_one_after_the_other(tmp_path: Path) -> None:
    for line in ours():
        outcome = run(line, tmp_path / "data")
        assert outcome.returncode == 0, (line, outcome.stderr)
        assert outcome.stdout.strip(), line
    memory = (tmp_path / "data" / "memories.db").stat()
    assert memory.st_size > 0


def test_every_shell_line_is_tested() -> None:
    tested = [*starting("python3 -m venv"), *starting("uvx "), *starting("claude "), *ours()]
    assert sorted(tested) == sorted(commands())
    assert len(blocks("mermaid")) == 1
    assert len(re.findall(r"^```\w+$", README, re.MULTILINE)) == sum(
        map(len, map(blocks, ("sh", "json", "mermaid")))
    )


# --- names --------------------------------------------------------------------------------------


def rows(title: str) -> list[list[str]]:
    """The cells of the rows of the table in a section, its head left out."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", cell)


def test_the_tools_and_their_parameters_are_the_real_ones() -> None:
    told = {names(row[0])[0]: names(row[2]) for row in rows("Tools")}
    assert told == {tool.name: list(tool.arguments.model_fields) for tool in arguments.TOOLS}


def test_the_resources_and_prompts_are_the_real_ones() -> None:
    uris = set(re.findall(r"memory://(?!ID)\w+", README))
    assert uris == {overview.uri for overview in OVERVIEWS}
    told = names(section("Tools").partition("Prompts: ")[2])
    assert told == [prompt.name for prompt in PROMPTS]


def test_the_variables_and_their_flags_are_the_real_ones() -> None:
    told = {names(row[0])[0]: names(row[1])[0] for row in rows("Configuration")}
    assert told == {variable: options.FLAGS[variable][0] for variable in VARIABLES}


def test_the_defaults_are_the_real_ones() -> None:
    cells = {names(row[0])[0]: names(row[3]) for row in rows("Configuration")}
    config = load_config({})
    assert cells["SEDIMENT_MODEL"] == [config.model]
    assert cells["SEDIMENT_LOG_LEVEL"][0] == config.log_level
    assert load_embedder(config).identity.name == config.model


def test_every_command_is_explained() -> None:
    assert {names(row[0])[0] for row in rows("Command line")} == {*COMMANDS, "serve"}


def test_only_flags_that_exist_are_mentioned() -> None:
    known = {flag for flag, _, _ in options.FLAGS.values()} | {*_flags_in_grammar(), "--help"}
    own = "\n".join(
        [section("Configuration"), section("Scopes"), section("Your data"), section("Command line")]
    )
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own.replace("git log -1 --format=%B", "")))
    assert mentioned
    assert mentioned <= known


def test_every_flag_of_the_program_is_mentioned() -> None:
    assert {flag for flag in _flags_in_grammar() if flag not in README} == set()


def _flags_in_grammar() -> list[str]:
    tree = ast.parse((PACKAGE / "commands" / "options.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and re.fullmatch(r"--[a-z-]+", text)]


def test_only_variables_that_exist_are_mentioned() -> None:
    assert set(re.findall(r"SEDIMENT_[A-Z_]+", README)) == set(VARIABLES)


def test_the_layout_names_every_room() -> None:
    told = [names(row[0])[0] for row in rows("Development")]
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert len(told) == len(set(told))
    assert set(told) == modules | folders


def test_what_is_linked_or_named_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    paths = [name for name in names(README) if re.fullmatch(r"(scripts|sediment_mcp|examples)/[\w./]+", name)]
    assert links
    assert paths
    assert [name for name in (*links, *paths) if not (ROOT / name).exists()] == []


def test_this_machine_is_not_in_it() -> None:
    for place in {str(ROOT), str(Path.home()), sys.prefix}:
        assert place == "/" or place not in README
