"""The machine on which commands look for hosts and their files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sediment_mcp.hosts.locations import Machine


def detect_machine() -> Machine:
    """Return this machine, on which hosts and their files are looked for.

    Raises:
        BadArgument: there is no home directory.
    """
    from sediment_mcp.config import environment
    from sediment_mcp.config_paths import NO_HOME, find_home
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.locations import Machine

    try:
        return Machine(sys.platform, find_home(), environment())
    except BadArgument:
        raise BadArgument(
            f"The files of hosts cannot be found, because {NO_HOME}: set HOME to your home directory."
        ) from None
