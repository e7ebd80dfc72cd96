"""The reference of the command line is the one that the commands give."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from support.command_line import commands

ROOT = Path(__file__).resolve().parents[2]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "generate_cli_reference.py"))


def test_the_reference_is_up_to_date() -> None:
    assert SCRIPT["TARGET"].read_text(encoding="utf-8") == SCRIPT["reference"]()


def test_the_reference_shows_every_command_with_its_options_and_examples() -> None:
    text = SCRIPT["reference"]()
    for name, command in commands().items():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert all(f"\n{example}\n" in section for example in command.examples)
        own = {
            flag for option in command.params if option.expose_value for flag in option.opts if "--" in flag
        }
        assert {flag for flag in own if f"`{flag}" not in section} == set()
