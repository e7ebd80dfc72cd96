"""Which command starts this installation, from a host that knows nothing of the user's shell.

Hosts with windows do not have the shell's PATH, so the command is an absolute path. It must also be one that
stays: uvx runs a program from uv's cache, which uv cleans when it likes, so there the command is uvx itself.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from sediment_mcp.errors import BadArgument
from sediment_mcp.hosts.jsonc import as_object
from sediment_mcp.hosts.registry import WINDOWS, Host, Machine
from sediment_mcp.system.project_root import path_of_uri

PACKAGE = "sediment-mcp"
CPU = {"UV_TORCH_BACKEND": "cpu"}
"""Without it uv fetches gigabytes of CUDA libraries on Linux, and no host waits for that."""

_OWN = ("command", "args", "env")
_CACHE = re.compile(r"(archive|environments|builds)-v\d+")


@dataclass(frozen=True, slots=True)
class Command:
    """What a host starts."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def line(self) -> list[str]:
        return [self.program, *self.arguments]


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this program runs from: its environment's folder, the program itself if it is a file of its own,
    its interpreter, uvx, and what the package was installed from (`direct_url.json`, PEP 610)."""

    prefix: Path
    program: Path | None
    python: Path
    uvx: Path | None = None
    source: str | None = None


def this_installation(machine: Machine, started_as: str) -> Installation:
    """The one that runs at this moment; ``started_as`` is `sys.argv[0]`."""
    suffix = ".exe" if machine.platform == WINDOWS else ""
    scripts = Path(sysconfig.get_path("scripts")) / f"{PACKAGE}{suffix}"
    own = Path(started_as).absolute()
    candidates = [own, own.with_name(own.name + suffix)] if own.stem == PACKAGE else []
    return Installation(
        prefix=Path(sys.prefix),
        program=next((path for path in (*candidates, scripts) if path.is_file()), None),
        python=Path(sys.executable),
        uvx=_uvx(machine, suffix),
        source=_source(),
    )


def command_of(installation: Installation, arguments: Sequence[str] = ()) -> Command:
    """The command for a host, with these arguments for the server.

    Raises:
        BadArgument: the program runs from uv's cache and uvx cannot be found.
    """
    if not any(_CACHE.fullmatch(part) for part in installation.prefix.parts):
        if installation.program is not None:
            return Command(str(installation.program), tuple(arguments))
        return Command(str(installation.python), ("-m", "sediment_mcp", *arguments))
    if installation.uvx is None:
        raise BadArgument(
            "This program runs from uv's cache, which does not last, and uvx was not found: "
            "run `uv tool install sediment-mcp`, then `sediment-mcp install` again."
        )
    package = ("--from", source, PACKAGE) if (source := _package_of(installation.source)) else (PACKAGE,)
    return Command(str(installation.uvx), (*package, *arguments), CPU)


def entry_of(command: Command, host: Host) -> dict[str, Any]:
    """The command as the host writes it."""
    entry: dict[str, Any] = {**host.fixed, "command": command.program, "args": list(command.arguments)}
    return entry | ({"env": dict(command.environment)} if command.environment else {})


def starts_the_same(entry: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether an entry does what the wanted one does; the user may have added to it, flags included."""
    known = as_object(entry)
    if known is None or known.get("command") != wanted["command"]:
        return False
    arguments, env = known.get("args", []), as_object(known.get("env", {}))
    if not isinstance(arguments, list) or env is None:
        return False
    said = [str(argument) for argument in cast("list[Any]", arguments)]
    same, more = said[: len(wanted["args"])] == wanted["args"], said[len(wanted["args"]) :]
    fixed = all(known.get(name, value) == value for name, value in wanted.items() if name not in _OWN)
    return same and fixed and (not more or more[0].startswith("--")) and _within(wanted.get("env", {}), env)


def _within(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return all(whole.get(name) == value for name, value in part.items())


def merged(entry: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted entry, with what the user has added to the one that is there."""
    known = as_object(entry) or {}
    env = {**(as_object(known.get("env")) or {}), **wanted.get("env", {})}
    return {**known, **wanted} | ({"env": env} if env else {})


def _uvx(machine: Machine, suffix: str) -> Path | None:
    """uv tells the programs it runs where it is itself; else the one on PATH."""
    if uv := machine.environment.get("UV"):
        beside = Path(uv).with_name(f"uvx{suffix}")
        if beside.is_absolute() and beside.is_file():
            return beside
    found = shutil.which("uvx", path=machine.environment.get("PATH", ""))
    return Path(found).absolute() if found else None


def _source() -> str | None:
    try:
        return metadata.distribution(PACKAGE).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None


def _package_of(source: str | None) -> str | None:
    """What uvx has to install again; None for the published package."""
    try:
        origin = as_object(json.loads(source or "null")) or {}
    except ValueError:
        return None
    url = str(origin.get("url", ""))
    if urlsplit(url).scheme == "file":
        return path_of_uri(url)
    if (repository := as_object(origin.get("vcs_info"))) is None:
        return url or None
    revision = repository.get("requested_revision")
    return f"{repository.get('vcs')}+{url}" + (f"@{revision}" if revision else "")
