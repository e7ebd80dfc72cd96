"""Memory that has been freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sediment_mcp.indexes import malloc_trim

POOLS = """
import threading
from pathlib import Path
from sediment_mcp.freed import give_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

def work():
    held = [bytes(100_000) for _ in range(400)]
    last = bytes(1000)  # at the pool's end, so that nothing in front of it is given back
    del held
    hold.append(last)

hold = []
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
    thread.join()
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only the GNU C library keeps pools")
def test_what_threads_have_freed_goes_back() -> None:
    if malloc_trim._trim() is None:
        pytest.skip("not the GNU C library")
    done = subprocess.run([sys.executable, "-c", POOLS], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 10_000  # kB; of 40 MB that were in use


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    malloc_trim._trim.cache_clear()
    assert malloc_trim._trim() is None
    malloc_trim.give_back()
    malloc_trim._trim.cache_clear()
