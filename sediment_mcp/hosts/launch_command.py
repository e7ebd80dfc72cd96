"""Find the command by which a host starts this installation.

Graphical hosts do not have the shell's PATH, so the command is an absolute path. The path must also be
permanent: uvx runs a program from uv's cache, which uv may clean at any time, so there the command is uvx.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from sediment_mcp.config import (
    BOTH_EXTRAS,
    DEFAULT_MODEL,
    MODEL_EXTRA,
    MULTILINGUAL_EXTRA,
    MULTILINGUAL_MODEL,
    NO_MODEL,
)
from sediment_mcp.errors import BadArgument
from sediment_mcp.hosts.jsonc import to_object
from sediment_mcp.hosts.registry import WINDOWS, Host, Machine
from sediment_mcp.system.project_root import parse_file_uri

PACKAGE = "sediment-mcp"
_TORCH_BACKEND = "UV_TORCH_BACKEND"
_EARLIER_ENVIRONMENT = {_TORCH_BACKEND: "cpu"}
"""What entries held while the default installation had torch, whose usual build is gigabytes on Linux."""

_COMMAND_FIELDS = ("command", "args", "env")
_OWN_PROGRAM = re.compile(r"sediment-mcp(\.(exe|cmd|bat|ps1|sh|py))?", re.IGNORECASE)
_OWN_PACKAGE = re.compile(r"sediment-mcp(\.exe)?([\[=<>~!@].*)?", re.IGNORECASE)
_SHELL = re.compile(r"((ba|z|da|k|fi)?sh|cmd|powershell|pwsh|env)(\.exe)?", re.IGNORECASE)
_WORD_BREAK = re.compile(r"[\s\"'&|;]+")
_UV_CACHE_FOLDER = re.compile(r"(archive|environments|builds)-v\d+")


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """A command that a host starts."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    earlier: LaunchCommand | None = field(default=None, compare=False)
    """The form in which earlier versions wrote the same command."""

    @property
    def argv(self) -> list[str]:
        """The program and its arguments."""
        return [self.program, *self.arguments]

    @property
    def brings_extra(self) -> bool:
        """Whether the command installs an extra itself."""
        return any(argument.startswith(f"{PACKAGE}[") for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this program runs from."""

    prefix: Path  # the environment's folder
    program: Path | None  # the program itself, if it is a file of its own
    python: Path
    uvx: Path | None = None
    source: str | None = None
    """What the package was installed from: the text of `direct_url.json` (PEP 610)."""
    torch_backend: str | None = None
    """What the user tells uv of torch (`UV_TORCH_BACKEND`); only matters where the extra is installed."""


def detect_installation(machine: Machine, started_as: str) -> Installation:
    """Return the installation that runs now; ``started_as`` is `sys.argv[0]`."""
    suffix = ".exe" if machine.platform == WINDOWS else ""
    script = Path(sysconfig.get_path("scripts")) / f"{PACKAGE}{suffix}"
    own = Path(started_as).absolute()
    candidates = [own, own.with_name(own.name + suffix)] if own.stem == PACKAGE else []
    return Installation(
        prefix=Path(sys.prefix),
        program=next((path for path in (*candidates, script) if path.is_file()), None),
        python=Path(sys.executable),
        uvx=_find_uvx(machine, suffix),
        source=_read_source(),
        torch_backend=machine.environment.get(_TORCH_BACKEND),
    )


def build_launch_command(
    installation: Installation, arguments: Sequence[str] = (), *, extra: str | None = None
) -> LaunchCommand:
    """Return the command for a host, with these arguments for the server.

    ``extra`` is what their models need to be installed.

    Raises:
        BadArgument: The program runs from uv's cache and uvx cannot be found.
    """
    if not any(_UV_CACHE_FOLDER.fullmatch(part) for part in installation.prefix.parts):
        if installation.program is not None:
            return LaunchCommand(str(installation.program), tuple(arguments))
        return LaunchCommand(str(installation.python), ("-m", "sediment_mcp", *arguments))
    if installation.uvx is None:
        raise BadArgument(
            "This program runs from uv's cache, which does not last, and uvx was not found: "
            "run `uv tool install sediment-mcp`, then `sediment-mcp install` again."
        )
    uvx, source = str(installation.uvx), _parse_source(installation.source)
    plain = ("--from", source, PACKAGE) if source else (PACKAGE,)
    earlier = LaunchCommand(uvx, (*plain, *arguments), {} if extra else _EARLIER_ENVIRONMENT)
    if not extra:
        return LaunchCommand(uvx, earlier.arguments, earlier=earlier)
    package = extra + (f" @ {source}" if source else "")
    backend = installation.torch_backend
    return LaunchCommand(
        uvx,
        ("--from", package, PACKAGE, *arguments),
        {_TORCH_BACKEND: backend} if backend and extra != MULTILINGUAL_EXTRA else {},
        earlier,
    )


def find_extra(models: Iterable[str]) -> str | None:
    """Return what has to be installed for configured models; None if every installation has it."""
    extras = {extra for model in models if (extra := _find_extra_of(model))}
    return BOTH_EXTRAS if len(extras) > 1 else next(iter(extras), None)


def _find_extra_of(model: str) -> str | None:
    if model in (DEFAULT_MODEL, NO_MODEL):
        return None
    return MULTILINGUAL_EXTRA if model == MULTILINGUAL_MODEL or Path(model).is_file() else MODEL_EXTRA


def check_extra(models: Iterable[str]) -> None:
    """Refuse models that this installation could not load.

    Raises:
        BadArgument: An extra is not installed.
    """
    for model in models:
        extra = _find_extra_of(model)
        module = "sentencepiece" if extra == MULTILINGUAL_EXTRA else "sentence_transformers"
        if extra is not None and find_spec(module) is None:
            raise BadArgument(
                f"The model {model} needs {module.replace('_', '-')}, which is not installed here: "
                f'run pip install "{extra}", then this command again.'
            )


def build_entry(command: LaunchCommand, host: Host) -> dict[str, Any]:
    """Return the command as the host writes it."""
    entry: dict[str, Any] = {
        **host.fixed_fields,
        "command": command.program,
        "args": list(command.arguments),
    }
    return entry | ({"env": dict(command.environment)} if command.environment else {})


def starts_this_program(entry: Any) -> bool:
    """Return True if an entry, whatever its name is, starts this program.

    That is a program or package called sediment-mcp, run directly, by another program such as uvx, pipx or a
    shell, or as a Python module.
    """
    found = to_object(entry)
    if found is None:
        return False
    program, *arguments = _split_command(found) or [""]
    if _OWN_PROGRAM.fullmatch(re.split(r"[\\/]", program)[-1]):
        return True
    if _SHELL.fullmatch(re.split(r"[\\/]", program)[-1]):
        words = [word for line in arguments for word in _WORD_BREAK.split(line)]
        arguments = [re.split(r"[\\/]", word)[-1] for word in words]
    modules = [name for flag, name in pairwise(arguments) if flag == "-m"]
    return "sediment_mcp" in modules or any(map(_OWN_PACKAGE.fullmatch, arguments))


def _split_command(entry: Mapping[str, Any]) -> list[str]:
    """Return the program and the arguments of an entry in any host's shape."""
    command = entry.get("command", entry.get("cmd"))
    nested = to_object(command)
    if nested is not None:
        return _split_command({"command": nested.get("path"), "args": nested.get("args")})
    parts = cast("list[Any]", command) if isinstance(command, list) else [command]
    arguments = entry.get("args")
    parts = [*parts, *(cast("list[Any]", arguments) if isinstance(arguments, list) else [])]
    return [part for part in parts if isinstance(part, str)]


def is_switched_off(entry: Any) -> bool:
    """Return True if the host was told not to start an entry."""
    found = to_object(entry) or {}
    return found.get("disabled") is True or found.get("enabled") is False


def has_same_command(entry: Any, expected: Mapping[str, Any]) -> bool:
    """Return True if an entry does the same as the expected one.

    The user may have added flags, variables and other fields, but no other command of ours behind the
    arguments.
    """
    found = to_object(entry)
    if found is None or found.get("command") != expected["command"]:
        return False
    arguments, environment = found.get("args", []), to_object(found.get("env", {}))
    if not isinstance(arguments, list) or environment is None:
        return False
    fixed = {name: value for name, value in expected.items() if name not in _COMMAND_FIELDS}
    return (
        all(found.get(name, value) == value for name, value in fixed.items())
        and _has_only_added_flags([str(one) for one in cast("list[Any]", arguments)], expected["args"])
        and _is_subset(expected.get("env", {}), environment)
    )


def renew_entry(entry: Any, command: LaunchCommand, host: Host) -> Any:
    """Return an entry that an earlier version wrote in today's form; any other one as it is.

    Flags, variables and fields that the user has added stay.
    """
    earlier = command.earlier
    if earlier is None or not has_same_command(entry, build_entry(earlier, host)):
        return entry
    added = tuple(map(str, entry["args"][len(earlier.arguments) :]))
    renewed = build_entry(replace(command, arguments=(*command.arguments, *added)), host)
    kept = {name: value for name, value in entry.get("env", {}).items() if name not in earlier.environment}
    others = {name: value for name, value in entry.items() if name != "env"}
    return merge_entry({**others, "env": kept}, renewed) if kept else merge_entry(others, renewed)


def merge_entry(entry: Any, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the expected entry, with what the user has added to the one that exists."""
    found = to_object(entry) or {}
    environment = {**(to_object(found.get("env")) or {}), **expected.get("env", {})}
    return {**found, **expected} | ({"env": environment} if environment else {})


def _has_only_added_flags(arguments: Sequence[str], expected: Sequence[str]) -> bool:
    added = arguments[len(expected) :]
    return arguments[: len(expected)] == expected and (not added or added[0].startswith("--"))


def _is_subset(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return all(whole.get(name) == value for name, value in part.items())


def _find_uvx(machine: Machine, suffix: str) -> Path | None:
    """Return the uvx beside the uv that the variable UV names, else the one on PATH."""
    if uv := machine.environment.get("UV"):
        neighbour = Path(uv).with_name(f"uvx{suffix}")
        if neighbour.is_absolute() and neighbour.is_file():
            return neighbour
    found = shutil.which("uvx", path=machine.environment.get("PATH", ""))
    return Path(found).absolute() if found else None


def _read_source() -> str | None:
    try:
        return metadata.distribution(PACKAGE).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None


def _parse_source(source: str | None) -> str | None:
    """Return the source that uvx has to install from; None for the published package."""
    try:
        origin = to_object(json.loads(source or "null")) or {}
    except ValueError:
        return None
    url = str(origin.get("url", ""))
    if urlsplit(url).scheme == "file":
        return parse_file_uri(url)
    if (repository := to_object(origin.get("vcs_info"))) is None:
        return url or None
    revision = repository.get("requested_revision")
    return f"{repository.get('vcs')}+{url}" + (f"@{revision}" if revision else "")
