"""What installs with one click: generated from the package, as the published schemas and documents ask."""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import struct
import subprocess
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import pytest
import yaml
from support.real_hosts import find_program
from support.stdio_peer import SERVER, StdioPeer

from sediment_mcp import __version__
from sediment_mcp.config import VARIABLES
from sediment_mcp.hosts.hook_file import is_own_hook
from sediment_mcp.server import skill

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCHEMA = ROOT / "tests" / "data" / "mcpb-manifest-v0.4.schema.json"
BUNDLE = ROOT / "packaging" / "one_click"
BUILD: dict[str, Any] = runpy.run_path(str(ROOT / "packaging" / "build_one_click.py"))
SOURCE = ["--from", "git+https://github.com/sediment-mcp/sediment-mcp", "sediment-mcp"]
WANTED = {"command": "uvx", "args": ["sediment-mcp"] if BUILD["PUBLISHED"] else SOURCE}
PLUGIN = ROOT / "packaging" / "plugin"
WHEEL = f"sediment_mcp-{__version__}-py3-none-any.whl"


def written(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_what_is_committed_is_what_the_script_writes() -> None:
    generated = {path: normalize(content) for path, content in BUILD["files"]().items()}
    assert {path: normalize(path.read_bytes()) for path in generated} == generated
    folders = [BUNDLE, PLUGIN, ROOT / ".claude-plugin", ROOT / ".cursor-plugin"]
    committed = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert committed == generated.keys() - {ROOT / "server.json"}


def normalize(content: str | bytes) -> bytes:
    """Return a text's bytes, and of a picture what its compressed data say, whatever zlib wrote them."""
    data = content.encode() if isinstance(content, str) else content
    start = data.find(b"IDAT")
    if not data.startswith(b"\x89PNG") or start == -1:
        return data
    length = int.from_bytes(data[start - 4 : start], "big")
    return data[: start - 4] + zlib.decompress(data[start + 4 : start + 4 + length])


# --- the bundle ---------------------------------------------------------------------------------


def test_the_manifest_is_valid_by_its_published_schema() -> None:
    jsonschema.validate(
        written("packaging/one_click/manifest.json"), json.loads(SCHEMA.read_text(encoding="utf-8"))
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            {**written("packaging/one_click/manifest.json"), "surprise": 1},
            json.loads(SCHEMA.read_text(encoding="utf-8")),
        )


def test_the_bundle_starts_this_version_with_uv() -> None:
    manifest = written("packaging/one_click/manifest.json")
    assert (manifest["manifest_version"], manifest["version"]) == ("0.4", __version__)
    assert manifest["server"]["type"] == "uv"
    assert (BUNDLE / manifest["server"]["entry_point"]).is_file()
    assert manifest["server"]["mcp_config"]["args"][-1] == manifest["server"]["entry_point"]
    assert re.fullmatch(r">=\d+\.\d+", manifest["compatibility"]["runtimes"]["python"])  # read as semver
    project = tomllib.loads((BUNDLE / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dependencies"] == [f"sediment-mcp=={__version__}"]
    own = {} if BUILD["PUBLISHED"] else {"uv": {"sources": {"sediment-mcp": {"path": f"wheels/{WHEEL}"}}}}
    assert project.get("tool", {}) == own  # nothing else is fetched, from nowhere else


def test_the_bundle_asks_for_what_may_be_left_empty() -> None:
    manifest = written("packaging/one_click/manifest.json")
    settings = manifest["user_config"]
    assert {one["required"] for one in settings.values()} == {False}
    assert manifest["server"]["mcp_config"]["env"] == {
        f"SEDIMENT_{name.upper()}": f"${{user_config.{name}}}" for name in settings
    }
    assert set(manifest["server"]["mcp_config"]["env"]) <= set(VARIABLES)


@pytest.mark.process
@pytest.mark.parametrize("value", ["", "${user_config.data_dir}"])
def test_a_setting_of_the_bundle_that_was_left_empty_is_none(value: str, tmp_path: Path) -> None:
    variables = {"SEDIMENT_SECRETS": value, "SEDIMENT_TIMEZONE": value}
    command = (SERVER[0], str(BUNDLE / "src" / "server.py"))
    with StdioPeer(tmp_path, command=command, environment=variables) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"


def test_the_icon_is_a_picture_of_the_size_that_claude_desktop_asks_for() -> None:
    data = (BUNDLE / written("packaging/one_click/manifest.json")["icon"]).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">2I", data[16:24]) == (512, 512)
    assert data == (PLUGIN / "assets" / "icon.png").read_bytes()


@pytest.mark.process
def test_the_entry_point_of_the_bundle_serves(tmp_path: Path) -> None:
    program = str(BUNDLE / "src" / "server.py")
    with StdioPeer(tmp_path, command=(SERVER[0], program)) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"
        told = [tool["name"] for tool in peer.request("tools/list")["result"]["tools"]]
    assert [tool["name"] for tool in written("packaging/one_click/manifest.json")["tools"]] == told


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels with one of this version, as far as packing looks at it."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / WHEEL).write_bytes(b"a wheel")
    monkeypatch.setitem(BUILD["pack"].__globals__, "WHEELS", tmp_path / "dist")
    return tmp_path / "dist"


def test_a_bundle_without_a_wheel_is_not_packed(wheels: Path, tmp_path: Path) -> None:
    (wheels / WHEEL).unlink()
    if not BUILD["PUBLISHED"]:
        with pytest.raises(SystemExit, match="python -m hatchling build"):
            BUILD["pack"](tmp_path / "one.mcpb")


def test_one_constant_switches_all_to_the_published_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILD["files"].__globals__, "PUBLISHED", True)
    texts = {path: content for path, content in BUILD["files"]().items() if isinstance(content, str)}
    assert not [path for path, text in texts.items() if "git+" in text or "wheels/" in text]
    assert f"sediment-mcp@{__version__}" in texts[PLUGIN / ".mcp.json"]
    assert not [link for link in links().values() if "git" in unquote(link)]


def test_the_bundle_has_the_same_bytes_each_time(tmp_path: Path, wheels: Path) -> None:
    packed: list[bytes] = []
    for name in ("one.mcpb", "two.mcpb"):
        BUILD["pack"](tmp_path / name)
        packed.append((tmp_path / name).read_bytes())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(tmp_path / "one.mcpb") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "icon.png", "manifest.json", "pyproject.toml", "src/server.py",
            *([] if BUILD["PUBLISHED"] else [f"wheels/{WHEEL}"]),
        ]  # fmt: skip
        assert json.loads(archive.read("manifest.json")) == written("packaging/one_click/manifest.json")


# --- plugins ------------------------------------------------------------------------------------


def of_plugin(path: str) -> Any:
    return json.loads((PLUGIN / path).read_text(encoding="utf-8"))


def test_the_marketplaces_lead_to_the_plugin() -> None:
    for folder in (".claude-plugin", ".cursor-plugin"):
        market = written(f"{folder}/marketplace.json")
        assert {"name", "owner", "plugins"} <= set(market)
        (entry,) = market["plugins"]
        assert (ROOT / entry["source"]).resolve() == PLUGIN
        assert entry["name"] == of_plugin(f"{folder}/plugin.json")["name"] == "sediment-memory"


def test_the_manifest_of_agent_plugins_has_only_fields_of_the_specification() -> None:
    manifest, servers = of_plugin("plugin.json"), of_plugin("mcp.json")
    assert set(manifest) <= {
        "$schema", "name", "version", "description", "author", "homepage", "repository", "license",
        "keywords",
    }  # fmt: skip
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?", manifest["name"])
    assert manifest["version"] == __version__
    assert manifest["$schema"] == "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json"
    assert servers["$schema"] == "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json"
    assert set(servers) == {"$schema", "mcpServers"}
    assert servers["mcpServers"] == {"sediment": {"type": "stdio", **WANTED}}


def test_claude_code_s_plugin_keeps_the_tools_in_sight() -> None:
    assert of_plugin(".mcp.json") == {
        "mcpServers": {"sediment": {"type": "stdio", **WANTED, "alwaysLoad": True}}
    }


def test_cursor_s_manifest_names_files_that_are_there() -> None:
    manifest = of_plugin(".cursor-plugin/plugin.json")
    assert all((PLUGIN / manifest[name]).exists() for name in ("logo", "skills", "hooks", "mcpServers"))


@pytest.mark.parametrize(
    ("file", "host", "events"),
    [
        ("hooks/hooks.json", "claude-code", {"SessionStart": "session-start", "UserPromptSubmit": "prompt"}),
        ("hooks/cursor.json", "cursor", {"sessionStart": "session-start", "beforeSubmitPrompt": "prompt"}),
    ],
)
def test_the_hooks_of_a_plugin_recall_and_capture_nothing(
    file: str, host: str, events: dict[str, str]
) -> None:
    written_hooks = of_plugin(file)["hooks"]
    commands = {
        event: handler["command"]
        for event, (item,) in written_hooks.items()
        for handler in item.get("hooks", [item])
    }
    start = " ".join([WANTED["command"], *WANTED["args"]])
    assert commands == {event: f"{start} hook {own} --host {host}" for event, own in events.items()}
    assert all(is_own_hook(command) for command in commands.values())


def test_the_skill_of_the_plugin_is_the_one_that_is_served() -> None:
    text = (PLUGIN / "skills" / "sediment-memory" / "SKILL.md").read_text(encoding="utf-8")
    assert text == skill.read_skill()
    fields = yaml.safe_load(text.split("---\n")[1])
    assert fields["name"] == "sediment-memory"
    assert 1 <= len(fields["description"]) <= 1_024


@pytest.mark.host
@pytest.mark.slow
@pytest.mark.parametrize("folder", ["packaging/plugin", "."])
def test_claude_code_accepts_the_plugin_and_its_marketplace(folder: str, tmp_path: Path) -> None:
    command = [find_program("claude-code"), "plugin", "validate", "--strict", folder]
    done = subprocess.run(
        command, cwd=ROOT, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.host
@pytest.mark.slow
def test_mcpb_accepts_the_bundle(tmp_path: Path, wheels: Path) -> None:
    BUILD["pack"](tmp_path / "one.mcpb")
    for arguments in (["validate", str(BUNDLE / "manifest.json")], ["info", str(tmp_path / "one.mcpb")]):
        done = subprocess.run(
            [find_program("mcpb"), *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr


# --- the registry -------------------------------------------------------------------------------


def test_the_registry_s_entry_is_as_its_documents_ask() -> None:
    entry = written("server.json")
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert 3 <= len(entry["name"]) <= 200
    assert 1 <= len(entry["description"]) <= 100
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    assert urlsplit(entry["$schema"]).path == "/schemas/2025-12-11/server.schema.json"
    (package,) = entry["packages"]
    assert {"registryType", "identifier", "version", "transport"} <= set(package)
    assert (package["registryType"], package["identifier"]) == ("pypi", "sediment-mcp")
    assert package["version"] == entry["version"] == __version__
    assert package["transport"] == {"type": "stdio"}


def test_the_registry_s_entry_lists_every_variable() -> None:
    variables = written("server.json")["packages"][0]["environmentVariables"]
    assert [one["name"] for one in variables] == [*VARIABLES]
    for one in variables:
        assert set(one) <= {"name", "description", "format"}
        assert one["description"]


def test_the_readme_proves_that_the_package_is_ours() -> None:
    assert f"<!-- mcp-name: {written('server.json')['name']} -->" in README
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["readme"] == "README.md"  # what PyPI shows is what the registry reads


# --- links --------------------------------------------------------------------------------------


def links() -> dict[str, str]:
    return BUILD["links"]()


def test_the_readme_has_the_links() -> None:
    for host in ("Cursor", "VS Code"):
        assert f"to {host}]({links()[host]})" in README


def test_cursor_s_links_hold_the_entry() -> None:
    for name in ("Cursor", "cursor"):
        query = parse_qs(urlsplit(links()[name]).query, strict_parsing=True)
        assert query["name"] == ["sediment"]
        assert json.loads(base64.b64decode(query["config"][0], validate=True)) == WANTED
    assert links()["cursor"].startswith("cursor://anysphere.cursor-deeplink/mcp/install?")


def test_vs_code_s_links_hold_the_entry() -> None:
    query = parse_qs(urlsplit(links()["VS Code"]).query, strict_parsing=True)
    assert (query["name"], json.loads(query["config"][0])) == (["sediment"], {"type": "stdio", **WANTED})
    start, whole = links()["vscode"].split("?")
    assert start == "vscode:mcp/install"
    assert json.loads(unquote(whole)) == {"name": "sediment", "type": "stdio", **WANTED}


def test_a_link_survives_markdown() -> None:
    assert all(re.fullmatch(r"[\w:/?=&%.~-]+", link) for link in links().values())
