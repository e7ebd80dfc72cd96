"""Filled data directories: made once for each size, and copied for whoever writes into them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path

from corpus import Embed, Vectors, fill
from hosts import SCRIPT

from sediment_mcp.config import Config

TELL_EVERY = 20_000  # memories

Say = Callable[[str], None]


class Directories:
    """Those below ``base``; what is there already, and complete, is used again."""

    def __init__(self, base: Path, embed: Embed, say: Say) -> None:
        self._base, self._embed, self._say = base, embed, say
        self._vectors: Vectors | None = None
        self.filled: dict[int, float] = {}
        self.rebuilt: dict[int, float] = {}

    @property
    def vectors(self) -> Vectors:
        if self._vectors is None:
            self._vectors = Vectors(self._embed)
        return self._vectors

    def path(self, size: int) -> Path:
        """The directory of this size, which nobody may write into."""
        directory = self._base / f"{size}-memories"
        if not directory.exists():
            unfinished = directory.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            self._fill(unfinished, size)
            unfinished.rename(directory)
        return directory

    def _fill(self, directory: Path, size: int) -> None:
        started = time.monotonic()
        fill(Config(directory), size, self.vectors, lambda done: self._tell(size, done))
        self._say(f"{size:,} memories: writing the indexes")
        self.rebuilt[size] = reindex(directory)
        self.filled[size] = time.monotonic() - started
        self._say(f"{size:,} memories are there after {self.filled[size]:.0f} s")

    def _tell(self, size: int, done: int) -> None:
        if done % TELL_EVERY == 0 or done == size:
            self._say(f"{size:,} memories: {done:,} stored")

    @contextlib.contextmanager
    def copy(self, size: int) -> Generator[Path]:
        """A copy to write into, gone afterwards."""
        original, copy = self.path(size), self._base / "at-work"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(original, copy)
        os.sync()  # or the disk would still be busy with it while calls are measured
        try:
            yield copy
        finally:
            shutil.rmtree(copy)


def reindex(directory: Path) -> float:
    """Seconds that `sediment-mcp reindex` takes: both indexes anew, with all embeddings there."""
    started = time.perf_counter()
    subprocess.run(
        [str(SCRIPT), "--data-dir", str(directory), "reindex"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def disk(directory: Path) -> float:
    """MB that a directory takes on the disk."""
    return sum(file.stat().st_blocks * 512 for file in directory.rglob("*")) / 2**20
