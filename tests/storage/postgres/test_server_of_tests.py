"""The server of the tests ends with them, also when they are killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.postgres import FOLDER

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX"),
]

TESTS = """
import os, signal
from support.postgres import PostgresServer
server = PostgresServer()
print(server.folder, flush=True)
with server.connect() as connection:
    assert connection.execute("SELECT 1").fetchone() == (1,)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_ends_and_its_folder_goes_when_the_tests_are_killed() -> None:
    command = [sys.executable, "-c", TESTS]
    done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -9
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("pg-")
    while folder.exists():  # the keeper removes it when the server has ended; pytest limits the time
        pass
