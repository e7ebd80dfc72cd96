"""`kill -9` at any moment: what was acknowledged is there, and the indexes agree with it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.worker import FOLDER, PLACES, PROGRAM

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.tantivy_index import TantivyIndex

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX"),
    pytest.mark.slow,
    pytest.mark.process,
]

HALTS = [(place, "halt") for place in PLACES]
RUSHES = [
    (place, "rush")
    for place in (
        "store: rows written",
        "text: in the commit",
        "vectors: matrix",
        "vectors: codes",
        "vectors: announced",
    )
    for _ in range(4)
]


@dataclass
class Victims:
    """A row of processes on one directory, each killed, each checked by the next."""

    directory: Path
    live: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    act: list[str] | None = None
    inside: int = 0

    def kill_one(self, seed: int, place: str, order: str) -> None:
        command = [*PROGRAM, "victim", self.directory, str(seed), place, order]
        with subprocess.Popen(command, cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            known = {"live": self.live, "gone": self.gone, "cut off": self.act}
            process.stdin.write(json.dumps(known).encode() + b"\n")
            process.stdin.flush()
            left = False
            for line in process.stdout:
                told = json.loads(line) if line.endswith(b"\n") else []
                self._hear(told)
                left |= told[:1] == ["leave"]
                if told[:1] == ["enter"] and order == "rush":
                    process.kill()
                if told[:1] == ["enter"] and order == "halt":
                    _wait_until_halted(process)
                    process.kill()
            assert process.wait() == -9, f"the worker ended by itself at {place}"
        self.inside += not left

    def check(self) -> None:
        """By a last process, killed when it has checked and halts in a store."""
        self.kill_one(999, "store: rows written", "halt")
        assert self.act is not None

    def _hear(self, told: list[Any]) -> None:
        match told:
            case ["checked", live, gone]:
                self.live, self.gone, self.act = live, gone, None
            case ["storing" | "deleting", _]:
                self.act = told
            case ["stored", identity, text]:
                self.live[identity], self.act = text, None
            case ["deleted", identity]:
                self.gone.append(self.live.pop(identity))
                self.act = None
            case _:
                pass


def _wait_until_halted(process: subprocess.Popen[bytes]) -> None:
    """Until it sleeps in its read of standard input, which is what it does after the work at the place."""
    call = Path(f"/proc/{process.pid}/syscall")
    while process.poll() is None:
        try:
            number, *arguments = call.read_text().split()
        except OSError:
            return  # no Linux, or not everybody may look: the kill comes a little earlier
        if number.isdigit() and arguments[:1] == ["0x0"] and _is_read(int(number)):
            return


def _is_read(system_call: int) -> bool:
    return system_call in (0, 63)  # on x86-64, on arm64


@pytest.mark.parametrize("part", range(3))
def test_no_kill_loses_or_breaks_anything(tmp_path: Path, part: int) -> None:
    plan = [*HALTS, *RUSHES]
    random.Random(5).shuffle(plan)
    plan = plan[part::3]
    victims = Victims(tmp_path)
    for number, (place, order) in enumerate(plan):
        victims.kill_one(10 * number + part, place, order)
    assert victims.inside >= len(plan) // 2, "too few of the kills came where they should"
    victims.check()
    assert victims.live
    try:
        assert TantivyIndex(tmp_path / "data").snapshot.seq > 0
    except DamagedSnapshot:
        pytest.fail("no text index was ever written")
