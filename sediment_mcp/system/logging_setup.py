"""Logging of a process, to standard error: standard output is used by the protocol."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(level: str, line_format: str) -> None:
    """Log messages of the package from ``level`` on, and warnings of libraries.

    ``line_format`` is the format of a line.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=line_format)
    logging.getLogger("sediment_mcp").setLevel(level)
