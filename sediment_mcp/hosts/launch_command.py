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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from sediment_mcp import __version__
from sediment_mcp.config import (
    DEFAULT_MODEL,
    ENCRYPT_EXTRA,
    MODEL_EXTRA,
    MULTILINGUAL_EXTRA,
    MULTILINGUAL_MODEL,
    NO_MODEL,
)
from sediment_mcp.errors import BadArgument
from sediment_mcp.hosts.jsonc import to_object
from sediment_mcp.hosts.locations import WINDOWS, Machine
from sediment_mcp.hosts.remote_server import TOKEN, RemoteServer
from sediment_mcp.system.extras import check_module
from sediment_mcp.system.project_root import parse_file_uri

PACKAGE = "sediment-mcp"
BRIDGE = "bridge"  # the command that connects a host to a server elsewhere
_TORCH_BACKEND = "UV_TORCH_BACKEND"
_EARLIER_ENVIRONMENT = {_TORCH_BACKEND: "cpu"}
"""What entries held while the default installation had torch, whose usual build is gigabytes on Linux."""

_UV_FILES = ("UV_CONSTRAINT", "UV_OVERRIDE")
_UV_CONSTRAINTS = (*_UV_FILES, "UV_EXCLUDE_NEWER", "UV_PYTHON")
"""Variables by which a shell, but no host, tells uv which releases and which Python to take."""

_EXTRAS = re.compile(r"sediment-mcp\[([\w,-]+)\]")
_VERSION = re.compile(r"^(sediment-mcp(?:\[[\w,-]+\])?)(?:@|==)[\w.!+]+$")
_REPOSITORY = re.compile(r"(^| )(git|hg|bzr|svn)\+")
_REVISION = re.compile(r"@[^@/]+$")
_UV_CACHE_FOLDER = re.compile(r"(archive|environments|builds)-v\d+")


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """A command that a host starts."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    earlier: tuple[LaunchCommand, ...] = field(default=(), compare=False)
    """The forms in which earlier versions wrote the same command, without versions."""

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
    version: str | None = None
    """The release that runs, which uvx is to run again; None leaves the choice to uvx."""
    constraints: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the user has told uv of releases and of Python, by variables."""
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
        version=__version__,
        constraints=_read_constraints(machine.environment),
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
    origin, revision = _parse_source(installation.source)
    program, version = str(installation.uvx), installation.version or ""
    packages = _name_packages(origin, revision, version, extra=extra)
    needs_torch = not split_extras(MODEL_EXTRA).isdisjoint(split_extras(extra))
    backend = installation.torch_backend if needs_torch else None
    plain = _name_packages(origin)
    before = join_extras(split_extras(extra) - split_extras(ENCRYPT_EXTRA))  # the memories were encrypted
    earlier: list[tuple[dict[str, str], tuple[str, ...]]] = [({}, plain)]
    earlier += [({}, _name_packages(origin, extra=one)) for one in dict.fromkeys((extra, before)) if one]
    if not before:
        earlier.insert(0, (_EARLIER_ENVIRONMENT, plain))
    return LaunchCommand(
        program,
        (*packages, *arguments),
        {**installation.constraints, **({_TORCH_BACKEND: backend} if backend else {})},
        tuple(LaunchCommand(program, (*names, *arguments), variables) for variables, names in earlier),
    )


def build_bridge_command(installation: Installation, server: RemoteServer, host_name: str) -> LaunchCommand:
    """Return the command by which a host that reaches no URL talks with a server.

    Raises:
        BadArgument: As `build_launch_command`.
    """
    named = ("--token-env", server.token_variable) if server.token_variable else ()
    project = ("--project", server.project) if server.project else ()
    command = build_launch_command(installation, (BRIDGE, server.url, *named, "--host", host_name, *project))
    token = {TOKEN: server.token} if server.token else {}
    return replace(command, environment={**command.environment, **token})


def _name_packages(
    origin: str, revision: str = "", version: str = "", *, extra: str | None = None
) -> tuple[str, ...]:
    """Return the arguments by which uvx knows the package in a version, or its source."""
    source = origin + revision
    if extra:
        pinned = f"=={version}" if version else ""
        return "--from", extra + (f" @ {source}" if origin else pinned), PACKAGE
    if origin:
        return "--from", source, PACKAGE
    return (f"{PACKAGE}@{version}" if version else PACKAGE,)


def strip_version(argument: str) -> str:
    """Return an argument of uvx without the version or revision that it asks for."""
    if _REPOSITORY.search(argument):
        return _REVISION.sub("", argument)
    return _VERSION.sub(r"\1", argument)


def find_extra(models: Iterable[str], *, is_encrypted: bool = False) -> str | None:
    """Return what has to be installed for configured models, and for encrypted memories.

    None if every installation has it.
    """
    extras = [_find_extra_of(model) for model in models] + [ENCRYPT_EXTRA if is_encrypted else None]
    return join_extras({name for extra in extras for name in split_extras(extra)})


def split_extras(package: str | None) -> set[str]:
    """Return the names of the extras that a package is installed with."""
    found = _EXTRAS.match(package or "")
    return set(found[1].split(",")) if found else set()


def join_extras(names: Collection[str]) -> str | None:
    """Return the package with these extras; None without any."""
    return f"{PACKAGE}[{','.join(sorted(names))}]" if names else None


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
        if extra is not None:
            check_module(module, extra, f"The model {model}")


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


def _read_constraints(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are set, the files that they name by absolute paths."""
    found = {name: environment[name] for name in _UV_CONSTRAINTS if environment.get(name)}
    for name in set(_UV_FILES) & set(found):
        files = found[name].split()
        found[name] = " ".join(one if "://" in one else str(Path(one).absolute()) for one in files)
    return found


def _parse_source(source: str | None) -> tuple[str, str]:
    """Return the source for uvx to install from, and its revision; empty if it is published."""
    try:
        origin = to_object(json.loads(source or "null")) or {}
    except ValueError:
        return "", ""
    url = str(origin.get("url", ""))
    if urlsplit(url).scheme == "file":
        return parse_file_uri(url) or "", ""
    if (repository := to_object(origin.get("vcs_info"))) is None:
        return url, ""
    revision = repository.get("commit_id") or repository.get("requested_revision")
    return f"{repository.get('vcs')}+{url}", f"@{revision}" if revision else ""
