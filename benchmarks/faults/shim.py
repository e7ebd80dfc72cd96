"""Faults of system calls and of the clock in the servers: compiles `shim.c`, and says what is wrong when.

Linux with a C compiler only. The clock of the machine is not touched, nor are files outside the directory.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

WRITE, SYNC, RENAME, OPEN, TRUNCATE, UNLINK = 1, 2, 4, 8, 16, 32
EVERYTHING = WRITE | SYNC | RENAME | OPEN | TRUNCATE | UNLINK
CALLS = struct.Struct("<iii")
SIZE = 4096
PLACE_OF_CALLS, PLACE_OF_DIRECTORY = 8, 24


class Shim:
    """What the servers see of the disk and of the clock."""

    def __init__(self, folder: Path, directory: Path, seed: int) -> None:
        """Raises:
        OSError, subprocess.CalledProcessError: it cannot be compiled here.
        """
        compiler = shutil.which("cc")
        if compiler is None or not sys.platform.startswith("linux"):
            raise OSError("no C compiler" if compiler is None else "not Linux")
        library, page = folder / "shim.so", folder / "shim.state"
        source = Path(__file__).with_name("shim.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"],
            check=True,
            capture_output=True,
        )
        page.write_bytes(
            struct.pack("<qiiii", 0, 0, 0, 0, seed & 0x7FFFFFFF).ljust(PLACE_OF_DIRECTORY, b"\0")
            + os.fsencode(directory.resolve()).ljust(SIZE - PLACE_OF_DIRECTORY, b"\0")
        )
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), SIZE)
        self.variables = {"LD_PRELOAD": str(library), "FAULTS_STATE": str(page)}

    @contextlib.contextmanager
    def failing(self, calls: int, error: int, share: float) -> Iterator[None]:
        """Let a share of these calls on the data directory's files fail with this errno."""
        self._set(calls, error, round(1000 * share))
        try:
            yield
        finally:
            self._set(0, 0, 0)

    def _set(self, *values: int) -> None:
        self._page[PLACE_OF_CALLS : PLACE_OF_CALLS + CALLS.size] = CALLS.pack(*values)

    def shift_clock(self, seconds: float) -> None:
        """Let the servers' clock differ by so much from the true one."""
        self._page[:8] = struct.pack("<q", round(seconds * 1e9))
