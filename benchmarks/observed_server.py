"""A server that notes how long its garbage collector holds up everything.

    OBSERVED_PAUSES=FILE python observed_server.py

Each collection of at least a tenth of a millisecond is a line of FILE: when it ended (seconds of the
monotonic clock, which all processes share), its generation, and milliseconds of processor time, so that
other processes on the same processor do not count.
"""

import gc
import os
import sys
import time

SHORTEST = 0.1  # milliseconds


def observe(file: int) -> None:
    """Note each collection from now on."""
    started = 0.0

    def note(phase: str, about: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.thread_time()
        elif (took := (time.thread_time() - started) * 1000) >= SHORTEST:
            os.write(file, f"{time.monotonic()} {about['generation']} {took}\n".encode())

    gc.callbacks.append(note)


def main() -> int:
    observe(os.open(os.environ["OBSERVED_PAUSES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    sys.argv = ["sediment-mcp"]
    del sys.path[0]  # or modules of the benchmarks would hide others of the same name
    from sediment_mcp.cli.main import main as serve

    status = serve()
    gc.callbacks.clear()  # the interpreter collects when it ends
    return status


if __name__ == "__main__":
    raise SystemExit(main())
