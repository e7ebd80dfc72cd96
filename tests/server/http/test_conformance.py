"""The official conformance suite, from npm, against the server over HTTP."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.http_server import running_server
from support.real_hosts import find_program
from support.stdio_peer import REPOSITORY

from sediment_mcp.server.protocol import ENVELOPE_REVISIONS, HANDSHAKE_REVISIONS

EXCEPTIONS = REPOSITORY / "tests" / "data" / "conformance"
TIMEOUT = 300  # seconds; it takes ten

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.conformance]


@pytest.mark.parametrize("revision", [HANDSHAKE_REVISIONS[-1], *ENVELOPE_REVISIONS])
def test_every_scenario_passes_that_needs_no_sample_of_the_suites_own(revision: str, tmp_path: Path) -> None:
    program = Path(find_program("conformance"))
    with running_server(tmp_path, "--rate", "0") as server:
        command = [
            str(program),
            "server",
            *("--url", f"{server.url}/mcp"),
            *("--requirements", revision),
            *("--expected-failures", str(EXCEPTIONS / f"{revision}.yml")),
            *("--output-dir", str(tmp_path / "results")),
        ]
        path = os.pathsep.join([str(program.parent), os.environ["PATH"]])  # its own Node comes first
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "tools-list" in done.stdout
