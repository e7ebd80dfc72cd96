"""The contract of configuration formats: each reads, puts and takes one entry, and keeps all else."""

from __future__ import annotations

from typing import Any

import pytest

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts.config_format import JSON, JSONC, ConfigFormat, InvalidConfig
from sediment_mcp.hosts.registry import HOSTS

ENTRY: dict[str, Any] = {"command": "uvx", "args": ["sediment-mcp"], "env": {"A": "b"}}
OTHER = '{\n  "theme": "dark",\n  "servers": {\n    "other": {"command": "x"}\n  }\n}\n'

formats = pytest.mark.parametrize("config_format", [JSON, JSONC], ids=["json", "jsonc"])


@formats
@pytest.mark.parametrize("text", [None, "", " \n", "{}\n", OTHER])
def test_an_entry_that_was_put_is_read_back(config_format: ConfigFormat, text: str | None) -> None:
    assert config_format.read_entries(text, "servers").get("ours") is None
    after = config_format.put_entry(text, "servers", "ours", ENTRY)
    assert config_format.read_entries(after, "servers").get("ours") == ENTRY
    assert config_format.put_entry(after, "servers", "ours", ENTRY) == after
    again = config_format.put_entry(after, "servers", "ours", {"command": "y"})
    assert config_format.read_entries(again, "servers").get("ours") == {"command": "y"}


@formats
def test_an_entry_that_is_taken_leaves_every_byte_of_before(config_format: ConfigFormat) -> None:
    after = config_format.put_entry(OTHER, "servers", "ours", ENTRY)
    assert config_format.read_entries(after, "servers").get("other") == {"command": "x"}
    assert config_format.take_entry(after, "servers", "ours") == OTHER
    assert config_format.take_entry(OTHER, "servers", "ours") == OTHER


@formats
@pytest.mark.parametrize("text", ["{", "[]", "null", '{"servers": []}', '{"servers": 1}', '{"a": NaN}'])
def test_a_text_of_another_shape_is_refused(config_format: ConfigFormat, text: str) -> None:
    with pytest.raises(InvalidConfig):
        config_format.read_entries(text, "servers").get("ours")
    with pytest.raises(InvalidConfig):
        config_format.put_entry(text, "servers", "ours", ENTRY)


def test_only_jsonc_reads_comments_and_trailing_commas() -> None:
    text = '{\n  // mine\n  "servers": {},\n}\n'
    assert JSONC.read_entries(text, "servers").get("ours") is None
    with pytest.raises(InvalidConfig, match="line 2"):
        JSON.read_entries(text, "servers").get("ours")


def test_a_refusal_is_an_unusable_file_and_every_host_has_a_format() -> None:
    assert issubclass(InvalidConfig, UnusableFile)
    assert {host.format for host in HOSTS} == {JSON, JSONC}
