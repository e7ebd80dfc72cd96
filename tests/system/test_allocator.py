"""What threads have freed goes back to the system, and they share one pool of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sediment_mcp.system import allocator
from sediment_mcp.system.allocator import limit_pools, release_freed_memory

FREED = """
import threading
from pathlib import Path
from sediment_mcp.system.allocator import release_freed_memory

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
release_freed_memory()
print(before - resident())
"""
POOLS = """
import sys, threading
from pathlib import Path
from sediment_mcp.system.allocator import limit_pools

def count_pools():
    starts = [int(line.partition("-")[0], 16) for line in Path("/proc/self/maps").read_text().splitlines()]
    return sum(start % 2**26 == 0 for start in starts)  # the library aligns pools so

def work():
    hold.append(bytes(1000))
    waiting.wait()
    waiting.wait()

if sys.argv[1] == "limited":
    limit_pools()
hold, waiting = [], threading.Barrier(9)
for _ in range(8):
    threading.Thread(target=work).start()
waiting.wait()
print(count_pools())
waiting.wait()
"""

gnu_only = pytest.mark.skipif(
    sys.platform != "linux" or allocator._load_gnu_library() is None,
    reason="only the GNU C library has pools",
)


def run(program: str, *arguments: str) -> int:
    command = [sys.executable, "-c", program, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@gnu_only
def test_what_threads_have_freed_goes_back() -> None:
    assert run(FREED) > 10_000  # kB; of 40 MB that were in use


@gnu_only
def test_threads_share_a_pool() -> None:
    assert run(POOLS, "limited") < run(POOLS, "free")


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    allocator._load_gnu_library.cache_clear()
    assert allocator._load_gnu_library() is None
    limit_pools()
    release_freed_memory()
    allocator._load_gnu_library.cache_clear()
