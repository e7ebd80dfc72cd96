"""A server that notes how long its garbage collector holds up everything.

    OBSERVED_PAUSES=FILE python observed_server.py

Each collection of at least a tenth of a millisecond is a line of FILE: when it ended (seconds of the
monotonic clock, which all processes share), its generation, and milliseconds.
"""

import gc
import os
import sys
import time

SHORTEST = 0.1  # milliseconds
_started = 0.0


def note(phase: str, about: dict[str, int]) -> None:
    """Called by the collector before and after each collection."""
    global _started  # noqa: PLW0603  the collector runs once at a time
    now = time.monotonic()
    if phase == "start":
        _started = now
    elif (took := (now - _started) * 1000) >= SHORTEST:
        os.write(_file, f"{now} {about['generation']} {took}\n".encode())


_file = os.open(os.environ["OBSERVED_PAUSES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
gc.callbacks.append(note)
sys.argv = ["sediment-mcp"]
del sys.path[0]  # or modules of the benchmarks would hide others of the same name

from sediment_mcp.cli.main import main  # noqa: E402  its import is observed, too

status = main()
gc.callbacks.clear()
raise SystemExit(status)
