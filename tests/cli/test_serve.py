"""What `serve` refuses before it serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sediment_mcp.cli.main import main


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEDIMENT_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "8787"], "--port is for the server over HTTP: add --http, or leave it out."),
        (["--stateless"], "--stateless is for the server over HTTP: add --http, or leave it out."),
        (["--http", "--host", "0.0.0.0"], "create a token with sediment-mcp token create"),
        (["--http", "--public-url", "https://m.example"], "create a token with sediment-mcp token create"),
        (["--http", "--public-url", "m.example"], "write only scheme and host"),
        (["--http", "--metrics", "x"], "--metrics is 'x': write a port, or host:port"),
        (["--http", "--rate", "-1"], "--rate is '-1': give a whole number from 0"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    assert told in capsys.readouterr().err
