"""The data directory on a small disk of its own, where root may mount one; else in an ordinary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE = 192  # MB; of a database, too


class Disk:
    """``data`` is the data directory, ``is_own`` whether it can be filled and made read-only."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / "disk"
        self._place.mkdir()
        mounted = _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(self._place))
        self.is_own = mounted
        self.data = self._place / "data"
        self.data.mkdir(mode=0o700)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free."""
        ballast = self._place / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        try:
            yield
        finally:
            ballast.unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Make it read-only; nobody may have a file open for writing."""
        subprocess.run(["mount", "-o", "remount,ro", self._place], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self._place], check=True, capture_output=True)

    def remove(self) -> None:
        if self.is_own:
            _run("umount", "-l", str(self._place))
        shutil.rmtree(self._place, ignore_errors=True)


def _run(*command: str) -> bool:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
