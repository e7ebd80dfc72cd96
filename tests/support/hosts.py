"""Hosts of the registry, pretended machines, and launch commands for the tests of installing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sediment_mcp.hosts.launch_command import LaunchCommand
from sediment_mcp.hosts.locations import LINUX, Machine
from sediment_mcp.hosts.registry import find_host

PROGRAM = LaunchCommand("/opt/sediment/bin/sediment-mcp")
UVX = LaunchCommand("/usr/bin/uvx", ("sediment-mcp",))
VARIABLES = {"HF_HOME": "/h"}


def host(name: str) -> Any:
    """Return the host of this name, which must be known."""
    found = find_host(name)
    assert found is not None
    return found


def machine(home: Path, platform: str = LINUX, **environment: str) -> Machine:
    """Return a machine with these variables alone."""
    return Machine(platform, home, environment)
