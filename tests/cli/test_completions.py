"""Completion in real shells, and examples that the grammar reads."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from sediment_mcp.cli import completions, options
from sediment_mcp.cli.dispatch import COMMANDS
from sediment_mcp.cli.examples import EXAMPLES
from sediment_mcp.hosts.registry import HOSTS
from sediment_mcp.operations import arguments

PATIENCE = 20.0
PROMPT = "READY>"
QUIET = {"HOME": "/nonexistent", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def environment(home: Path) -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "LD_LIBRARY_PATH", "MODULE_PATH", "FPATH")
        if name in os.environ
    }
    return {**kept, **QUIET, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}


def written(shell: str, folder: Path) -> Path:
    path = folder / f"script.{shell}"
    path.write_text(completions.script(shell), encoding="utf-8")
    return path


# --- bash and zsh: a person at a terminal types and presses tab -----------------------------------


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, command: list[str], home: Path) -> None:
        import pty

        self.process, self.file = pty.fork()
        if self.process == 0:
            os.chdir(home)
            os.execvpe(command[0], command, environment(home))
        self.seen = ""

    def wait_for(self, words: str) -> str:
        """What has been shown up to these words."""
        limit = time.monotonic() + PATIENCE
        while words not in self.seen:
            assert time.monotonic() < limit, self.seen
            if select.select([self.file], [], [], 1)[0]:
                self.seen += os.read(self.file, 4096).decode(errors="replace")
        shown, _, self.seen = self.seen.partition(words)
        return shown

    def type(self, keys: str) -> None:
        os.write(self.file, keys.encode())

    def end(self) -> None:
        os.close(self.file)
        os.kill(self.process, 9)
        os.waitpid(self.process, 0)


START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
SET_UP = {
    "bash": "bind 'set enable-bracketed-paste off' 2>/dev/null; . ./sediment-mcp",
    "zsh": "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; unset zle_bracketed_paste",
}
PLACE = {"bash": "sediment-mcp", "zsh": "_sediment-mcp"}
"""What the script is called where the shell looks for it."""


@pytest.mark.skipif(os.name == "nt", reason="there is no such terminal")
@pytest.mark.parametrize("shell", START)
@pytest.mark.parametrize(
    ("typed", "got"),
    [
        ("inst\t cur\t --dry\t", "install cursor --dry-run"),
        ("completions fi\t", "completions fish"),
        ("list --kind proc\t --order ol\t", "list --kind procedural --order oldest"),
        ("query --scope al\t", "query --scope all"),
        ("--data-dir some\t", "--data-dir some-folder"),
    ],
)
def test_a_shell_completes_what_is_typed(shell: str, typed: str, got: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    (tmp_path / "some-folder").mkdir()
    (tmp_path / "some-file").touch()
    written(shell, tmp_path).rename(tmp_path / PLACE[shell])
    terminal = Terminal(START[shell], tmp_path)
    try:
        terminal.type(f"{SET_UP[shell]}\n")
        terminal.type("sediment-mcp() { echo \"G\"OT \"$@\" END; }; PS1='REA''DY>'\n")
        terminal.wait_for(PROMPT)
        terminal.type("sediment-mcp ")
        for key in re.split(r"(?<=\t)", typed):
            terminal.type(key)
            if key.endswith("\t"):
                terminal.type(" ")
        terminal.type("\n")
        terminal.wait_for("GOT ")
        assert terminal.wait_for(" END").rstrip("/").split() == got.split()  # zsh shows it and takes it back
    finally:
        terminal.end()


# --- fish says what it would complete -------------------------------------------------------------


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sediment-mcp inst", {"install"}),
        ("sediment-mcp install c", {"claude-desktop", "claude-code", "cursor"}),
        ("sediment-mcp query --scope ", {"all", "project", "global"}),
        ("sediment-mcp store x --scope ", {"project", "global"}),
        ("sediment-mcp guidance a", {"agents"}),
    ],
)
def test_fish_offers_what_fits(typed: str, offered: set[str], tmp_path: Path) -> None:
    program = f"source {written('fish', tmp_path)}; complete -C {shlex.quote(typed)}"
    outcome = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    words = {line.split("\t")[0] for line in outcome.stdout.splitlines()}
    assert {word for word in words if word in offered} == offered
    assert not any(word in words for word in {"all", "claude-desktop", "agents"} - offered)


# --- scripts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_command_prints_the_script(shell: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "sediment_mcp", "completions", shell],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        check=True,
    )
    text = outcome.stdout.decode().replace("\r\n", "\n")
    assert text == completions.script(shell)
    assert all(name in text for name in (*COMMANDS, *(host.name for host in HOSTS), "episodic", "refuse"))


@pytest.mark.parametrize(
    ("command", "model"),
    [("query", arguments.QueryMemory), ("store", arguments.StoreMemory), ("list", arguments.ListMemories)],
)
def test_the_values_offered_are_those_that_are_allowed(command: str, model: Any) -> None:
    def words(of: Any) -> set[str]:
        return {of} if isinstance(of, str) else {word for inner in get_args(of) for word in words(inner)}

    hints = get_type_hints(model)
    for name in ("kind", "scope", "order"):
        if name in hints:
            assert set(completions._values(command, name)) == words(hints[name])


# --- examples -------------------------------------------------------------------------------------


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == {*COMMANDS, "serve"}
    assert all(EXAMPLES.values())


@pytest.mark.parametrize(
    ("command", "line"), [(command, line) for command, lines in EXAMPLES.items() for line in lines]
)
def test_an_example_is_read_by_the_grammar(command: str, line: str) -> None:
    words = shlex.split(line.rpartition(" | ")[2].partition(" > ")[0])
    assert words[0] == "sediment-mcp"
    assert options.read(words[1:]).command == command


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_help_shows_the_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.read([command, "--help"])
    shown = capsys.readouterr().out
    assert all(f"  {line}\n" in shown for line in EXAMPLES[command])
