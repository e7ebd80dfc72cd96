"""What installs with one click: generated from the package, as the published schemas and documents ask."""

from __future__ import annotations

import base64
import json
import re
import runpy
import tomllib
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import pytest
from support.stdio_peer import SERVER, StdioPeer

from sediment_mcp import __version__
from sediment_mcp.config import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCHEMA = ROOT / "tests" / "data" / "mcpb-manifest-v0.4.schema.json"
BUNDLE = ROOT / "packaging" / "one_click"
BUILD: dict[str, Any] = runpy.run_path(str(ROOT / "packaging" / "build_one_click.py"))
WANTED = {"command": "uvx", "args": ["sediment-mcp"]}


def written(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_what_is_committed_is_what_the_script_writes() -> None:
    generated = BUILD["files"]()
    assert {path: path.read_text(encoding="utf-8") for path in generated} == generated
    committed = {path for path in (BUNDLE).rglob("*") if path.is_file()}
    assert committed == {path for path in generated if path.is_relative_to(BUNDLE)}


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
    assert list(project) == ["project"]  # nothing else is fetched, from nowhere else


@pytest.mark.process
def test_the_entry_point_of_the_bundle_serves(tmp_path: Path) -> None:
    program = str(BUNDLE / "src" / "server.py")
    with StdioPeer(tmp_path, command=(SERVER[0], program)) as peer:
        assert peer.initialize()["serverInfo"]["name"] == "sediment-mcp"
        told = [tool["name"] for tool in peer.request("tools/list")["result"]["tools"]]
    assert [tool["name"] for tool in written("packaging/one_click/manifest.json")["tools"]] == told


def test_the_bundle_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    packed: list[bytes] = []
    for name in ("one.mcpb", "two.mcpb"):
        BUILD["pack"](tmp_path / name)
        packed.append((tmp_path / name).read_bytes())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(tmp_path / "one.mcpb") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "pyproject.toml", "src/server.py"]
        assert json.loads(archive.read("manifest.json")) == written("packaging/one_click/manifest.json")


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
