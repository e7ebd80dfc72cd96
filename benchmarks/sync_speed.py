"""What synchronizing through a folder costs: time and bytes, of many memories and of one more.

    python benchmarks/sync_speed.py [--memories 10000] [--runs 9] [--directory PATH]

A data directory of the speed benchmark's corpus, with embeddings and token vectors (kept in ``--directory``
for the next run), is given to an empty folder by one device and taken over by a second one, in this process.
Then each of ``--runs`` new memories is given and taken. The folder is on the same disk: how long something
takes to be carried comes on top. Seconds are of the wall clock, with this process's CPU time beside them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path += [str(ROOT / "speed"), str(ROOT.parent / "tests")]

from directories import Directories  # noqa: E402
from hosts import Remembered  # noqa: E402
from support.counting_model import CountingModel  # noqa: E402

from sediment_mcp.app import Application  # noqa: E402
from sediment_mcp.config import Config  # noqa: E402
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments  # noqa: E402
from sediment_mcp.operations.store_memory import store_memory  # noqa: E402
from sediment_mcp.sync.engine import SyncEngine  # noqa: E402
from sediment_mcp.sync.settings import SyncSettings, write_settings  # noqa: E402
from sediment_mcp.transfer.encryption import generate_identity  # noqa: E402


class Device:
    """A device with its model, which is loaded before anything is measured."""

    def __init__(self, name: str, directory: Path, folder: Path, identity: str) -> None:
        config = Config(directory)
        self.model = CountingModel()
        self.app = Application(config, load=lambda _: self.model, is_resident=False)
        self.app.storage.open()
        self.app.model.get()
        write_settings(self.app, SyncSettings(folder, name, identity, False))
        self.engine = SyncEngine(self.app)


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long work took: (seconds, seconds of CPU)."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


def count_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def tell(what: str, times: tuple[float, float], more: str = "") -> None:
    print(f"{what}: {times[0]:.3f} s ({times[1]:.3f} s of CPU){more}", flush=True)


def run(directories: Directories, count: int, runs: int, base: Path) -> int:
    """Measure everything; return the number of texts that the second device embedded."""
    folder, identity = base / "folder", generate_identity()
    folder.mkdir()
    with directories.copy(count) as directory:
        first = Device("first", directory, folder, identity)
        second = Device("second", base / "second", folder, identity)
        tell(
            f"first write of {count:,} memories",
            measure(first.engine.run),
            f", {count_bytes(folder):,} bytes",
        )
        tell("again, with nothing new", measure(first.engine.run))
        tell("first take-over by a second device", measure(second.engine.run))
        tell("its indexes after that", measure(second.app.catch_up))
        with second.app.storage.read() as session:
            taken = session.changes.count_memories()
        print(f"it holds {taken:,} memories, and embedded {second.model.documents:,} texts anew")
        given, took, sizes = list[tuple[float, float]](), list[tuple[float, float]](), list[int]()
        for number in range(runs):
            text = f"The meeting about harbour fees number {number} was moved to room {number + 7}."
            store_memory(first.app, parse_arguments(StoreMemory, {"content": text}), None)
            before = count_bytes(folder)
            given.append(measure(first.engine.run))
            sizes.append(count_bytes(folder) - before)
            took.append(measure(second.engine.run))
        for what, times in (("one new memory is given", given), ("one new memory is taken over", took)):
            tell(what, (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)))
        print(f"bytes that it adds to the folder: {statistics.median(sizes):,.0f}")
        with second.app.storage.read() as session:
            assert session.changes.count_memories() == taken + runs
        first.app.close()
        second.app.close()
    return second.model.documents


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--directory", type=Path, help="where filled data directories are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kept = options.directory or Path(scratch) / "directories"
        kept.mkdir(parents=True, exist_ok=True)
        directories = Directories(
            kept, Remembered(None).embed_documents, lambda what: print(what, file=sys.stderr)
        )
        embedded = run(directories, options.memories, options.runs, Path(scratch))
    return int(embedded > 0)


if __name__ == "__main__":
    raise SystemExit(main())
