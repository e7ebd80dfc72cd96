"""What is imported behind the first answer, and when the model is loaded."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sediment_mcp.config import Config
from sediment_mcp.server.parts import LateParts


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", model="none")


def test_importing_builds_no_application_and_loads_no_model(config: Config) -> None:
    parts = LateParts(config)
    parts.import_soon()
    parts.import_soon()
    threads = [thread for thread in threading.enumerate() if thread.name == "import"]
    assert len(threads) <= 1
    for thread in threads:
        thread.join()
    assert not [thread for thread in threading.enumerate() if thread.name == "load model"]
    assert not config.data_dir.exists()
    parts.close()


def test_the_application_is_built_once_and_gets_the_model_that_has_begun(config: Config) -> None:
    parts = LateParts(config)
    parts.start_model()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(parts.app)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(app) for app in found}) == 1
    assert parts.app.model.get() is None
    assert "no model is configured" in parts.app.model.problem
    parts.close()


def test_a_part_that_cannot_be_imported_makes_the_call_fail_and_not_wait(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sediment_mcp.server.handlers", None)
    monkeypatch.setitem(__import__("sys").modules, "sediment_mcp.app", None)
    parts = LateParts(config)
    with pytest.raises(ImportError):
        _ = parts.app
    parts.close()
