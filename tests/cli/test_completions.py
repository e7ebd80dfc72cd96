"""Completion in real shells, and examples that the commands parse."""

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
from click.shell_completion import ZshComplete
from support.command_line import commands, parse, process

from sediment_mcp.cli import COMPLETION_VARIABLE, PROGRAM
from sediment_mcp.cli.commands.completions import SHELLS, render_script
from sediment_mcp.cli.group import program
from sediment_mcp.cli.main import main
from sediment_mcp.hosts.registry import HOSTS
from sediment_mcp.operations import arguments

TIMEOUT = 20.0  # seconds
PROMPT = "READY>"
QUIET = {"HOME": "/nonexistent", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


REPOSITORY = Path(__file__).resolve().parents[2]


def environment(home: Path) -> dict[str, str]:
    """Return the shell's environment; its path begins with a folder that holds the program."""
    kept = {
        name: os.environ[name] for name in ("LD_LIBRARY_PATH", "MODULE_PATH", "FPATH") if name in os.environ
    }
    path = os.pathsep.join([str(install_program(home)), os.environ["PATH"]])
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home), "PATH": path}
    return {**kept, **QUIET, **own, "PYTHONPATH": str(REPOSITORY)}


def install_program(home: Path) -> Path:
    """Write a program that the shell's script can call; return its folder."""
    folder = home / "bin"
    folder.mkdir(exist_ok=True)
    file = folder / PROGRAM
    file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sediment_mcp "$@"\n')
    file.chmod(0o755)
    return folder


def write_script(shell: str, folder: Path) -> Path:
    """Write the completion script into the folder; return its path."""
    path = folder / f"script.{shell}"
    path.write_text(render_script(shell, program), encoding="utf-8")
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
        limit = time.monotonic() + TIMEOUT
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
    write_script(shell, tmp_path).rename(tmp_path / PLACE[shell])
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
    program = f"source {write_script('fish', tmp_path)}; complete -C {shlex.quote(typed)}"
    outcome = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    words = {line.split("\t")[0] for line in outcome.stdout.splitlines()}
    assert {word for word in words if word in offered} == offered
    assert not any(word in words for word in {"all", "claude-desktop", "agents"} - offered)


# --- scripts --------------------------------------------------------------------------------------


def offer(*words: str, incomplete: str = "") -> set[str]:
    """Return what is offered after these words."""
    return {
        item.value for item in ZshComplete(program, {}, PROGRAM, "").get_completions(list(words), incomplete)
    }


@pytest.mark.process
@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script(shell: str) -> None:
    text = process("completions", shell).stdout.decode().replace("\r\n", "\n")
    assert text == render_script(shell, program)
    assert COMPLETION_VARIABLE in text


def test_every_command_and_every_value_is_offered() -> None:
    assert offer() == set(commands())
    assert offer("install") == {host.name for host in HOSTS}
    assert "episodic" in offer("list", "--kind")
    assert "refuse" in offer("list", "--secrets")
    assert offer("completions") == set(SHELLS)


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
            assert offer(command, f"--{name}") == words(hints[name])


# --- examples -------------------------------------------------------------------------------------


def examples() -> list[tuple[str, str]]:
    """Return each example with its command."""
    return [(name, example) for name, command in commands().items() for example in command.examples]


def test_every_command_has_examples() -> None:
    assert all(command.examples for command in commands().values())


@pytest.mark.parametrize(("command", "line"), examples())
def test_an_example_is_read_by_the_grammar(command: str, line: str) -> None:
    words = shlex.split(line.rpartition(" | ")[2].partition(" > ")[0].partition(" < ")[0])
    assert words[0] == "sediment-mcp"
    assert parse(*words[1:]).command.name == command


@pytest.mark.parametrize("command", commands())
def test_the_help_shows_the_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {line}\n" in shown for line in commands()[command].examples)
