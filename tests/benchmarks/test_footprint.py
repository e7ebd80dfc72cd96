"""The benchmark of the footprint measures what it says: tried on a package and a server of a few bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import footprint
import footprint_measures as measures
import pytest
from footprint_measures import Environment
from peers import CannotRun, Peer

pytestmark = [pytest.mark.slow, pytest.mark.process]

SMAPS = Path("/proc/self/smaps_rollup")
SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"modules": sorted(sys.modules)}}
        print(json.dumps(answer), flush=True)
"""
DATA = "x" * 1_000_000


def make_wheel(folder: Path) -> Path:
    """Write a package that needs nothing, with a megabyte of data that a wheel holds as a few bytes."""
    wheel = folder / "tiny-1.5-py3-none-any.whl"
    info = "tiny-1.5.dist-info"
    files = {
        "tiny/__init__.py": "",
        "tiny/__main__.py": SERVER,
        "tiny/data.txt": DATA,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.5\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (*files.items(), (f"{info}/RECORD", record)):
            archive.writestr(name, text)
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return measures.install(tmp_path_factory.mktemp("installed"), [[str(wheel)]])


def ask(server: Any, what: str, text: str) -> str:
    return json.dumps(server.request(what, {"text": text})[1])


TINY = Peer("tiny", (), lambda folder, _: [str(Environment(folder, folder).python), "-m", "tiny"], ask)


def test_what_is_fetched_is_counted_in_files_and_megabytes(environment: Environment, wheel: Path) -> None:
    assert measures.measure_download(environment) == wheel.stat().st_size / 1e6 < 0.1
    assert list(measures.list_downloads(environment)) == ["tiny"]
    assert environment.version("tiny") == "1.5"


def test_the_disk_is_counted_with_its_bytecode_beside_it(environment: Environment, tmp_path: Path) -> None:
    before = measures.measure_disk(environment.folder)
    assert 1 < before["disk_mb"] < 1.5
    assert before["bytecode_mb"] == 0
    measures.compile_all(environment)
    after = measures.measure_disk(environment.folder)
    assert after["disk_mb"] == before["disk_mb"]
    assert 0 < after["bytecode_mb"] < 0.1


def test_a_start_is_measured_to_each_answer_and_beside_a_bare_one(
    environment: Environment, tmp_path: Path
) -> None:
    figures = measures.measure_start(TINY, environment, tmp_path, runs=2)
    assert 0 < figures["initialize_s"] < figures["first_answer_s"]
    assert figures["initialize_ratio"] == figures["initialize_s"] / figures["bare_s"]
    without = measures.measure_start(TINY, environment, tmp_path, runs=1, ask=False)
    assert "first_answer_s" not in without


def test_a_server_runs_in_its_own_environment_and_ends_with_its_measurement(
    environment: Environment, tmp_path: Path
) -> None:
    with measures.running(TINY, environment, tmp_path, PYTHONPATH="") as (server, seconds):
        assert seconds > 0
        loaded = json.loads(ask(server, "query", ""))["modules"]
        assert "sediment_mcp" not in loaded
    assert server.process.poll() == 0


@pytest.mark.skipif(not SMAPS.exists(), reason="memory is measured by what Linux tells")
def test_memory_is_measured_before_and_after_and_added_up(environment: Environment, tmp_path: Path) -> None:
    figures = measures.measure_memory(TINY, environment, tmp_path, queries=1)
    assert 0 < figures["dirty_mb_before"] <= figures["private_mb_before"]
    assert 0 < figures["dirty_mb_after"] <= figures["private_mb_after"]
    one, three = (measures.measure_together(TINY, environment, tmp_path, count) for count in (1, 3))
    assert one < three < 3 * one + 1


def test_what_cannot_be_measured_is_said_and_ends_nothing(environment: Environment, wheel: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measures.install(environment.folder / "again", [[str(wheel.with_name("gone.whl"))]])
    failed = subprocess.CalledProcessError(1, "pip", stderr="first\nno such wheel\n")
    assert footprint._explain("installation", failed).endswith("no such wheel")
    assert footprint._explain("a query", CannotRun("no model")) == "a query: CannotRun: no model"


def test_the_table_has_a_row_for_each_figure_that_anybody_has() -> None:
    table = footprint.to_markdown(
        {
            "a": {"download_mb": 79.04, "reasons": []},
            "b": {"download_mb": 200.0, "five short hits": 1234, "reasons": ["a query: no model"]},
        }
    )
    assert table.splitlines() == [
        "| | a | b |",
        "|---|---|---|",
        "| download, MB | 79.0 | 200.0 |",
        "| five short hits, tokens |  | 1,234 |",
        "",
        "- b, a query: no model",
    ]


def test_every_figure_that_is_measured_has_a_row(environment: Environment, tmp_path: Path) -> None:
    told = {name for name, _, _ in footprint.ROWS}
    for figures in (
        measures.measure_start(TINY, environment, tmp_path, runs=1),
        measures.measure_disk(environment.folder),
    ):
        assert set(figures) - {"bare_s"} <= told


def test_only_what_is_larger_than_promised_fails_the_check(
    environment: Environment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert footprint.check(environment.folder) == 0
    monkeypatch.setitem(footprint.TARGETS, "disk_mb", 1.0)
    assert footprint.check(environment.folder) == 1
    assert "disk_mb is 1." in capsys.readouterr().out


def test_torch_that_nobody_has_asked_for_fails_the_check(tmp_path: Path) -> None:
    module = tmp_path / "lib" / "site-packages" / "torch" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.touch()
    assert footprint.check(tmp_path) == 1


def test_the_options_that_are_told_of_are_the_real_ones() -> None:
    page = (Path(footprint.__file__).with_name("README.md")).read_text(encoding="utf-8")
    part = page.partition("## Footprint")[2].partition("\n## ")[0]
    shown = subprocess.run(
        [sys.executable, footprint.__file__, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--wheel", "--before", "--before-with", "--peers", "--memories", "--runs", "--servers",
                   "--no-uvx", "--keep", "--out", "--check"):  # fmt: skip
        assert option in part
        assert option in shown


def test_the_rows_that_the_readme_shows_are_those_of_the_benchmark() -> None:
    readme = (footprint.ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("beside other memories for agents:\n\n")[2].partition("\n\n")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert head[1:] == [footprint.OURS, *(peer.name for peer, _ in footprint.OTHERS)]
    assert len(rows) > 5
    assert {row[0] for row in rows} <= {title for _, title, _ in footprint.ROWS}
