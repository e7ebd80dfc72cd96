"""The documents are checked: commands run, JSON is read, links resolve, names exist."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.documents import (
    DOCS,
    PACKAGE,
    PAGES,
    REFERENCE,
    ROOT,
    all_flags,
    anchors,
    blocks,
    commands,
    flags_of,
    help_of,
    name_of,
    names,
    prose_of,
    rows,
    section,
    shell_lines,
    text_of,
)
from support.stdio_peer import SERVER, StdioPeer

from sediment_mcp.config import (
    ENCRYPT_EXTRA,
    MODEL_EXTRA,
    MULTILINGUAL_EXTRA,
    POSTGRES_EXTRA,
    VARIABLES,
    load_config,
)
from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES, USER_FILES
from sediment_mcp.hosts.launch_command import detect_installation
from sediment_mcp.hosts.locations import Machine, resolve_path
from sediment_mcp.hosts.registry import HOSTS

README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
CONFIGURATION = DOCS / "configuration.md"
EXAMPLE = ROOT / "examples" / "claude_desktop_config.json"
CONSOLE_SCRIPT = ".venv/bin/sediment-mcp"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXECUTED = [page for page in PAGES if page != REFERENCE]
OURS = re.compile(r"(.*\| )?(\.venv/bin/)?sediment-mcp ")
SCRIPTS = re.compile(r"(\.venv/bin/)?python (\S+)")
LANGUAGES = {"sh", "json", "mermaid"}
SLOW, PROCESS = pytest.mark.slow, pytest.mark.process


def by_name(value: Path | str) -> str:
    return name_of(value) if isinstance(value, Path) else value


def lines_starting(word: str, pages: list[Path] = EXECUTED) -> list[tuple[Path, str]]:
    return [(page, line) for page in pages for line in shell_lines(page) if line.startswith(word)]


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
    """The set-up lines of the README, as the commands they are made of."""
    return [line.split(" && ") for _, line in lines_starting("python3 -m venv", [README])]


def test_two_lines_of_shell_do_all_set_up() -> None:
    assert len(set_up()) == 2
    for make, install, *_ in set_up():
        assert make == "python3 -m venv .venv"
        assert install.startswith(".venv/bin/pip install ")
    assert set_up()[0][1].endswith(" .")
    assert set_up()[1][1].endswith(' -e ".[dev]"')
    assert set_up()[1][2:] == [".venv/bin/python -m pytest"]


def test_the_first_line_that_names_pytest_is_the_one_that_ci_runs() -> None:
    lines = text_of(README).splitlines()
    (found,) = (line for line in lines if "pytest" in line and line.startswith("python3"))
    assert next(line for line in lines if "pytest" in line) == found


def test_contributors_are_given_the_same_command() -> None:
    assert [line.split(" && ") for _, line in lines_starting("python3 ", [CONTRIBUTING])] == [set_up()[1]]


@SLOW
@PROCESS
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


def test_torch_is_told_of_to_nobody_who_takes_the_default_model() -> None:
    told = {name_of(page) for page in PAGES if "torch" in text_of(page).lower()}
    assert {"README.md", "docs/hosts.md", "docs/README.md", "docs/cli.md", "CONTRIBUTING.md"} & told == set()
    rest = text_of(CONFIGURATION).replace(section(CONFIGURATION, "The small build of torch"), "")
    lines = [line for line in rest.splitlines() if "torch" in line.lower() and "the-small-build" not in line]
    assert [line for line in lines if not line.startswith("## ")] == []


def test_the_build_of_torch_that_is_told_of_is_the_one_that_install_asks_for() -> None:
    assert "`UV_TORCH_BACKEND=cpu`" in section(CONFIGURATION, "The small build of torch")
    machine = Machine("linux", Path("/home/ann"), {"UV_TORCH_BACKEND": "cpu"})
    assert detect_installation(machine, "").torch_backend == "cpu"


EXTRAS = {
    ENCRYPT_EXTRA: "encrypt",
    MODEL_EXTRA: "sentence_transformers",
    MULTILINGUAL_EXTRA: "multilingual",
    POSTGRES_EXTRA: "postgres",
}
"""What is told of in commands, and the marker of the tests that need it."""


def test_the_extras_that_are_told_of_are_the_real_ones() -> None:
    named = {name for page in PAGES for name in re.findall(r"sediment-mcp\[[\w-]+\]", text_of(page))}
    assert named == set(EXTRAS)
    for extra in EXTRAS:
        assert extra.partition("[")[2].rstrip("]") in PYPROJECT["project"]["optional-dependencies"]


def test_the_readme_can_be_scanned() -> None:
    assert len(text_of(README).splitlines()) <= 200


# --- code blocks --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_every_code_block_has_a_language_that_is_tested(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert len(re.findall(r"^```", text_of(page), re.MULTILINE)) == 2 * len(blocks(page))


def test_diagrams_are_where_an_architecture_is() -> None:
    drawn = [name_of(page) for page in EXECUTED if blocks(page, "mermaid")]
    assert drawn == ["docs/architecture.md", "docs/team.md"]


def our_lines(page: Path) -> list[str]:
    """The lines of a page that run sediment-mcp, after a pipe or not, but for set-up."""
    return [line for line in shell_lines(page) if OURS.match(line) and not line.startswith("python3 ")]


@SLOW
@PROCESS
@pytest.mark.parametrize("page", [page for page in EXECUTED if our_lines(page)], ids=by_name)
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run('sediment-mcp store "Staging listens on port 5433." --kind episodic', data).returncode == 0
    for line in our_lines(page):
        outcome = run(line, data)
        assert outcome.returncode == 0, (line, outcome.stderr)
        assert outcome.stdout.strip(), line
    assert (data / "memories.db").stat().st_size > 0


def uvx_lines() -> list[Any]:
    """The lines that begin with uvx; what an extra is fetched for runs where it is installed."""
    return [
        pytest.param(line, marks=[getattr(pytest.mark, EXTRAS[extra]) for extra in EXTRAS if extra in line])
        for _, line in lines_starting("uvx ")
    ]


@SLOW
@PROCESS
@pytest.mark.parametrize("line", uvx_lines())
def test_uvx_runs_a_command_that_exists(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)
    place = words.index("sediment-mcp")
    assert words[place + 1] in commands()
    *start, last = ONE_CLICK["link_command"]().argv
    source = start[-1]
    with_extra = [
        ["uvx", "--from", extra if ONE_CLICK["PUBLISHED"] else f"{extra} @ {source}", last]
        for extra in EXTRAS
    ]
    assert words[: place + 1] in ([*start, last], *with_extra)
    assert run(shlex.join(words[place:]), tmp_path / "data").returncode == 0


def script_lines() -> list[str]:
    """The lines that run a script of the repository; `python -m` runs a tool."""
    found = [line for page in EXECUTED for line in shell_lines(page) if SCRIPTS.match(line)]
    return [line for line in dict.fromkeys(found) if not SCRIPTS.sub(r"\2", line).startswith("-m ")]


@SLOW
@PROCESS
@pytest.mark.parametrize("line", script_lines())
def test_a_script_that_is_named_takes_these_arguments(line: str) -> None:
    words = shlex.split(line)
    outcome = subprocess.run(
        [sys.executable, words[1], "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    first = words[2] if len(words) > 2 else ""
    for word in {first, *(word for word in words if word.startswith("--"))} - {""}:
        assert word in outcome.stdout


def tool_lines() -> list[str]:
    """The lines that run a development tool."""
    tools = r"(\.venv/bin/(ruff|pyright|lint-imports|python -m pytest)|pre-commit|bash)( |$)"
    return [line for page in EXECUTED for line in shell_lines(page) if re.match(tools, line)]


@pytest.mark.parametrize("line", tool_lines())
def test_a_tool_that_is_named_is_one_of_the_project_s(line: str) -> None:
    words = shlex.split(line.removeprefix(".venv/bin/"))
    assert all((ROOT / word).exists() for word in words[1:] if "/" in word and not word.startswith(".venv"))
    if words[0] == "pre-commit":
        assert (ROOT / ".pre-commit-config.yaml").is_file()
    elif words[0] != "bash":
        package = {"python": "pytest", "lint-imports": "import-linter"}.get(words[0], words[0])
        dev = PYPROJECT["project"]["optional-dependencies"]["dev"]
        assert package in {re.split(r"[<>=]", requirement)[0] for requirement in dev}


def test_every_shell_line_is_tested() -> None:
    tested = {
        *(line for page in EXECUTED for line in our_lines(page)),
        *(line for word in ("python3 ", "uvx ", "claude ") for _, line in lines_starting(word)),
        *script_lines(),
        *tool_lines(),
    }
    assert {line for page in EXECUTED for line in shell_lines(page)} - tested == set()


def test_the_markers_are_the_real_ones() -> None:
    declared = {text.partition(":")[0] for text in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    told = {names(row[0])[0] for row in rows(section(CONTRIBUTING, "Check"))}
    assert told == declared


# --- JSON ---------------------------------------------------------------------------------------

ONE_CLICK: dict[str, Any] = runpy.run_path(str(ROOT / "packaging" / "build_one_click.py"))
SERVER_LISTS = {"mcpServers", "servers", "context_servers"}


def configurations() -> list[dict[str, Any]]:
    """The JSON blocks that list servers of a host."""
    values = [json.loads(block.text) for page in EXECUTED for block in blocks(page, "json")]
    return [value for value in values if SERVER_LISTS & set(value)]


def entries() -> list[dict[str, Any]]:
    """Every server entry of every JSON block, each once."""
    found = [entry for value in configurations() for part in value.values() for entry in part.values()]
    return [entry for place, entry in enumerate(found) if entry not in found[:place]]


def start(command: str, arguments: list[str]) -> list[str]:
    """What an entry starts, with this checkout in the place of the published package."""
    if command == "uvx":
        place = arguments.index("sediment-mcp")
        assert arguments[: place + 1] == ONE_CLICK["uvx"]()
        return [*SERVER, *arguments[place + 1 :]]
    assert command.endswith("sediment-mcp")
    return [*SERVER, *arguments]


def test_each_shape_of_a_host_has_its_block() -> None:
    assert {key for value in configurations() for key in value} == SERVER_LISTS
    assert all(list(part) == ["sediment"] for value in configurations() for part in value.values())


@SLOW
@PROCESS
@pytest.mark.parametrize("entry", entries(), ids=range(len(entries())))
def test_the_entry_starts_this_server(entry: dict[str, Any], tmp_path: Path) -> None:
    assert set(entry) <= {"type", "command", "args", "env"}
    assert entry.get("type", "stdio") == "stdio"
    command = start(entry["command"], entry["args"])
    with StdioPeer(tmp_path / "data", command=command, environment=entry.get("env", {})) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"
        assert len(peer.request("tools/list")["result"]["tools"]) == 4


def test_the_example_is_the_entry_of_claude_desktop() -> None:
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    for page in (README, DOCS / "hosts.md"):
        assert json.loads(blocks(page, "json")[0].text) == example


@SLOW
@PROCESS
def test_claude_code_s_command_adds_the_same_server(tmp_path: Path) -> None:
    ((_, line),) = lines_starting("claude ")
    before, after = line.split(" -- ")
    words = shlex.split(before)
    assert words[:3] == ["claude", "mcp", "add"]
    assert words[-1] == "sediment"
    assert dict(zip(words[3:-1:2], words[4:-1:2], strict=True)) == {
        "--scope": "user", "--transport": "stdio",
    }  # fmt: skip
    program, *arguments = shlex.split(after)
    with StdioPeer(tmp_path / "data", command=start(program, arguments)) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"


@SLOW
@PROCESS
def test_the_lines_of_an_export_are_taken_in(tmp_path: Path) -> None:
    lines = [block.text for block in blocks(DOCS / "import-export.md", "json")]
    (tmp_path / "shown.jsonl").write_text("".join(lines), encoding="utf-8")
    outcome = run(f"sediment-mcp import {tmp_path / 'shown.jsonl'} --json", tmp_path / "data")
    assert outcome.returncode == 0, outcome.stderr
    exported = run("sediment-mcp export", tmp_path / "data").stdout.splitlines()
    assert set(json.loads(exported[0])) >= set(json.loads(lines[0]))
    assert json.loads(exported[1]) == json.loads(lines[1])


def test_every_json_block_is_tested() -> None:
    others = [
        name_of(page)
        for page in EXECUTED
        for block in blocks(page, "json")
        if not SERVER_LISTS & set(json.loads(block.text))
    ]
    assert set(others) <= {"docs/import-export.md"}


# --- tools, hosts, variables, commands ----------------------------------------------------------


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("peer")
    variables = {"SEDIMENT_PROJECT": str(folder), "SEDIMENT_MODEL": "none"}
    with StdioPeer(folder / "data", command=SERVER, environment=variables) as peer:
        peer.initialize()
        yield peer


@PROCESS
def test_the_tools_and_their_parameters_are_the_real_ones(peer: StdioPeer) -> None:
    told = {names(row[0])[0]: names(row[2]) for row in rows(section(README, "Tools"))}
    tools = peer.request("tools/list")["result"]["tools"]
    assert told == {tool["name"]: list(tool["inputSchema"]["properties"]) for tool in tools}


@PROCESS
def test_the_resources_and_prompts_are_the_real_ones(peer: StdioPeer) -> None:
    uris = set(re.findall(r"(?:memory|skill)://(?!ID)[\w/.-]*\w", text_of(README)))
    assert uris == {resource["uri"] for resource in peer.request("resources/list")["result"]["resources"]}
    told = names(section(README, "Tools").partition("Prompts: ")[2].partition("\n\n")[0])
    assert told == [prompt["name"] for prompt in peer.request("prompts/list")["result"]["prompts"]]


def test_every_host_is_told_where_its_servers_are() -> None:
    intro = text_of(DOCS / "hosts.md").partition("\n## ")[0]
    assert {row[0]: names(row[1]) for row in rows(intro)} == {host.title: [host.name] for host in HOSTS}
    told = {names(row[0])[0] for row in rows(section(DOCS / "hosts.md", "Where each file is"))}
    assert told == {host.name for host in HOSTS if host.locations}


@pytest.mark.parametrize("column", [(1, "darwin"), (2, "win32"), (3, "linux")], ids=lambda one: one[1])
def test_the_files_of_the_hosts_are_the_real_ones(column: tuple[int, str]) -> None:
    place, platform = column
    told = {names(row[0])[0]: row for row in rows(section(DOCS / "hosts.md", "Where each file is"))}
    for host in HOSTS:
        # under either of two names while the registry's attributes are being renamed
        locations = host.locations.get(platform, ())
        if locations:
            row = told[host.name]
            cell = row[1] if row[place] == "the same" else row[place]
            assert names(cell)[0] == locations[0].file


@PROCESS
def test_the_files_for_guidance_are_the_real_ones(tmp_path: Path) -> None:
    told = section(DOCS / "hosts.md", "Guidance for agents").partition("With `--user`")
    for row in rows(told[2]):
        file = USER_FILES[names(row[0])[0]].path
        assert Path(names(row[1])[0]) == resolve_path(file, Machine("linux", Path("~"), {}))
    assert len(rows(told[2])) == len(USER_FILES)
    rows_of_files = rows(told[0])
    listed = run("sediment-mcp guidance", tmp_path / "data").stdout
    for row in rows_of_files:
        assert re.search(rf"{names(row[0])[0]}\b.*{re.escape(names(row[1])[0])}", listed)
    assert len(listed.strip().splitlines()) >= len(rows_of_files) == len(INSTRUCTIONS_FILES)


def variables_told() -> dict[str, list[str]]:
    table = text_of(DOCS / "configuration.md").partition("\n## ")[0]
    return {names(row[0])[0]: row for row in rows(table)}


def test_the_variables_and_their_flags_are_the_real_ones() -> None:
    told = {variable: names(row[1]) for variable, row in variables_told().items()}
    assert set(told) == set(VARIABLES)
    for variable, flags in told.items():
        assert flags == ["--" + variable.removeprefix("SEDIMENT_").lower().replace("_", "-")]
        assert re.search(rf"{flags[0]} .{{0,120}}?\({variable}\)", " ".join(help_of().split()))


def test_the_defaults_are_the_real_ones() -> None:
    cells = {variable: names(row[3]) for variable, row in variables_told().items()}
    config = load_config({})
    assert cells["SEDIMENT_MODEL"] == [config.model]
    assert cells["SEDIMENT_LOG_LEVEL"][0] == config.log_level
    assert cells["SEDIMENT_SECRETS"] == [config.secrets]
    assert cells["SEDIMENT_QUESTIONS"] == [config.questions]
    assert variables_told()["SEDIMENT_BACKUPS"][3] == str(config.backups)


def test_only_variables_that_exist_are_mentioned() -> None:
    assert {name for page in PAGES for name in re.findall(r"SEDIMENT_[A-Z_]+\w", text_of(page))} == set(
        VARIABLES
    )


def test_every_command_is_mentioned() -> None:
    told = "\n".join(text_of(page) for page in PAGES if page.is_relative_to(DOCS) or page == README)
    missing = {name for name in commands() if not re.search(rf"(`|sediment-mcp ){name}\b", told)}
    assert len(commands()) > 15
    assert missing - {"serve"} == set()


FOREIGN_FLAGS = {
    "--from",  # uv's
    "--marketplace",  # Claude Code's
    "--transport",  # claude's
    "--format",  # git's, and ours
    "--rm",  # of a container
    "--pythonpath", "--bundle", "--out", "--peers",  # of tools and scripts, which have tests of their own
    "--conformance", "--help", "--real-hosts",
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_only_flags_that_exist_are_mentioned(page: Path) -> None:
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of(page)))
    assert mentioned - all_flags() - FOREIGN_FLAGS == set()


@pytest.mark.parametrize("page", [page for page in PAGES if shell_lines(page)], ids=by_name)
def test_a_command_is_shown_with_options_of_its_own(page: Path) -> None:
    for line in shell_lines(page):
        for part in re.findall(r"sediment-mcp ([^|&]*)", line):
            words = shlex.split(part)
            command = next((word for word in words if word in commands()), None)
            if command is not None:
                known = flags_of(command) | flags_of()
                assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_every_flag_of_the_program_is_mentioned() -> None:
    told = "\n".join(text_of(page) for page in PAGES)
    assert {flag for flag in all_flags() if flag not in told} == set()


# --- links, paths, modules ----------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"(?<!\!)\]\(([^)\s]+)\)", prose_of(page)):
        if "://" in link:
            assert link.startswith("https://")
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    index = text_of(DOCS / "README.md") + text_of(DOCS / "decisions" / "README.md")
    pages = [page for page in DOCS.rglob("*.md") if page.name != "README.md"]
    assert [name_of(page) for page in pages if f"({page.name})" not in index] == []


MODULE = re.compile(r"(?:[a-z_0-9.]+/)*[a-z_0-9]+\.(?:py|onnx)")


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_only_modules_and_files_that_exist_are_named(page: Path) -> None:
    rest = prose_of(page)
    if page.name == "architecture.md":
        rest = rest.replace(section(page, "Layers"), "")  # see `test_the_layers_name_every_module`
    paths = {name for name in names(rest) if MODULE.fullmatch(name)}
    missing = {path for path in paths if not (ROOT / path).exists() and not (PACKAGE / path).exists()}
    assert missing == set()


def test_only_folders_that_exist_are_named() -> None:
    for page in PAGES:
        for name in names(prose_of(page)):
            known = (ROOT / name).exists() or MODULE.fullmatch(name)
            if re.fullmatch(r"(tests|benchmarks|scripts|packaging|docs|examples)(/[\w.]+)*/?", name):
                assert known, (name_of(page), name)


def layer_rows() -> list[list[str]]:
    return rows(section(DOCS / "architecture.md", "Layers"))


def test_the_layers_name_every_module() -> None:
    told = [
        f"{names(row[1])[0]}{module}".removeprefix("./") for row in layer_rows() for module in names(row[3])
    ]
    modules = {
        path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if path.name[:2] != "__"
    }
    assert len(told) == len(set(told))
    assert set(told) == modules


def test_the_layers_are_those_that_are_checked() -> None:
    contract = next(one for one in PYPROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    checked = [set(re.findall(r"sediment_mcp\.(\w+)", layer)) for layer in contract["layers"]]
    told = [set[str]() for _ in checked]
    for row in layer_rows():
        folder = names(row[1])[0].partition("/")[0]
        modules = {name.removesuffix(".py") for name in names(row[3])}
        told[int(row[0]) - 1] |= modules if folder == "." else {folder}
    assert told == checked


def test_this_machine_is_not_in_it() -> None:
    for place in {str(ROOT), str(Path.home()), sys.prefix} - {"/"}:
        assert [name_of(page) for page in PAGES if place in text_of(page)] == []
