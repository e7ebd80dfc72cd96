"""Devices that synchronize through a folder come to agree, whatever happens to them and to the folder.

`benchmarks/sync_convergence.py` plays the same histories, a thousand of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.host import Clock
from support.sync_carrier import carry_all
from support.sync_devices import Broken, Device, compare, play
from support.sync_mutations import MUTATIONS
from support.worker import FOLDER

from sediment_mcp.config import MODEL, NO_MODEL
from sediment_mcp.transfer.encryption import generate_identity

SEEDS = range(24)
NOTICED_WITHIN = 40
"""Histories within which each fault of the engine is noticed."""
KILLED_AT = (2, 8, 21, 55)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_devices_agree_and_nothing_is_left_of_what_was_erased(seed: int) -> None:
    play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_fault_of_the_engine_is_noticed(mutation: str) -> None:
    def play_until_noticed() -> None:
        for seed in range(NOTICED_WITHIN):
            play(seed)

    with MUTATIONS[mutation](), pytest.raises(Broken):
        play_until_noticed()


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot kill itself by a signal there")
def test_a_command_killed_at_any_write_is_taken_up_by_the_next(tmp_path: Path) -> None:
    identity = generate_identity()
    one, other = (
        Device(name, tmp_path / name, Clock(datetime.now(UTC)), identity) for name in ("anna", "bert")
    )
    one.join()
    other.join()
    try:
        for write in KILLED_AT:
            one.host.store(f"tea number {write} is at four", tags=["tea"])
            one.host.delete(one.host.store(f"coffee number {write} is at two")["id"], permanent=True)
            for device, source in ((one, other), (other, one)):
                carry_all(source.own, device.folder / source.name)
                assert synchronize(device, write) in (0, -signal.SIGKILL)
        for device, source in ((one, other), (other, one), (one, other)):
            carry_all(source.own, device.folder / source.name)
            assert synchronize(device) == 0
        compare("anna", one.state(), "bert", other.state())
        assert len(one.memories()) == len(KILLED_AT)
    finally:
        one.host.end()
        other.host.end()


def synchronize(device: Device, killed_at: int = 0) -> int:
    """Run the command in a process of its own; return how it ended."""
    program = (sys.executable, "-m", "support.sync_process", str(device.data), str(killed_at))
    environment = {**os.environ, MODEL: NO_MODEL}
    return subprocess.run(program, cwd=FOLDER, env=environment, capture_output=True, check=False).returncode
