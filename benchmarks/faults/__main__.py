"""A campaign of faults against real servers on one database.

    python benchmarks/faults [--database sqlite|postgres] [--encrypted] [--kills 1000] [--damage 50]
                             [--processes 4] [--seconds 0] [--seed N] [--model default|none]
                             [--only FAULT ...] [--keep FOLDER] [--list]

With --encrypted the data directory is, and no word of any memory may be readable in a file of it.

Exit status 1 if any promise was broken. Run it with the interpreter of an environment in which sediment-mcp's
dependencies are installed; as root on Linux it can also fill a disk. It leaves nothing behind but, where a
promise was broken, the history.
"""

from __future__ import annotations

import argparse
import random
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])
sys.path[1:1] = map(str, (Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[2] / "tests"))

from faults.campaign import Campaign, Options  # noqa: E402

BACKENDS = {
    "sqlite": ("sqlite_backend", "SqliteBackend"),
    "postgres": ("postgres_backend", "PostgresBackend"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=list(BACKENDS), default="sqlite")
    parser.add_argument("--encrypted", action="store_true", help="over SQLite: encrypt the data directory")
    parser.add_argument("--kills", type=int, default=100, help="kill -9 of one server, so many times")
    parser.add_argument("--damage", type=int, default=5, help="every other fault, so many times")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument(
        "--seconds", type=float, default=0, help="end the plan after so long; 0: when it is done"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--model", choices=["default", "none"], default="default")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT")
    parser.add_argument("--keep", type=Path, help="copy history and logs to this folder, whatever comes out")
    parser.add_argument("--list", action="store_true", help="name all faults")
    chosen = parser.parse_args()
    module, name = BACKENDS[chosen.database]
    backend = getattr(import_module(f"faults.{module}"), name)
    if chosen.list:
        print("\n".join(backend.faults))
        return 0
    if unknown := set(chosen.only) - set(backend.faults):
        parser.error(f"no such fault: {', '.join(unknown)}; --list names all")
    options = Options(
        kills=chosen.kills, damage=chosen.damage, processes=chosen.processes, seconds=chosen.seconds,
        seed=chosen.seed, model=chosen.model == "default", only=chosen.only, keep=chosen.keep,
    )  # fmt: skip
    if chosen.encrypted and chosen.database != "sqlite":
        parser.error("--encrypted is for a data directory: leave out --database")
    settings: dict[str, object] = {"model": options.model, "seed": options.seed}
    if chosen.encrypted:
        settings["is_encrypted"] = True
    return Campaign(options, partial(backend, **settings)).run()


if __name__ == "__main__":
    sys.exit(main())
