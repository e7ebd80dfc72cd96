"""The hint that most memories are in a language that the model in use was not made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.host import Host

from sediment_mcp.config import DEFAULT_MODEL, MULTILINGUAL_MODEL
from sediment_mcp.operations.language_hint import LOOKED_AT, MIN_TOLD, find_language_hint

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]


@pytest.fixture
def host(open_host: OpenHost) -> Host:
    return open_host()


def fill(host: Host, *, german: int = 0, english: int = 0, code: int = 0) -> None:
    for number in range(english):
        host.store(f"The server of customer {number} is in Frankfurt.")
    for number in range(german):
        host.store(f"Der Server des Kunden {number} steht in Frankfurt und nicht hier.")
    for number in range(code):
        host.store(f"max_retries={number}")


def find(host: Host, model: str = DEFAULT_MODEL) -> Any:
    with host.app.storage.read() as session:
        return find_language_hint(session, model, host.app.now())


def test_mostly_german_memories_are_noticed_with_the_commands_that_help(host: Host) -> None:
    fill(host, german=MIN_TOLD, english=3)
    hint = find(host)
    assert f"{MIN_TOLD} of the {MIN_TOLD + 3} newest memories are not in English" in hint["sentence"]
    for command in (
        'pip install "sediment-mcp[multilingual]" && sediment-mcp install HOST --model multilingual',
        'uvx --from "sediment-mcp[multilingual]" sediment-mcp install HOST --model multilingual',
    ):
        assert command in hint["commands"]
        assert command in hint["remedy"]


def test_few_memories_or_half_of_them_are_not_noticed(host: Host) -> None:
    fill(host, german=MIN_TOLD - 1, code=30)
    assert find(host) is None
    fill(host, english=MIN_TOLD - 1)
    assert find(host) is None


def test_with_another_model_nothing_is_noticed(host: Host) -> None:
    fill(host, german=MIN_TOLD)
    assert find(host)
    assert find(host, MULTILINGUAL_MODEL) is None
    assert find(host, "none") is None


def test_only_the_newest_memories_count(host: Host) -> None:
    fill(host, german=LOOKED_AT // 2)
    host.clock.advance(days=1)
    fill(host, english=LOOKED_AT)
    assert find(host) is None
