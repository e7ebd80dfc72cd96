"""Write what installs sediment-mcp with one click: the MCPB bundle, the registry's server.json, the links.

    python packaging/build_one_click.py                 writes server.json and packaging/one_click/
    python packaging/build_one_click.py --bundle FILE   packs them as a .mcpb file, always the same bytes
    python packaging/build_one_click.py --links         prints the links that README has

Every name, version and variable in them comes from the package, so a test can say that nothing is outdated.
Formats: MCPB's MANIFEST.md (0.4: the host installs with uv, nothing is bundled), the MCP registry's
server.json (2025-12-11), cursor.com/docs (install links), code.visualstudio.com (`vscode:mcp/install`).
"""

from __future__ import annotations

import argparse
import base64
import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from sediment_mcp import __version__
from sediment_mcp.cli.options import FLAGS
from sediment_mcp.config import DATA_DIR, PROJECT
from sediment_mcp.hosts.launch_command import PACKAGE, LaunchCommand
from sediment_mcp.hosts.registry import SERVER_NAME, find_host
from sediment_mcp.hosts.server_entry import build_entry
from sediment_mcp.server.tools import TOOLS

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "packaging" / "one_click"
REGISTRY_NAME = "io.github.sediment-mcp/sediment-mcp"
"""The registry accepts it from whoever owns that namespace, and compares it with README's `mcp-name` line."""

TITLE = "Sediment memory"
AUTHOR = "The sediment-mcp authors"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SERVER = '''\
"""Start the server of the installed package."""

from sediment_mcp.cli.main import main

raise SystemExit(main([]))
'''


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, metavar="FILE")
    parser.add_argument("--links", action="store_true")
    chosen = parser.parse_args()
    if chosen.links:
        print("\n".join(links().values()))
        return
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    if chosen.bundle:
        chosen.bundle.parent.mkdir(parents=True, exist_ok=True)
        pack(chosen.bundle)


def files() -> dict[Path, str]:
    """Each generated file with its text."""
    return {
        ROOT / "server.json": _json(server_json()),
        BUNDLE / "manifest.json": _json(manifest()),
        BUNDLE / "pyproject.toml": pyproject(),
        BUNDLE / "src" / "server.py": SERVER,
    }


def pack(target: Path) -> None:
    """Zip the bundle's files without times and compression, whose bytes would differ from day to day."""
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in sorted(files().items()):
            if path.is_relative_to(BUNDLE):
                entry = zipfile.ZipInfo(path.relative_to(BUNDLE).as_posix(), EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, text.encode())


def manifest() -> dict[str, Any]:
    """The bundle's manifest. `mcp_config` is optional for uv, but the published schema asks for it."""
    return {
        "manifest_version": "0.4",
        "name": PACKAGE,
        "display_name": TITLE,
        "version": __version__,
        "description": _PROJECT["description"],
        "author": {"name": AUTHOR},
        "license": _PROJECT["license"],
        "keywords": _PROJECT["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "src/server.py"],
            },
        },
        "tools": [{"name": tool.name, "description": tool.title} for tool in TOOLS],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": _PROJECT["requires-python"]},
        },
    }


def pyproject() -> str:
    """What uv installs for the bundle."""
    return f"""\
[project]
name = "{PACKAGE}-bundle"
version = "{__version__}"
requires-python = "{_PROJECT["requires-python"]}"
dependencies = ["{PACKAGE}=={__version__}"]
"""


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
    return build_entry(LaunchCommand("uvx", (PACKAGE,)), host)


def _variable(name: str, summary: str) -> dict[str, Any]:
    is_folder = {"format": "filepath"} if name in (DATA_DIR, PROJECT) else {}
    return {"name": name, "description": f"{summary[:1].upper()}{summary[1:]}.", **is_folder}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    main()
