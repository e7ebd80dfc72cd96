"""Where each host keeps its MCP servers: one row a host, for macOS, Windows and Linux.

Sources are the hosts' own documentation: modelcontextprotocol.io and support.claude.com (Claude Desktop),
code.claude.com (Claude Code: user scope), cursor.com/docs, code.visualstudio.com (user profile),
zed.dev/docs, docs.devin.ai (Windsurf, now Devin Desktop), junie.jetbrains.com. JetBrains' AI Assistant
documents no file.

Claude Code documents both its file and `claude mcp add`. We edit the file: it works where `claude` is not on
PATH, it can be shown before (``--dry-run``), undone byte by byte, and it is the same code as for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from glob import escape, glob
from pathlib import Path, PurePosixPath
from typing import Any

MACOS, WINDOWS, LINUX = "darwin", "win32", "linux"
NAME = "sediment"
"""What our entry is called in every host."""

_FOLDERS = {
    "APPDATA": "AppData/Roaming",
    "LOCALAPPDATA": "AppData/Local",
    "XDG_CONFIG_HOME": ".config",
    "CLAUDE_CONFIG_DIR": "",
}
"""Variable → the folder within the home directory that it stands for where it is not set."""


@dataclass(frozen=True, slots=True)
class Machine:
    """``platform`` as in `sys.platform`; ``home`` and ``environment`` are the user's."""

    platform: str
    home: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """A file of a host, and what is only there where that host is installed."""

    file: str
    sign: str = ""  # the file's folder, unless it says something else


@dataclass(frozen=True, slots=True)
class Host:
    """``servers`` is where in the file the servers are listed; ``fixed`` stands in each entry besides."""

    name: str
    title: str
    places: Mapping[str, tuple[Place, ...]] = field(default_factory=dict[str, tuple[Place, ...]])
    servers: str = "mcpServers"
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    comments: bool = True  # whether it reads JSON with comments
    then: str = "Restart it"


def _everywhere(*places: Place) -> dict[str, tuple[Place, ...]]:
    return dict.fromkeys((MACOS, WINDOWS, LINUX), places)


def _of(macos: str, windows: str, linux: str) -> dict[str, tuple[Place, ...]]:
    return {MACOS: (Place(macos),), WINDOWS: (Place(windows),), LINUX: (Place(linux),)}


def _both(
    one: dict[str, tuple[Place, ...]], other: dict[str, tuple[Place, ...]]
) -> dict[str, tuple[Place, ...]]:
    return {platform: one[platform] + other[platform] for platform in one}


def _user_settings_of_vs_code(product: str) -> dict[str, tuple[Place, ...]]:
    return _of(
        f"~/Library/Application Support/{product}/User/mcp.json",
        f"{{APPDATA}}/{product}/User/mcp.json",
        f"{{XDG_CONFIG_HOME}}/{product}/User/mcp.json",
    )


_STDIO = {"type": "stdio"}
_CLAUDE_DESKTOP = "Claude/claude_desktop_config.json"
_PACKAGE = "{LOCALAPPDATA}/Packages/Claude_*"

HOSTS = (
    Host(
        "claude-desktop",
        "Claude Desktop",
        {
            MACOS: (Place(f"~/Library/Application Support/{_CLAUDE_DESKTOP}"),),
            # The packaged app (MSIX) has a private copy of AppData; an older one may still stand beside it.
            WINDOWS: (
                Place(f"{{APPDATA}}/{_CLAUDE_DESKTOP}"),
                Place(f"{_PACKAGE}/LocalCache/Roaming/{_CLAUDE_DESKTOP}", sign=_PACKAGE),
            ),
            LINUX: (Place(f"{{XDG_CONFIG_HOME}}/{_CLAUDE_DESKTOP}"),),
        },
        comments=False,
        then="Quit it and start it again; closing the window is not enough",
    ),
    Host(
        "claude-code",
        "Claude Code",
        _everywhere(
            Place("{CLAUDE_CONFIG_DIR}/.claude.json", sign="{CLAUDE_CONFIG_DIR}/.claude.json"),
            Place("{CLAUDE_CONFIG_DIR}/.claude.json", sign="~/.claude"),
        ),
        fixed=_STDIO,
        comments=False,
        then="Start a new session",
    ),
    Host("cursor", "Cursor", _everywhere(Place("~/.cursor/mcp.json")), then="Switch it on in Settings → MCP"),
    Host(
        "vscode",
        "VS Code",
        _both(_user_settings_of_vs_code("Code"), _user_settings_of_vs_code("Code - Insiders")),
        servers="servers",
        fixed=_STDIO,
        then="Run “MCP: List Servers” and start it",
    ),
    Host(
        "windsurf",
        "Windsurf (Devin Desktop)",
        _both(
            _everywhere(Place("~/.codeium/windsurf/mcp_config.json")),
            _of(
                "~/.config/devin/mcp_config.json",
                "{APPDATA}/devin/mcp_config.json",
                "{XDG_CONFIG_HOME}/devin/mcp_config.json",
            ),
        ),
    ),
    Host(
        "zed",
        "Zed",
        _of(
            "~/.config/zed/settings.json",
            "{APPDATA}/Zed/settings.json",
            "{XDG_CONFIG_HOME}/zed/settings.json",
        ),
        servers="context_servers",
        then="It starts by itself; its dot in the agent panel's settings turns green",
    ),
    Host("junie", "Junie (JetBrains)", _everywhere(Place("~/.junie/mcp/mcp.json", sign="~/.junie"))),
    Host("jetbrains", "JetBrains AI Assistant"),
)
"""A host without places keeps its servers where only it can write: what to paste is shown instead."""


def host_named(name: str) -> Host | None:
    return next((host for host in HOSTS if host.name == name), None)


def files(host: Host, machine: Machine) -> list[Path]:
    """The files of a host that is installed on this machine, each once; none where it is not."""
    found: dict[Path, None] = {}
    for place in host.places.get(machine.platform, ()):
        for sign in _existing(place.sign or str(PurePosixPath(place.file).parent), machine):
            name = place.file.removeprefix(place.sign) if "*" in place.sign else None
            found[Path(f"{sign}{name}") if name else resolve(place.file, machine)] = None
    return list(found)


def usual_file(host: Host, machine: Machine) -> Path | None:
    """Where a host looks first, whether it is installed or not; None if that is not known here."""
    places = host.places.get(machine.platform, ())
    return resolve(places[0].file, machine) if places else None


def resolve(template: str, machine: Machine) -> Path:
    """A path of the table on this machine; an empty variable counts as one that is not set."""
    return Path(_filled(template, machine, str))


def _existing(template: str, machine: Machine) -> list[Path]:
    """What is there of a path with stars in it."""
    return [Path(path) for path in sorted(glob(_filled(template, machine, escape)))]


def _filled(template: str, machine: Machine, quoted: Callable[[str], str]) -> str:
    for variable, folder in _FOLDERS.items():
        value = machine.environment.get(variable, "").strip()
        known = Path(value).is_absolute() if value else False
        template = template.replace(f"{{{variable}}}", quoted(value if known else str(machine.home / folder)))
    return quoted(str(machine.home)) + template[1:] if template.startswith("~/") else template
