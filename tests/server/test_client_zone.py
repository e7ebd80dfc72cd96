"""Whose days count in a call: those of the zone that the client names, else of the configuration."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from support.sdk_client import in_memory

from sediment_mcp.app import Application
from sediment_mcp.config import NO_MODEL, TIMEZONE, Config, find_zone, load_config
from sediment_mcp.errors import BadArgument
from sediment_mcp.server.client_zone import find_client_zone

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "meta",
    [
        {"timezone": "Europe/Berlin"},
        {"timeZone": " Europe/Berlin "},
        {"example.com/timezone": "Europe/Berlin", "progressToken": 1},
        {"openai/userLocation": {"city": "Berlin", "timezone": "Europe/Berlin"}},
        {"timezone": None, "openai/userLocation": {"timezone": "Mars"}, "x/timezone": "Europe/Berlin"},
    ],
)
def test_a_client_names_its_zone(meta: dict[str, Any]) -> None:
    assert find_client_zone(meta) == BERLIN


@pytest.mark.parametrize(
    "meta", [None, {}, {"timezone": ""}, {"timezone": 5}, {"timezone": "../x"}, {"a": {}}]
)
def test_a_client_that_names_none_has_none(meta: dict[str, Any] | None) -> None:
    assert find_client_zone(meta) is None


@given(
    st.text()
    | st.sampled_from(
        ["Europe", "/etc/passwd", "Europe/", "posix", "a\0b", "+25:00", "x" * 5000, "a/" * 2000]
    )
)
def test_any_name_is_a_zone_or_none(name: str) -> None:
    assert find_zone(name) is None or load_config({TIMEZONE: name}).zone == find_zone(name.strip())


def test_the_configured_zone_is_a_name_or_an_offset() -> None:
    assert load_config({}).zone is None
    assert load_config({TIMEZONE: "Europe/Berlin"}).zone == BERLIN
    assert load_config({TIMEZONE: "utc"}).zone is UTC
    assert load_config({TIMEZONE: "UTC-5:30"}).zone == timezone(-timedelta(hours=5, minutes=30))
    with pytest.raises(BadArgument, match=r"SEDIMENT_TIMEZONE is 'Mars': set it to .* Europe/Berlin"):
        load_config({TIMEZONE: "Mars"})


async def test_the_client_s_zone_counts_for_its_call_and_else_the_configured_one(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, project="", model=NO_MODEL, zone=ZoneInfo("Asia/Tokyo"))
    app = Application(config)
    day = {"since": "2026-05-08", "until": "2026-05-08"}
    async with Client(in_memory(config, app)) as client:
        late = {"content": "the late film", "occurred_at": "2026-05-08T15:00:00Z"}  # the 9th in Tokyo
        await client.call_tool("store_memory", late)
        plain = await client.call_tool("list_memories", day)
        named = await client.call_tool("list_memories", day, meta={"timezone": "Europe/Berlin"})
        again = await client.call_tool("list_memories", day)
    app.close()
    totals = [
        answer.structured_content["total"] for answer in (plain, named, again) if answer.structured_content
    ]
    assert totals == [0, 1, 0]
