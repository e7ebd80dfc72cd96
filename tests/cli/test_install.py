"""`install` and `guidance` as a person uses them: real processes, in a home directory of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.http_server import make_token, running_server
from support.stdio_peer import REPOSITORY, SERVER, StdioPeer

from sediment_mcp.config import (
    DEFAULT_MODEL,
    MODEL_EXTRA,
    MULTILINGUAL_EXTRA,
    MULTILINGUAL_MODEL,
    NO_MODEL,
)
from sediment_mcp.hosts.launch_command import LaunchCommand
from sediment_mcp.hosts.registry import HOSTS
from sediment_mcp.hosts.smoke_test import run_smoke_test

pytestmark = pytest.mark.process

CURSOR = ".cursor/mcp.json"


def environment(home: Path, **more: str) -> dict[str, str]:
    """All that points into the user's home points into this one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "UV"):
        own.pop(variable, None)
    places = {"HOME": home, "USERPROFILE": home}
    places |= {"APPDATA": home / "AppData/Roaming", "LOCALAPPDATA": home / "AppData/Local"}
    return {
        **own,
        **{name: str(place) for name, place in places.items()},
        "PYTHONPATH": str(REPOSITORY),
        **more,
    }


def run(
    home: Path, *arguments: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SERVER, *arguments],
        env=environment(home, **more),
        cwd=cwd or home,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def result_of(home: Path, *arguments: str, status: int = 0, cwd: Path | None = None) -> Any:
    outcome = run(home, *arguments, "--json", cwd=cwd)
    assert outcome.returncode == status, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".cursor").mkdir(parents=True)
    return tmp_path / "home"


# --- install ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_installed_is_started_by_the_host(home: Path) -> None:
    outcome = run(home, "install", "cursor")
    assert outcome.returncode == 0, outcome.stderr
    assert "It works: 4 tools" in outcome.stdout
    assert "Remember that" in outcome.stdout
    entry = json.loads((home / CURSOR).read_text(encoding="utf-8"))["mcpServers"]["sediment"]
    assert Path(entry["command"]).is_absolute()
    with StdioPeer(home / "data", command=[entry["command"], *entry["args"]]) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"


def test_the_list_says_how_each_host_stands(home: Path) -> None:
    (home / ".claude.json").write_text("[")
    (home / ".junie").mkdir()
    (home / ".codeium/windsurf").mkdir(parents=True)
    (home / ".codeium/windsurf/mcp_config.json").write_text(
        '{"mcpServers": {"sediment": {"command": "mine", "args": ["a b"]}}}'
    )
    run(home, "install", "cursor", "--no-check")
    states = {one["host"]: one["state"] for one in result_of(home, "install")["hosts"]}
    assert states == {
        "claude-code": "unusable", "cursor": "installed", "windsurf": "another command",
        "junie": "not installed",
    }  # fmt: skip
    shown = run(home, "install").stdout
    assert "mine 'a b'" in shown
    assert "is no JSON at line 1" in shown


def test_no_host_at_all_is_said(tmp_path: Path) -> None:
    assert "sediment-mcp install cursor" in run(tmp_path, "install").stdout
    outcome = run(tmp_path, "install", "--all")
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "No host was found" in outcome.stderr


def test_a_dry_run_shows_the_change_and_makes_none(home: Path) -> None:
    (home / CURSOR).write_text("{}")
    shown = run(home, "install", "--all", "--dry-run").stdout
    assert '+    "sediment": {' in shown
    assert "It works" not in shown
    assert (home / CURSOR).read_text() == "{}"
    run(home, "install", "cursor", "--no-check")
    assert '-    "sediment": {' in run(home, "install", "cursor", "--uninstall", "--dry-run").stdout
    assert "sediment" in (home / CURSOR).read_text()
    assert run(home, "install", "cursor", "--uninstall").returncode == 0
    assert (home / CURSOR).read_text() == "{}"


def test_an_entry_of_the_user_s_is_shown_and_kept(home: Path) -> None:
    text = '{"mcpServers": {"sediment": {"command": "mine"}}}'
    (home / CURSOR).write_text(text)
    outcome = run(home, "install", "cursor", "--no-check")
    assert outcome.returncode == 1
    assert "mine" in outcome.stdout
    assert "--force" in outcome.stdout
    assert (home / CURSOR).read_text() == text
    (change,) = result_of(home, "install", "cursor", "--no-check", "--force")["changes"]
    assert change["outcome"] == "replaced"


@pytest.mark.sentence_transformers
def test_the_flags_given_to_install_reach_the_server(home: Path) -> None:
    (home / "model").mkdir()
    given = (
        "--data-dir", "here", "--project", "", "--model", "model", "--reranker", "./model",
        "--secrets", "refuse",
    )  # fmt: skip
    result_of(home, "install", "cursor", "--no-check", *given)
    entry = json.loads((home / CURSOR).read_text())["mcpServers"]["sediment"]
    own = entry["args"][entry["args"].index("--data-dir") :]
    assert own == [
        "--data-dir", str(home / "here"), "--project", "", "--model", str(home / "model"),
        "--reranker", str(home / "model"), "--secrets", "refuse",
    ]  # fmt: skip
    assert not (home / "here").exists()


WITHOUT_EXTRA = (
    "import sys; sys.modules['sentence_transformers'] = sys.modules['sentencepiece'] = None; "
    "from sediment_mcp.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.parametrize(
    ("flag", "model", "extra"),
    [
        ("--model", "some/model", MODEL_EXTRA),
        ("--model", "all-MiniLM-L6-v2", MODEL_EXTRA),
        ("--model", MULTILINGUAL_MODEL, MULTILINGUAL_EXTRA),
        ("--reranker", "some/reranker", MODEL_EXTRA),
    ],
)
def test_a_model_that_this_installation_cannot_load_is_refused_before_anything_is_written(
    home: Path, flag: str, model: str, extra: str
) -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRA, "install", "cursor", "--no-check", flag, model]
    outcome = subprocess.run(
        command, env=environment(home), cwd=home, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 2
    assert f'run pip install "{extra}"' in outcome.stderr
    assert not (home / CURSOR).exists()


@pytest.mark.parametrize("model", [DEFAULT_MODEL, NO_MODEL])
def test_a_model_that_needs_no_extra_is_written_without_one(home: Path, model: str) -> None:
    result_of(home, "install", "cursor", "--no-check", "--model", model)
    assert json.loads((home / CURSOR).read_text())["mcpServers"]["sediment"]["args"][-2:] == [
        "--model",
        model,
    ]


def test_a_variable_that_hosts_do_not_see_is_named(home: Path) -> None:
    outcome = run(home, "install", "cursor", "--no-check", SEDIMENT_DATA_DIR=str(home / "d"))
    assert "SEDIMENT_DATA_DIR is set in this shell" in outcome.stderr
    assert "--data-dir" in outcome.stderr


def test_what_only_the_host_can_write_is_shown_to_paste(home: Path) -> None:
    config = result_of(home, "install", "jetbrains", "--no-check")["by_hand"]["jetbrains"]
    assert set(config["mcpServers"]["sediment"]) >= {"command", "args"}
    shown = run(home, "install", "jetbrains", "--no-check").stdout
    assert json.loads(shown[shown.index("{") :]) == config
    assert "in its settings" in run(home, "install", "jetbrains", "--uninstall").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nano",), [host.name for host in HOSTS]),
        (("cursor", "--all"), ["--all"]),
        (("--uninstall",), ["Name the hosts"]),
        (("--force",), ["Name the hosts"]),
    ],
)
def test_a_wrong_call_is_explained(arguments: tuple[str, ...], words: list[str], home: Path) -> None:
    outcome = run(home, "install", *arguments)
    assert outcome.returncode == 2
    assert all(word in outcome.stderr for word in words)
    assert not (home / CURSOR).exists()


def test_one_file_that_cannot_be_used_does_not_keep_the_others_back(home: Path) -> None:
    (home / ".claude.json").write_text("[]")
    changes = result_of(home, "install", "--all", "--no-check", status=1)["changes"]
    assert [(change["host"], change["outcome"]) for change in changes] == [
        ("claude-code", "unusable"), ("cursor", "added"),
    ]  # fmt: skip


# --- hooks --------------------------------------------------------------------------------------


def test_hooks_are_written_when_asked_for_and_go_with_the_entry(home: Path) -> None:
    hooks = home / ".cursor/hooks.json"
    plain = run(home, "install", "cursor", "--no-check")
    assert "With --hooks" in plain.stdout
    assert not hooks.exists()
    (change,) = result_of(home, "install", "cursor", "--no-check", "--hooks")["hooks"]
    assert (change["outcome"], change["path"]) == ("added", str(hooks))
    (handler,) = json.loads(hooks.read_text())["hooks"]["beforeSubmitPrompt"]
    assert handler["command"].endswith(" hook prompt --host cursor")
    shown = run(home, "install", "cursor", "--no-check", "--capture").stdout
    assert f"hooks replaced in {hooks}" in " ".join(shown.split())
    assert "With --hooks" not in shown
    result_of(home, "install", "cursor", "--uninstall")
    assert list((home / ".cursor").iterdir()) == []


def test_a_dry_run_shows_the_hooks_and_writes_none(home: Path) -> None:
    shown = run(home, "install", "cursor", "codex", "--dry-run", "--hooks", "--capture").stdout
    assert shown.count("hook pre-compact --host") == 2
    assert list((home / ".cursor").iterdir()) == []
    assert not (home / ".codex").exists()


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are another thing there")
@pytest.mark.parametrize(
    ("answers", "events"),
    [
        ("y\nn\n", ["sessionStart", "beforeSubmitPrompt"]),
        ("n\ny\n", ["stop", "preCompact", "sessionEnd"]),
        ("n\n\n", None),
    ],
)
def test_a_person_is_asked_for_hooks_and_for_capture(
    answers: str, events: list[str] | None, home: Path
) -> None:
    import pty

    ours, theirs = pty.openpty()
    os.write(ours, answers.encode())
    outcome = subprocess.run(
        [*SERVER, "install", "cursor", "--no-check"], env=environment(home), cwd=home,
        stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, timeout=120, check=False,
    )  # fmt: skip
    said = os.read(ours, 10_000).decode()
    os.close(theirs)
    os.close(ours)
    assert outcome.returncode == 0
    assert "Let Cursor bring memories into conversations without being asked? [y/N]" in said
    assert "for 30 days? [y/N]" in said
    hooks = home / ".cursor/hooks.json"
    assert (list(json.loads(hooks.read_text())["hooks"]) if hooks.exists() else None) == events


WITHOUT_UVX = (
    "import sys; sys.prefix = '/cache/uv/archive-v0/a'; sys.argv[0] = 'sediment-mcp'; "
    "from sediment_mcp.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def test_a_missing_uvx_is_said_before_anything_is_written(home: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_UVX, "install", "cursor", "--hooks", "--no-check"]
    outcome = subprocess.run(
        command, env=environment(home, PATH=""), cwd=home, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 2
    assert "uvx was not found" in outcome.stderr
    assert list((home / ".cursor").iterdir()) == []


# --- a server elsewhere -------------------------------------------------------------------------

URL = "https://memory.example.com"


def test_hosts_are_connected_to_a_url_each_in_its_way_and_the_token_is_never_shown(home: Path) -> None:
    variable = ("--token-env", "MEMORY_TOKEN")
    outcome = run(home, "install", "cursor", "claude-desktop", "--url", URL, *variable)
    assert outcome.returncode == 0, outcome.stderr
    assert "It reads the token from MEMORY_TOKEN: set that where it starts." in outcome.stdout
    assert "MEMORY_TOKEN is not set in this shell, so the connection was not tried." in outcome.stderr
    entry = json.loads((home / CURSOR).read_text())["mcpServers"]["sediment"]
    assert entry["url"] == f"{URL}/mcp"
    desktop = next(home.glob("**/claude_desktop_config.json"))
    arguments = json.loads(desktop.read_text())["mcpServers"]["sediment"]["args"]
    assert arguments[-6:] == ["bridge", f"{URL}/mcp", *variable, "--host", "claude-desktop"]
    states = {one["host"]: one["state"] for one in result_of(home, "install")["hosts"]}
    assert states == {"claude-desktop": "another command", "cursor": "remote"}
    assert run(home, "install", "cursor", "claude-desktop", "--uninstall").returncode == 0
    assert not (home / CURSOR).exists()


def test_a_piped_token_lies_in_the_file_which_is_said(home: Path) -> None:
    arguments = ("install", "cursor", "--url", URL, "--token-stdin", "--no-check")
    outcome = subprocess.run(
        [*SERVER, *arguments], env=environment(home), cwd=home, input="tok-3f9a\n",
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert "The token lies in that file, which you alone can read." in outcome.stdout
    assert "Bearer tok-3f9a" in (home / CURSOR).read_text()
    assert "tok-3f9a" not in outcome.stdout + outcome.stderr + run(home, "install", "--json").stdout
    assert "tok-3f9a" not in run(home, "install", "cursor", "--uninstall", "--dry-run").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cursor", "--token-env", "X"), "name that one with --url"),
        (("cursor", "--url", URL, "--token-env", "X", "--token-stdin"), "exclude each other"),
        (("cursor", "--url", URL, "--uninstall"), "leave --url away"),
        (("cursor", "--url", URL, "--hooks"), "leave --hooks and --capture away"),
        (("cursor", "--url", "http://memory.example.com"), "unencrypted"),
        (("--url", URL), "Name the hosts"),
        (("cursor", "--url", URL, "--token-stdin"), "which is empty: pipe it in"),
    ],
)
def test_a_url_that_does_not_fit_the_rest_is_explained(
    arguments: tuple[str, ...], words: str, home: Path
) -> None:
    outcome = subprocess.run(
        [*SERVER, "install", *arguments], env=environment(home), cwd=home, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert outcome.returncode == 2
    assert words in outcome.stderr
    assert not (home / CURSOR).exists()


@pytest.mark.slow
def test_the_server_elsewhere_is_asked_for_its_tools_and_a_wrong_token_is_told(
    home: Path, tmp_path: Path
) -> None:
    def install(token: str, url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SERVER, "install", "cursor", "--url", url, "--token-stdin"], env=environment(home), cwd=home,
            input=token, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip

    tokens = [make_token(tmp_path / "server" / "data", name) for name in ("ann", "bob")]
    with running_server(tmp_path / "server") as server:
        outcome = install(tokens[0], server.url)
        assert outcome.returncode == 0, outcome.stderr
        assert "It works: 4 tools" in outcome.stdout
        outcome = install("wrong", server.url)
        assert outcome.returncode == 1
        assert "does not accept the token: ask for a new one" in outcome.stdout
        bridge = [*SERVER, "bridge", server.url, "--token-env", "T"]
        variables = environment(home, T=tokens[1])
        with StdioPeer(home / "data", command=bridge, environment=variables) as peer:
            assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"
            assert (
                peer.call("store_memory", content="over a bridge")["structuredContent"]["status"] == "stored"
            )


def test_a_bridge_without_its_token_says_so(home: Path) -> None:
    outcome = run(home, "bridge", URL, "--token-env", "MEMORY_TOKEN")
    assert outcome.returncode == 2
    assert "MEMORY_TOKEN is not set here" in outcome.stderr


def test_hooks_without_a_host_are_a_wrong_call(home: Path) -> None:
    assert run(home, "install", "--hooks").returncode == 2


# --- the check ----------------------------------------------------------------------------------


def python(program: str) -> LaunchCommand:
    return LaunchCommand(sys.executable, ("-c", program))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (LaunchCommand("/does/not/exist"), "cannot be started"),
        (python("import sys; sys.exit('no module named torch')"), "no module named torch"),
        (python("pass"), "without an answer"),
        (python("print('hello'); print('[]'); print('{}')"), "without an answer"),
    ],
)
def test_a_command_that_does_not_work_is_told_with_its_reason(
    command: LaunchCommand, words: str, home: Path
) -> None:
    trial = run_smoke_test(command, environment(home), home)
    assert trial.tools == ()
    assert words in trial.problem


def test_a_command_that_says_nothing_is_ended(home: Path) -> None:
    silent = python("import sys, time; sys.stdin.read(); time.sleep(1000)")
    assert (
        run_smoke_test(silent, environment(home), home, timeout=0.5).problem == "It gave no answer in time."
    )


def test_the_command_s_own_environment_is_used(home: Path) -> None:
    program = "import os, sys; sys.exit(os.environ['A'] + os.getcwd())"
    command = LaunchCommand(sys.executable, ("-c", program), {"A": "b"})
    assert run_smoke_test(command, environment(home), home).problem == f"It said: b{os.path.realpath(home)}"


# --- guidance -----------------------------------------------------------------------------------


def test_guidance_is_written_into_the_project_and_taken_out(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    (project / "inner").mkdir()
    (project / "CLAUDE.md").write_bytes(b"# Mine\r\n\r\nRules.")
    inner = project / "inner"
    files = result_of(home, "guidance", "claude", "cursor", "agents", cwd=inner)["files"]
    assert [one["outcome"] for one in files] == ["written"] * 3
    assert (project / "CLAUDE.md").read_bytes().startswith(b"# Mine\r\n\r\nRules.\r\n<!-- sediment-mcp")
    assert (project / ".cursor/rules/sediment.mdc").read_text().startswith("---\ndescription: ")
    assert "alwaysApply: true\n---\n" in (project / ".cursor/rules/sediment.mdc").read_text()
    assert "query_memory" in (project / "AGENTS.md").read_text()
    again = result_of(home, "guidance", "claude", "cursor", "agents", cwd=inner)["files"]
    assert [(one["outcome"], one["diff"]) for one in again] == [("unchanged", "")] * 3
    states = [one["state"] for one in result_of(home, "guidance", cwd=inner)["files"]]
    assert states[:3] == ["written"] * 3
    assert set(states[3:]) == {"not written"}
    gone = result_of(home, "guidance", "claude", "cursor", "agents", "--uninstall", cwd=inner)["files"]
    assert [one["outcome"] for one in gone] == ["removed"] * 3
    assert (project / "CLAUDE.md").read_bytes() == b"# Mine\r\n\r\nRules."
    assert sorted(path.name for path in project.iterdir()) == [".cursor", ".git", "CLAUDE.md", "inner"]


def test_guidance_does_not_write_through_a_link_out_of_the_project(home: Path, tmp_path: Path) -> None:
    folder, outside = tmp_path / "linked", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("precious")
    (folder / "AGENTS.md").symlink_to(outside)
    (folder / "GEMINI.md").write_text("rules\n")
    (folder / "CLAUDE.md").symlink_to("GEMINI.md")
    refused = run(home, "guidance", "agents", "--project", str(folder))
    assert refused.returncode == 2
    assert "leads out" in refused.stderr
    assert outside.read_text() == "precious"
    assert run(home, "guidance", "claude", "--project", str(folder)).returncode == 0
    assert "<!-- sediment-mcp" in (folder / "GEMINI.md").read_text()


def test_a_dry_run_of_guidance_writes_nothing(home: Path) -> None:
    shown = run(home, "guidance", "agents", "--dry-run").stdout
    assert "+## Memory" in shown
    assert not (home / "AGENTS.md").exists()


def test_unknown_guidance_is_refused(home: Path) -> None:
    outcome = run(home, "guidance", "emacs")
    assert outcome.returncode == 2
    assert "claude, cursor, agents" in outcome.stderr
    assert run(home, "guidance", "--uninstall").returncode == 2


def test_guidance_for_all_projects_goes_into_the_user_s_own_files(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".codex/AGENTS.md").write_text("Be brief.\n")
    (home / ".claude").mkdir()
    (home / "dotfiles.md").write_text("Mine.\n")
    (home / ".claude/CLAUDE.md").symlink_to(home / "dotfiles.md")
    files = result_of(home, "guidance", "claude", "codex", "gemini", "--user")["files"]
    assert [one["outcome"] for one in files] == ["written"] * 3
    assert (home / ".codex/AGENTS.md").read_text().startswith("Be brief.\n\n<!-- sediment-mcp")
    assert "MEMORY.md" in (home / ".gemini/GEMINI.md").read_text()
    assert (home / "dotfiles.md").read_text().startswith("Mine.\n")
    assert (home / ".claude/CLAUDE.md").is_symlink()
    states = {one["name"]: one["state"] for one in result_of(home, "guidance", "--user")["files"]}
    assert {name for name, state in states.items() if state == "written"} == {"claude", "codex", "gemini"}
    result_of(home, "guidance", "claude", "codex", "gemini", "--user", "--uninstall")
    assert (home / ".codex/AGENTS.md").read_text() == "Be brief.\n"
    assert (home / "dotfiles.md").read_text() == "Mine.\n"
    assert not (home / ".gemini/GEMINI.md").exists()
    assert run(home, "guidance", "cursor", "--user").returncode == 2


def test_the_text_for_a_host_that_reads_no_file_is_printed(home: Path) -> None:
    text = result_of(home, "guidance", "--print")["text"]
    assert run(home, "guidance", "--print").stdout.strip() == text
    assert all(word in text for word in ("query_memory", "store_memory", "replaces", "sediment"))
    assert len(text) < 1_000
    assert run(home, "guidance", "claude", "--print").returncode == 2
