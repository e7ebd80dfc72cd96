"""Logging to standard error, in a process of its own, because it is set up once a process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import logging
from sediment_mcp.system.logging_setup import log_to_stderr

log_to_stderr("INFO", "here %(levelname)s: %(message)s")
logging.getLogger("sediment_mcp.part").info("ours")
logging.getLogger("sediment_mcp.part").debug("too fine")
logging.getLogger("library").info("a library's")
logging.getLogger("library").warning("a library's warning")
"""


def test_the_package_logs_from_its_level_on_and_libraries_only_warnings() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert finished.stderr.splitlines() == ["here INFO: ours", "here WARNING: a library's warning"]
    assert finished.stdout == ""
