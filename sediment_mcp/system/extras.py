"""The optional parts of the package, which an installation may lack."""

from __future__ import annotations

from importlib.util import find_spec

from sediment_mcp.errors import BadArgument


def check_module(name: str, extra: str, user: str) -> None:
    """Refuse what needs a module of an extra that is not installed.

    ``user`` begins the sentence: who needs the module.

    Raises:
        BadArgument: it is not installed.
    """
    if find_spec(name) is None:
        raise BadArgument(
            f"{user} needs {name.replace('_', '-')}, which is not installed here: "
            f'run pip install "{extra}", then this command again.'
        )
