"""Write what installs sediment-mcp with one click: bundle, plugins, the registry's server.json, the links.

    python packaging/build_one_click.py                 writes all files that are generated
    python packaging/build_one_click.py --bundle FILE   packs the bundle, a .mcpb file, always the same bytes
    python packaging/build_one_click.py --links         prints the links that README has

Every name, version and variable in them comes from the package, so a test can say that nothing is outdated.
`PUBLISHED` says from where all of them install. Formats: MCPB's MANIFEST.md (0.4: the host installs with uv),
the MCP registry's server.json (2025-12-11), code.claude.com (plugins, marketplaces), cursor.com/docs
(plugins, install links), agent-plugins.org (specification 1.0.0), code.visualstudio.com (install links).
"""

from __future__ import annotations

import argparse
import base64
import json
import struct
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from sediment_mcp import __version__
from sediment_mcp.cli.options import FLAGS
from sediment_mcp.config import DATA_DIR, PROJECT, SECRETS, SECRETS_CHOICES
from sediment_mcp.hosts.hook_file import CAPTURE_EVENTS, CLAUDE_CODE_HOOKS, CURSOR_HOOKS, HookFile
from sediment_mcp.hosts.launch_command import PACKAGE, LaunchCommand
from sediment_mcp.hosts.registry import SERVER_NAME, find_host
from sediment_mcp.hosts.server_entry import build_entry
from sediment_mcp.server import icon, skill
from sediment_mcp.server.tools import TOOLS

PUBLISHED = False
"""Whether the package is on the index; until then everything installs from the repository or a wheel."""

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "packaging" / "one_click"
PLUGIN = ROOT / "packaging" / "plugin"
WHEELS = ROOT / "dist"
REGISTRY_NAME = "io.github.sediment-mcp/sediment-mcp"
"""The registry accepts it from whoever owns that namespace, and compares it with README's `mcp-name` line."""

_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TITLE = "Sediment memory"
AUTHOR = "The sediment-mcp authors"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold

ICON_PIXELS = 512
PLUGIN_NAME = "sediment-memory"
REPOSITORY = _PROJECT["urls"]["Homepage"].removeprefix("https://github.com/")
SCHEMAS = "https://agent-plugins.org/schemas/1.0.0"

SERVER = '''\
"""Start the server of the installed package; a setting that was left empty counts as none."""

import os

from sediment_mcp.cli.main import main

for name in [name for name in os.environ if name.startswith("SEDIMENT_")]:
    if not os.environ[name].strip() or "${" in os.environ[name]:
        del os.environ[name]
raise SystemExit(main([]))
'''

PLUGIN_README = f"""\
# {TITLE}

{_PROJECT["description"]}

In Claude Code: `/plugin install {PLUGIN_NAME} --marketplace {REPOSITORY}`

The plugin brings the server, hooks that bring memories into a conversation when it begins and with each
prompt, and a skill that tells agents what to keep. It needs [uv](https://docs.astral.sh/uv/). What is said is
not kept unless you ask for it: `sediment-mcp install claude-code --capture`. This folder is written by
`packaging/build_one_click.py`.
"""


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, metavar="FILE")
    parser.add_argument("--links", action="store_true")
    chosen = parser.parse_args()
    if chosen.links:
        print("\n".join(links().values()))
        return
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if chosen.bundle:
        chosen.bundle.parent.mkdir(parents=True, exist_ok=True)
        pack(chosen.bundle)


def files() -> dict[Path, str | bytes]:
    """Each generated file with its content."""
    return {
        ROOT / "server.json": _json(server_json()),
        ROOT / ".claude-plugin" / "marketplace.json": _json(marketplace("claude")),
        ROOT / ".cursor-plugin" / "marketplace.json": _json(marketplace("cursor")),
        BUNDLE / "manifest.json": _json(manifest()),
        BUNDLE / "pyproject.toml": pyproject(),
        BUNDLE / "icon.png": draw_png(),
        BUNDLE / "src" / "server.py": SERVER,
        **{PLUGIN / path: content for path, content in plugin().items()},
    }


def pack(target: Path) -> None:
    """Zip the bundle without times and compression, whose bytes would differ from day to day.

    Until the package is on the index, its wheel is in the bundle.
    """
    content = {
        path.relative_to(BUNDLE).as_posix(): one if isinstance(one, bytes) else one.encode()
        for path, one in files().items()
        if path.is_relative_to(BUNDLE)
    }
    if not PUBLISHED:
        content |= {name: (WHEELS / Path(name).name).read_bytes() for name in [find_wheel()]}
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in sorted(content.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def find_wheel() -> str:
    """Return where the wheel of this version is in the bundle; it must have been built."""
    name = f"{PACKAGE.replace('-', '_')}-{__version__}-py3-none-any.whl"
    if not (WHEELS / name).is_file():
        raise SystemExit(
            f"There is no {WHEELS / name}: build it with `python -m hatchling build` and try again."
        )
    return f"wheels/{name}"


# --- from where ---------------------------------------------------------------------------------


def uvx() -> list[str]:
    """What uvx is told to run: this version of the package, or the repository until it is published."""
    if PUBLISHED:
        return [f"{PACKAGE}@{__version__}"]
    return ["--from", f"git+{_PROJECT['urls']['Homepage']}", PACKAGE]


def link_command() -> LaunchCommand:
    """What a link starts; the newest release, since links are copied into other pages."""
    return LaunchCommand("uvx", (PACKAGE,) if PUBLISHED else tuple(uvx()))


# --- the bundle ---------------------------------------------------------------------------------


def manifest() -> dict[str, Any]:
    """The bundle's manifest. `mcp_config` is optional for uv, but the published schema asks for it."""
    return {
        "manifest_version": "0.4",
        "name": PACKAGE,
        "display_name": TITLE,
        "version": __version__,
        "description": _PROJECT["description"],
        "author": {"name": AUTHOR},
        "homepage": _PROJECT["urls"]["Homepage"],
        "documentation": _PROJECT["urls"]["Documentation"],
        "support": _PROJECT["urls"]["Issues"],
        "icon": "icon.png",
        "license": _PROJECT["license"],
        "keywords": _PROJECT["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "src/server.py"],
                "env": {name: f"${{user_config.{_option(name)}}}" for name in (DATA_DIR, SECRETS)},
            },
        },
        "tools": [{"name": tool.name, "description": tool.title} for tool in TOOLS],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": _PROJECT["requires-python"]},
        },
        "user_config": {
            _option(DATA_DIR): {
                "type": "directory",
                "title": "Folder of the memories",
                "description": "Where they are kept, and shared with other hosts; empty for the usual place.",
                "required": False,
                "default": "",
            },
            _option(SECRETS): {
                "type": "string",
                "title": "Passwords and keys",
                "description": f"What to do when one is to be stored: {' or '.join(SECRETS_CHOICES)}.",
                "required": False,
                "default": SECRETS_CHOICES[0],
            },
        },
    }


def _option(variable: str) -> str:
    return variable.removeprefix("SEDIMENT_").lower()


def pyproject() -> str:
    """What uv installs for the bundle."""
    name = f"{PACKAGE.replace('-', '_')}-{__version__}-py3-none-any.whl"
    wheel = f'\n[tool.uv.sources]\n{PACKAGE} = {{ path = "wheels/{name}" }}\n'
    return f"""\
[project]
name = "{PACKAGE}-bundle"
version = "{__version__}"
requires-python = "{_PROJECT["requires-python"]}"
dependencies = ["{PACKAGE}=={__version__}"]
{"" if PUBLISHED else wheel}"""


def draw_png() -> bytes:
    """The icon of the bundle and of the plugin, from the same layers as the server's."""
    scale, colors = ICON_PIXELS // icon.SIZE, [color for *_, color in icon.LAYERS]
    grid = [bytearray(icon.SIZE) for _ in range(icon.SIZE)]  # of indexes into the palette; 0 is transparent
    for number, (x, y, width, _) in enumerate(icon.LAYERS, start=1):
        for row in grid[y : y + icon.LAYER_HEIGHT]:
            row[x : x + width] = bytes([number]) * width
    rows = [b"\0" + b"".join(bytes([index]) * scale for index in row) for row in grid for _ in range(scale)]
    parts = (
        (b"IHDR", struct.pack(">2I5B", ICON_PIXELS, ICON_PIXELS, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes.fromhex("000000" + "".join(colors).replace("#", ""))),
        (b"tRNS", b"\0"),
        (b"IDAT", zlib.compress(b"".join(rows), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in parts
    )


# --- plugins ------------------------------------------------------------------------------------


def plugin() -> dict[str, str | bytes]:
    """One folder that is a plugin of Claude Code and of Cursor, and an Agent Plugins package."""
    entry = {"type": "stdio", "command": "uvx", "args": uvx()}
    return {
        "plugin.json": _json({"$schema": f"{SCHEMAS}/plugin.schema.json", **_describe_plugin()}),
        "mcp.json": _json({"$schema": f"{SCHEMAS}/mcp.schema.json", "mcpServers": {SERVER_NAME: entry}}),
        ".claude-plugin/plugin.json": _json(_describe_plugin()),
        ".mcp.json": _json({"mcpServers": {SERVER_NAME: {**entry, "alwaysLoad": True}}}),
        ".cursor-plugin/plugin.json": _json(
            {
                **_describe_plugin(),
                "displayName": TITLE,
                "logo": "assets/icon.png",
                "skills": "./skills/",
                "hooks": "./hooks/cursor.json",
                "mcpServers": "./mcp.json",
            }
        ),
        "hooks/hooks.json": hooks(CLAUDE_CODE_HOOKS),
        "hooks/cursor.json": hooks(CURSOR_HOOKS),
        f"skills/{skill.NAME}/SKILL.md": skill.read_skill(),
        "assets/icon.png": draw_png(),
        "README.md": PLUGIN_README,
        "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
    }


def _describe_plugin() -> dict[str, Any]:
    return {
        "name": PLUGIN_NAME,
        "version": __version__,
        "description": _PROJECT["description"],
        "author": {"name": AUTHOR},
        "homepage": _PROJECT["urls"]["Documentation"],
        "repository": _PROJECT["urls"]["Homepage"],
        "license": _PROJECT["license"],
        "keywords": _PROJECT["keywords"],
    }


def hooks(file: HookFile) -> str:
    """The hooks of recall; capture is asked for by `install` alone."""
    text = file.new_file
    for event in file.events:
        if event not in CAPTURE_EVENTS:
            command = " ".join(["uvx", *uvx(), "hook", event, "--host", file.host])
            text = file.put_handler(text, event, file.build_handler(command))
    return text


def marketplace(host: str) -> dict[str, Any]:
    """What lists the plugin, at the root of the repository, where hosts look for it."""
    folder = PLUGIN.relative_to(ROOT).as_posix()
    entry = {"name": PLUGIN_NAME, "source": f"./{folder}", "description": _PROJECT["description"]}
    more = (
        {"version": __version__, "category": "productivity", "tags": ["memory"]} if host == "claude" else {}
    )
    return {
        "name": PACKAGE,
        "owner": {"name": AUTHOR},
        "metadata": {"description": _PROJECT["description"], "version": __version__},
        "plugins": [{**entry, **more}],
    }


# --- registry and links -------------------------------------------------------------------------


def server_json() -> dict[str, Any]:
    """What the MCP registry is told."""
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": REGISTRY_NAME,
        "title": TITLE,
        "description": _PROJECT["description"],
        "version": __version__,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": PACKAGE,
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": [_variable(name, summary) for name, (_, _, summary) in FLAGS.items()],
            }
        ],
    }


def links() -> dict[str, str]:
    """What a browser, and what the system, opens Cursor and VS Code with."""
    plain, typed = _entry("cursor"), _entry("vscode")
    coded = base64.b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode()
    query = urlencode({"name": SERVER_NAME, "config": coded})
    typed_query = urlencode(
        {"name": SERVER_NAME, "config": json.dumps(typed, separators=(",", ":"))}, quote_via=quote
    )
    whole = quote(json.dumps({"name": SERVER_NAME, **typed}, separators=(",", ":")), safe="")
    return {
        "Cursor": f"https://cursor.com/en/install-mcp?{query}",
        "cursor": f"cursor://anysphere.cursor-deeplink/mcp/install?{query}",
        "VS Code": f"https://insiders.vscode.dev/redirect/mcp/install?{typed_query}",
        "vscode": f"vscode:mcp/install?{whole}",
    }


def _entry(name: str) -> dict[str, Any]:
    host = find_host(name)
    assert host is not None
    return build_entry(link_command(), host)


def _variable(name: str, summary: str) -> dict[str, Any]:
    is_folder = {"format": "filepath"} if name in (DATA_DIR, PROJECT) else {}
    return {"name": name, "description": f"{summary[:1].upper()}{summary[1:]}.", **is_folder}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    main()
