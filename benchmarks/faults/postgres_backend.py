"""A PostgreSQL database with a standby, reached through proxies by the servers of two machines."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from support.postgres import ROLE

from sediment_mcp.storage.postgres.dialect import SCHEMA
from sediment_mcp.storage.postgres.storage import PostgresStorage
from sediment_mcp.tuning import Tuning

from . import postgres_injuries
from .backend import variables_of_servers
from .cluster import DATABASE, Cluster
from .disk import Disk
from .history import History
from .injuries import CLOCK, DERIVED, PROCESSES, Injury
from .proxy import Proxy
from .residue import find_residue
from .shim import Shim
from .slot import Common, Machine

TENANT = "campaign"
MACHINES = 2
OWN = (postgres_injuries.DATABASE, postgres_injuries.CONNECTIONS, postgres_injuries.DISKS)


class PostgresBackend:
    faults = (*PROCESSES, *CLOCK, *DERIVED, *(name for part in OWN for name in part))
    longest_call = 75.0
    patience = 30.0
    """Seconds after which a server gives up a database, or a lock, that does not answer."""

    def __init__(self, folder: Path, *, model: bool, seed: int) -> None:
        self._folder = folder
        self.skipped: dict[str, str] = {}
        self.disk = Disk(folder)
        self.cluster = Cluster(folder)
        self.proxies = [Proxy(node.socket) for node in self.cluster.nodes]
        directories = [self.disk.data, *(folder / f"machine{number}" for number in range(1, MACHINES))]
        self.shim = self._shim(directories[0], seed)
        self.machines = [
            Machine(directory, self._variables(model, self.shim if number == 0 else None))
            for number, directory in enumerate(directories)
        ]
        self._storage = PostgresStorage(self.url, TENANT, folder / "observer", Tuning())
        if not self.disk.is_own:
            why = "disks of their own can be mounted by root on Linux only"
            self.skipped.update(dict.fromkeys(postgres_injuries.DISKS, why))
        own = {name: partial(injury, self) for part in OWN for name, injury in part.items()}
        self.injuries: Mapping[str, Injury] = {**PROCESSES, **CLOCK, **DERIVED, **own}

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)
        return f"postgresql://{ROLE}@{hosts}/{DATABASE}?target_session_attrs=read-write"

    @property
    def proxy(self) -> Proxy:
        """The one before the server that takes the writes."""
        return self.proxies[self.cluster.nodes.index(self.cluster.primary)]

    def _variables(self, model: bool, shim: Shim | None) -> dict[str, str]:
        own = {"SEDIMENT_DATABASE": self.url, "SEDIMENT_TENANT": TENANT}
        return variables_of_servers(model, shim) | own

    def _shim(self, directory: Path, seed: int) -> Shim | None:
        try:
            return Shim(self._folder, directory, seed)
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipped.update(dict.fromkeys(CLOCK, f"the shim cannot be made here: {error}"))
            return None

    def prepare(self, make_common: Callable[[Sequence[Machine], History], Common]) -> None:
        pass

    def read(self) -> contextlib.AbstractContextManager[Any]:
        return self._storage.read()

    def find_halves(self) -> Iterable[str]:
        halves = self._rows(
            "SELECT id FROM memories m WHERE NOT EXISTS "
            "(SELECT 1 FROM chunks c WHERE c.tenant = m.tenant AND c.memory = m.number) OR NOT EXISTS "
            "(SELECT 1 FROM tags t WHERE t.tenant = m.tenant AND t.memory = m.number)"
        )
        if halves:
            yield f"without chunks or tags: {halves[:3]}"

    def find_words(self, words: Sequence[str]) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for machine in self.machines:
            for word, places in find_residue(machine.directory, words).items():
                found.setdefault(word, set()).update(f"{machine.directory.name}/{place}" for place in places)
        sql = "SELECT word FROM unnest(%s::text[]) word JOIN memories ON content LIKE word || ':%%'"
        for (word,) in self._rows(sql, [list(words)]):
            found.setdefault(word, set()).add("the database")
        return found

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.cluster.primary.connect(DATABASE) as connection:
            connection.execute(f"SET search_path = {SCHEMA}")
            return connection.execute(sql, values or None).fetchall()

    def remove(self) -> None:
        self._storage.close()
        for proxy in self.proxies:
            proxy.close()
        self.cluster.remove()
        self.disk.remove()
