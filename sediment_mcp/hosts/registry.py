"""The registry of hosts: where each keeps its MCP servers, and in which form.

It covers macOS, Windows and Linux.

Sources are the hosts' own documentation: modelcontextprotocol.io and support.claude.com (Claude Desktop),
code.claude.com (Claude Code: user scope), cursor.com/docs, code.visualstudio.com (user profile),
zed.dev/docs, docs.devin.ai (Windsurf, now Devin Desktop), junie.jetbrains.com. JetBrains' AI Assistant
documents no file.

Claude Code documents both its file and `claude mcp add`. The file is edited: this works where `claude` is not
on PATH, can be previewed (``--dry-run``) and undone byte by byte, and is the same code as for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from glob import escape, glob
from pathlib import Path, PurePosixPath
from typing import Any

from sediment_mcp.hosts.config_format import JSON, JSONC, ConfigFormat

MACOS, WINDOWS, LINUX = "darwin", "win32", "linux"
SERVER_NAME = "sediment"
"""The name of our entry in every host."""

_FOLDER_VARIABLES = {
    "APPDATA": "AppData/Roaming",
    "LOCALAPPDATA": "AppData/Local",
    "XDG_CONFIG_HOME": ".config",
    "CLAUDE_CONFIG_DIR": "",
}
"""Variable → the folder within the home directory that it stands for where it is not set."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that is searched for hosts.

    It is passed as a value, so that the code for each platform can be tested on any machine.
    """

    platform: str  # as in `sys.platform`
    home: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigLocation:
    """The place of a host's file, as a template.

    ``~`` and the names of folder variables in braces are filled in.
    """

    file: str
    installed_if: str = ""
    """A path that exists only where the host is installed; may hold stars. By default the file's folder."""


LocationsByPlatform = dict[str, tuple[ConfigLocation, ...]]


@dataclass(frozen=True, slots=True)
class Host:
    """A program that starts MCP servers.

    A host without locations keeps its servers where only the host can write: the user is shown what to paste.
    """

    name: str
    title: str
    locations: Mapping[str, tuple[ConfigLocation, ...]] = field(default_factory=LocationsByPlatform)
    section: str = "mcpServers"
    """The name under which its file lists the servers."""
    fixed_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The fields of each entry besides the command."""
    format: ConfigFormat = JSONC
    next_step: str = "Restart it"
    """What the user has to do before the host starts the server."""


def _locate_everywhere(*locations: ConfigLocation) -> LocationsByPlatform:
    return dict.fromkeys((MACOS, WINDOWS, LINUX), locations)


def _locate_by_platform(macos: str, windows: str, linux: str) -> LocationsByPlatform:
    return {
        MACOS: (ConfigLocation(macos),),
        WINDOWS: (ConfigLocation(windows),),
        LINUX: (ConfigLocation(linux),),
    }


def _join_locations(first: LocationsByPlatform, second: LocationsByPlatform) -> LocationsByPlatform:
    return {platform: first[platform] + second[platform] for platform in first}


def _locate_vs_code(product: str) -> LocationsByPlatform:
    return _locate_by_platform(
        f"~/Library/Application Support/{product}/User/mcp.json",
        f"{{APPDATA}}/{product}/User/mcp.json",
        f"{{XDG_CONFIG_HOME}}/{product}/User/mcp.json",
    )


_STDIO = {"type": "stdio"}
_CLAUDE_DESKTOP = "Claude/claude_desktop_config.json"
_CLAUDE_PACKAGE = "{LOCALAPPDATA}/Packages/Claude_*"

HOSTS = (
    Host(
        "claude-desktop",
        "Claude Desktop",
        {
            MACOS: (ConfigLocation(f"~/Library/Application Support/{_CLAUDE_DESKTOP}"),),
            # The packaged app (MSIX) has a private copy of AppData; an older one may still stand beside it.
            WINDOWS: (
                ConfigLocation(f"{{APPDATA}}/{_CLAUDE_DESKTOP}"),
                ConfigLocation(
                    f"{_CLAUDE_PACKAGE}/LocalCache/Roaming/{_CLAUDE_DESKTOP}", installed_if=_CLAUDE_PACKAGE
                ),
            ),
            LINUX: (ConfigLocation(f"{{XDG_CONFIG_HOME}}/{_CLAUDE_DESKTOP}"),),
        },
        format=JSON,
        next_step="Quit it and start it again; closing the window is not enough",
    ),
    Host(
        "claude-code",
        "Claude Code",
        _locate_everywhere(
            ConfigLocation(
                "{CLAUDE_CONFIG_DIR}/.claude.json", installed_if="{CLAUDE_CONFIG_DIR}/.claude.json"
            ),
            ConfigLocation("{CLAUDE_CONFIG_DIR}/.claude.json", installed_if="~/.claude"),
        ),
        fixed_fields=_STDIO,
        format=JSON,
        next_step="Start a new session",
    ),
    Host(
        "cursor",
        "Cursor",
        _locate_everywhere(ConfigLocation("~/.cursor/mcp.json")),
        next_step="Switch it on in Settings → MCP",
    ),
    Host(
        "vscode",
        "VS Code",
        _join_locations(_locate_vs_code("Code"), _locate_vs_code("Code - Insiders")),
        section="servers",
        fixed_fields=_STDIO,
        next_step="Run “MCP: List Servers” and start it",
    ),
    Host(
        "windsurf",
        "Windsurf (Devin Desktop)",
        _join_locations(
            _locate_everywhere(ConfigLocation("~/.codeium/windsurf/mcp_config.json")),
            _locate_by_platform(
                "~/.config/devin/mcp_config.json",
                "{APPDATA}/devin/mcp_config.json",
                "{XDG_CONFIG_HOME}/devin/mcp_config.json",
            ),
        ),
    ),
    Host(
        "zed",
        "Zed",
        _locate_by_platform(
            "~/.config/zed/settings.json",
            "{APPDATA}/Zed/settings.json",
            "{XDG_CONFIG_HOME}/zed/settings.json",
        ),
        section="context_servers",
        next_step="It starts by itself; its dot in the agent panel's settings turns green",
    ),
    Host(
        "junie",
        "Junie (JetBrains)",
        _locate_everywhere(ConfigLocation("~/.junie/mcp/mcp.json", installed_if="~/.junie")),
    ),
    Host("jetbrains", "JetBrains AI Assistant"),
)
"""All hosts that are known, each once."""


def find_host(name: str) -> Host | None:
    """Return the host of this name, or None if none is known."""
    return next((host for host in HOSTS if host.name == name), None)


def find_config_files(host: Host, machine: Machine) -> list[Path]:
    """Return the files of a host, each once; none where it is not installed."""
    found: dict[Path, None] = {}
    for location in host.locations.get(machine.platform, ()):
        marker = location.installed_if or str(PurePosixPath(location.file).parent)
        for path in _find_existing(marker, machine):
            if "*" in marker:
                found[Path(f"{path}{location.file.removeprefix(marker)}")] = None
            else:
                found[resolve_path(location.file, machine)] = None
    return list(found)


def get_default_config_file(host: Host, machine: Machine) -> Path | None:
    """Return the first file that a host reads, installed or not; None if no file is known."""
    locations = host.locations.get(machine.platform, ())
    return resolve_path(locations[0].file, machine) if locations else None


def resolve_path(template: str, machine: Machine) -> Path:
    """Return the path that a template of the registry stands for on this machine.

    A variable that is empty or no absolute path counts as one that is not set.
    """
    return Path(_fill_in(template, machine, str))


def _find_existing(template: str, machine: Machine) -> list[Path]:
    """Return the existing paths that match a template, which may hold stars."""
    return [Path(path) for path in sorted(glob(_fill_in(template, machine, escape)))]


def _fill_in(template: str, machine: Machine, quote: Callable[[str], str]) -> str:
    """Replace the variables and ``~`` by their values, to each of which ``quote`` is applied."""
    for variable, folder in _FOLDER_VARIABLES.items():
        value = machine.environment.get(variable, "").strip()
        is_usable = bool(value) and Path(value).is_absolute()
        template = template.replace(
            f"{{{variable}}}", quote(value if is_usable else str(machine.home / folder))
        )
    return quote(str(machine.home)) + template[1:] if template.startswith("~/") else template
