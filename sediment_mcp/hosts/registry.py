"""The registry of hosts: where each keeps its MCP servers and its hooks, and in which form.

It covers macOS, Windows and Linux.

Sources are the hosts' own documentation: modelcontextprotocol.io and support.claude.com (Claude Desktop),
code.claude.com (Claude Code: user scope, hooks), cursor.com/docs, code.visualstudio.com (user profile,
hooks), zed.dev/docs, docs.devin.ai (Windsurf, now Devin Desktop), junie.jetbrains.com, geminicli.com/docs,
developers.openai.com/codex, qwenlm.github.io/qwen-code-docs, opencode.ai/docs, docs.github.com/copilot,
docs.cline.bot, docs.roocode.com, kilo.ai/docs, block.github.io/goose, lmstudio.ai/docs, kiro.dev/docs,
docs.warp.dev, ampcode.com/manual, docs.qoder.com, docs.continue.dev, docs.factory.ai, docs.augmentcode.com,
docs.mistral.ai, docs.aws.amazon.com (Amazon Q). The file of Antigravity is told by third parties alone.
Codex, Gemini CLI, Qwen Code, opencode, Copilot CLI, Cline, Continue, Droid, Qoder, Auggie and Vibe have been
seen to read what stands here. JetBrains' AI Assistant, Trae, Jan and Cherry Studio document no file, or
several.

Claude Code documents both its file and `claude mcp add`. The file is edited: this works where `claude` is not
on PATH, can be previewed (``--dry-run``) and undone byte by byte, and is the same code as for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sediment_mcp.hosts.config_format import JSON, JSONC, ConfigFormat
from sediment_mcp.hosts.entry_shape import COMMON_SHAPE, EntryShape
from sediment_mcp.hosts.hook_file import (
    CLAUDE_CODE_HOOKS,
    CODEX_HOOKS,
    COPILOT_HOOKS,
    CURSOR_HOOKS,
    HookFile,
)
from sediment_mcp.hosts.locations import (
    LINUX,
    MACOS,
    WINDOWS,
    ConfigLocation,
    LocationsByPlatform,
    Machine,
    find_files,
    join_locations,
    locate_by_platform,
    locate_everywhere,
    resolve_location,
)
from sediment_mcp.hosts.remote_server import RemoteShape
from sediment_mcp.hosts.toml_format import TOML_LIST, TOML_TABLES
from sediment_mcp.hosts.yaml_format import YAML_LIST, YAML_MAPPING

SERVER_NAME = "sediment"
"""The name of our entry in every host."""


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
    """The fields of each entry besides the command, without which it would be another one."""
    default_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields that are written where they are missing; what the user has set in their place stays."""
    shape: EntryShape = COMMON_SHAPE
    format: ConfigFormat = JSONC
    new_file: str = ""
    """What a file must hold that is made by us."""
    hooks: HookFile | None = None
    remote: RemoteShape | None = None
    """How it is told of a server with a URL; None: it starts a bridge to it."""
    next_step: str = "Restart it"
    """What the user has to do before the host starts the server, or where to paste what is shown."""


def _locate_vs_code(product: str) -> LocationsByPlatform:
    return locate_by_platform(
        f"~/Library/Application Support/{product}/User/mcp.json",
        f"{{APPDATA}}/{product}/User/mcp.json",
        f"{{XDG_CONFIG_HOME}}/{product}/User/mcp.json",
    )


def _locate_in_vs_code(extension: str, file: str) -> LocationsByPlatform:
    folder = f"Code/User/globalStorage/{extension}"
    return locate_by_platform(
        f"~/Library/Application Support/{folder}",
        f"{{APPDATA}}/{folder}",
        f"{{XDG_CONFIG_HOME}}/{folder}",
        file=f"settings/{file}",
    )


def _locate_in_config(folder: str, file: str, *other_names: str) -> LocationsByPlatform:
    place = f"{{XDG_CONFIG_HOME}}/{folder}"
    return locate_by_platform(place, f"~/.config/{folder}", place, file=file, other_names=other_names)


def _locate_at_home(folder: str, file: str) -> LocationsByPlatform:
    return locate_everywhere(ConfigLocation(f"{folder}/{file}", installed_if=folder))


_STDIO = {"type": "stdio"}
_OPENCODE = EntryShape(arguments="", environment="environment")
_LOCAL, _ENABLED = {"type": "local"}, {"enabled": True}
_HTTP = {"type": "http"}
_ENV_COLON = "${env:NAME}"
_START_SECONDS = 60  # for a first start, in which uvx fetches the package
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
        locate_everywhere(
            ConfigLocation(
                "{CLAUDE_CONFIG_DIR}/.claude.json", installed_if="{CLAUDE_CONFIG_DIR}/.claude.json"
            ),
            ConfigLocation("{CLAUDE_CONFIG_DIR}/.claude.json", installed_if="~/.claude"),
        ),
        fixed_fields=_STDIO,
        default_fields={"alwaysLoad": True},
        format=JSON,
        hooks=CLAUDE_CODE_HOOKS,
        next_step="Start a new session",
        remote=RemoteShape(fixed_fields=_HTTP, variable="${NAME}"),
    ),
    Host(
        "cursor",
        "Cursor",
        locate_everywhere(ConfigLocation("~/.cursor/mcp.json")),
        hooks=CURSOR_HOOKS,
        next_step="Switch it on in Settings → MCP",
        remote=RemoteShape(variable=_ENV_COLON),
    ),
    Host(
        "vscode",
        "VS Code",
        join_locations(_locate_vs_code("Code"), _locate_vs_code("Code - Insiders")),
        section="servers",
        fixed_fields=_STDIO,
        hooks=COPILOT_HOOKS,
        next_step="Run “MCP: List Servers” and start it",
        remote=RemoteShape(fixed_fields=_HTTP, variable=_ENV_COLON),
    ),
    Host(
        "windsurf",
        "Windsurf (Devin Desktop)",
        join_locations(
            locate_everywhere(ConfigLocation("~/.codeium/windsurf/mcp_config.json")),
            locate_by_platform(
                "~/.config/devin/mcp_config.json",
                "{APPDATA}/devin/mcp_config.json",
                "{XDG_CONFIG_HOME}/devin/mcp_config.json",
            ),
        ),
        remote=RemoteShape(url="serverUrl", variable=_ENV_COLON),
    ),
    Host(
        "zed",
        "Zed",
        locate_by_platform(
            "~/.config/zed/settings.json",
            "{APPDATA}/Zed/settings.json",
            "{XDG_CONFIG_HOME}/zed/settings.json",
        ),
        section="context_servers",
        next_step="It starts by itself; its dot in the agent panel's settings turns green",
    ),
    Host("junie", "Junie (JetBrains)", _locate_at_home("~/.junie", "mcp/mcp.json")),
    Host(
        "codex",
        "Codex",
        _locate_at_home("{CODEX_HOME}", "config.toml"),
        section="mcp_servers",
        # It would send its first request without a server that needs more than 1.5 s to start.
        default_fields={"required": True, "startup_timeout_sec": _START_SECONDS},
        format=TOML_TABLES,
        hooks=CODEX_HOOKS,
        next_step="Start a new session",
        remote=RemoteShape(headers="http_headers", token_variable="bearer_token_env_var"),  # noqa: S106
    ),
    Host(
        "gemini",
        "Gemini CLI",
        _locate_at_home("~/.gemini", "settings.json"),
        remote=RemoteShape(url="httpUrl", variable="${NAME}"),
    ),
    Host("antigravity", "Antigravity", locate_everywhere(ConfigLocation("~/.gemini/config/mcp_config.json"))),
    Host(
        "qwen",
        "Qwen Code",
        _locate_at_home("~/.qwen", "settings.json"),
        remote=RemoteShape(url="httpUrl", variable="${NAME}"),
    ),
    Host(
        "opencode",
        "opencode",
        _locate_in_config("opencode", "opencode.json", "opencode.jsonc", "config.json"),
        section="mcp",
        fixed_fields=_LOCAL,
        default_fields=_ENABLED,
        shape=_OPENCODE,
        # It would first ask the server how to sign in by OAuth.
        remote=RemoteShape(fixed_fields={"type": "remote", "oauth": False}, variable="{env:NAME}"),
    ),
    Host(
        "copilot-cli",
        "Copilot CLI",
        _locate_at_home("{COPILOT_HOME}", "mcp-config.json"),
        fixed_fields=_LOCAL,
        default_fields={"tools": ["*"]},
        hooks=COPILOT_HOOKS,
        remote=RemoteShape(fixed_fields=_HTTP, variable="${NAME}"),
    ),
    Host(
        "cline",
        "Cline",
        join_locations(
            _locate_at_home("~/.cline", "data/settings/cline_mcp_settings.json"),
            _locate_in_vs_code("saoudrizwan.claude-dev", "cline_mcp_settings.json"),
        ),
        default_fields={"timeout": _START_SECONDS},  # without one, a server has 3 s and is left out silently
    ),
    Host("roo", "Roo Code", _locate_in_vs_code("rooveterinaryinc.roo-cline", "mcp_settings.json")),
    Host(
        "kilo",
        "Kilo Code",
        _locate_in_config("kilo", "kilo.json", "kilo.jsonc"),
        section="mcp",
        fixed_fields=_LOCAL,
        default_fields=_ENABLED,
        shape=_OPENCODE,
    ),
    Host(
        "goose",
        "Goose",
        locate_by_platform(
            "{XDG_CONFIG_HOME}/goose/config.yaml",
            "{APPDATA}/Block/goose/config/config.yaml",
            "{XDG_CONFIG_HOME}/goose/config.yaml",
        ),
        section="extensions",
        fixed_fields=_STDIO | {"name": SERVER_NAME},
        default_fields=_ENABLED | {"timeout": 300},  # seconds of a call, Goose's own default
        shape=EntryShape(command="cmd", environment="envs"),
        format=YAML_MAPPING,
        next_step="Start a new session",
    ),
    Host("lmstudio", "LM Studio", _locate_at_home("~/.lmstudio", "mcp.json")),
    Host("kiro", "Kiro", _locate_at_home("~/.kiro", "settings/mcp.json")),
    Host("warp", "Warp", _locate_at_home("~/.warp", ".mcp.json")),
    Host("amp", "Amp", _locate_in_config("amp", "settings.json", "settings.jsonc"), section="amp.mcpServers"),
    Host("qoder", "Qoder CLI", _locate_at_home("~/.qoder", "settings.json")),
    Host(
        "continue",
        "Continue",
        _locate_at_home("~/.continue", "config.yaml"),
        format=YAML_LIST,
        new_file="name: Local Config\nversion: 1.0.0\nschema: v1\n",
    ),
    Host("droid", "Factory Droid", _locate_at_home("~/.factory", "mcp.json"), fixed_fields=_STDIO),
    Host("auggie", "Auggie (Augment)", _locate_at_home("~/.augment", "settings.json")),
    Host(
        "vibe",
        "Mistral Vibe",
        _locate_at_home("~/.vibe", "config.toml"),
        section="mcp_servers",
        fixed_fields={"transport": "stdio"},
        format=TOML_LIST,
    ),
    Host("amazon-q", "Amazon Q", _locate_at_home("~/.aws/amazonq", "default.json")),
    Host(
        "jetbrains",
        "JetBrains AI Assistant",
        next_step="Settings → Tools → AI Assistant → Model Context Protocol (MCP) → Add → As JSON",
    ),
    Host("trae", "Trae", next_step="Settings → MCP → Add → Configure Manually"),
    Host("jan", "Jan", next_step="Settings → MCP Servers → edit as JSON"),
    Host("cherry-studio", "Cherry Studio", next_step="Settings → MCP Servers → Add → Import from JSON"),
)
"""All hosts that are known, each once."""


def find_host(name: str) -> Host | None:
    """Return the host of this name, or None if none is known."""
    return next((host for host in HOSTS if host.name == name), None)


def find_config_files(host: Host, machine: Machine) -> list[Path]:
    """Return the files of a host, each once; none where it is not installed."""
    return find_files(host.locations.get(machine.platform, ()), machine)


def get_default_config_file(host: Host, machine: Machine) -> Path | None:
    """Return the first file that a host reads, installed or not; None if no file is known."""
    locations = host.locations.get(machine.platform, ())
    return resolve_location(locations[0], machine) if locations else None
